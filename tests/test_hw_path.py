"""A path's lists hold what golden's encoder sends, each in the half of its own frame."""

import numpy as np
import pytest

from golden.delta import DeltaEncoder
from hw.events.path import EventPath
from tests.bench import run_bench


@pytest.mark.parametrize(
    ("vectors", "groups", "ways", "read_latency"),
    [(1, 5, 1, 1), (2, 3, 1, 2), (2, 2, 4, 1), (3, 4, 2, 2)],
)
@pytest.mark.parametrize("halves", [1, 2])
def test_lists_hold_what_fires(vectors, groups, ways, read_latency, halves):
    """Vectors in turn, some of them skipped, as fast as their lists are left again."""
    rng = np.random.default_rng(vectors * groups * ways)
    size, theta = groups * ways, [3 * k for k in range(vectors)]
    dut = EventPath(
        vectors=vectors,
        groups=groups,
        width=8,
        ways=ways,
        read_latency=read_latency,
        halves=halves,
        ahead=halves == 2,
    )
    golden = [DeltaEncoder(size) for _ in range(vectors)]
    assert dut.depth >= vectors * groups

    async def send(ctx, vector, values):
        for group in range(groups):
            ctx.set(dut.i.payload.vector, vector)
            ctx.set(dut.i.payload.group, group)
            ctx.set(dut.i.payload.last, group == groups - 1)
            for way in range(ways):
                ctx.set(dut.i.payload.value[way], int(values[group * ways + way]))
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)

    async def read(ctx, vector, half):
        """The events of a list once it is complete; then it is left."""
        number = vector * halves + half
        while not ctx.get(dut.complete[number]):
            await ctx.tick()
        events = []
        for index in range(ctx.get(dut.count[number])):
            ctx.set(dut.read.vector, vector)
            ctx.set(dut.read.half, half)
            ctx.set(dut.read.index, index)
            ctx.set(dut.read.step, 1)
            await ctx.tick().repeat(read_latency)
            ctx.set(dut.read.step, 0)
            ctx.set(dut.read.index, int(rng.integers(size)))  # not looked at without a step
            await ctx.tick().repeat(int(rng.integers(1, 4)))
            events.append((ctx.get(dut.event.column), ctx.get(dut.event.delta)))
        ctx.set(dut.leave.payload.vector, vector)
        ctx.set(dut.leave.payload.half, half)
        ctx.set(dut.leave.valid, 1)
        await ctx.tick()
        ctx.set(dut.leave.valid, 0)
        assert ctx.get(dut.count[number]) == 0
        assert not ctx.get(dut.complete[number])
        return events

    async def bench(ctx):
        for k in range(vectors):
            ctx.set(dut.theta[k], theta[k])
        assert ctx.get(dut.complete) == (
            sum(1 << 2 * k for k in range(vectors)) if halves == 2 else 0
        )
        halves_of = [halves - 1] * vectors
        for frame in range(12):
            expected = []
            for k in range(vectors):
                if frame and rng.random() < 0.3:
                    ctx.set(dut.skip.payload, k)
                    ctx.set(dut.skip.valid, 1)
                    await ctx.tick()
                    ctx.set(dut.skip.valid, 0)
                    expected.append([])
                    continue
                values = (
                    rng.integers(-128, 128, (1, size)) if rng.random() < 0.8 else golden[k].memory
                )
                await send(ctx, k, values[0])
                deltas = golden[k].encode(values.copy(), theta[k])[0]
                expected.append([(int(n), int(deltas[n])) for n in np.flatnonzero(deltas)])
            for k in range(vectors):
                if halves == 2 and frame == 0:
                    assert await read(ctx, k, 0) == []  # of the first frame: empty and complete
                assert await read(ctx, k, halves_of[k]) == expected[k]
                halves_of[k] ^= halves == 2

    run_bench(dut, bench)
