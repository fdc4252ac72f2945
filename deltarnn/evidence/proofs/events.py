"""Events: what fires is what moved, and none is lost, doubled or out of order on its way."""

from amaranth.hdl import Array, Assert, Assume, Cat, Module, Mux, Signal, signed

from deltarnn.evidence.proofs.claim import Claim, stays
from hw.events.encoder import DeltaEncoder
from hw.events.lists import EventBuffer
from hw.events.merge import EventMerge
from hw.events.path import EventPath
from hw.events.reader import FrameReader
from hw.pipeline import delayed


class FiresIfAndOnlyIfItMoved(Claim):
    """An element fires if and only if |v - v^| > theta; then v - v^ is sent and v^ becomes v.

    v^ is what was last sent of the element, or 0 after a clear; that of any one element, which the
    solver chooses, is followed. Any value and threshold may come in any cycle, of an element not
    within the latency, and a clear while nothing is under way.
    """

    GROUPS, WAYS = 2, 2

    def __init__(self, kind: type = DeltaEncoder, read_latency: int = 1, width: int = 2) -> None:
        self._width = width
        dut = kind(
            vectors=1,
            groups=self.GROUPS,
            width=width,
            ways=self.WAYS,
            read_latency=read_latency,
        )
        names = ("i", "clear")
        streams = [getattr(dut, name) for name in names]
        super().__init__(
            dut, dut.theta[0], *(s.valid for s in streams), *(s.payload for s in streams)
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        latency = dut.latency
        group, way = self.chosen(m, 1, "group"), self.chosen(m, 1, "way")
        made = dut.i.payload
        comes = dut.i.valid & (made.group == group)

        # The element as it was ``latency`` cycles ago, when nothing of it had been sent since.
        due = Signal(latency)
        m.d.sync += due.eq(Cat(comes, due))
        v = delayed(m, Array(made.value)[way], latency, "v")
        theta = delayed(m, dut.theta[0], latency, "theta")
        sent = Signal(signed(self._width))
        delta, fires = Signal(signed(self._width + 1)), Signal()
        m.d.comb += [delta.eq(v - sent), fires.eq((delta > theta) | (-delta > theta))]
        with m.If(due[-1] & fires):
            m.d.sync += sent.eq(v)
        with m.If(dut.clear.valid & (dut.clear.payload == group)):
            m.d.sync += sent.eq(0)
        out = dut.o.payload
        m.d.comb += [
            Assert((dut.o.valid & (out.group == group)) == due[-1]),
            Assert(~due[-1] | (out.fires.bit_select(way, 1) == fires)),
            Assert(~due[-1] | (Array(out.delta)[way] == delta)),
        ]

        # No element follows itself within the latency; a clear comes by itself.
        recent = [Signal(latency, name=f"recent_{n}") for n in range(self.GROUPS)]
        for n, cycles in enumerate(recent):
            again = dut.i.valid & (made.group == n)
            m.d.sync += cycles.eq(Cat(again, cycles))
            m.d.comb += Assume(~(again & cycles.any()))
        busy = dut.i.valid | Cat(recent).any()
        m.d.comb += Assume(~(dut.clear.valid & busy))
        return m


class MergedInOrder(Claim):
    """What fires leaves the merge one event a cycle, in order, each once; ``last`` with the last.

    Vectors come as an encoder sends them, one not again before its list is complete, at any time.
    """

    VECTORS, GROUPS, WAYS = 2, 2, 2

    def __init__(self, kind: type = EventMerge) -> None:
        dut = kind(vectors=self.VECTORS, groups=self.GROUPS, width=1, ways=self.WAYS)
        super().__init__(dut, dut.i.valid, dut.i.payload)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        come, gone = dut.i.payload, dut.o.payload
        # Any one element of any one vector is followed.
        vector, group, way = (self.chosen(m, 1, name) for name in ("vector", "group", "way"))
        of_vector = dut.i.valid & (come.vector == vector)
        fired, delta, ended = Signal(), Signal(2), Signal()
        with m.If(of_vector):
            m.d.sync += ended.eq(come.last)
            with m.If(come.group == group):
                m.d.sync += [
                    fired.eq(come.fires.bit_select(way, 1)),
                    delta.eq(Array(come.delta)[way]),
                ]
        leaves = dut.o.valid & (gone.vector == vector)
        column = Cat(way, group)
        follows = leaves & gone.fires & (gone.event.column == column)
        done = leaves & gone.last
        reached = Signal(2)  # the least column that may still come
        begun = Signal()
        with m.If(follows):
            m.d.sync += fired.eq(0)
        with m.If(leaves & gone.fires):
            m.d.sync += [reached.eq(gone.event.column), begun.eq(1)]
        with m.If(done):
            m.d.sync += [ended.eq(0), begun.eq(0)]
        m.d.comb += [
            Assert(~follows | (fired & (gone.event.delta.as_unsigned() == delta))),
            Assert(~done | (ended & (~fired | follows))),
            Assert(~(leaves & gone.fires & begun) | (gone.event.column > reached)),
        ]
        # How an encoder sends: group by group, the last one marked; then not before it is complete.
        for n in range(self.VECTORS):
            comes = dut.i.valid & (come.vector == n)
            goes = dut.o.valid & gone.last & (gone.vector == n)
            place, over = Signal(name=f"place_{n}"), Signal(name=f"over_{n}")
            with m.If(comes):
                m.d.sync += [place.eq(~come.last), over.eq(come.last)]
            with m.If(goes):
                m.d.sync += over.eq(0)
            m.d.comb += Assume(~comes | (~over & (come.group == place)))
            m.d.comb += Assume(~(comes & place) | come.last)
        return m


class NothingWaitsForEver(Claim):
    """The merge is through with all that came within as many cycles as it may hold events."""

    def __init__(self, kind: type = EventMerge) -> None:
        dut = kind(vectors=1, groups=2, width=1, ways=2)
        super().__init__(dut, dut.i.valid, dut.i.payload)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        come, gone = dut.i.payload, dut.o.payload
        place, over, age = Signal(), Signal(), Signal(4)
        comes, goes = dut.i.valid, dut.o.valid & gone.last
        m.d.sync += age.eq(Mux(over & ~goes, age + 1, 0))
        with m.If(comes):
            m.d.sync += [place.eq(~come.last), over.eq(come.last)]
        with m.If(goes):
            m.d.sync += over.eq(0)
        m.d.comb += [
            Assert(age < 2 * 2 + 2),
            Assume(~comes | (~over & (come.group == place))),
            Assume(~(comes & place) | come.last),
        ]
        return m


class ListsKeepWhatComes(Claim):
    """What is appended to a list is read there, in order, until it is left; so are its count and
    whether it is complete. An event that is not asked for anew stays.

    One place of one list, which the solver chooses, is followed. Lists are appended to, completed,
    left and read at any time; but none beyond its size, or in the cycle in which it is left.
    """

    LISTS, SIZE = 2, 2

    def __init__(self, kind: type = EventBuffer, read_latency: int = 1) -> None:
        dut = kind(lists=self.LISTS, size=self.SIZE, width=1, read_latency=read_latency)
        self._read_latency = read_latency
        streams = (dut.i, dut.finish, dut.clear)
        reads = (dut.read_list, dut.read_index, dut.step)
        super().__init__(
            dut, *reads, dut.restart, *(s.valid for s in streams), *(s.payload for s in streams)
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        which, place = self.chosen(m, 1, "which"), self.chosen(m, 1, "place")
        i, left = dut.i, dut.clear.valid & (dut.clear.payload == which)
        appends = i.valid & i.payload.fires & (i.payload.vector == which)
        ends = (i.valid & i.payload.last & (i.payload.vector == which)) | (
            dut.finish.valid & (dut.finish.payload == which)
        )
        count, complete, event = Signal(range(self.SIZE + 1)), Signal(), Signal(3)
        m.d.sync += count.eq(count + appends)
        with m.If(ends):
            m.d.sync += complete.eq(1)
        with m.If(left | dut.restart):
            m.d.sync += [count.eq(0), complete.eq(0)]
        with m.If(appends & (count == place)):
            m.d.sync += event.eq(i.payload.event)
        looks = (dut.read_list == which) & (dut.read_index == place) & (count > place)
        expected = delayed(m, Cat(event, looks), self._read_latency, "expected", dut.step)
        m.d.comb += [
            Assert(Array(dut.count)[which] == count),
            Assert(dut.complete.bit_select(which, 1) == complete),
            Assert(~expected[-1] | (dut.event.as_value() == expected[:-1])),
            Assume(~appends | (count != self.SIZE)),
            Assume(~left | ~(appends | ends)),
            Assume(~dut.restart | ~(i.valid | dut.finish.valid)),
        ]
        stays(m, "event", ~dut.step, dut.event)
        return m


class EachListIsWhole(Claim):
    """When a vector's list is complete, it has as many events as fired of the vector's frame.

    Two vectors of two elements each, both of which may fire at once, so that the merge's queue
    lags behind; vectors and skips come as the engine sends them, otherwise at any time.
    """

    def __init__(self, kind: type = EventPath) -> None:
        dut = kind(vectors=2, groups=1, width=2, ways=2, halves=2, ahead=True)
        streams = (dut.i, dut.skip, dut.leave)
        super().__init__(dut, *(s.valid for s in streams), *(s.payload for s in streams))

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        m.d.comb += [dut.read.step.eq(1)]
        made, skip, leave = dut.i.payload, dut.skip, dut.leave
        # Fires: this encoder's twin in one line; theta 0.
        for k in range(2):
            comes = dut.i.valid & (made.vector == k)
            skipped = skip.valid & (skip.payload == k)
            sent = Signal(4, name=f"sent_{k}")  # v^
            fires = Cat((made.value[n] != sent.word_select(n, 2).as_signed()) for n in range(2))
            counts = Array(Signal(2, name=f"fired_{k}_{n}") for n in range(2))
            half = Signal(init=1, name=f"half_{k}")  # of the next frame of this vector
            was = Signal(2, init=0b01, name=f"was_{k}")
            lists = Cat(dut.complete[2 * k], dut.complete[2 * k + 1])
            flight = Signal(name=f"flight_{k}")
            with m.If(comes):
                m.d.sync += [sent.eq(Cat(made.value[0], made.value[1])), flight.eq(1)]
                m.d.sync += [counts[half].eq(fires[0] + fires[1]), half.eq(~half)]
            with m.If(skipped):
                m.d.sync += [counts[half].eq(0), half.eq(~half)]
            with m.If((lists & ~was).any()):
                m.d.sync += flight.eq(0)
            m.d.sync += was.eq(lists)
            for n in range(2):
                whole = ~lists[n] | (dut.count[2 * k + n] == counts[n])
                m.d.comb += Assert(whole)
            # The engine: a layer's list is left once it is complete. Then its vector comes, when no
            # list of it is complete; or it is skipped at once.
            leaves = leave.valid & (leave.payload.vector == k)
            of_this_frame = Cat(half, ~half)  # the only list that is complete: that of the half
            m.d.comb += [
                Assume(~comes | (made.last & ~flight & ~lists.any() & ~leaves)),
                Assume(~skipped | leaves),
                Assume(
                    ~leaves | (~flight & (lists == of_this_frame) & (leave.payload.half == ~half))
                ),
            ]
        return m


class FramesStayInStep(Claim):
    """For each ``last`` that is taken one frame goes in: columns from 0 on, as far as there are
    any, its end marked once; in the list of its turn, the streams' by turns and those of a stream.
    What is beyond the last column is dropped. An element that is offered and not taken leaves no
    trace, and no element follows itself too soon.
    """

    COLUMNS, LATENCY = 3, 2

    def __init__(self, kind: type = FrameReader, streams: int = 1) -> None:
        self._streams = streams
        dut = kind(columns=self.COLUMNS, width=2, latency=self.LATENCY, streams=streams)
        super().__init__(
            dut, dut.i.valid, dut.i.payload, dut.free, dut.hold, dut.leave.valid, dut.leave.payload
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        come, gone = dut.i.payload, dut.o.payload
        takes = dut.i.valid & dut.i.ready
        place, free_was, held = Signal(range(self.COLUMNS + 1)), Signal.like(dut.free), Signal()
        half, stream = Signal(), Signal(range(self._streams + 1))
        last_stream = stream == self._streams - 1
        begins = takes & (place == 0) & (stream == 0)  # a round: its last list is free, so all are
        m.d.sync += [free_was.eq(dut.free), held.eq(dut.hold)]
        with m.If(takes):
            m.d.sync += place.eq(Mux(come.last, 0, place + (place != self.COLUMNS)))
        with m.If(takes & come.last):
            m.d.sync += [half.eq(half ^ last_stream), stream.eq(Mux(last_stream, 0, stream + 1))]
        within = place != self.COLUMNS
        ends = come.last | (place == self.COLUMNS - 1)
        m.d.comb += [
            Assert(dut.o.valid == (takes & within)),
            Assert(~dut.o.valid | (gone.column == place)),
            Assert(~dut.o.valid | (gone.vector == stream)),
            Assert(~dut.o.valid | (gone.value == come.value)),
            Assert(~dut.o.valid | (gone.last == ends)),
            Assert(dut.short == (takes & come.last & (place < self.COLUMNS - 1))),
            Assert(dut.long == (takes & ~come.last & (place == self.COLUMNS - 1))),
            Assert(~begins | (free_was[-2:].bit_select(half, 1) & ~held)),
        ]
        for n in range(self.COLUMNS):
            again = dut.o.valid & (gone.column == n)
            recent = Signal(self.LATENCY, name=f"recent_{n}")
            m.d.sync += recent.eq(Cat(again, recent))
            m.d.comb += Assert(~again | ~recent.any())
        return m
