import random

import pytest

from hw.bus.counter import Counter, LatchedCounter
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


def test_reading_the_low_word_latches_the_high_one_and_clear_forgets_both():
    dut = LatchedCounter(4, 3)
    found = []

    async def read(ctx):
        ctx.set(dut.read, 1)
        low = ctx.get(dut.value)
        await ctx.tick()
        ctx.set(dut.read, 0)
        found.append(ctx.get(dut.latched) << 4 | low)

    async def bench(ctx):
        ctx.set(dut.counts, 1)
        await ctx.tick().repeat(37)
        ctx.set(dut.counts, 0)
        await ctx.tick().repeat(3)
        await read(ctx)
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        found.append(ctx.get(dut.latched))
        await read(ctx)

    run_bench(dut, bench)
    assert found == [37, 0, 0]
