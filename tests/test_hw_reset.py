import pytest

from golden.parameters import CoreParameters
from hw.layout import CoreLayout
from hw.reset import StateReset
from tests.bench import run_bench
from tests.networks import random_model


@pytest.mark.parametrize(("sizes", "lanes"), [((1, 1), 1), ((3, 5), 2), ((40, 3), 4)])
def test_sets_every_accumulator_and_clears_every_address_once(sizes, lanes):
    model = random_model(sizes, 2)
    layout = CoreLayout(CoreParameters(model.parameters, lanes))
    dut = StateReset(layout, model)

    async def bench(ctx):
        for expected_wait in (0, 5):  # after power-up, and on request
            filled, cleared, cycles = {}, [], 0
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
                if ctx.get(dut.fill.valid):
                    p = dut.fill.payload
                    place = (ctx.get(p.row), ctx.get(p.lane))
                    assert place not in filled
                    filled[place] = ctx.get(p.value)
                if ctx.get(dut.clear.valid):
                    cleared.append(ctx.get(dut.clear.payload))
            bias = layout.bias_rows(model)
            assert cycles == layout.reset_cycles
            assert sorted(cleared) == list(range(layout.clears))
            assert filled == {
                (row, lane): bias[row, lane] for row in range(layout.rows) for lane in range(lanes)
            }

    run_bench(dut, bench)
