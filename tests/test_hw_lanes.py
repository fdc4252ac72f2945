import numpy as np
import pytest

from golden.parameters import CoreParameters
from hw.lanes import Lanes
from hw.layout import CoreLayout
from hw.target import GENERIC, Target
from tests.bench import run_bench
from tests.networks import random_model
from tests.test_hw_engine import SlowLane

TARGETS = {
    "generic": GENERIC,
    "slow lane": Target(lane=SlowLane),
    "slow lane and memory": Target(lane=SlowLane, read_latency=2),
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("lanes", [1, 3, 8])
@pytest.mark.parametrize("gap", [0.0, 0.4])
def test_groups_accumulate_like_integers(lanes, gap, target):
    """Random groups on random rows, opened as soon as may be, some to begin again."""
    rng = np.random.default_rng(lanes)
    core = CoreParameters(random_model((3, 4)).parameters, lanes)
    layout = CoreLayout(core)
    limit = 1 << (layout.row_width - 1)
    bias = rng.integers(-limit // 4, limit // 4, (layout.rows, lanes))
    dut = Lanes(core, bias.tolist(), target)
    m = bias.copy()
    groups = [(row, None) for row in range(layout.rows)]  # what a state reset does
    expected = []
    for n in range(80):
        row = int(rng.integers(layout.rows))
        if n % 10 == 9:
            groups.append((row, None))
            m[row] = bias[row]
            continue
        events = [
            (rng.integers(-128, 128, lanes), int(rng.integers(-255, 256)))
            for _ in range(int(rng.integers(1, 4)))
        ]
        if n % 7 == 0:
            events = [(rng.integers(-128, 128, lanes), 0)]  # a slot without an event
        groups.append((row, events))
        for word, delta in events:
            m[row] += word * delta
        m[row] = (m[row] + limit) % (2 * limit) - limit  # this test's sums may wrap; a core's never
        expected.append(((row % 3, row % 2), m[row].tolist()))
    cycle, closed_at, closed = 0, {}, []

    async def send(ctx):
        nonlocal cycle

        async def tick(valid):
            nonlocal cycle
            ctx.set(dut.i.valid, valid)
            if not valid:
                ctx.set(dut.i.payload.delta, 0)
            await ctx.tick()
            cycle += 1

        slot = dut.i.payload
        for row, events in groups:
            while rng.random() < gap or cycle - closed_at.get(row, -dut.reopen) < dut.reopen:
                await tick(valid=False)
            begin = events is None
            events = events or [(rng.integers(-128, 128, lanes), 0)]
            for n, (word, delta) in enumerate(events):
                while rng.random() < gap:
                    await tick(valid=False)
                for lane in range(lanes):
                    ctx.set(dut.word[lane], int(word[lane]))
                ctx.set(slot.delta, delta)
                ctx.set(slot.row, row)
                ctx.set(slot.begin, begin)
                ctx.set(slot.first, n == 0)
                ctx.set(slot.close, n == len(events) - 1)
                ctx.set(slot.tag.gate, row % 3)
                ctx.set(slot.tag.last, row % 2)
                closed_at[row] = cycle
                await tick(valid=True)
        for _ in range(dut.latency + 2):
            await tick(valid=False)

    async def receive(ctx):
        async for _, _, valid, gate, last, *values in ctx.tick().sample(
            dut.o.valid, dut.o.payload.tag.gate, dut.o.payload.tag.last, *dut.o.payload.m
        ):
            if valid:
                closed.append(((gate, last), values))

    run_bench(dut, send, background=(receive,))
    assert closed == expected
