"""Memories in banks: each word comes after its latency, whatever bank it lies in."""

import numpy as np
import pytest

from hw.primitive.memory import DeepMemory, banks_of
from tests.bench import run_bench

SHAPES = ((4, 12), (8, 6), (16, 3))


@pytest.mark.parametrize("read_latency", [1, 2, 3])
@pytest.mark.parametrize("shapes", [(), SHAPES], ids=["one bank", "banks"])
@pytest.mark.parametrize(("depth", "width"), [(1, 5), (4, 12), (21, 6), (61, 13), (64, 3)])
def test_words_come_as_they_were_written(depth, width, shapes, read_latency):
    rng = np.random.default_rng(depth)
    dut = DeepMemory(width=width, depth=depth, read_latency=read_latency, shapes=shapes)
    held, asked = np.zeros(depth, np.int64), []

    async def bench(ctx):
        for n in range(300):
            address, to = rng.integers(0, depth, 2).tolist()
            write, written = bool(rng.random() < 0.6), int(rng.integers(1 << width))
            write &= to != address
            asked.append(int(held[address]))
            if n >= read_latency:
                assert ctx.get(dut.word) == asked[n - read_latency]
            ctx.set(dut.address, address)
            ctx.set(dut.write_address, to)
            ctx.set(dut.write, write)
            ctx.set(dut.written, written)
            if write:
                held[to] = written
            await ctx.tick()

    run_bench(dut, bench)


def test_banks_take_few_block_ram_and_then_few_banks():
    assert banks_of(21, 6, SHAPES) == [range(16), range(16, 24)]
    assert banks_of(64, 6, SHAPES) == [range(n, n + 16) for n in (0, 16, 32, 48)]
    assert banks_of(61, 6, ()) == [range(64)]
