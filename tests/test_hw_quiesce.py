"""The engine counts as idle only where nothing is under way, and frames wait where they must."""

from hw.walk.quiesce import Quiesce
from tests.bench import run_bench

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
