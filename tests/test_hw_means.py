"""Means of the read-out's input against golden's rounding."""

import numpy as np
import pytest

from golden.fixed import rshift
from hw.learn.means import Means
from tests.bench import run_bench


@pytest.mark.parametrize(("columns", "ways"), [(1, 1), (5, 1), (7, 2), (8, 4)])
def test_they_are_goldens(columns, ways):
    """Of sequences of 1 to 256 frames, with the ends of the format, one after the other."""
    rng, frac, width = np.random.default_rng(columns), 4, 8
    dut = Means(columns=columns, ways=ways, width=width, frac=frac)
    groups = -(-columns // ways)

    async def bench(ctx):
        for length in (1, 2, 3, 17, 256, 5):
            sent = rng.choice([-128, 127, 0, 1, -1, 5], (length, groups * ways))
            sent[:, columns:] = 0
            for frame in sent:
                for n, values in enumerate(frame.reshape(groups, ways).tolist()):
                    ctx.set(dut.i.payload, {"group": n, "value": values, "last": n == groups - 1})
                    ctx.set(dut.i.valid, 1)
                    await ctx.tick()
                    ctx.set(dut.i.valid, 0)
                    if groups < 3:
                        await ctx.tick().repeat(3 - groups)
                    if rng.random() < 0.2:
                        await ctx.tick()
            halvings = (length - 1).bit_length()
            ctx.set(dut.frames, length)
            ctx.set(dut.halvings, halvings)
            await ctx.tick()
            ctx.set(dut.go, 1)
            await ctx.tick()
            ctx.set(dut.go, 0)
            found = []
            while len(found) <= columns:
                if ctx.get(dut.o.valid):
                    o = ctx.get(dut.o.payload)
                    found.append((o["event"]["column"], o["event"]["delta"], o["fires"], o["last"]))
                await ctx.tick()
            assert not ctx.get(dut.o.valid)
            sums = np.append(sent.sum(axis=0)[:columns], length << frac)
            means = rshift(sums, halvings)
            assert found == [
                (n, int(mean), int(mean != 0), int(n == columns)) for n, mean in enumerate(means)
            ]
            ctx.set(dut.restart, 1)
            await ctx.tick()
            ctx.set(dut.restart, 0)

    run_bench(dut, bench)
