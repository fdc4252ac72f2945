import numpy as np
import pytest
from amaranth.hdl import Module, Signal

from golden.fixed import rshift, sat
from golden.parameters import CoreParameters
from hw.pipeline import delayed
from hw.primitive.serializer import MuxSerializer
from hw.target import GENERIC, Target
from hw.unit.readout import Readout
from hw.walk.layout import CoreLayout
from tests.bench import run_bench
from tests.networks import random_model
from tests.slow import every

TARGETS = {
    "shift register": GENERIC,
    "multiplexer": Target(serializer=MuxSerializer),
    "stages of two": Target(serializer=MuxSerializer, stage_lanes=2),
    "stages of three": Target(serializer=MuxSerializer, stage_lanes=3),
}


@pytest.mark.parametrize(
    ("lanes", "activations"),
    every(3, [(1, 1), (3, 1), (8, 1), (6, 2), (8, 4)]),
)
@pytest.mark.parametrize(("sizes", "outputs"), [((3, 5), None), ((3, 5, 6), None), ((3, 17), 5)])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("kinds", [("gru",), ("lstm",), ("gru", "lstm")], ids="-".join)
def test_rows_become_units(kinds, target, sizes, outputs, lanes, activations):
    """Blocks as fast as the sequencer may send them; weight_frac differs from layer to layer."""
    rng = np.random.default_rng(lanes)
    network = random_model(sizes, outputs, kinds=kinds).parameters
    formats = network.formats
    core = CoreParameters(network, lanes, activations)
    layout = CoreLayout(core)
    dut = Readout(core, target)
    m = Module()
    m.submodules.dut = dut
    row = Signal.like(dut.i.payload)
    m.d.comb += dut.i.payload.tag.eq(row.tag)
    for n, stage in enumerate(target.stages(core)):
        for lane in stage:
            m.d.comb += dut.i.payload.m[lane].eq(delayed(m, row.m[lane], n, f"m_{lane}"))
    limit = 1 << (network.accumulator_width - 1)
    rows, expected, expected_linear = [], [], []
    for _ in range(3):
        for k, layer in enumerate(network.layers):
            for block in range(layer.blocks(lanes)):
                units = min(lanes, layer.units - block * lanes)
                last = block == layer.blocks(lanes) - 1
                sums = rng.integers(-limit, limit, (4, lanes))  # r, u, xc, hc; i, f, g, o
                sums[:, units:] = 0
                if not layer.recurrent:
                    rows.append((k, 3, units, last, sums[0]))
                    expected_linear += [
                        (int(sums[0, lane]), last and lane == units - 1) for lane in range(units)
                    ]
                    continue
                stored = sums + np.array(layout.rounding(layer))[:, None]
                gru = layer.kind == "gru"
                order = [0, 1, 3, 2] if layout.x_last and gru else [0, 1, 2, 3]
                rows += [(k, tag, units, last, stored[n]) for tag, n in enumerate(order)]
                exact = sat(rshift(sums, formats.readout_shift(layer.weight_frac)), formats.readout)
                indices = slice(0, 2 if gru else 4)
                exact[indices] = sat(
                    rshift(exact[indices], formats.index_shift), formats.preactivation
                )
                exact = exact[order]
                for first in range(0, units, activations):
                    group = (block * lanes + first) // activations
                    some = exact[:, first : first + activations].T.tolist()
                    expected.append((k, group, some, last and first + activations >= units))
    found, found_linear = [], []

    async def send(ctx):
        since = needs = lanes
        for k, number, units, last, values in rows:
            while number == 3 and since < needs:  # the block before has still to go
                ctx.set(dut.i.valid, 0)
                await ctx.tick()
                since += 1
            ctx.set(dut.i.valid, 1)
            for lane in range(lanes):
                ctx.set(row.m[lane], int(values[lane]))
            tag = row.tag
            ctx.set(tag.layer, k)
            ctx.set(tag.row, number)
            ctx.set(tag.units, units - 1)
            ctx.set(tag.last, last)
            await ctx.tick()
            since += 1
            if number == 3:
                recurrent = network.layers[k].recurrent
                since, needs = 1, -(-units // activations) if recurrent else units
        ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        wait = 0
        while wait < 3 * lanes + 16:
            await ctx.tick()
            wait += 1
            if ctx.get(dut.o.valid):
                o = dut.o.payload
                units = [[ctx.get(unit[f"row_{n}"]) for n in range(4)] for unit in o.units]
                found.append((ctx.get(o.layer), ctx.get(o.group), units, bool(ctx.get(o.last))))
                wait = 0
            if outputs is not None and ctx.get(dut.linear.valid):
                o = dut.linear.payload
                found_linear.append((ctx.get(o.m), bool(ctx.get(o.last))))
                wait = 0

    run_bench(m, send, receive)
    assert found == expected
    assert found_linear == expected_linear
