import re
from dataclasses import replace

import pytest

from golden.fixed import Q
from golden.formats import Formats
from golden.kinds import KIND_NAMES
from golden.parameters import CoreParameters, LayerParameters, NetworkParameters

GRU = LayerParameters("gru", 10, 6, 5, 2, 4)
LSTM = LayerParameters("lstm", 10, 6, 5, 2, 4)
LINEAR = LayerParameters("linear", 6, 3, 6, 1)
NETWORK = NetworkParameters(Formats(), (GRU, LINEAR), 21)


def refused(text: str):
    return pytest.raises(ValueError, match=f"^{re.escape(text)}$")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"kind": "rnn"}, f"kind: found 'rnn', expected {KIND_NAMES}"),
        ({"kind": None}, f"kind: found None, expected {KIND_NAMES}"),
        ({"inputs": 0}, "inputs: found 0, expected an integer >= 1"),
        ({"units": -1}, "units: found -1, expected an integer >= 1"),
        ({"weight_frac": -1}, "weight_frac: found -1, expected an integer from 0 to 15"),
        ({"weight_frac": 16}, "weight_frac: found 16, expected an integer from 0 to 15"),
        ({"weight_frac": 2.5}, "weight_frac: found 2.5, expected an integer from 0 to 15"),
        ({"theta_x": -1}, "theta_x: found -1, expected an integer >= 0"),
        ({"theta_x": True}, "theta_x: found True, expected an integer >= 0"),
        ({"theta_h": None}, "theta_h: found None, expected an integer >= 0"),
        ({"theta_h": 1.0}, "theta_h: found 1.0, expected an integer >= 0"),
        ({"kind": "linear"}, "theta_h: found 4, expected no theta_h in a linear layer"),
    ],
)
def test_a_layer_refuses(change, text):
    with refused(text):
        replace(GRU, **change)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"activation": Q(0, 0)}, "width of format activation: found 1, expected an integer from"),
        ({"activation": Q(8, 8)}, "width of format activation: found 17, expected an integer from"),
        ({"preactivation": Q(0, 0)}, "width of format preactivation: found 1, expected an integer"),
        ({"preactivation": Q(8, 8)}, "width of format preactivation: found 17, expected an"),
        # Where the intermediate results of golden/ would leave int64.
        (
            {"state": Q(22, 30)},
            "bits of c + u * (h - c) with state Q22.30 and gate Q1.6: found 63",
        ),
        (
            {"readout": Q(30, 23)},
            "bits of R(M_xc) + r * R(M_hc) with readout Q30.23 and gate Q1.6: found 63",
        ),
        (
            {"gate": Q(1, 29)},
            "bits of c + u * (h - c) with state Q3.4 and gate Q1.29: found 66",
        ),
        (
            {"cell": Q(24, 30)},
            "bits of f * c + i * g with cell Q24.30 and gate Q1.6: found 64",
        ),
        ({"gate": Q(0, 7)}, "format gate: found Q0.7, expected at least Q1.f, so that 1.0 fits"),
    ],
)
def test_formats_refuse(change, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        Formats(**change)


@pytest.mark.parametrize(
    "kinds", ["", "linear", "linear gru", "lstm linear gru", "gru linear linear"]
)
def test_a_network_refuses_layers_in_another_order(kinds):
    layers = tuple({"gru": GRU, "lstm": LSTM, "linear": LINEAR}[kind] for kind in kinds.split())
    expected = "one or more recurrent layers, then at most one linear layer"
    with refused(f"layers: found {kinds.split()}, expected {expected}"):
        NetworkParameters(Formats(), layers, 21)


def test_a_network_refuses_layers_that_do_not_fit():
    with refused("inputs of layer 1: found 7, expected 6, the units of layer 0"):
        NetworkParameters(Formats(), (GRU, replace(LINEAR, inputs=7)), 21)


@pytest.mark.parametrize("width", [0, 41])
def test_a_network_refuses_accumulators_that_it_cannot_compute(width):
    with refused(f"accumulator_width: found {width}, expected an integer from 1 to 40"):
        NetworkParameters(Formats(), (GRU,), width)


@pytest.mark.parametrize("lanes", [0, -1, 1025, 2.0, True, None])
def test_a_core_refuses_lanes(lanes):
    with refused(f"lanes: found {lanes}, expected an integer from 1 to 1024"):
        CoreParameters(NETWORK, lanes)


def test_shifts_of_the_default_formats():
    """f_act + f_w, what is above the readout, and the rest of the page's exponents."""
    formats = Formats()
    assert formats.accumulator_frac(6) == 4 + 6
    assert formats.readout_shift(6) == 4 + 6 - 8
    assert formats.readout_shift(2) == -2
    assert formats.index_shift == 8 - 4
    assert formats.candidate_shift == 8 + 6 - 4
    assert (formats.blend_frac, formats.update_shift) == (6, 6 + 6 - 4)
    assert formats.output_shift == 0


def test_shifts_of_an_lstm():
    formats = Formats()
    assert (formats.cell_frac, formats.cell_shift) == (12, 12 + 6 - 12)
    assert (formats.cell_index_shift, formats.product_shift) == (12 - 4, 2 * 6 - 4)
    coarse = Formats(cell=Q(3, 4))
    assert (coarse.cell_frac, coarse.cell_shift, coarse.cell_index_shift) == (6, 6 + 6 - 4, 0)


def test_a_network_keeps_what_its_layers_keep():
    formats = Formats(state=Q(1, 9), cell=Q(3, 12))
    above = LayerParameters("gru", 6, 4, 5, 0, 0)
    mixed = NetworkParameters(formats, (LSTM, above), 21)
    assert [mixed.state_format(layer) for layer in mixed.layers] == [Q(3, 12), Q(1, 9)]
    assert mixed.state_width == 16
    assert NetworkParameters(formats, (GRU,), 21).state_width == 11


def test_shifts_of_a_wide_state():
    formats = Formats(state=Q(1, 14))
    assert (formats.blend_frac, formats.update_shift, formats.output_shift) == (14, 6, 10)


@pytest.mark.parametrize(
    ("layer", "columns", "gates", "accumulators", "weights"),
    [(GRU, 16, 3, 4, 3 * 6 * 16), (LSTM, 16, 4, 4, 4 * 6 * 16), (LINEAR, 6, 1, 1, 18)],
)
def test_what_follows_from_the_shape_of_a_layer(layer, columns, gates, accumulators, weights):
    assert layer.columns == columns
    assert (layer.gates, layer.accumulators) == (gates, accumulators)
    assert layer.weights == weights


@pytest.mark.parametrize(
    ("lanes", "gru", "linear"), [(1, 18, 3), (2, 9, 2), (4, 6, 1), (6, 3, 1), (64, 3, 1)]
)
def test_row_blocks_and_the_cycles_that_they_bound(lanes, gru, linear):
    assert (GRU.row_blocks(lanes), LINEAR.row_blocks(lanes)) == (gru, linear)
    core = CoreParameters(NETWORK, lanes)
    assert core.ideal_cycles([0, 0]) == 0
    assert core.ideal_cycles([5, 2]) == 5 * gru + 2 * linear
    assert core.dense_cycles == 16 * gru + 6 * linear


def test_results_of_a_read_out_are_accumulators():
    assert (NETWORK.inputs, NETWORK.outputs) == (10, 3)
    assert (NETWORK.output_width, NETWORK.output_frac) == (21, 4 + 6)
    assert NETWORK.recurrent == (GRU,)
    assert NETWORK.weights == 288 + 18


def test_results_of_a_gru_layer_are_activations():
    network = NetworkParameters(Formats(activation=Q(2, 5)), (GRU,), 21)
    assert (network.outputs, network.output_width, network.output_frac) == (6, 8, 5)
