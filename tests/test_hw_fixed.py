import numpy as np
import pytest
from amaranth.hdl import Const, Module, Signal, signed
from amaranth.sim import Simulator

import golden.fixed
import hw.fixed
from golden.fixed import Q

WIDTH = 7
VALUES = np.arange(-(1 << (WIDTH - 1)), 1 << (WIDTH - 1))


def evaluate(function, *arguments) -> list[int]:
    """function(v, *arguments) in gates, for every 7-bit v."""
    m = Module()
    v, result = Signal(signed(WIDTH)), Signal(signed(2 * WIDTH))
    m.d.comb += result.eq(function(v, *arguments))
    found = []

    async def bench(ctx):
        for value in VALUES:
            ctx.set(v, int(value))
            await ctx.delay(1e-9)
            found.append(ctx.get(result))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize("n", range(-3, 9))
def test_rshift_equals_golden_for_every_value(n):
    assert evaluate(hw.fixed.rshift, n) == golden.fixed.rshift(VALUES, n).tolist()


@pytest.mark.parametrize("n", range(9))
def test_so_does_one_by_a_number_in_gates(n):
    assert evaluate(hw.fixed.rshift_by, Const(n, 4)) == golden.fixed.rshift(VALUES, n).tolist()
    twice = evaluate(hw.fixed.twice_shifted, Const(n, 4))
    assert twice == [int(2 * v // 2**n) for v in VALUES]


@pytest.mark.parametrize("q", [Q(m, f) for m in range(4) for f in range(5)], ids=str)
def test_sat_equals_golden_for_every_value(q):
    assert evaluate(hw.fixed.sat, q) == golden.fixed.sat(VALUES, q).tolist()


@pytest.mark.parametrize("n", range(-3, 9))
def test_shift_rounds_down_for_every_value(n):
    assert evaluate(hw.fixed.shift, n) == [int(v * 2.0**-n // 1) for v in VALUES]


@pytest.mark.parametrize(
    ("low", "high"), [(-4, 4), (-3, 0), (0, 5), (-16, 16), (-1, 63), (-200, 3), (-64, 63), (0, 0)]
)
def test_clip_equals_numpy_for_every_value(low, high):
    assert evaluate(hw.fixed.clip, low, high) == np.clip(VALUES, low, high).tolist()
