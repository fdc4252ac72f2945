"""Weights by the column: rows rest, and words are taken as they were asked for."""

from amaranth.hdl import Assert, Assume, Module, Mux, Signal
from amaranth.lib import stream

from deltarnn.evidence.proofs.claim import Claim, stays, variant
from deltarnn.evidence.proofs.networks import network
from golden.parameters import CoreParameters
from hw.lanes.columns import ColumnFetch, ColumnSweep
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
