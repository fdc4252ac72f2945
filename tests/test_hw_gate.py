"""The gate closes between frames, and never in one."""

import numpy as np
from amaranth.hdl import signed
from amaranth.lib import data

from hw.bus.gate import FrameGate
from tests.bench import run_bench

ELEMENT = data.StructLayout({"value": signed(8), "last": 1})


def test_closes_between_frames_and_lets_the_one_under_way_end():
    rng = np.random.default_rng(1)
    dut = FrameGate(ELEMENT)
    sent, passed = [], []
    closings = 0

    async def send(ctx):
        for n in range(60):
            length = int(rng.integers(1, 4))
            for k in range(length):
                ctx.set(dut.i.payload.value, n)
                ctx.set(dut.i.payload.last, k == length - 1)
                ctx.set(dut.i.valid, 1)
                await ctx.tick().until(dut.i.ready)
                ctx.set(dut.i.valid, 0)
                sent.append((n, k == length - 1))
                if rng.random() < 0.3:
                    await ctx.tick().repeat(int(rng.integers(1, 4)))

    async def watch(ctx):
        async for _, _, valid, ready, value, last in ctx.tick().sample(
            dut.o.valid, dut.o.ready, dut.o.payload.value, dut.o.payload.last
        ):
            if valid and ready:
                passed.append((value, bool(last)))

    async def ask(ctx):
        nonlocal closings
        ctx.set(dut.o.ready, 1)
        for _ in range(40):
            ctx.set(dut.close, 1)
            await ctx.tick().until(dut.closed)
            closings += 1
            assert not passed or passed[-1][1]  # what has begun has ended
            before = len(passed)
            await ctx.tick().repeat(int(rng.integers(1, 5)))
            assert len(passed) == before
            ctx.set(dut.close, 0)
            ctx.set(dut.o.ready, 1)
            await ctx.tick().repeat(int(rng.integers(1, 6)))
            ctx.set(dut.o.ready, int(rng.random() < 0.7))
            await ctx.tick()
            ctx.set(dut.o.ready, 1)
        ctx.set(dut.close, 0)

    run_bench(dut, send, ask, background=(watch,))
    assert closings == 40
    assert passed == sent
