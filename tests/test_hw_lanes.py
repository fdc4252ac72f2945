import numpy as np
import pytest
from amaranth.hdl import Module, Signal

from golden.parameters import CoreParameters
from hw.lanes.lanes import Lanes
from hw.pipeline import delayed
from hw.primitive.serializer import MuxSerializer
from hw.target import GENERIC, Target
from hw.walk.layout import CoreLayout
from tests.bench import run_bench
from tests.networks import random_model
from tests.slow_lane import SlowLane

TARGETS = {
    "generic": GENERIC,
    "slow lane": Target(lane=SlowLane),
    "slow lane and memory": Target(lane=SlowLane, read_latency=2),
    "stages of two": Target(lane=SlowLane, stage_lanes=2, serializer=MuxSerializer),
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
    stages = target.stages(core)
    late = {lane: n for n, stage in enumerate(stages) for lane in stage}
    m = Module()
    m.submodules.dut = dut
    word, made = Signal.like(dut.word), Signal.like(dut.o.payload.m)
    valid, tag = Signal(), Signal.like(dut.o.payload.tag)
    wait = len(stages) - 1
    m.d.comb += [
        valid.eq(delayed(m, dut.o.valid, wait, "valid")),
        tag.eq(delayed(m, dut.o.payload.tag.as_value(), wait, "tag")),
        *(dut.word[lane].eq(delayed(m, word[lane], n, f"word_{lane}")) for lane, n in late.items()),
        *(
            made[lane].eq(delayed(m, dut.o.payload.m[lane], wait - n, f"row_{lane}"))
            for lane, n in late.items()
        ),
    ]
    sums = bias.copy()
    groups = [(row, None) for row in range(layout.rows)]  # what a state reset does
    expected = []
    for n in range(80):
        row = int(rng.integers(layout.rows))
        if n % 10 == 9:
            groups.append((row, None))
            sums[row] = bias[row]
            continue
        events = [
            (rng.integers(-128, 128, lanes), int(rng.integers(-255, 256)))
            for _ in range(int(rng.integers(1, 4)))
        ]
        if n % 7 == 0:
            events = [(rng.integers(-128, 128, lanes), 0)]  # a slot without an event
        groups.append((row, events))
        for weights, delta in events:
            sums[row] += weights * delta
        sums[row] = (sums[row] + limit) % (
            2 * limit
        ) - limit  # this test's sums may wrap; a core's never
        expected.append(((row % 3, row % 2), sums[row].tolist()))
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
            for n, (weights, delta) in enumerate(events):
                while rng.random() < gap:
                    await tick(valid=False)
                for lane in range(lanes):
                    ctx.set(word[lane], int(weights[lane]))
                ctx.set(slot.delta, delta)
                ctx.set(slot.row, row)
                ctx.set(slot.begin, begin)
                ctx.set(slot.first, n == 0)
                ctx.set(slot.close, n == len(events) - 1)
                ctx.set(slot.tag.row, row % 3)
                ctx.set(slot.tag.last, row % 2)
                closed_at[row] = cycle
                await tick(valid=True)
        for _ in range(dut.latency + wait + 2):
            await tick(valid=False)

    async def receive(ctx):
        async for _, _, closes, gate, last, *values in ctx.tick().sample(
            valid, tag.row, tag.last, *made
        ):
            if closes:
                closed.append(((gate, last), values))

    run_bench(m, send, background=(receive,))
    assert closed == expected
