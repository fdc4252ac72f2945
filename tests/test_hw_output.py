import numpy as np
import pytest
from amaranth.hdl import signed

from hw.output import OutputBuffer
from tests.bench import run_bench


@pytest.mark.parametrize("results", [1, 2, 5])
def test_never_overflows_when_frames_begin_only_with_room(results):
    rng = np.random.default_rng(results)
    frames = rng.integers(-1000, 1000, (40, results)).tolist()
    dut = OutputBuffer(results=results, shape=signed(12))
    found = []

    async def produce(ctx):
        for frame in frames:
            while not ctx.get(dut.room):
                await ctx.tick()
            ctx.set(dut.reserve, 1)
            await ctx.tick()
            ctx.set(dut.reserve, 0)
            for n, value in enumerate(frame):
                ctx.set(dut.i.payload.value, value)
                ctx.set(dut.i.payload.last, n == results - 1)
                ctx.set(dut.i.valid, 1)
                await ctx.tick()
                ctx.set(dut.i.valid, 0)

    async def consume(ctx):
        frame = []
        while len(found) < len(frames):
            ctx.set(dut.o.ready, int(rng.random() < 0.4))
            _, _, valid, ready, value, last = await ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o.payload.value, dut.o.payload.last
            )
            if valid and ready:
                frame.append(value)
                if last:
                    found.append(frame)
                    frame = []

    run_bench(dut, produce, consume)
    assert found == frames
