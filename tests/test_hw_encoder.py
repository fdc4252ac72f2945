import numpy as np
import pytest

from golden.delta import DeltaEncoder as Golden
from hw.events.encoder import DeltaEncoder
from tests.bench import run_bench


@pytest.mark.parametrize("theta", [0, 1, 7, 254, 255])
@pytest.mark.parametrize(
    ("vectors", "size", "ways", "read_latency"),
    [(1, 3, 1, 1), (1, 8, 1, 2), (3, 5, 1, 1), (2, 7, 2, 1), (3, 8, 2, 2), (2, 10, 4, 2)],
)
def test_equals_golden_without_a_gap(vectors, size, ways, read_latency, theta):
    """Whole vectors in a row, ``ways`` elements a cycle: the tightest there is."""
    rng = np.random.default_rng(size + theta)
    groups = -(-size // ways)
    frames = np.zeros((30, vectors, groups * ways), dtype=np.int64)  # 0 where there is no element
    frames[..., :size] = rng.integers(-128, 128, (30, vectors, size))
    golden = [Golden(groups * ways) for _ in range(vectors)]
    thetas = [min(theta + v, 255) for v in range(vectors)]
    expected = []
    for frame in frames:
        for v in range(vectors):
            deltas = golden[v].encode(frame[v][None], thetas[v])[0].reshape(groups, ways)
            expected += [
                (v, group, d.tolist(), group == groups - 1) for group, d in enumerate(deltas)
            ]
    dut = DeltaEncoder(
        vectors=vectors, groups=groups, width=8, ways=ways, read_latency=read_latency
    )
    found = []

    async def send(ctx):
        for v in range(vectors):
            ctx.set(dut.theta[v], thetas[v])
        ctx.set(dut.i.valid, 1)
        for frame in frames:
            for v in range(vectors):
                for group in range(groups):
                    ctx.set(dut.i.payload.vector, v)
                    ctx.set(dut.i.payload.group, group)
                    for n in range(ways):
                        ctx.set(dut.i.payload.value[n], int(frame[v][group * ways + n]))
                    ctx.set(dut.i.payload.last, group == groups - 1)
                    await ctx.tick()
        ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        waited = 0
        while len(found) < len(expected):
            await ctx.tick()
            o = dut.o.payload
            if ctx.get(dut.o.valid):
                fires = ctx.get(o.fires)
                deltas = [ctx.get(d) if fires >> n & 1 else 0 for n, d in enumerate(o.delta)]
                assert all(deltas[n] for n in range(ways) if fires >> n & 1)
                found.append((ctx.get(o.vector), ctx.get(o.group), deltas, bool(ctx.get(o.last))))
            elif not found:
                waited += 1
        assert waited == dut.latency - 1  # the first tick already is one cycle after the element

    run_bench(dut, send, receive)
    assert found == expected


@pytest.mark.parametrize("read_latency", [1, 2])
def test_clear_forgets_what_was_sent(read_latency):
    dut = DeltaEncoder(vectors=1, groups=4, width=8, ways=2, read_latency=read_latency)
    deltas = []

    async def bench(ctx):
        async def elements(*values):
            ctx.set(dut.i.payload.group, 2)
            for n, value in enumerate(values):
                ctx.set(dut.i.payload.value[n], value)
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            await ctx.tick().repeat(dut.latency - 1)
            o = dut.o.payload
            deltas.append((ctx.get(o.fires), *(ctx.get(d) for d in o.delta)))
            await ctx.tick()

        await elements(50, 7)
        await elements(53, 7)
        ctx.set(dut.clear.payload, 2)
        ctx.set(dut.clear.valid, 1)
        await ctx.tick()
        ctx.set(dut.clear.valid, 0)
        await elements(53, 0)

    run_bench(dut, bench)
    assert deltas == [(3, 50, 7), (1, 3, 0), (1, 53, 0)]


@pytest.mark.parametrize("name", ["vectors", "groups", "width", "ways"])
def test_refuses_nothing(name):
    arguments = {"vectors": 1, "groups": 1, "width": 8, name: 0}
    with pytest.raises(ValueError, match=f"{name}: found 0, expected an integer >= 1"):
        DeltaEncoder(**arguments)
