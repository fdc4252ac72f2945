import numpy as np
import pytest

from hw.weights import WeightMemory
from tests.bench import run_bench


def test_gives_each_word_after_its_latency():
    words = np.random.default_rng(1).integers(-128, 128, (21, 3)).tolist()
    dut = WeightMemory(words)
    found = []

    async def bench(ctx):
        for address in range(len(words) + dut.latency):
            if address >= dut.latency:
                found.append([ctx.get(weight) for weight in dut.word])
            ctx.set(dut.address, min(address, len(words) - 1))
            await ctx.tick()

    run_bench(dut, bench)
    assert found == words


def test_refuses_no_words():
    with pytest.raises(ValueError, match="words: found 0"):
        WeightMemory([])
