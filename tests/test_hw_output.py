import numpy as np
import pytest
from amaranth.hdl import signed

from hw.bus.output import OutputBuffer
from tests.bench import run_bench


@pytest.mark.parametrize("read_latency", [1, 2])
@pytest.mark.parametrize("takes", [1.0, 0.4, 0.05])
@pytest.mark.parametrize("writes", [1.0, 0.3])
@pytest.mark.parametrize("beats", [1, 2, 5])
def test_sends_each_frame_once_also_those_that_are_not_written(beats, writes, takes, read_latency):
    """A frame is begun with room only; a skipped one repeats what was there two frames before."""
    rng = np.random.default_rng(beats)
    dut = OutputBuffer(beats=beats, shape=signed(12), read_latency=read_latency)
    frames: list[list[int] | None] = rng.integers(-1000, 1000, (60, beats)).tolist()
    for n in range(2, len(frames)):
        if rng.random() < 0.4:
            frames[n] = None
    expected = []
    for n, frame in enumerate(frames):
        expected.append(expected[n - 2] if frame is None else frame)
    found = []

    async def produce(ctx):
        for frame in frames:
            while not ctx.get(dut.room):
                await ctx.tick()
            ctx.set(dut.reserve, 1)
            await ctx.tick()
            ctx.set(dut.reserve, 0)
            if frame is None:
                while rng.random() >= writes:
                    await ctx.tick()
                ctx.set(dut.done, 1)
                await ctx.tick()
                ctx.set(dut.done, 0)
                continue
            for n, value in enumerate(frame):
                while rng.random() >= writes:
                    await ctx.tick()
                ctx.set(dut.i.payload.value, value)
                ctx.set(dut.i.valid, 1)
                ctx.set(dut.done, n == beats - 1)
                await ctx.tick()
                ctx.set(dut.i.valid, 0)
                ctx.set(dut.done, 0)

    async def consume(ctx):
        frame, held = [], None
        while len(found) < len(frames):
            ctx.set(dut.o.ready, int(rng.random() < takes))
            _, _, valid, ready, value, last = await ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o.payload.value, dut.o.payload.last
            )
            if held is not None:  # what was offered and not taken stays
                assert (valid, value, last) == (1, *held)
            held = (value, last) if valid and not ready else None
            if valid and ready:
                frame.append(value)
                if last:
                    found.append(frame)
                    frame = []
        ctx.set(dut.o.ready, 1)
        for _ in range(8):
            assert not ctx.get(dut.o.valid)
            await ctx.tick()

    run_bench(dut, produce, consume)
    assert found == expected


@pytest.mark.parametrize("read_latency", [1, 2])
def test_two_frames_have_room_and_the_third_when_the_first_is_sent(read_latency):
    dut = OutputBuffer(beats=1, shape=signed(12), read_latency=read_latency)

    async def bench(ctx):
        for value in (5, 6):
            assert ctx.get(dut.room)
            ctx.set(dut.reserve, 1)
            await ctx.tick()
            ctx.set(dut.reserve, 0)
            ctx.set(dut.i.payload.value, value)
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.done, 1)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.done, 0)
        # What has left the memory needs no room in it.
        await ctx.tick().repeat(read_latency + 1)
        assert ctx.get(dut.room)
        assert ctx.get(dut.o.payload.value) == 5

    run_bench(dut, bench)


def test_promised_frames_count_until_they_are_sent():
    dut = OutputBuffer(beats=3, shape=signed(12))

    async def bench(ctx):
        ctx.set(dut.reserve, 1)
        await ctx.tick()
        assert ctx.get(dut.room)
        await ctx.tick()
        ctx.set(dut.reserve, 0)
        for _ in range(20):
            assert not ctx.get(dut.room)
            assert not ctx.get(dut.o.valid)
            await ctx.tick()

    run_bench(dut, bench)


@pytest.mark.parametrize("read_latency", [1, 2])
def test_sends_while_it_is_made(read_latency):
    """A beat a cycle, and the first one is out before the last one has come."""
    beats = 12
    dut = OutputBuffer(beats=beats, shape=signed(12), read_latency=read_latency)
    came = []

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.reserve, 1)
        for cycle in range(beats + 8):
            ctx.set(dut.i.payload.value, cycle)
            ctx.set(dut.i.valid, cycle < beats)
            ctx.set(dut.done, cycle == beats - 1)
            if ctx.get(dut.o.valid):
                came.append((cycle, ctx.get(dut.o.payload.value)))
            await ctx.tick()
            ctx.set(dut.reserve, 0)

    run_bench(dut, bench)
    assert [value for _, value in came] == list(range(beats))
    first = came[0][0]
    assert first <= read_latency + 2
    assert [cycle - first for cycle, _ in came] == list(range(beats))
