"""Keeps results until they are taken, so that the engine never waits in mid-frame."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out

from golden.errors import require_int


class OutputBuffer(wiring.Component):
    """A queue for two frames of results that promises room before a frame begins.

    Parameters
    ----------
    results : int
        Results a frame.
    shape : ShapeLike
        Of one result.

    Members
    -------
    i : In, stream (never waits)
        ``value``, ``last`` of the frame.
    o : Out, stream
        The same, with back-pressure.
    room : Out
        There is room for one more frame beside those promised.
    reserve : In
        Promises room for one frame.
    """

    def __init__(self, *, results: int, shape) -> None:
        require_int("results", results, 1)
        self._results = results
        self._payload: StructLayout = data.StructLayout({"value": shape, "last": 1})
        super().__init__(
            {
                "i": In(stream.Signature(self._payload, always_ready=True)),
                "o": Out(stream.Signature(self._payload)),
                "room": Out(1),
                "reserve": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        depth = 2 * self._results
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=self._payload.size, depth=depth)
        # Promised, and not yet taken.
        owed = Signal(range(depth + 1))
        taken = Signal()
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.o.payload.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
            taken.eq(self.o.valid & self.o.ready),
            self.room.eq(owed <= depth - self._results),
        ]
        with m.If(self.reserve):
            m.d.sync += owed.eq(owed + self._results - taken)
        with m.Else():
            m.d.sync += owed.eq(owed - taken)
        return m
