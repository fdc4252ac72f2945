import numpy as np
import pytest

from golden.parameters import CoreParameters
from hw.lanes import Lanes
from tests.bench import run_bench
from tests.networks import random_model


@pytest.mark.parametrize("lanes", [1, 3, 8])
@pytest.mark.parametrize("gap", [0.0, 0.4])
def test_groups_accumulate_like_integers(lanes, gap):
    """Random groups on random rows, a row never again within 3 cycles, against plain sums."""
    rng = np.random.default_rng(lanes)
    rows = 5
    core = CoreParameters(random_model((3, 4)).parameters, lanes)
    dut = Lanes(core, rows=rows)
    width = core.network.accumulator_width
    m = rng.integers(-(1 << (width - 3)), 1 << (width - 3), (rows, lanes))
    groups, closed = [], []
    row = 0
    for n in range(60):
        row = (row + 1 + int(rng.integers(0, 1))) % rows
        events = [
            (rng.integers(-128, 128, lanes), int(rng.integers(-255, 256)))
            for _ in range(int(rng.integers(1, 4)))
        ]
        if n % 7 == 0:
            events = [(rng.integers(-128, 128, lanes), 0)]  # a slot without an event
        groups.append((row, events))
    start = m.copy()
    limit = 1 << (width - 1)
    expected = []
    for row, events in groups:
        for word, delta in events:
            m[row] += word * delta
        m[row] = (m[row] + limit) % (2 * limit) - limit  # this test's sums may wrap; a core's never
        expected.append(m[row].tolist())

    async def send(ctx):
        ctx.set(dut.fill.valid, 1)
        for r in range(rows):
            for lane in range(lanes):
                ctx.set(dut.fill.payload.row, r)
                ctx.set(dut.fill.payload.lane, lane)
                ctx.set(dut.fill.payload.value, int(start[r, lane]))
                await ctx.tick()
        ctx.set(dut.fill.valid, 0)
        for row, events in groups:
            for n, (word, delta) in enumerate(events):
                while rng.random() < gap:
                    ctx.set(dut.i.valid, 0)
                    await ctx.tick()
                ctx.set(dut.i.valid, 1)
                for lane in range(lanes):
                    ctx.set(dut.word[lane], int(word[lane]))
                ctx.set(dut.i.payload.delta, delta)
                ctx.set(dut.i.payload.row, row)
                ctx.set(dut.i.payload.first, n == 0)
                ctx.set(dut.i.payload.close, n == len(events) - 1)
                await ctx.tick()
        ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        while len(closed) < len(groups):
            await ctx.tick()
            if ctx.get(dut.o.valid):
                closed.append([ctx.get(value) for value in dut.o.payload.m])

    run_bench(dut, send, receive)
    assert closed == expected
