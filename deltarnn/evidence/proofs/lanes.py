"""The lanes: a slot meets its event and its word in order, and no sum leaves its accumulator."""

from collections.abc import Sequence
from dataclasses import replace

from amaranth.hdl import Array, Assert, Assume, Module, Mux, Signal, Value, signed

from deltarnn.evidence.proofs.claim import Claim, stays
from deltarnn.evidence.proofs.networks import network
from golden.fixed import Q
from golden.formats import Formats
from golden.parameters import CoreParameters
from hw.lanes.fetch import Fetch
from hw.lanes.lanes import Lanes
from hw.pipeline import delayed
from hw.primitive.weights import WeightMemory
from hw.target import Target
from hw.walk.layout import CoreLayout


class LateStore(WeightMemory):
    """A store that may let requests and words wait; a proof stands in its place."""

    latency = 3
    waits = True


LATE = Target(weights=LateStore)
TWO_AND_A_READ_OUT = CoreParameters(network((3, 5, 4), 2).parameters, 2)


class SlotsLeaveInOrder(Claim):
    """Slots leave in the order in which they came, none is lost and none comes twice.

    Their rows tell them apart. The store may let requests and words wait as it likes, as long as
    it answers each request once and does not take back a word that it has offered. A request stays
    until the store takes it.
    """

    def __init__(self, kind: type = Fetch) -> None:
        dut = kind(TWO_AND_A_READ_OUT, LATE)
        super().__init__(dut, dut.i.valid)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        may_ask, may_answer = self.free(1, "may_ask"), self.free(1, "may_answer")
        store = dut.store_0
        sent, got = Signal(4), Signal(4)
        m.d.comb += dut.i.payload.row.eq(sent)
        with m.If(dut.i.valid & dut.i.ready):
            m.d.sync += sent.eq(sent + 1)
        with m.If(dut.o.valid):
            m.d.sync += got.eq(got + 1)
            m.d.comb += [Assert(dut.o.payload.row == got), Assert(got != sent)]
        m.d.comb += Assert(dut.o.valid | (dut.o.payload.delta == 0))

        owed, offered = Signal(4), Signal()
        asked = store.request.valid & store.request.ready
        given = store.word.valid & store.word.ready
        m.d.comb += [
            store.request.ready.eq(may_ask),
            store.word.valid.eq((owed != 0) & (may_answer | offered)),
            Assert(~given | (owed != 0)),
        ]
        m.d.sync += [owed.eq(owed + asked - given), offered.eq(store.word.valid & ~given)]
        waits = store.request.valid & ~store.request.ready
        stays(m, "request", waits, store.request.valid, store.request.payload)
        # A slot that waits stays as it is.
        waits = Signal()
        m.d.sync += waits.eq(dut.i.valid & ~dut.i.ready)
        m.d.comb += Assume(~waits | dut.i.valid)
        return m


class AccumulatorsFit(Claim):
    """Whatever fires, in whatever order, an accumulator is what it should be, in its derived width.

    A row of two columns; both weights, the bias and all values are free, as far as the width that
    golden.model.accumulator_width derives from them is at most ``bits``: |bias| + (|w_0| + |w_1|) *
    2^(m+f) < 2^(bits-1). Slots come at any time, groups end anywhere, a row is opened again as soon
    as the walk may. The core gives its accumulators ``given`` bits in place of ``bits`` if it is
    said.
    """

    ACTIVATION = Q(0, 1)

    def __init__(
        self, kind: type = Lanes, bits: int = 6, weight: int = 4, given: int | None = None
    ) -> None:
        formats = Formats(
            activation=self.ACTIVATION, readout=Q(1, 1), preactivation=Q(1, 0), cell=Q(0, 1)
        )
        parameters = network((1, 1), formats=formats, weight_frac=2).parameters
        core = CoreParameters(replace(parameters, accumulator_width=given or bits), 1)
        self._bits, self._weight = bits, weight
        layout = CoreLayout(core)
        self._rounding = layout.rounding(parameters.layers[0])[0]
        dut = kind(core, [[self._rounding]] * layout.rows)
        super().__init__(dut)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        bits, width = self._bits, self.ACTIVATION.width
        weights = [self.chosen(m, signed(self._weight), f"weight_{n}") for n in range(2)]
        bias = self.chosen(m, signed(self._weight), "bias")
        largest = 1 << (width - 1)
        reach = abs(bias) + (abs(weights[0]) + abs(weights[1])) * largest
        m.d.comb += Assume(reach < 1 << (bits - 1))

        # The first slot makes the bias: it begins the row and adds the bias once. Then events come.
        comes, closes = self.free(1, "comes"), self.free(1, "closes")
        which, value = self.free(1, "which"), self.free(signed(width), "value")
        begun, opened, wait = Signal(), Signal(), Signal(range(dut.reopen + 1))
        sent = Array(Signal(signed(width), name=f"sent_{n}") for n in range(2))
        slot = dut.i.payload
        goes = Signal()
        m.d.comb += [
            goes.eq(comes & (wait == 0)),
            dut.i.valid.eq(goes),
            slot.begin.eq(~begun),
            slot.first.eq(~opened),
            slot.close.eq(closes),
            slot.delta.eq(Mux(goes, Mux(begun, value - sent[which], 1), 0)),
            dut.word[0].eq(Mux(begun, Array(weights)[which], bias)),
        ]
        m.d.sync += wait.eq(Mux(goes & closes, dut.reopen - 1, Mux(wait == 0, 0, wait - 1)))
        with m.If(goes):
            m.d.sync += [begun.eq(1), opened.eq(~closes)]
            with m.If(begun):
                m.d.sync += sent[which].eq(value)

        # M as wide as it may want to be, in step with the lane, and what it should be after the
        # slots so far. That these two, and a step of each, agree helps the solver to see the rest.
        wide = signed(self._bits + 3)
        product = Signal((dut.word[0] * slot.delta).shape())
        total = Signal(wide, init=self._rounding)
        m.d.sync += [product.eq(dut.word[0] * slot.delta), total.eq(total + product)]

        def after(added: Value, values: Sequence[Value]) -> Value:
            terms = [w * v for w, v in zip(weights, values, strict=True)]
            return self._rounding + added + terms[0] + terms[1]

        added = Mux(begun, bias, 0)
        was = [delayed(m, v, 1, f"was_{n}") for n, v in enumerate(sent)]
        exact = after(delayed(m, added, 1, "was_added"), was)
        known, later = Signal(), Signal()
        m.d.sync += [known.eq(goes | opened), later.eq(known)]
        m.d.comb += [
            Assert(total == exact),
            Assert(product == after(added, list(sent)) - exact),
            Assert(~later | (dut.o.payload.m[0] == total)),
            Assert(~dut.o.valid | later),
        ]
        return m
