"""The buses: what comes goes on, once and in order, and a counter tells what it has counted."""

from itertools import pairwise

from amaranth.hdl import Array, Assert, Assume, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from deltarnn.evidence.proofs.claim import Claim, stays
from hw.bus.axi_lite import SLVERR, AxiLitePort
from hw.bus.counter import Counter, LatchedCounter
from hw.bus.gate import FrameGate
from hw.bus.output import OutputBuffer
from hw.bus.skid import Skid

ELEMENT = data.StructLayout({"value": 1, "last": 1})


class SkidIsAQueueOfTwo(Claim):
    """What comes goes on in order, each once; it stays while it waits; there is room for two."""

    def __init__(self, kind: type = Skid) -> None:
        dut = kind(2)
        super().__init__(dut, dut.i.valid, dut.i.payload, dut.o.ready)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        items, count = Array(Signal(2, name=f"item_{n}") for n in range(2)), Signal(range(3))
        comes, goes = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
        with m.If(goes):
            m.d.sync += items[0].eq(items[1])
        with m.If(comes):
            m.d.sync += items[count - goes].eq(dut.i.payload)
        m.d.sync += count.eq(count + comes - goes)
        m.d.comb += [
            Assert(dut.o.valid == (count != 0)),
            Assert(~dut.o.valid | (dut.o.payload == items[0])),
            Assert(dut.i.ready == (count != 2)),
        ]
        stays(m, "o", dut.o.valid & ~dut.o.ready, dut.o.valid, dut.o.payload)
        return m


class GateClosesBetweenRounds(Claim):
    """It is open while a round is under way, a frame of each stream; nothing passes while it is
    closed, and it closes as soon as it may. It knows whose turn it is."""

    def __init__(self, kind: type = FrameGate, streams: int = 1) -> None:
        self._streams = streams
        dut = kind(ELEMENT, streams)
        super().__init__(dut, dut.i.valid, dut.i.payload, dut.o.ready, dut.close)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        comes, goes = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
        open_frame, asked = Signal(), Signal()
        turn = Signal(range(self._streams + 1))
        under_way = open_frame | (turn != 0)
        with m.If(goes):
            m.d.sync += open_frame.eq(~dut.o.payload.last)
        with m.If(goes & dut.o.payload.last):
            m.d.sync += turn.eq(Mux(turn == self._streams - 1, 0, turn + 1))
        m.d.sync += asked.eq(dut.close)
        m.d.comb += [
            Assert(comes == goes),
            Assert(~goes | (dut.o.payload == dut.i.payload)),
            Assert(~dut.closed | ~(under_way | dut.o.valid)),
            Assert(dut.closed | ~asked | under_way),
            Assert(dut.stream == turn),
        ]
        return m


