import numpy as np
import pytest
from amaranth.lib import memory

from hw.primitive.loaded_weights import LoadedWeights
from hw.primitive.weights import WeightMemory
from tests.bench import run_bench


def test_gives_each_word_after_its_latency():
    words = np.random.default_rng(1).integers(-128, 128, (21, 3)).tolist()
    dut = WeightMemory(words)
    found = []

    async def bench(ctx):
        for address in range(len(words) + dut.latency):
            if address >= dut.latency:
                found.append([ctx.get(weight) for weight in dut.port.word.payload])
            ctx.set(dut.port.request.payload, min(address, len(words) - 1))
            await ctx.tick()

    run_bench(dut, bench)
    assert found == words


@pytest.mark.parametrize("kind", [WeightMemory, LoadedWeights])
def test_refuses_no_words(kind):
    with pytest.raises(ValueError, match="words: found 0"):
        kind([])


class Memory(LoadedWeights):
    """Loaded into a memory of no vendor."""

    def store(self, m, address, word):
        m.submodules.ram = ram = memory.Memory(shape=self._shape, depth=len(self._words), init=[])
        read, write = ram.read_port(), ram.write_port(granularity=1)
        place = self.write.payload
        m.d.comb += [
            read.addr.eq(address),
            read.en.eq(1),
            word.eq(read.data),
            write.addr.eq(place.word),
            *(weight.eq(place.byte) for weight in write.data),
            write.en.eq(place.lanes & self.write.valid.replicate(len(place.lanes))),
        ]


@pytest.mark.parametrize(("count", "lanes"), [(21, 3), (4, 4), (7, 1), (1, 5)])
@pytest.mark.parametrize("pauses", [0.0, 0.5])
def test_loads_what_it_is_sent_and_says_when_that_was_wrong(count, lanes, pauses):
    rng = np.random.default_rng(count)
    loads = rng.integers(-128, 128, (3, count, lanes))
    dut = Memory(loads[0].tolist())
    size = count * lanes
    broken = 0

    async def watch(ctx):
        nonlocal broken
        async for _, _, strobe in ctx.tick().sample(dut.broken):
            broken += strobe

    async def bench(ctx):
        async def send(values, last):
            """``last`` with the byte of that number; how often it was broken, and if loaded."""
            nonlocal broken
            broken = 0
            ctx.set(dut.free, 0)
            await ctx.tick().repeat(2)
            for n, value in enumerate(values):
                while rng.random() < pauses:
                    ctx.set(dut.load.valid, 0)
                    await ctx.tick()
                ctx.set(dut.load.payload.byte, int(value) & 0xFF)
                ctx.set(dut.load.payload.last, n == last)
                ctx.set(dut.load.valid, 1)
                if n == 0:
                    for _ in range(3):
                        assert not ctx.get(dut.load.ready)  # in use
                        await ctx.tick()
                    ctx.set(dut.free, 1)
                await ctx.tick().until(dut.load.ready)
                if n < len(values) - 1:
                    assert not ctx.get(dut.loaded)
            ctx.set(dut.load.valid, 0)
            await ctx.tick().repeat(2)
            return ctx.get(dut.loaded), broken

        async def contents():
            words = []
            for address in range(count):
                ctx.set(dut.port.request.payload, address)
                await ctx.tick().repeat(dut.latency)
                words.append([ctx.get(weight) for weight in dut.port.word.payload])
            return words

        assert not ctx.get(dut.loaded)  # after power-up
        assert await send(loads[0].ravel(), size - 1) == (1, 0)
        assert await contents() == loads[0].tolist()
        if size > 1:
            assert await send(loads[1].ravel()[: size - 1], size - 2) == (0, 1)  # too short
        # Whole again, from the first byte on.
        assert await send(loads[2].ravel(), size - 1) == (1, 0)
        assert await contents() == loads[2].tolist()
        # Too long: what is beyond the end counts as the next load, and that is too short.
        assert await send(np.resize(loads[1], size + 2), size + 1) == (0, 2)
        assert await send(loads[1].ravel(), None) == (0, 1)  # its end is not marked
        assert await send(loads[1].ravel(), size - 1) == (1, 0)
        assert await contents() == loads[1].tolist()

    run_bench(dut, bench, background=(watch,))
