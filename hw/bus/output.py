"""Keeps results until they are taken, so that the engine never waits in mid-frame."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from hw.primitive.memory import UNCHECKED


class OutputBuffer(wiring.Component):
    """Two frames of results of each stream: one is made while the one before is sent.

    A frame need not be written: what stood still in it, and in the frame before, lies in its half
    already, where the frame before that one left it.

    Frames are sent in rounds, one of each stream, in order, in whatever order they are done.

    Parameters
    ----------
    beats : int
        Beats of a frame.
    shape : ShapeLike
        What a beat is.
    read_latency : int
        Its memory's (hw.target.Target).
    streams : int
        C.

    Members
    -------
    i : In, stream (never waits)
        A frame's beats, in order, not mixed with those of another: ``value``, ``stream``.
    done : In, a bit for each stream
        All results of a frame have been made; also in the cycle of its last one.
    o : Out, stream
        ``value``, ``last`` of the frame, ``stream``.
    room : Out
        There is room for one more round beside those promised.
    reserve : In
        Promises room for one round.
    """

    def __init__(self, *, beats: int, shape, read_latency: int = 1, streams: int = 1) -> None:
        require_int("beats", beats, 1)
        require_int("streams", streams, 1)
        self._beats, self._shape = beats, shape
        self._read_latency, self._streams = read_latency, streams
        number = unsigned(ceil_log2(streams))
        made = data.StructLayout({"value": shape, "stream": number})
        beat = data.StructLayout({"value": shape, "last": 1, "stream": number})
        super().__init__(
            {
                "i": In(stream.Signature(made, always_ready=True)),
                "done": In(streams),
                "o": Out(stream.Signature(beat)),
                "room": Out(1),
                "reserve": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        width = ceil_log2(self._beats)
        m.submodules.memory = stored = memory.Memory(
            shape=self._shape, depth=2 * self._streams << width, init=[], attrs=UNCHECKED
        )
        read, write = stored.read_port(), stored.write_port()
        last = self._beats - 1

        # A frame may be sent as far as it has been made, so that the two keep pace.
        write_half, read_half = Signal(self._streams), Signal()
        written = Signal(range(self._beats + 1))
        index = Signal(range(self._beats))
        made = [Signal(range(3), name=f"made_{n}") for n in range(self._streams)]  # not yet sent
        owed = Signal(range(3))  # rounds that are promised and not sent
        # A stream's results come now, or came last; ``written`` of them so far.
        came = self.i.payload.stream
        sends, writes, wrote = Signal.like(came), Signal.like(came), Signal.like(came)
        m.d.comb += [
            writes.eq(Mux(self.i.valid, came, wrote)),
            write.addr.eq(Cat(written[:width], write_half.bit_select(came, 1), came)),
            write.data.eq(self.i.payload.value),
            write.en.eq(self.i.valid),
        ]
        m.d.sync += wrote.eq(writes)
        for n, done in enumerate(self.done):
            with m.If(done):
                m.d.sync += write_half[n].eq(~write_half[n])
        with m.If(self.done.bit_select(writes, 1)):
            m.d.sync += written.eq(0)
        with m.Elif(self.i.valid):
            m.d.sync += written.eq(written + 1)

        # Everything up to the output waits or moves together.
        moves, there, sent = Signal(), Signal(), Signal()
        m.d.comb += [
            moves.eq(self.o.ready | ~self.o.valid),
            there.eq((Array(made)[sends] != 0) | ((index < written) & (wrote == sends))),
            sent.eq(moves & there & (index == last)),
            read.addr.eq(Cat(index, read_half, sends)),
            read.en.eq(moves),
            self.room.eq(owed != 2),
        ]
        ends_round = sent & (sends == self._streams - 1)
        valid, value, ends, number = there, read.data, (index == last), sends
        with m.If(moves & there):
            m.d.sync += index.eq(index + 1)
        with m.If(sent):
            m.d.sync += [index.eq(0), sends.eq(sends + 1)]
        with m.If(ends_round):
            m.d.sync += [sends.eq(0), read_half.eq(~read_half)]
        m.d.sync += [
            *(k.eq(k + self.done[n] - (sent & (sends == n))) for n, k in enumerate(made)),
            owed.eq(owed + self.reserve - ends_round),
        ]
        for n in range(self._read_latency):
            valid_next = Signal(name=f"valid_{n}")
            ends_next = Signal(name=f"ends_{n}", reset_less=True)
            number_next = Signal.like(number, name=f"stream_{n}", reset_less=True)
            with m.If(moves):
                m.d.sync += [valid_next.eq(valid), ends_next.eq(ends), number_next.eq(number)]
            valid, ends, number = valid_next, ends_next, number_next
        for n in range(1, self._read_latency):
            value_next = Signal.like(value, name=f"value_{n}", reset_less=True)
            with m.If(moves):
                m.d.sync += value_next.eq(value)
            value = value_next
        m.d.comb += [
            self.o.valid.eq(valid),
            self.o.payload.value.eq(value),
            self.o.payload.last.eq(ends),
            self.o.payload.stream.eq(number),
        ]
        return m
