import numpy as np
import pytest

from golden.delta import DeltaEncoder as Golden
from hw.delta import DeltaEncoder
from tests.bench import run_bench


@pytest.mark.parametrize("theta", [0, 1, 7, 254, 255])
@pytest.mark.parametrize(("vectors", "size"), [(1, 3), (1, 8), (3, 5)])
def test_equals_golden_without_a_gap(vectors, size, theta):
    """Whole vectors in a row, one element a cycle: the tightest there is."""
    rng = np.random.default_rng(size + theta)
    frames = rng.integers(-128, 128, (30, vectors, size))
    golden = [Golden(size) for _ in range(vectors)]
    thetas = [min(theta + v, 255) for v in range(vectors)]
    expected = [
        (v, column, int(d != 0), int(d) if d else None, column == size - 1)
        for frame in frames
        for v in range(vectors)
        for column, d in enumerate(golden[v].encode(frame[v][None], thetas[v])[0])
    ]
    dut = DeltaEncoder(vectors=vectors, size=size, width=8)
    found = []

    async def send(ctx):
        ctx.set(dut.i.valid, 1)
        for frame in frames:
            for v in range(vectors):
                for column in range(size):
                    ctx.set(dut.i.payload.vector, v)
                    ctx.set(dut.i.payload.column, column)
                    ctx.set(dut.i.payload.value, int(frame[v][column]))
                    ctx.set(dut.i.payload.last, column == size - 1)
                    ctx.set(dut.theta, thetas[v])
                    await ctx.tick()
        ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        waited = 0
        while len(found) < len(expected):
            await ctx.tick()
            o = dut.o.payload
            if ctx.get(dut.o.valid):
                fires = ctx.get(o.fires)
                delta = ctx.get(o.event.delta) if fires else None
                found.append(
                    (
                        ctx.get(o.vector),
                        ctx.get(o.event.column),
                        fires,
                        delta,
                        bool(ctx.get(o.last)),
                    )
                )
            elif not found:
                waited += 1
        assert waited == dut.latency - 1  # the first tick already is one cycle after the element

    run_bench(dut, send, receive)
    assert found == expected


def test_clear_forgets_what_was_sent():
    dut = DeltaEncoder(vectors=1, size=4, width=8)
    deltas = []

    async def bench(ctx):
        async def element(value):
            ctx.set(dut.i.payload.column, 2)
            ctx.set(dut.i.payload.value, value)
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            await ctx.tick().repeat(dut.latency - 1)
            deltas.append((ctx.get(dut.o.payload.fires), ctx.get(dut.o.payload.event.delta)))
            await ctx.tick()

        await element(50)
        await element(53)
        ctx.set(dut.clear.payload, 2)
        ctx.set(dut.clear.valid, 1)
        await ctx.tick()
        ctx.set(dut.clear.valid, 0)
        await element(53)

    run_bench(dut, bench)
    assert deltas == [(1, 50), (1, 3), (1, 53)]


@pytest.mark.parametrize("name", ["vectors", "size", "width"])
def test_refuses_nothing(name):
    arguments = {"vectors": 1, "size": 1, "width": 8, name: 0}
    with pytest.raises(ValueError, match=f"{name}: found 0, expected an integer >= 1"):
        DeltaEncoder(**arguments)
