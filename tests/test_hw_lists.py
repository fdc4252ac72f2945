import numpy as np
import pytest

from hw.events.lists import EventBuffer
from tests.bench import run_bench


async def append(ctx, dut, number, outcomes):
    """Writes (column, delta or None) to a list; the last one completes it."""
    for n, (column, delta) in enumerate(outcomes):
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.payload.vector, number)
        ctx.set(dut.i.payload.event.column, column)
        ctx.set(dut.i.payload.event.delta, delta or 0)
        ctx.set(dut.i.payload.fires, delta is not None)
        ctx.set(dut.i.payload.last, n == len(outcomes) - 1)
        await ctx.tick()
    ctx.set(dut.i.valid, 0)


async def contents(ctx, dut, number, read_latency):
    events = []
    for n in range(ctx.get(dut.count[number])):
        ctx.set(dut.read_list, number)
        ctx.set(dut.read_index, n)
        await ctx.tick().repeat(read_latency)
        events.append((ctx.get(dut.event.column), ctx.get(dut.event.delta)))
    return events


@pytest.mark.parametrize("read_latency", [1, 2])
@pytest.mark.parametrize(("lists", "size"), [(1, 1), (2, 5), (5, 8)])
def test_keeps_lists_apart_and_replays_them(lists, size, read_latency):
    rng = np.random.default_rng(lists)
    dut = EventBuffer(lists=lists, size=size, width=8, read_latency=read_latency)

    async def bench(ctx):
        for _ in range(6):
            written = []
            for number in range(lists):
                fired = rng.random(size) < 0.6
                outcomes = [
                    (column, int(rng.integers(-255, 256)) if fired[column] else None)
                    for column in range(size)
                ]
                assert not ctx.get(dut.complete.bit_select(number, 1))
                await append(ctx, dut, number, outcomes)
                assert ctx.get(dut.complete.bit_select(number, 1))
                written.append([(c, d) for c, d in outcomes if d is not None])
            for _ in range(2):
                for number in range(lists):
                    assert await contents(ctx, dut, number, read_latency) == written[number]
            for number in range(lists):
                ctx.set(dut.clear.payload, number)
                ctx.set(dut.clear.valid, 1)
                await ctx.tick()
                ctx.set(dut.clear.valid, 0)
                assert ctx.get(dut.count[number]) == 0

    run_bench(dut, bench)


def test_restart_empties_all_and_completes_the_given_ones():
    dut = EventBuffer(lists=3, size=4, width=8, complete_at_reset=(0, 2))

    async def bench(ctx):
        assert ctx.get(dut.complete) == 0b101
        await append(ctx, dut, 1, [(0, 5), (1, 6)])
        assert ctx.get(dut.complete) == 0b111
        ctx.set(dut.restart, 1)
        await ctx.tick()
        assert ctx.get(dut.complete) == 0b101
        assert [ctx.get(count) for count in dut.count] == [0, 0, 0]

    run_bench(dut, bench)


def test_finish_completes_a_list_beside_an_append_to_another():
    dut = EventBuffer(lists=2, size=4, width=8)

    async def bench(ctx):
        ctx.set(dut.finish.payload, 1)
        ctx.set(dut.finish.valid, 1)
        await append(ctx, dut, 0, [(3, -7)])
        ctx.set(dut.finish.valid, 0)
        assert ctx.get(dut.complete) == 0b11
        assert [ctx.get(count) for count in dut.count] == [1, 0]
        assert await contents(ctx, dut, 0, 1) == [(3, -7)]

    run_bench(dut, bench)
