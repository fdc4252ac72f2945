"""Outcomes side by side become events in a row: none lost, none doubled, in order."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal

from hw.events.merge import EventMerge
from tests.bench import run_bench


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("moving", [1.0, 0.4, 0.02, 0.0])
@pytest.mark.parametrize("ways", [1, 2, 4])
@pytest.mark.parametrize(("vectors", "groups"), [(1, 1), (1, 5), (3, 4), (2, 7)])
def test_every_event_once_and_in_order(vectors, groups, ways, moving, rate):
    """Vectors as fast as they may come: each again once its list is complete."""
    rng = np.random.default_rng(vectors + groups)
    dut = EventMerge(vectors=vectors, groups=groups, width=8, ways=ways)
    rounds = 12
    fires = rng.random((rounds, vectors, groups, ways)) < moving
    deltas = rng.integers(-255, 256, fires.shape)
    complete = [0] * vectors  # lists of each vector that are complete
    sent = [0] * vectors
    lists = [[[] for _ in range(vectors)] for _ in range(rounds)]

    async def send(ctx):
        order = [(n, v) for n in range(rounds) for v in range(vectors)]
        payload = dut.i.payload
        for n, v in order:
            while complete[v] < n:
                ctx.set(dut.i.valid, 0)
                await ctx.tick()
            for group in range(groups):
                while rng.random() >= rate:
                    ctx.set(dut.i.valid, 0)
                    await ctx.tick()
                ctx.set(payload.vector, v)
                ctx.set(payload.group, group)
                for way in range(ways):
                    ctx.set(payload.delta[way], int(deltas[n, v, group, way]))
                word = sum(1 << way for way in range(ways) if fires[n, v, group, way])
                ctx.set(payload.fires, word)
                ctx.set(payload.last, group == groups - 1)
                ctx.set(dut.i.valid, 1)
                await ctx.tick()
            sent[v] += 1
        ctx.set(dut.i.valid, 0)
        for _ in range(4 + vectors * groups * ways):
            await ctx.tick()

    async def receive(ctx):
        o = dut.o.payload
        async for _, _, valid, vector, column, delta, fire, last in ctx.tick().sample(
            dut.o.valid, o.vector, o.event.column, o.event.delta, o.fires, o.last
        ):
            if not valid:
                continue
            n = complete[vector]
            if fire:
                lists[n][vector].append((column, delta))
            complete[vector] += last

    m = Module()
    m.submodules.dut = dut
    m.d.sync += Signal().eq(1)  # with one way there is no clock in it
    run_bench(m, send, background=(receive,))
    assert complete == sent == [rounds] * vectors  # each list is completed once a round
    for n in range(rounds):
        for v in range(vectors):
            flat_fires, flat = fires[n, v].ravel(), deltas[n, v].ravel()
            assert lists[n][v] == [(c, int(flat[c])) for c in np.flatnonzero(flat_fires)]


@pytest.mark.parametrize("ways", [2, 4])
def test_one_event_a_cycle_and_nothing_waits_for_groups_without_one(ways):
    """All ways of one group in so many fire: the queue hands out an event in every cycle."""
    groups = 12
    dut = EventMerge(vectors=1, groups=groups, width=8, ways=ways)
    seen = []

    async def send(ctx):
        for group in range(groups):
            ctx.set(dut.i.payload.group, group)
            ctx.set(dut.i.payload.fires, -1 if group % ways == 0 else 0)
            ctx.set(dut.i.payload.last, group == groups - 1)
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
        ctx.set(dut.i.valid, 0)
        await ctx.tick().repeat(groups + 8)

    async def receive(ctx):
        cycle = 0
        o = dut.o.payload
        async for _, _, valid, column, fire in ctx.tick().sample(
            dut.o.valid, o.event.column, o.fires
        ):
            cycle += 1
            if valid and fire:
                seen.append((cycle, column))

    run_bench(dut, send, background=(receive,))
    start = seen[0][0]
    assert start <= 4
    # Groups 0, ways, 2 ways, ... come as far apart as they take events: there is never a gap.
    assert [cycle - start for cycle, _ in seen] == list(range(len(seen)))
    assert [c for _, c in seen] == [
        group * ways + way for group in range(0, groups, ways) for way in range(ways)
    ]


def test_refuses_no_ways():
    with pytest.raises(ValueError, match="ways: found 0, expected an integer >= 1"):
        EventMerge(vectors=1, groups=1, width=8, ways=0)
