import numpy as np
import pytest

from golden.fixed import rshift, sat
from golden.parameters import CoreParameters
from hw.layout import CoreLayout
from hw.readout import Readout
from tests.bench import run_bench
from tests.networks import random_model


@pytest.mark.parametrize("lanes", [1, 3, 4, 8])
@pytest.mark.parametrize(("sizes", "outputs"), [((3, 5), None), ((3, 5, 6), None), ((3, 7), 5)])
def test_rows_become_units(sizes, outputs, lanes):
    """Blocks as fast as the sequencer may send them; weight_frac differs from layer to layer."""
    rng = np.random.default_rng(lanes)
    network = random_model(sizes, outputs).parameters
    core = CoreParameters(network, lanes)
    x_last = CoreLayout(core).x_last
    dut = Readout(core, x_last=x_last)
    limit = 1 << (network.accumulator_width - 1)
    rows, expected, expected_linear = [], [], []
    for _ in range(3):
        for k, layer in enumerate(network.layers):
            for block in range(layer.blocks(lanes)):
                units = min(lanes, layer.units - block * lanes)
                last = block == layer.blocks(lanes) - 1
                m = rng.integers(-limit, limit, (4, lanes))
                gates = range(4) if layer.recurrent else [3]
                rows += [(k, gate, units, last, m[gate]) for gate in gates]
                for lane in range(units):
                    ends = last and lane == units - 1
                    if not layer.recurrent:
                        expected_linear.append((int(m[3, lane]), ends))
                        continue
                    shift = network.formats.readout_shift(layer.weight_frac)
                    values = sat(rshift(m[:, lane], shift), network.formats.readout)
                    r, u, c0, c1 = values.tolist()
                    c = (c1, c0) if x_last else (c0, c1)
                    expected.append((k, block * lanes + lane, (r, u, *c), ends))
    found, found_linear = [], []

    async def send(ctx):
        since = lanes
        for k, gate, units, last, values in rows:
            while gate == 3 and since < lanes:
                ctx.set(dut.i.valid, 0)
                await ctx.tick()
                since += 1
            ctx.set(dut.i.valid, 1)
            for lane in range(lanes):
                ctx.set(dut.i.payload.m[lane], int(values[lane]))
            tag = dut.i.payload.tag
            ctx.set(tag.layer, k)
            ctx.set(tag.gate, gate)
            ctx.set(tag.units, units - 1)
            ctx.set(tag.last, last)
            await ctx.tick()
            since = 1 if gate == 3 else since + 1
        ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        wait = 0
        while wait < 3 * lanes + 8:
            await ctx.tick()
            wait += 1
            if ctx.get(dut.o.valid):
                o = dut.o.payload
                m = tuple(ctx.get(o.m[name]) for name in ("m_r", "m_u", "m_xc", "m_hc"))
                found.append((ctx.get(o.layer), ctx.get(o.unit), m, bool(ctx.get(o.last))))
                wait = 0
            if outputs is not None and ctx.get(dut.linear.valid):
                o = dut.linear.payload
                found_linear.append((ctx.get(o.m), bool(ctx.get(o.last))))
                wait = 0

    run_bench(dut, send, receive)
    assert found == expected
    assert found_linear == expected_linear
