from dataclasses import replace

import numpy as np
import pytest

from golden.fixed import Q, rshift, sat
from golden.formats import Formats
from golden.gru import update_state, visible
from golden.lstm import update_cell
from golden.parameters import CoreParameters
from hw.primitive.multiply_add import RegisteredMultiplyAdd, SplitMultiplyAdd
from hw.target import GENERIC, Target
from hw.unit.activation import ActivationUnit
from hw.unit.table import FOLDING
from hw.walk.layout import CoreLayout
from tests.bench import run_bench
from tests.networks import random_model
from tests.slow import every
from tests.slow_lane import SlowLane

FORMATS = {
    "Q3.4": Formats(),
    "Q2.5": Formats(activation=Q(2, 5), state=Q(2, 5)),
    "state Q1.14": Formats(state=Q(1, 14)),
    "state coarser than the gate": Formats(state=Q(3, 3)),
    "readout coarser than the preactivation": Formats(readout=Q(7, 2)),
    "no fraction to round away": Formats(gate=Q(1, 2), readout=Q(7, 2), preactivation=Q(3, 6)),
    "a cell as coarse as an activation": Formats(cell=Q(3, 4)),
    "a cell finer than two gates": Formats(gate=Q(1, 4), cell=Q(2, 13)),
    "a narrow cell": Formats(cell=Q(0, 5), activation=Q(0, 7), gate=Q(1, 3)),
}
FINE = Formats(activation=Q(3, 7), state=Q(1, 14), gate=Q(1, 10), preactivation=Q(3, 6))
SLOW = Target(read_latency=2, lane=SlowLane, multiply_add=SplitMultiplyAdd())
REGISTERED = Target(multiply_add=RegisteredMultiplyAdd())
FOLDED = replace(GENERIC, block_shapes=((256, 16), (512, 8)))