class ResultsLeaveInOrder(Claim):
    """Results leave in the order in which they were made, each once, and stay while they wait.

    A frame that is skipped has the results of the frame before the last one. There is room as long
    as fewer than two frames are promised and not sent, and no more is ever kept than two frames and
    what is on its way out. Frames are made only as promised; anything may come at any time. With
    several streams all that holds of each, in whatever order their frames are done, and they leave
    in turn.
    """

    BEATS = 2

    def __init__(self, kind: type = OutputBuffer, read_latency: int = 1, streams: int = 1) -> None:
        dut = kind(beats=self.BEATS, shape=1, read_latency=read_latency, streams=streams)
        self._most, self._streams = 2 * self.BEATS + read_latency, streams
        inputs = dut.i.valid, dut.i.payload, dut.done, dut.o.ready, dut.reserve
        super().__init__(dut, *inputs)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        out, turn = dut.o.payload, Signal(range(self._streams + 1))
        with m.If(dut.o.valid & dut.o.ready & out.last):
            m.d.sync += turn.eq(Mux(turn == self._streams - 1, 0, turn + 1))
        m.d.comb += [
            Assume(~dut.reserve | dut.room),
            Assume(~dut.i.valid | (dut.i.payload.stream < self._streams)),
            Assert(~dut.o.valid | (out.stream == turn)),
        ]
        stays(m, "o", dut.o.valid & ~dut.o.ready, dut.o.valid, dut.o.payload)
        under_way = [self._of_stream(m, n) for n in range(self._streams)]
        for n, others in enumerate(under_way):  # frames are not mixed
            comes = dut.i.valid & (dut.i.payload.stream != n)
            m.d.comb += Assume(~(comes & others))
        return m

    def _of_stream(self, m: Module, stream: int) -> Value:
        """One stream's results; whether it is in mid-frame."""
        dut, beats, most = self.dut, self.BEATS, self._most
        came, out, done = dut.i.payload, dut.o.payload, dut.done[stream]
        comes = dut.i.valid & (came.stream == stream)
        leaves = dut.o.valid & (out.stream == stream)
        goes = leaves & dut.o.ready

        # The frames of now, of before and of the one before that, beat by beat.
        now, before, older = (
            [Signal(name=f"{name}_{stream}_{n}") for n in range(beats)]
            for name in ("now", "before", "older")
        )
        made = Signal(range(beats + 1), name=f"made_{stream}")
        skipped = done & ~comes
        with m.If(comes):
            m.d.sync += made.eq(made + 1)
            m.d.sync += Array(now)[made].eq(came.value)
        with m.If(done):
            m.d.sync += made.eq(0)
            m.d.sync += [a.eq(b) for a, b in zip(older, before, strict=True)]
            m.d.sync += [
                a.eq(Mux(skipped, b, Mux(made == n, came.value, c)))
                for n, (a, b, c) in enumerate(zip(before, older, now, strict=True))
            ]

        # What is owed, oldest first.
        queue = [Signal(name=f"queue_{stream}_{n}") for n in range(most)]
        count = Signal(range(most + beats + 1), name=f"count_{stream}")
        place = Signal.like(count, name=f"place_{stream}")
        m.d.comb += place.eq(count - goes)
        with m.If(goes):
            m.d.sync += [a.eq(b) for a, b in pairwise(queue)]
        with m.If(comes):
            m.d.sync += Array(queue)[place].eq(came.value)
        with m.If(skipped):
            m.d.sync += [Array(queue)[place + n].eq(older[n]) for n in range(beats)]
        m.d.sync += count.eq(place + Mux(skipped, beats, comes))
        place_out = Signal(range(beats), name=f"place_out_{stream}")
        with m.If(goes):
            m.d.sync += place_out.eq(Mux(place_out == beats - 1, 0, place_out + 1))
        m.d.comb += [
            Assert(~leaves | (count != 0)),
            Assert(~leaves | (out.value == queue[0])),
            Assert(~leaves | (out.last == (place_out == beats - 1))),
            Assert(count <= most),
        ]

        # What those who make the results promise: a frame at a time, only where one is reserved.
        promised = Signal(range(3), name=f"promised_{stream}")  # and not yet made
        m.d.sync += promised.eq(promised + dut.reserve - done)
        m.d.comb += [
            Assume(~(comes | done) | (promised != 0)),
            Assume(~comes | (done == (made == beats - 1))),
            Assume(~skipped | (made == 0)),
        ]
        return made != 0


class RoomIsKept(Claim):
    """A frame for which there is room is kept whole: it never takes the place of what is not sent.

    Of the frames that are promised at most two have not wholly left the memory; and there is room
    again as soon as one has. Beats are counted only, so that it goes for longer frames, too.
    """

    def __init__(self, kind: type = OutputBuffer, beats: int = 4) -> None:
        self._beats = beats
        dut = kind(beats=beats, shape=1)
        super().__init__(dut, dut.i.valid, dut.done, dut.o.ready, dut.reserve)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        beats = self._beats
        goes = dut.o.valid & dut.o.ready
        made, promised = Signal(range(beats + 1)), Signal(range(3))
        waiting = Signal(range(2 * beats + 3))  # beats that are made and not taken
        owed = Signal(range(4))  # frames that are promised and not wholly taken
        skipped = dut.done & ~dut.i.valid
        m.d.sync += [
            made.eq(Mux(dut.done, 0, made + dut.i.valid)),
            promised.eq(promised + dut.reserve - dut.done),
            waiting.eq(waiting + Mux(skipped, beats, dut.i.valid) - goes),
            owed.eq(owed + dut.reserve - (goes & dut.o.payload.last)),
        ]
        m.d.comb += [
            # The last beat of a frame on its way out lies in a register, not in the memory.
            Assert(waiting <= 2 * beats + 1),
            Assert(owed <= 3),
            Assert((owed != 3) | dut.o.valid),
            Assert(dut.room | (owed >= 2)),
            Assert(~dut.room | (owed < 2) | (dut.o.valid & dut.o.payload.last)),
            Assume(~dut.reserve | dut.room),
            Assume(~(dut.i.valid | dut.done) | (promised != 0)),
            Assume(~dut.i.valid | (dut.done == (made == beats - 1))),
            Assume(~skipped | (made == 0)),
        ]
        return m


