"""A path's lists hold what golden's encoder sends, each in the half of its own frame."""

import numpy as np
import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Elaboratable, Module, Mux, Signal

from golden.delta import DeltaEncoder
from hw.events.path import EventPath
from tests.bench import run_bench
from tests.proof import proves


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


SMALL = {"vectors": 2, "groups": 1, "width": 2, "ways": 2, "halves": 2, "ahead": True}


class SharedHalf(EventPath):
    """A path with a fault: any vector's end, or skip, moves the half that grows of all of them."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = EventPath(
            vectors=2, groups=1, width=2, ways=2, halves=2, ahead=True
        )
        for name in ("i", "skip", "leave", "clear"):
            here, there = getattr(self, name), getattr(inner, name)
            m.d.comb += [there.valid.eq(here.valid), there.payload.eq(here.payload)]
        m.d.comb += [inner.read.eq(self.read), inner.theta[0].eq(self.theta[0])]
        m.d.comb += [inner.theta[1].eq(self.theta[1]), self.appends.eq(inner.appends)]
        # The lists of vector 0 under each other's names once vector 1 has been skipped an odd
        # number of times while they still grew.
        swapped = Signal()
        grows_late = inner.appends & self.skip.valid & (self.skip.payload == 1)
        with m.If(grows_late):
            m.d.sync += swapped.eq(~swapped)
        pair = Mux(swapped, Cat(inner.complete[1], inner.complete[0]), inner.complete[:2])
        m.d.comb += self.complete.eq(Cat(pair, inner.complete[2:]))
        for n in range(4):
            other = n ^ 1 if n < 2 else n
            m.d.comb += self.count[n].eq(Mux(swapped, inner.count[other], inner.count[n]))
        return m


class EachListIsWhole(Elaboratable):
    """When a vector's list is complete, it has as many events as fired of the vector's frame.

    Two vectors of two elements each, both of which may fire at once, so that the merge's queue
    lags behind; vectors and skips come as the engine sends them, otherwise at any time.
    """

    def __init__(self, kind=EventPath):
        self.dut = kind(**SMALL)
        i = self.dut.i
        self.inputs = [i.valid, i.payload, self.dut.skip.valid, self.dut.skip.payload]
        self.inputs += [self.dut.leave.valid, self.dut.leave.payload]

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        m.d.comb += [dut.read.step.eq(1)]
        made, skip, leave = dut.i.payload, dut.skip, dut.leave
        # Fires: this encoder's twin in one line; theta 0.
        for k in range(2):
            comes = dut.i.valid & (made.vector == k)
            skipped = skip.valid & (skip.payload == k)
            sent = Signal(4, name=f"sent_{k}")  # v^
            fires = Cat((made.value[n] != sent.word_select(n, 2).as_signed()) for n in range(2))
            counts = Array(Signal(2, name=f"fired_{k}_{n}") for n in range(2))
            half = Signal(init=1, name=f"half_{k}")  # of the next frame of this vector
            was = Signal(2, init=0b01, name=f"was_{k}")
            lists = Cat(dut.complete[2 * k], dut.complete[2 * k + 1])
            flight = Signal(name=f"flight_{k}")
            with m.If(comes):
                m.d.sync += [sent.eq(Cat(made.value[0], made.value[1])), flight.eq(1)]
                m.d.sync += [counts[half].eq(fires[0] + fires[1]), half.eq(~half)]
            with m.If(skipped):
                m.d.sync += [counts[half].eq(0), half.eq(~half)]
            with m.If((lists & ~was).any()):
                m.d.sync += flight.eq(0)
            m.d.sync += was.eq(lists)
            for n in range(2):
                whole = ~lists[n] | (dut.count[2 * k + n] == counts[n])
                m.d.comb += Assert(whole)
            # The engine: a layer's list is left once it is complete. Then its vector comes, when no
            # list of it is complete; or it is skipped at once.
            leaves = leave.valid & (leave.payload.vector == k)
            of_this_frame = Cat(half, ~half)  # the only list that is complete: that of the half
            m.d.comb += [
                Assume(~comes | (made.last & ~flight & ~lists.any() & ~leaves)),
                Assume(~skipped | leaves),
                Assume(
                    ~leaves | (~flight & (lists == of_this_frame) & (leave.payload.half == ~half))
                ),
            ]
        return m


@pytest.mark.parametrize(
    ("kind", "holds"), [(EventPath, True), (SharedHalf, False)], ids=["right", "shared half"]
)
def test_proof_each_list_is_whole_whatever_comes_when(kind, holds, tmp_path):
    proof = EachListIsWhole(kind)
    assert proves(proof, proof.inputs, tmp_path, depth=10, mode="bmc") == holds
