"""Weights by the column: rows rest, and words are taken as they were asked for."""

from amaranth.hdl import Array, Assert, Assume, Module, Mux, Signal
from amaranth.lib import stream

from boards.memory.native import NativeColumns
from deltarnn.evidence.proofs.claim import Claim, stays, variant
from deltarnn.evidence.proofs.networks import network
from golden.parameters import CoreParameters
from hw.lanes.columns import ColumnFetch, ColumnSweep
from hw.primitive.columns import ColumnLoad
from hw.target import GENERIC

# Of one unit and of two, so that a column has fewer words than a row has to rest, or more.
CORE = CoreParameters(network((2, 1, 2), 2).parameters, 1)


def waits(m: Module, i: stream.Interface) -> None:
    """Assumes of a stream that what it offers stays as it is until it is taken."""
    waited, was = Signal(), Signal.like(i.payload)
    m.d.sync += [waited.eq(i.valid & ~i.ready), was.eq(i.payload)]
    m.d.comb += Assume(~waited | (i.valid & (i.payload == was)))


class RowsRest(Claim):
    """A row is opened no sooner than ``reopen`` cycles after the slot that closed it.

    Visits of any layers come in any order and at any time, and so do words. A visit without an
    event takes no word, and without a slot there is no delta.
    """

    REOPEN = 4

    def __init__(self, kind: type = ColumnSweep, reopen: int = REOPEN) -> None:
        dut = kind(CORE, reopen)
        super().__init__(dut, dut.i.valid, dut.i.payload, dut.words.valid)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        visit = dut.i.payload
        m.d.comb += [
            Assume(visit.layer < 3),
            Assume((visit.layer != 2) | visit.segment),  # a linear layer's only one
            Assume(visit.event | (visit.delta == 0)),
            Assert(dut.o.valid | (dut.o.payload.delta == 0)),
            Assert(visit.event | ~dut.words.ready),
        ]
        waits(m, dut.i)

        row = self.chosen(m, len(dut.o.payload.row), "row")
        rests = Signal(range(self.REOPEN + 1))
        opens = dut.o.valid & (dut.o.payload.row == row)
        m.d.sync += rests.eq(Mux(opens, self.REOPEN - 1, Mux(rests == 0, 0, rests - 1)))
        m.d.comb += Assert(~opens | (rests == 0))
        return m


class WordsAsAskedFor(Claim):
    """No word is wanted that was not asked for, and all that were are taken before rest.

    Visits come at any time; the memory may let requests and words wait as it likes. The queue is
    short here, so that it is soon full.
    """

    def __init__(self, *changes: tuple[str, str]) -> None:
        dut = variant(ColumnFetch, *changes, AHEAD=2)(CORE, GENERIC)
        super().__init__(dut, dut.i.valid, dut.i.payload)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        visit, store = dut.i.payload, dut.store
        may_ask, may_answer = self.free(1, "may_ask"), self.free(1, "may_answer")
        owed, offered = Signal(8), Signal()
        asked = store.request.valid & store.request.ready
        given = store.word.valid & store.word.ready
        m.d.comb += [
            Assume(visit.layer < 3),
            Assume((visit.layer != 2) | visit.segment),
            store.request.ready.eq(may_ask),
            store.word.valid.eq((owed != 0) & (may_answer | offered)),
            Assert(~store.word.ready | (owed != 0)),
            Assert(dut.busy | (owed == 0)),
        ]
        words = store.request.payload.words
        m.d.sync += [
            owed.eq(owed + Mux(asked, words, 0) - given),
            offered.eq(store.word.valid & ~given),
        ]
        held = store.request.valid & ~store.request.ready
        stays(m, "request", held, store.request.valid, store.request.payload)
        waits(m, dut.i)
        return m