class EachAccessOnce(Claim):
    """Each write and each read is carried out once, in order, and answered once.

    It happens as soon as the answer before it has been taken, so that none waits for ever. An
    answer stays until it is taken, and tells what the registers told in the cycle of the access.
    """

    def __init__(self, kind: type = AxiLitePort) -> None:
        dut = kind(4)
        names = ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready")
        names += ("araddr", "arvalid", "rready")
        answers = ("write_fails", "read_data", "read_fails")
        super().__init__(
            dut, *(getattr(dut.bus, n) for n in names), *(getattr(dut, n) for n in answers)
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        self._writes(m, dut, dut.bus)
        self._reads(m, dut, dut.bus)
        return m

    def _writes(self, m: Module, dut, bus) -> None:
        to, what, answer = Signal(), Signal(), Signal()  # of accesses that are not answered yet
        word, value, fails = Signal(2), Signal(36), Signal()
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [to.eq(1), word.eq(bus.awaddr[2:])]
            m.d.comb += Assert(~to)
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [what.eq(1), value.eq(Cat(bus.wdata, bus.wstrb))]
            m.d.comb += Assert(~what)
        with m.If(bus.bvalid & bus.bready):
            m.d.sync += answer.eq(0)
        with m.If(dut.write):
            m.d.sync += [to.eq(0), what.eq(0), answer.eq(1), fails.eq(dut.write_fails)]
        m.d.comb += [
            Assert(bus.awready == ~to),
            Assert(bus.wready == ~what),
            Assert(dut.write == (to & what & ~answer)),
            Assert(~dut.write | (dut.write_word == word)),
            Assert(~dut.write | (Cat(dut.write_data, dut.write_strobe) == value)),
            Assert(bus.bvalid == answer),
            Assert(~bus.bvalid | (bus.bresp == Mux(fails, SLVERR, 0))),
        ]
        stays(m, "b", bus.bvalid & ~bus.bready, bus.bvalid, bus.bresp)

    def _reads(self, m: Module, dut, bus) -> None:
        asked, answer = Signal(), Signal()
        word, value = Signal(2), Signal(34)
        with m.If(bus.rvalid & bus.rready):
            m.d.sync += answer.eq(0)
        with m.If(dut.read):
            m.d.sync += [asked.eq(0), answer.eq(1)]
            m.d.sync += value.eq(Cat(dut.read_data, Mux(dut.read_fails, SLVERR, 0)))
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [asked.eq(1), word.eq(bus.araddr[2:])]
            m.d.comb += Assert(~asked)
        m.d.comb += [
            Assert(bus.arready == ~(asked | answer)),
            Assert(dut.read == asked),
            Assert(~dut.read | (dut.read_word == word)),
            Assert(bus.rvalid == answer),
            Assert(~bus.rvalid | (Cat(bus.rdata, bus.rresp) == value)),
        ]
        stays(m, "r", bus.rvalid & ~bus.rready, bus.rvalid, bus.rdata, bus.rresp)


class CounterTellsTheCount(Claim):
    """It shows the count of two cycles ago, and the carry as it wraps; never anything else."""

    def __init__(self, kind: type = Counter, width: int = 6) -> None:
        self._width = width
        dut = kind(width)
        super().__init__(dut, dut.counts, dut.clear)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        count, shown = counted(m, self._width + 1, dut)
        wraps = Signal()
        m.d.sync += wraps.eq(~dut.clear & (count[-1] != shown[-1]))
        m.d.comb += [
            Assert(dut.value == shown[:-1]),
            Assert(dut.carry == wraps),
        ]
        return m


class LatchedWordsBelongTogether(Claim):
    """The low word, and the high one that reading it latches, are one count of two cycles ago."""

    def __init__(self, kind: type = LatchedCounter, low: int = 4, high: int = 3) -> None:
        self._low, self._high = low, high
        dut = kind(low, high)
        super().__init__(dut, dut.counts, dut.clear, dut.read)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        _, shown = counted(m, self._low + self._high, dut)
        latched = Signal(self._high)
        with m.If(dut.read):
            m.d.sync += latched.eq(shown[self._low :])
        with m.If(dut.clear):
            m.d.sync += latched.eq(0)
        m.d.comb += [
            Assert(dut.value == shown[: self._low]),
            Assert(dut.latched == latched),
        ]
        return m


def counted(m: Module, width: int, dut: Elaboratable) -> tuple[Signal, Signal]:
    """The count of cycles so far, modulo 2^width, and as it was a cycle ago."""
    count, shown = Signal(width), Signal(width)
    m.d.sync += [
        count.eq(Mux(dut.clear, 0, count) + dut.counts),
        shown.eq(Mux(dut.clear, 0, count)),
    ]
    return count, shown
