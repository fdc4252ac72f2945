"""The memory images, read back the way the sequencer walks them; and the rounding in them."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.sim import Simulator

from golden.fixed import Q, rshift, sat
from golden.formats import Formats
from golden.parameters import CoreParameters, LayerParameters, NetworkParameters
from hw.unit.readout import Readout
from hw.walk.layout import CoreLayout
from tests.networks import random_model


@pytest.mark.parametrize("lanes", [1, 3, 4, 16])
@pytest.mark.parametrize(("sizes", "outputs"), [((3, 5), None), ((3, 5), 2), ((2, 5, 7), 3)])
@pytest.mark.parametrize("kinds", [("gru",), ("lstm",), ("lstm", "gru")], ids="-".join)
def test_every_weight_and_bias_has_its_place(sizes, outputs, lanes, kinds):
    model = random_model(sizes, outputs, kinds=kinds)
    layout = CoreLayout(CoreParameters(model.parameters, lanes))
    words, bias = layout.weight_words(model), layout.bias_rows(model)
    assert words.shape == (layout.words, lanes)
    assert bias.shape == (layout.rows, lanes)
    word = row = 0
    for layer, weights in zip(model.parameters.layers, model.weights, strict=True):
        units = layer.units
        rounding = layout.rounding(layer)
        if layer.recurrent:
            x, h = weights.weight_x, weights.weight_h
            matrix = np.hstack([h, x] if layout.x_last else [x, h])
            order = [0, 1, 3, 2] if layout.x_last and layer.kind == "gru" else [0, 1, 2, 3]
        else:
            matrix, order = weights.weight_x, [0]
        for block in range(layer.blocks(lanes)):
            first = block * lanes
            used = min(lanes, units - first)
            for gate in range(layer.gates):
                for column in range(layer.columns):
                    rows = matrix[gate * units + first : gate * units + first + used, column]
                    assert words[word].tolist() == rows.tolist() + [0] * (lanes - used)
                    word += 1
            for accumulator in order:
                start = accumulator * units + first
                values = weights.bias[start : start + used].tolist() + [0] * (lanes - used)
                assert bias[row].tolist() == [v + rounding[accumulator] for v in values]
                row += 1
    assert (word, row) == (layout.words, layout.rows)


def test_every_gate_of_an_lstm_is_an_index():
    layer = LayerParameters("lstm", 1, 1, 6, 0, 0)
    core = CoreParameters(NetworkParameters(Formats(), (layer,), 20), 1)
    assert CoreLayout(core).rounding(layer) == (2 + 32,) * 4  # halves of 2^2 and of 2^(2 + 4)


def one_layer(formats: Formats, weight_frac: int, width: int) -> CoreParameters:
    layer = LayerParameters("gru", 1, 1, weight_frac, 0, 0)
    return CoreParameters(NetworkParameters(formats, (layer,), width), 1)


def random_formats(seed: int) -> tuple[Formats, int]:
    """Any formats that golden takes, and a weight_frac; small ones, so that most of M clips."""
    rng = np.random.default_rng(seed)

    def q(m: int, f: int) -> Q:
        return Q(int(rng.integers(0, m)), int(rng.integers(0, f)))

    while True:
        try:
            formats = Formats(activation=q(4, 6), readout=q(6, 8), preactivation=q(5, 6))
        except ValueError:  # one of them too narrow
            continue
        return formats, int(rng.integers(0, 8))


def interesting(width: int, n: int) -> list[int]:
    """Values of ``width`` bits: all, or the ends and all around each carry and tie of shifts."""
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    if width <= 10:
        return list(range(low, high + 1))
    steps = {s << k for k in range(max(n - 2, 0), width) for s in (-3, -2, -1, 0, 1, 2, 3)}
    values = {s + d for s in steps for d in (-2, -1, 0, 1, 2)} | {low, low + 1, high - 1, high}
    values |= set(np.random.default_rng(width).integers(low, high, 200).tolist())
    return sorted(v for v in values if low <= v <= high)


NAMED = {
    "default": (Formats(), 6),
    "readout coarser than the preactivation": (Formats(readout=Q(7, 2)), 6),
    "readout with fewer integer bits": (Formats(readout=Q(1, 8)), 6),
    "readout with fewer bits of both": (Formats(readout=Q(1, 2)), 6),
    "readout finer than M": (Formats(readout=Q(7, 12)), 3),
    "index from M with no shift at all": (Formats(readout=Q(7, 8), preactivation=Q(3, 6)), 2),
    "left shift, then a coarser index": (Formats(readout=Q(6, 12), preactivation=Q(3, 1)), 1),
    "no fraction": (Formats(readout=Q(9, 0), preactivation=Q(7, 0)), 7),
}


@pytest.mark.parametrize("width", [9, 20])
@pytest.mark.parametrize(
    ("formats", "weight_frac"),
    [*NAMED.values(), *(random_formats(seed) for seed in range(40))],
    ids=[*NAMED, *(f"random {seed}" for seed in range(40))],
)
def test_shifts_of_what_the_accumulators_hold_round_as_golden_does(formats, weight_frac, width):
    """R(M) and the index of r and u, in gates, for every M that may be special."""
    core = one_layer(formats, weight_frac, width)
    layout, readout = CoreLayout(core), Readout(core)
    n, s = formats.readout_shift(weight_frac), formats.index_shift
    values = interesting(width, max(n, n + s))
    gate, _, candidate, _ = layout.rounding(core.network.layers[0])
    m = Module()
    stored = Signal(signed(layout.row_width))
    index, r = Signal(signed(40)), Signal(signed(40))
    m.d.comb += [index.eq(readout._index(stored, n)), r.eq(readout._candidate(stored, n))]
    found = []

    async def bench(ctx):
        for value in values:
            ctx.set(stored, value + gate)
            of_gate = ctx.get(index)
            ctx.set(stored, value + candidate)
            found.append((of_gate, ctx.get(r)))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    exact = sat(rshift(values, n), formats.readout)
    indices = sat(rshift(exact, s), formats.preactivation)
    assert found == list(zip(indices.tolist(), exact.tolist(), strict=True))


def test_a_row_holds_its_rounding_too():
    """M at its greatest, with both halves, still fits; one bit less would not do."""
    for formats, weight_frac in NAMED.values():
        core = one_layer(formats, weight_frac, 12)
        layout = CoreLayout(core)
        most = max(layout.rounding(core.network.layers[0])) + (1 << 11) - 1
        assert most < 1 << (layout.row_width - 1) <= 2 * most
