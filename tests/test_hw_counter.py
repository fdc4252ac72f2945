import random

import pytest

from hw.bus.counter import Counter
from tests.bench import run_bench


@pytest.mark.parametrize("width", [4, 6])
@pytest.mark.parametrize("density", [1.0, 0.6])
def test_counts_and_wraps_like_an_integer(width, density):
    source = random.Random(width)
    dut = Counter(width)
    counted, pending, carries = 0, 0, 0  # what has been counted, and what shows a cycle later

    async def bench(ctx):
        nonlocal counted, pending, carries
        for _ in range(40 << width):
            counts, clear = source.random() < density, source.random() < 0.05 / (1 << width)
            ctx.set(dut.counts, counts)
            ctx.set(dut.clear, clear)
            await ctx.tick()
            before, counted = counted, 0 if clear else counted + pending
            pending = int(counts)
            assert ctx.get(dut.value) == counted % (1 << width)
            carry = counted >> width > before >> width
            carries += carry
            assert ctx.get(dut.carry) == carry

    run_bench(dut, bench)
    assert carries > 1


@pytest.mark.parametrize("width", [2, 5])
def test_refuses_widths_without_halves(width):
    with pytest.raises(ValueError, match="width"):
        Counter(width)
