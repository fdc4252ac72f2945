"""Keeps results until they are taken, so that the engine never waits in mid-frame."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from hw.primitive.memory import UNCHECKED


class OutputBuffer(wiring.Component):
    """Two frames of results: one is made while the one before is sent.

    A frame need not be written: what stood still in it, and in the frame before, lies in its half
    already, where the frame before that one left it.

    Parameters
    ----------
    beats : int
        Beats of a frame.
    shape : ShapeLike
        What a beat is.
    read_latency : int
        Its memory's (hw.target.Target).

    Members
    -------
    i : In, stream (never waits)
        A frame's beats, in order.
    done : In
        All results of a frame have been made; also in the cycle of its last one.
    o : Out, stream
        ``value``, ``last`` of the frame.
    room : Out
        There is room for one more frame beside those promised.
    reserve : In
        Promises room for one frame.
    """

    def __init__(self, *, beats: int, shape, read_latency: int = 1) -> None:
        require_int("beats", beats, 1)
        self._beats, self._shape, self._read_latency = beats, shape, read_latency
        beat = data.StructLayout({"value": shape, "last": 1})
        super().__init__(
            {
                "i": In(stream.Signature(shape, always_ready=True)),
                "done": In(1),
                "o": Out(stream.Signature(beat)),
                "room": Out(1),
                "reserve": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        width = ceil_log2(self._beats)
        m.submodules.memory = stored = memory.Memory(
            shape=self._shape, depth=2 << width, init=[], attrs=UNCHECKED
        )
        read, write = stored.read_port(), stored.write_port()
        last = self._beats - 1

        # A frame may be sent as far as it has been made, so that the two keep pace.
        write_half, read_half = Signal(), Signal()
        written = Signal(range(self._beats + 1))
        index = Signal(range(self._beats))
        made = Signal(range(3))  # frames that are done and not sent
        owed = Signal(range(3))  # frames that are promised and not sent
        m.d.comb += [
            write.addr.eq(Cat(written[:width], write_half)),
            write.data.eq(self.i.payload),
            write.en.eq(self.i.valid),
        ]
        with m.If(self.done):
            m.d.sync += [written.eq(0), write_half.eq(~write_half)]
        with m.Elif(self.i.valid):
            m.d.sync += written.eq(written + 1)

        # Everything up to the output waits or moves together.
        moves, there, sent = Signal(), Signal(), Signal()
        m.d.comb += [
            moves.eq(self.o.ready | ~self.o.valid),
            there.eq((made != 0) | (index < written)),
            sent.eq(moves & there & (index == last)),
            read.addr.eq(Cat(index, read_half)),
            read.en.eq(moves),
            self.room.eq(owed != 2),
        ]
        ends, valid, value = (index == last), there, read.data
        with m.If(moves & there):
            m.d.sync += index.eq(index + 1)
        with m.If(sent):
            m.d.sync += [index.eq(0), read_half.eq(~read_half)]
        m.d.sync += [
            made.eq(made + self.done - sent),
            owed.eq(owed + self.reserve - sent),
        ]
        for n in range(self._read_latency):
            valid_next = Signal(name=f"valid_{n}")
            ends_next = Signal(name=f"ends_{n}", reset_less=True)
            with m.If(moves):
                m.d.sync += [valid_next.eq(valid), ends_next.eq(ends)]
            valid, ends = valid_next, ends_next
        for n in range(1, self._read_latency):
            value_next = Signal.like(value, name=f"value_{n}", reset_less=True)
            with m.If(moves):
                m.d.sync += value_next.eq(value)
            value = value_next
        m.d.comb += [
            self.o.valid.eq(valid),
            self.o.payload.value.eq(value),
            self.o.payload.last.eq(ends),
        ]
        return m
