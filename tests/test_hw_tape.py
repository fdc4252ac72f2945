"""The tape of a core that learns: what went on comes back, from the last frame to the first."""

import numpy as np
import pytest

from golden.learn.tape import LayerTape, TapeSize
from hw.learn.tape import FrameStack, ListStack
from tests.bench import run_bench

COLUMNS, WIDTH = 7, 8
SHAPES = ((4, 12), (8, 6), (16, 3))  # small ones, for several banks


def sequence(rng, frames):
    """Lists of events (column, delta) of so many frames, some of which are empty or whole."""
    fires = rng.random((frames, COLUMNS)) < rng.choice([0, 0.3, 0.6, 1], (frames, 1))
    sizes = rng.choice([-255, -1, 1, 2, 255], (frames, COLUMNS))
    return np.where(fires, sizes, 0)


def lists_of(deltas):
    return [[(int(n), int(row[n])) for n in np.flatnonzero(row)] for row in deltas]


async def waits(ctx, cycles):
    for _ in range(cycles):
        await ctx.tick()


async def append(ctx, dut, rng, lists):
    """As the walk does it: events with gaps, the end with the last one or later, then a cycle."""
    for events in lists:
        late = not events or rng.random() < 0.5
        for n, (column, delta) in enumerate(events):
            ctx.set(dut.i.payload, {"column": column, "delta": delta})
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.close, n == len(events) - 1 and not late)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.close, 0)
            await waits(ctx, int(rng.choice([0, 0, 0, 2])))
        if late:
            ctx.set(dut.close, 1)
            await ctx.tick()
            ctx.set(dut.close, 0)
        await waits(ctx, int(rng.choice([1, 1, 5])))


async def replayed(ctx, dut, times, rng):
    """The list that is turned to, read so many times over, with gaps; and where it ended."""
    ctx.set(dut.back, 1)
    await ctx.tick()
    ctx.set(dut.back, 0)
    await ctx.tick().until(dut.ready)
    found, ends = [], []
    steps = times * ctx.get(dut.count)
    while len(found) < times * ctx.get(dut.count):
        goes = steps > 0 and rng.random() < 0.8
        ctx.set(dut.step, goes)
        if goes:
            steps -= 1
            ends.append(ctx.get(dut.last))
        if ctx.get(dut.o.valid):
            event = ctx.get(dut.o.payload)
            found.append((event["column"], event["delta"]))
        await ctx.tick()
    ctx.set(dut.step, 0)
    return found, ends


@pytest.mark.parametrize("shapes", [(), SHAPES], ids=["one bank", "banks"])
@pytest.mark.parametrize("read_latency", [1, 2])
def test_lists_come_back_from_the_last_one(read_latency, shapes):
    rng = np.random.default_rng(read_latency)
    dut = ListStack(
        words=9 * (COLUMNS + 1),
        columns=COLUMNS,
        activation_width=WIDTH,
        read_latency=read_latency,
        shapes=shapes,
    )

    async def bench(ctx):
        for length in (1, 9, 4, 9, 2):
            lists = lists_of(sequence(rng, length))
            await append(ctx, dut, rng, lists)
            assert not ctx.get(dut.full)
            for events in reversed(lists):
                times = int(rng.integers(1, 4))
                found, ends = await replayed(ctx, dut, times, rng)
                assert found == events * times
                assert ends == ([0] * (len(events) - 1) + [1]) * times if events else not ends
            ctx.set(dut.restart, 1)
            await ctx.tick()
            ctx.set(dut.restart, 0)

    run_bench(dut, bench)


def test_it_is_full_where_golden_says_so():
    """With as much room as a sequence needs, more, and a word less, of an event or of a number."""
    rng = np.random.default_rng(3)
    none = np.zeros((6, 0), np.int64)
    full = []
    for n in range(60):
        deltas = sequence(rng, 6)
        need = int(np.count_nonzero(deltas)) + len(deltas)
        words = need + (n % 3 - 1)
        holds = TapeSize(6, words, 9, 9).holds([LayerTape(deltas, none, none)])
        dut = ListStack(words=words, columns=COLUMNS, activation_width=WIDTH)

        async def bench(ctx, dut=dut, deltas=deltas, holds=holds):
            await append(ctx, dut, rng, lists_of(deltas))
            assert ctx.get(dut.full) == (not holds)
            ctx.set(dut.restart, 1)
            await ctx.tick()
            ctx.set(dut.restart, 0)
            await append(ctx, dut, rng, lists_of(deltas[:1]))
            assert not ctx.get(dut.full)
            assert (await replayed(ctx, dut, 1, rng))[0] == lists_of(deltas[:1])[0]

        run_bench(dut, bench)
        full.append(not holds)
    assert full.count(True) == 20


@pytest.mark.parametrize("shapes", [(), SHAPES], ids=["one bank", "banks"])
@pytest.mark.parametrize("words", [1, 5])
@pytest.mark.parametrize("read_latency", [1, 2])
def test_frames_come_back_from_the_last_one(words, read_latency, shapes):
    rng = np.random.default_rng(words)
    frames = 6
    dut = FrameStack(12, frames=frames, words=words, read_latency=read_latency, shapes=shapes)

    async def bench(ctx):
        for length in (6, 1, 7, 3):
            kept = rng.integers(0, 1 << 12, (length, words))
            for word in kept.ravel().tolist():
                ctx.set(dut.i.payload, word)
                ctx.set(dut.i.valid, 1)
                await ctx.tick()
                ctx.set(dut.i.valid, 0)
                await waits(ctx, int(rng.choice([0, 0, 1])))
            assert ctx.get(dut.full) == (length > frames)
            for frame in kept[::-1] if length <= frames else ():
                ctx.set(dut.back, 1)
                await ctx.tick()
                ctx.set(dut.back, 0)
                found = []
                for n in range(words + read_latency):
                    ctx.set(dut.step, n < words)
                    if n >= read_latency:
                        assert ctx.get(dut.o.valid)
                        found.append(ctx.get(dut.o.payload))
                    await ctx.tick()
                assert found == frame.tolist()
            ctx.set(dut.restart, 1)
            await ctx.tick()
            ctx.set(dut.restart, 0)

    run_bench(dut, bench)
