import pytest

from golden.parameters import CoreParameters
from hw.walk.layout import CoreLayout
from hw.walk.reset import StateReset
from tests.bench import run_bench
from tests.networks import random_model


@pytest.mark.parametrize(("sizes", "lanes"), [((1, 1), 1), ((3, 5), 2), ((40, 3), 4), ((2, 30), 1)])
def test_begins_every_row_and_clears_every_address_once(sizes, lanes):
    layout = CoreLayout(CoreParameters(random_model(sizes, 2).parameters, lanes))
    dut = StateReset(layout)

    async def bench(ctx):
        for expected_wait in (0, 5):  # after power-up, and on request
            begun, cleared, cycles, done = [], [], 0, 0
            if expected_wait:
                ctx.set(dut.idle, 0)
                ctx.set(dut.request, 1)
                await ctx.tick()
                ctx.set(dut.request, 0)
                await ctx.tick().repeat(expected_wait)
                assert ctx.get(dut.pending)
                assert not ctx.get(dut.active)  # not before everything is idle
            ctx.set(dut.idle, 1)
            while ctx.get(dut.pending):
                await ctx.tick()
                cycles += ctx.get(dut.active)
                done += ctx.get(dut.done)
                if ctx.get(dut.begin.valid):
                    begun.append(ctx.get(dut.begin.payload))
                if ctx.get(dut.clear.valid):
                    cleared.append(ctx.get(dut.clear.payload))
            assert (cycles, done) == (layout.reset_cycles, 1)
            assert begun == list(range(layout.rows))
            assert cleared == list(range(layout.clears))

    run_bench(dut, bench)


def test_a_request_is_never_lost():
    """In mid-reset that reset answers it, as no frame can begin; in its last cycle another does."""
    layout = CoreLayout(CoreParameters(random_model((2, 3), 2).parameters, 2))
    dut = StateReset(layout)

    async def bench(ctx):
        ctx.set(dut.idle, 1)
        for request_at, again in ((layout.reset_cycles - 1, 1), (2, 0)):
            await ctx.tick().until(dut.active)  # its first cycle is over
            for n in range(1, layout.reset_cycles):
                ctx.set(dut.request, n == request_at)
                assert ctx.get(dut.active)
                assert ctx.get(dut.pending)
                await ctx.tick()
            ctx.set(dut.request, 0)
            assert (ctx.get(dut.active), ctx.get(dut.pending)) == (0, again)

    run_bench(dut, bench)
