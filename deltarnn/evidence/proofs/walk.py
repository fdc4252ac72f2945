"""The walk: slots stay while they wait, rest is rest, and what is still has not moved."""

from amaranth.hdl import Assert, Cat, Module, Mux, Signal

from deltarnn.evidence.proofs.claim import Claim, stays
from deltarnn.evidence.proofs.networks import network
from golden.parameters import CoreParameters
from hw.walk.quiesce import Quiesce
from hw.walk.sequencer import Sequencer
from hw.walk.standstill import Standstill

TWO_AND_A_READ_OUT = network((3, 3, 2), 2).parameters


class SlotsWait(Claim):
    """A slot, or a visit, that has to wait stays as it is, and so does the walk, which strobes
    nothing."""

    def __init__(self, kind: type = Sequencer) -> None:
        dut = kind(CoreParameters(TWO_AND_A_READ_OUT, 2))
        seen = [name for name in ("now", "next", "coming") if name in dut.signature.members]
        told = (getattr(dut, name) for name in seen)
        super().__init__(dut, *told, *dut.start, dut.o.ready, dut.restart)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        waits = dut.o.valid & ~dut.o.ready
        stays(m, "slot", waits, dut.o.valid, dut.o.payload)
        stays(m, "walk", ~dut.o.ready, dut.layer, dut.parity, dut.index)
        strobes = Cat(dut.leave, dut.skip, dut.begin, dut.finish)
        m.d.comb += Assert(dut.o.ready | ~strobes.any())
        return m


class NothingIsUnderWay(Claim):
    """While it is idle no slot is younger than ``drain`` cycles, and nothing else goes on."""

    DRAIN = 4

    def __init__(self, kind: type = Quiesce, drain: int = DRAIN) -> None:
        dut = kind(drain=drain, layers=2, loads=True)
        names = ("between", "takes", "opened", "active", "slot", "h_complete", "request", "pending")
        super().__init__(dut, *(getattr(dut, name) for name in (*names, "load_waits", "loaded")))

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        young = Signal(self.DRAIN, init=-1)  # slots of the cycles before; at reset there may be any
        m.d.sync += young.eq(Cat(dut.slot, young[:-1]))
        busy = dut.slot | young.any() | dut.active | dut.opened.any() | ~dut.between | dut.takes
        m.d.comb += [
            Assert(~dut.idle | ~(busy | ~dut.h_complete.all())),
            Assert(~dut.free | (dut.idle & ~dut.pending)),
            Assert(dut.hold | (dut.loaded & ~dut.pending & ~dut.request & ~dut.load_waits)),
        ]
        return m


class StillIsUnmoved(Claim):
    """What counts as still has, since the thresholds last changed, been updated without moving.

    For the recurrent layers: after the second update of the last layer at least. For the read-out:
    its last walk had no event, and its result is out.
    """

    def __init__(self, kind: type = Standstill) -> None:
        dut = kind(CoreParameters(TWO_AND_A_READ_OUT, 2))
        streams = (dut.made, dut.slot)
        names = ("walks", "out", "theta_changes", "restart")
        super().__init__(
            dut,
            *(s.valid for s in streams),
            *(s.payload for s in streams),
            *(getattr(dut, name) for name in names),
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        made = dut.made.payload
        forgets = dut.theta_changes | dut.restart
        moving = Signal()
        with m.If(dut.made.valid):
            m.d.sync += moving.eq((moving | made.moved) & ~made.last)
        for k in range(2):
            unmoved = Signal(name=f"unmoved_{k}")
            with m.If(dut.made.valid & made.last & (made.layer == k)):
                m.d.sync += unmoved.eq(~(moving | made.moved))
            with m.If(forgets):
                m.d.sync += unmoved.eq(0)
            m.d.comb += Assert(~dut.still[k] | (unmoved & ~dut.theta_changes))
        # The read-out: events since its walk before, its last slot a cycle after it is left.
        events, quiet, walked, owed = Signal(), Signal(), Signal(), Signal(2)
        event = dut.slot.valid & dut.slot.payload.event & (dut.slot.payload.layer == 2)
        m.d.sync += [walked.eq(dut.walks), owed.eq(owed + dut.walks - dut.out)]
        m.d.sync += events.eq(Mux(walked, 0, events | event))
        with m.If(walked):
            m.d.sync += quiet.eq(~(events | event))
        with m.If(forgets):
            m.d.sync += quiet.eq(0)
        m.d.comb += Assert(~dut.still[2] | (quiet & (owed == 0) & ~dut.theta_changes))
        return m