@pytest.mark.parametrize(
    ("formats", "activations", "target"),
    every(
        4,
        [
            *((formats, 1, GENERIC) for formats in FORMATS.values()),
            *((formats, 2, SLOW) for formats in FORMATS.values()),
            (FORMATS["Q3.4"], 4, GENERIC),
            (FORMATS["state Q1.14"], 4, SLOW),
            (FORMATS["state Q1.14"], 2, REGISTERED),
            (FINE, 2, FOLDED),
            (FINE, 1, replace(SLOW, block_shapes=FOLDED.block_shapes)),
            (Formats(gate=Q(1, 7), preactivation=Q(3, 5)), 1, FOLDED),
        ],
    ),
    ids=[
        *(f"{name}, 1" for name in FORMATS),
        *(f"{name}, 2, slow" for name in FORMATS),
        "Q3.4, 4",
        "state Q1.14, 4, slow",
        "state Q1.14, 2, registered",
        "folded, 2",
        "folded, 1, slow",
        "only the tanh folded, 1",
    ],
)
@pytest.mark.parametrize("kinds", [("gru",), ("lstm",), ("gru", "lstm")], ids="-".join)
def test_equals_golden(kinds, formats, activations, target):
    """Random units of two layers without a gap; every extreme of the readout among them."""
    rng = np.random.default_rng(1)
    sizes = (7 * activations, 11 * activations - activations // 2)
    network = random_model((3, *sizes), kinds=kinds, formats=formats).parameters
    core = CoreParameters(network, activations, activations)
    dut, layout = ActivationUnit(core, target), CoreLayout(core)
    readout, pre = formats.readout, formats.preactivation
    # Golden reads out by itself: a weight_frac for which R(M) = M leaves the values as they are.
    identity = readout.f - formats.activation.f
    states = [np.zeros((1, size), dtype=np.int64) for size in sizes]
    seen = list(states)

    def update(k, values):
        if network.layers[k].kind == "lstm":
            return update_cell(formats, identity, values[None], states[k])
        h = update_state(formats, identity, values[None], states[k])
        return h, visible(formats, h)

    previous, groups, expected = {}, [], []
    for n in range(40 // activations):
        for k, size in enumerate(sizes):
            values = rng.integers(readout.min, readout.max + 1, (4, size))
            extremes = rng.choice([readout.min, -1, 0, 1, readout.max], (4, size))
            values = np.where(rng.random(size) < 0.3, extremes, values)
            values = np.where(rng.random(size) < 0.5, values // 16, values)  # not flat around 0
            if n % 5 == 4:  # once more the same: perhaps nothing moves
                values = previous[k]
            before, previous[k] = (states[k], seen[k]), values
            states[k], seen[k] = update(k, values)
            moved = ((states[k] != before[0]) | (seen[k] != before[1]))[0]
            indexed = np.array(network.layers[k].has.indexes)[:, None]
            driven = np.where(indexed, sat(rshift(values, formats.index_shift), pre), values)
            driven = driven[list(layout.order(network.layers[k]))]
            for first in range(0, size, activations):
                some = slice(first, first + activations)
                last = first + activations >= size
                place = (k, first // activations, int(last))
                groups.append((place, driven[:, some].T.tolist()))
                made = states[k][0, some].tolist(), seen[k][0, some].tolist()
                expected.append((place, *made, moved[some].any()))
    found, gaps = [], 0

    async def send(ctx):
        payload = dut.i.payload
        ctx.set(dut.i.valid, 1)
        for place, units in groups:
            for key, value in zip(("layer", "group", "last"), place, strict=True):
                ctx.set(payload[key], value)
            units += [[0] * 4] * (activations - len(units))  # those that do not exist
            for unit, values in zip(payload.units, units, strict=True):
                for row, value in enumerate(values):
                    ctx.set(unit[f"row_{row}"], value)
            await ctx.tick()
        ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        nonlocal gaps
        o = dut.o.payload
        while len(found) < len(expected):
            await ctx.tick()
            if ctx.get(dut.o.valid):
                place = tuple(ctx.get(o[key]) for key in ("layer", "group", "last"))
                used = len(expected[len(found)][1])
                state = [ctx.get(value) for value in o.state]
                a = [ctx.get(value) for value in o.a]
                assert not any(state[used:])
                found.append((place, state[:used], a[:used], bool(ctx.get(o.moved))))
            else:
                gaps += 1

    run_bench(dut, send, receive)
    assert found == expected
    assert gaps == dut.latency - 1  # none but the pipeline's own


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_clear_forgets_the_state(kind):
    network = random_model((3, 3, 2), kinds=(kind,)).parameters
    dut = ActivationUnit(CoreParameters(network, 1))
    results = []

    async def bench(ctx):
        async def unit():
            payload = dut.i.payload
            ctx.set(payload.layer, 1)
            ctx.set(payload.group, 1)
            for row in (2, 3):  # something new, whatever the kind
                ctx.set(payload.units[0][f"row_{row}"], 25)
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            await ctx.tick().repeat(dut.latency - 1)
            assert ctx.get(dut.o.valid)
            results.append(ctx.get(dut.o.payload.state[0]))
            await ctx.tick()

        await unit()
        await unit()
        ctx.set(dut.clear.valid, 1)
        for address in range(dut.depth):
            ctx.set(dut.clear.payload, address)
            await ctx.tick()
        ctx.set(dut.clear.valid, 0)
        await unit()

    run_bench(dut, bench)
    first, second, third = results
    assert first == third != second


@pytest.mark.parametrize(
    ("kinds", "tables"),
    [
        (("gru",), {"gru_0_sigmoid_r", "gru_0_sigmoid_u", "gru_0_tanh"}),
        (("lstm",), {f"lstm_0_{table}" for table in ("i", "f", "g", "o", "tanh")}),
    ],
    ids=["gru", "lstm"],
)
def test_a_core_has_the_cells_of_its_own_layers_only(kinds, tables):
    network = random_model((3, 4, 5), 2, kinds=kinds).parameters
    module = ActivationUnit(CoreParameters(network, 2)).elaborate(None)
    assert set(module._named_submodules) == {"state"} | tables


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_folded_tables_take_their_cycles_twice_in_a_unit(kind):
    network = random_model((3, 4), kinds=(kind,), formats=FINE).parameters
    core = CoreParameters(network, 2)
    whole, folded = (ActivationUnit(core, target) for target in (GENERIC, FOLDED))
    assert folded.latency == whole.latency + 2 * FOLDING
