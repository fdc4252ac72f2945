"""A gate across a stream of frames, which closes between two of them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2


class FrameGate(wiring.Component):
    """Lets frames pass, in the same cycle, until it is asked to close.

    It never closes in mid-round: where an element of a round has passed, the round may pass to its
    end. A round is a frame of each stream.

    Parameters
    ----------
    shape : ShapeLike
        What a transfer is, with a field ``last``.
    streams : int
        C.

    Members
    -------
    i, o : In, Out, stream
        What comes and what goes.
    close : In
        Let no round begin, from the cycle after the next one on.
    closed : Out
        Nothing passes.
    stream : Out
        Whose frame passes, or is the next to pass.
    """

    def __init__(self, shape, streams: int = 1) -> None:
        self._streams = streams
        signature = stream.Signature(shape)
        super().__init__(
            {
                "i": In(signature),
                "o": Out(signature),
                "close": In(1),
                "closed": Out(1),
                "stream": Out(ceil_log2(streams)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        under_way, next_under_way, passes = Signal(), Signal(), Signal()
        next_stream = Signal.like(self.stream)
        m.d.comb += [
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & ~self.closed),
            self.i.ready.eq(self.o.ready & ~self.closed),
            passes.eq(self.o.valid & self.o.ready),
            next_under_way.eq(Mux(passes, ~self.i.payload.last, under_way)),
            next_stream.eq(self.stream),
        ]
        with m.If(passes & self.i.payload.last):
            of_last = self.stream == self._streams - 1
            m.d.comb += next_stream.eq(Mux(of_last, 0, self.stream + 1))
        m.d.sync += [
            under_way.eq(next_under_way),
            self.stream.eq(next_stream),
            self.closed.eq(self.close & ~next_under_way & (next_stream == 0)),
        ]
        return m