class LoadsAreWhole(Claim):
    """What is on offer is what has come, and ``loaded`` says that all of a load has been taken.

    Loads of any length, two words of two bytes being a whole one; the memory takes words when it
    likes.
    """

    def __init__(self, kind: type = ColumnLoad) -> None:
        dut = kind(2, 2)
        super().__init__(dut, dut.load.valid, dut.load.payload, dut.free, dut.o.ready)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        load, o = dut.load, dut.o
        comes, goes = load.valid & load.ready, o.valid & o.ready
        last, n = load.payload.last, Signal(2)  # bytes of this load
        bytes_ = Array(Signal(8, name=f"byte_{k}") for k in range(2))
        due, both, ended, whole, loaded, was_free = (Signal() for _ in range(6))
        ends = comes & (last | (n == 3))
        m.d.sync += was_free.eq(dut.free)
        with m.If(comes):
            m.d.sync += [
                n.eq(Mux(ends, 0, n + 1)),
                bytes_[n[0]].eq(load.payload.byte),
                due.eq(n[0] | last),
                both.eq(n[0]),
                ended.eq(ends),
                whole.eq(last & (n == 3)),
                loaded.eq(0),
            ]
        with m.If(goes):
            m.d.sync += [due.eq(0), loaded.eq(whole)]
        m.d.comb += [
            Assert(o.valid == due),
            Assert(~due | (o.payload.word[0] == bytes_[0].as_signed())),
            Assert(~(due & both) | (o.payload.word[1] == bytes_[1].as_signed())),
            Assert(~due | (o.payload.last == ended)),
            Assert(dut.loaded == loaded),
            Assert(dut.broken == (comes & (last != (n == 3)))),
            Assert(~comes | (was_free & ~due)),
        ]
        stays(m, "o", o.valid & ~o.ready, o.valid, o.payload)
        return m


class WordsHaveRoom(Claim):
    """Each word that comes goes on, in order, but for the checksums.

    Columns of one word and of two are asked for at any time; the memory answers when it likes, and
    never waits. Checksums are right: of others this says nothing.
    """

    ROOM = 4

    def __init__(self, kind: type = NativeColumns) -> None:
        dut = kind(words=8, longest=2, room=self.ROOM)
        port, columns = dut.port, dut.columns
        super().__init__(
            dut,
            columns.request.valid,
            columns.request.payload,
            columns.word.ready,
            port.cmd.ready,
            port.rdata,
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        port, request, word = dut.port, dut.columns.request, dut.columns.word
        may_come, on_their_way = self.free(1, "may_come"), Signal(8)
        asks, comes = port.cmd.valid & port.cmd.ready, port.rvalid
        m.d.sync += on_their_way.eq(on_their_way + asks - comes)
        m.d.comb += [
            port.rvalid.eq(may_come & (on_their_way != 0)),
            Assume((request.payload.words == 1) | (request.payload.words == 2)),
            Assume(~dut.failed),
        ]
        waits(m, request)

        # Which columns were asked for: of one word, or of two.
        lengths, asked = Array(Signal(2, name=f"length_{n}") for n in range(16)), Signal(4)
        answered, n = Signal(4), Signal(2)
        with m.If(request.valid & request.ready):
            m.d.sync += [lengths[asked].eq(request.payload.words), asked.eq(asked + 1)]
        with m.If(comes):
            m.d.sync += n.eq(n + 1)
            with m.If(n == lengths[answered]):
                m.d.sync += [n.eq(0), answered.eq(answered + 1)]
        # Words that are there.
        words, count = Array(Signal(16, name=f"word_{k}") for k in range(16)), Signal(5)
        first, goes = Signal(4), word.valid & word.ready
        data = comes & (n != 0)
        with m.If(data):
            m.d.sync += words[(first + count)[:4]].eq(port.rdata)
        m.d.sync += [count.eq(count + data - goes), first.eq(first + goes)]
        m.d.comb += [
            Assert(~word.valid | (count != 0)),
            Assert(~word.valid | (word.payload.as_value() == words[first])),
            Assert(count <= self.ROOM),
        ]
        stays(m, "word", word.valid & ~word.ready, word.valid, word.payload)
        return m
