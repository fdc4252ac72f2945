import random

import pytest
from amaranth.hdl import signed

from hw.bus.skid import Skid
from tests.bench import run_bench


@pytest.mark.parametrize(("offers", "takes"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.3), (0.6, 0.6)])
def test_passes_everything_once_and_in_order(offers, takes):
    source = random.Random(1)
    values = [source.randrange(-128, 128) for _ in range(300)]
    dut = Skid(signed(8))
    found, cycles = [], 0

    async def send(ctx):
        for value in values:
            while source.random() >= offers:
                ctx.set(dut.i.valid, 0)
                ctx.set(dut.i.payload, source.randrange(-128, 128))  # means nothing
                await ctx.tick()
            ctx.set(dut.i.payload, value)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        nonlocal cycles
        held = None
        while len(found) < len(values):
            ctx.set(dut.o.ready, source.random() < takes)
            _, _, valid, ready, value = await ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o.payload
            )
            cycles += 1
            if held is not None:  # what was offered and not taken stays
                assert (valid, value) == (1, held)
            held = value if valid and not ready else None
            if valid and ready:
                found.append(value)

    run_bench(dut, send, receive)
    assert found == values
    if offers == takes == 1.0:
        assert cycles == len(values) + dut.latency


def test_no_output_depends_on_an_input_within_a_cycle():
    """In every state that it reaches, whatever the inputs do between two edges."""
    source = random.Random(2)
    dut = Skid(8)
    states = set()

    async def bench(ctx):
        for _ in range(200):
            seen = set()
            for _ in range(4):
                ctx.set(dut.i.valid, source.random() < 0.6)
                ctx.set(dut.i.payload, source.randrange(256))
                ctx.set(dut.o.ready, source.random() < 0.5)
                outputs = (dut.i.ready, dut.o.valid, dut.o.payload)
                seen.add(tuple(ctx.get(signal) for signal in outputs))
            assert len(seen) == 1
            states.add(seen.pop()[:2])
            await ctx.tick()

    run_bench(dut, bench)
    assert states == {(1, 0), (1, 1), (0, 1)}
