"""The engine counts as idle only where nothing is under way, and frames wait where they must."""

import pytest
from amaranth.hdl import Assert, Cat, Elaboratable, Module, Signal

from hw.walk.quiesce import Quiesce
from tests.bench import run_bench
from tests.proof import proves

INPUTS = ("between", "takes", "opened", "active", "slot", "h_complete", "request", "pending")


def at_rest(ctx, dut):
    ctx.set(dut.between, 1)
    ctx.set(dut.h_complete, -1)


def test_idle_as_long_after_a_slot_as_it_takes_to_drain():
    dut = Quiesce(drain=5, layers=2, loads=False)

    async def bench(ctx):
        at_rest(ctx, dut)
        await ctx.tick().repeat(5)
        assert ctx.get(dut.idle)  # after power-up too
        ctx.set(dut.slot, 1)
        assert not ctx.get(dut.idle)
        await ctx.tick()
        ctx.set(dut.slot, 0)
        for _ in range(5):
            assert not ctx.get(dut.idle)
            await ctx.tick()
        assert ctx.get(dut.idle)
        for name, value in (
            ("between", 0),
            ("takes", 1),
            ("opened", 0b10),
            ("active", 1),
            ("h_complete", 0b01),
        ):
            signal = getattr(dut, name)
            before = ctx.get(signal)
            ctx.set(signal, value)
            assert not ctx.get(dut.idle), name
            ctx.set(signal, before)
            assert ctx.get(dut.idle)

    run_bench(dut, bench)


def test_no_frame_begins_while_weights_come_and_a_load_ends_in_a_reset():
    dut = Quiesce(drain=1, layers=1, loads=True)

    async def bench(ctx):
        at_rest(ctx, dut)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.hold)  # nothing is loaded yet
        assert ctx.get(dut.free)
        ctx.set(dut.loaded, 1)
        assert ctx.get(dut.resets)
        await ctx.tick()
        assert not ctx.get(dut.resets)
        assert not ctx.get(dut.hold)
        ctx.set(dut.load_waits, 1)
        assert ctx.get(dut.hold)
        ctx.set(dut.load_waits, 0)
        ctx.set(dut.pending, 1)
        assert ctx.get(dut.hold)
        assert not ctx.get(dut.free)
        ctx.set(dut.pending, 0)
        ctx.set(dut.request, 1)
        assert ctx.get(dut.hold)

    run_bench(dut, bench)


class NothingIsUnderWay(Elaboratable):
    """While it is idle no slot is younger than ``drain`` cycles, and nothing else goes on."""

    DRAIN = 4

    def __init__(self, drain=DRAIN):
        self.dut = Quiesce(drain=drain, layers=2, loads=True)
        names = (*INPUTS, "load_waits", "loaded")
        self.inputs = [getattr(self.dut, name) for name in names]

    def elaborate(self, platform):
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


@pytest.mark.parametrize(("drain", "holds"), [(4, True), (3, False)], ids=["right", "too soon"])
def test_proof_nothing_is_under_way_while_it_is_idle(drain, holds, tmp_path):
    proof = NothingIsUnderWay(drain)
    assert proves(proof, proof.inputs, tmp_path, depth=10, mode="prove") == holds
