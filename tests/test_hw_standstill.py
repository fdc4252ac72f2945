"""A layer stands still only where its next update could not change a thing."""

from golden.parameters import CoreParameters
from hw.walk.standstill import Standstill
from tests.bench import run_bench
from tests.networks import random_model

TWO_AND_A_READ_OUT = CoreParameters(random_model((2, 3, 2), 2).parameters, 2)


async def make(ctx, dut, layer, moved):
    """One layer's update, in as many groups as ``moved`` has entries."""
    for n, each in enumerate(moved):
        ctx.set(dut.made.payload.layer, layer)
        ctx.set(dut.made.payload.moved, each)
        ctx.set(dut.made.payload.last, n == len(moved) - 1)
        ctx.set(dut.made.valid, 1)
        await ctx.tick()
        ctx.set(dut.made.valid, 0)


def test_a_layer_is_still_after_an_update_that_moved_nothing_but_not_after_the_first():
    dut = Standstill(TWO_AND_A_READ_OUT)
    found = []

    async def bench(ctx):
        for frame in ([0, 0], [0, 0], [0, 1], [0, 0]):
            for layer in range(2):
                await make(ctx, dut, layer, frame)
            found.append(ctx.get(dut.still) & 0b11)
        ctx.set(dut.theta_changes, 1)
        found.append(ctx.get(dut.still) & 0b11)  # at once
        await ctx.tick()
        ctx.set(dut.theta_changes, 0)
        found.append(ctx.get(dut.still) & 0b11)

    run_bench(dut, bench)
    assert found == [0b00, 0b11, 0b00, 0b11, 0, 0]


def test_a_read_out_is_still_after_a_walk_without_an_event_whose_result_is_out():
    dut = Standstill(TWO_AND_A_READ_OUT)
    found = []

    async def walk(ctx, event):
        ctx.set(dut.walks, 1)
        await ctx.tick()
        ctx.set(dut.walks, 0)
        ctx.set(dut.slot.payload.layer, 2)
        ctx.set(dut.slot.payload.event, event)
        ctx.set(dut.slot.valid, 1)
        await ctx.tick()
        ctx.set(dut.slot.valid, 0)
        found.append(ctx.get(dut.still[2]))
        ctx.set(dut.out, 1)
        await ctx.tick()
        ctx.set(dut.out, 0)
        found.append(ctx.get(dut.still[2]))

    async def bench(ctx):
        for event in (0, 0, 1, 0):  # the first one may not count
            await walk(ctx, event)

    run_bench(dut, bench)
    assert found == [0, 0, 0, 1, 0, 0, 0, 1]
