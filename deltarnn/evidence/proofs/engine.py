"""The engine: every frame that is offered ends.

Sums and cells are left out: what they make is anything at all, as late as they make it. All that
decides when something happens is the engine's own: reader, paths, walk, fetch, readout, output.
"""

from amaranth.hdl import Assert, Module, Mux, Signal

from deltarnn.evidence.proofs.claim import Claim, variant
from deltarnn.evidence.proofs.networks import network
from golden.fixed import Q
from golden.formats import Formats
from golden.parameters import CoreParameters
from hw.engine import Engine
from hw.events.path import EventPath
from hw.lanes.lanes import Lanes
from hw.pipeline import staged
from hw.unit.activation import ActivationUnit

TINY = Formats(
    activation=Q(0, 1),
    state=Q(0, 1),
    gate=Q(1, 0),
    readout=Q(0, 1),
    preactivation=Q(0, 1),
    cell=Q(0, 1),
)


class NoSums(Lanes):
    """Lanes as slow as lanes, whose sums are all 0."""

    def elaborate(self, platform) -> Module:
        m = Module()
        valids, slots = staged(m, self.i.valid, self.i.payload, self.latency, "slot")
        slot = slots[-1]
        m.d.comb += [
            self.o.valid.eq(valids[-1] & slot.close & ~slot.begin),
            self.o.payload.tag.eq(slot.tag),
        ]
        return m


class EveryFrameEnds(Claim):
    """A frame that has wholly come is wholly out ``within`` cycles, if the results are taken.

    So it is for the first of those that wait, counted from when it became the first; and an element
    that is offered is taken within as many cycles. Two recurrent layers, ``ways`` units a cycle.
    Elements come at any time, with any values; thresholds, one of each kind a layer, and what the
    cells make of a frame are anything. In the first ``quiet`` cycles they are what lets the layers
    come to rest: frames follow each other, and nothing moves. With ``steady`` what comes after that
    is anything, too, but the same in every cycle: to look for a fault far from the start.
    """

    def __init__(
        self,
        within: int,
        *,
        engine: type = Engine,
        path: type = EventPath,
        units: int = 2,
        ways: int = 2,
        quiet: int = 0,
        steady: bool = False,
    ) -> None:
        claim = self

        class AnyUnits(ActivationUnit):
            """Cells as slow as cells, which make anything."""

            def elaborate(self, platform) -> Module:
                m = Module()
                keys = ("layer", "group", "last")
                now = Signal(self._place)
                m.d.comb += [now[key].eq(self.i.payload[key]) for key in keys]
                valids, places = staged(m, self.i.valid, now, self.latency, "place")
                out = self.o.payload
                a = claim.any(m, len(out.a.as_value()), "any_a")
                moved = claim.any(m, 1, "any_moved")
                m.d.comb += [
                    self.o.valid.eq(valids[-1]),
                    out.a.as_value().eq(Mux(claim.calm, 0, a)),
                    out.moved.eq(~claim.calm & moved),
                    *(out[key].eq(places[-1][key]) for key in keys),
                ]
                return m

        model = network((1, units, 1), formats=TINY)
        core = CoreParameters(model.parameters, max(units, ways), ways)
        parts = {"Lanes": NoSums, "ActivationUnit": AnyUnits, "EventPath": path}
        super().__init__(variant(engine, **parts)(core, model))
        self._within, self._quiet, self._steady, self.calm = within, quiet, steady, Signal()

    def any(self, m: Module, shape, name: str) -> Signal:
        return self.chosen(m, shape, name) if self._steady else self.free(shape, name)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        cycles = Signal(range(self._quiet + 1))
        m.d.comb += self.calm.eq(cycles != self._quiet)
        m.d.sync += cycles.eq(cycles + self.calm)

        comes, value = self.any(m, 1, "comes"), self.any(m, 2, "value")
        waits = Signal()
        kept = Signal(2)
        m.d.sync += [waits.eq(dut.i.valid & ~dut.i.ready), kept.eq(dut.i.payload.value)]
        m.d.comb += [
            dut.i.valid.eq(comes | waits | self.calm),
            dut.i.payload.value.eq(Mux(self.calm, 0, Mux(waits, kept, value))),
            dut.i.payload.last.eq(1),
            dut.o.ready.eq(1),
        ]
        for name in ("theta_x", "theta_h"):
            for k, theta in enumerate(getattr(dut, name)):
                m.d.comb += theta.eq(self.chosen(m, 2, f"{name}_{k}"))

        whole, out = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.payload.last
        waiting, age, offered = (
            Signal(3),
            *(Signal(range(self._within + 1), name=name) for name in ("age", "offered")),
        )
        m.d.sync += [
            waiting.eq(waiting + whole - out),
            age.eq(Mux((waiting == 0) | out, 0, age + 1)),
            offered.eq(Mux(dut.i.valid & ~dut.i.ready, offered + 1, 0)),
        ]
        m.d.comb += [Assert(age != self._within), Assert(offered != self._within)]
        return m
