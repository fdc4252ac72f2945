"""Post-training quantisation: weight_frac, biases, and what is refused."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from golden.formats import Formats  # noqa: E402
from train.nets.float_rnn import float_network  # noqa: E402
from train.quantised.float_network import (  # noqa: E402
    FloatGRU,
    FloatLSTM,
    FloatNetwork,
    dequantized,
)
from train.quantised.quantize import (  # noqa: E402
    nearest_codes,
    quantize_bias,
    quantize_linear,
    quantize_network,
    quantize_recurrent,
    weight_frac,
)


@pytest.mark.parametrize(
    ("weight", "frac"),
    [
        (0.0, 15),
        (127 / 2**15, 15),
        (1.0, 6),  # 64; at 7 fraction bits 128 saturates
        (-1.0, 7),  # -128 is still an int8
        (127.4 / 128, 7),
        (127.5 / 128, 6),  # rounds to 128
        (-128.5 / 128, 7),  # rounds half up, to -128
        (-128.6 / 128, 6),
        (127.0, 0),
    ],
)
def test_weight_frac_at_the_edges(weight, frac):
    assert weight_frac(np.array([[weight, 0.0]])) == frac


def test_weight_frac_is_the_largest_that_does_not_saturate():
    rng = np.random.default_rng(1)
    for _ in range(200):
        weights = [rng.normal(0, 2.0 ** rng.uniform(-10, 4), (4, 5)) for _ in range(2)]
        frac = weight_frac(*weights)
        scaled = [np.floor(w * 2.0**frac + 0.5) for w in weights]
        assert all(((w >= -128) & (w <= 127)).all() for w in scaled)
        pairs = zip(weights, scaled, strict=True)
        assert all((nearest_codes(w * 2.0**frac) == n).all() for w, n in pairs)
        if frac < 15:
            finer = [np.floor(w * 2.0 ** (frac + 1) + 0.5) for w in weights]
            assert any(((w < -128) | (w > 127)).any() for w in finer)


def test_weights_that_no_format_holds_are_refused():
    with pytest.raises(ValueError, match=r"largest weight: found 127\.5, expected within -128"):
        weight_frac(np.array([[127.5]]))
    with pytest.raises(ValueError, match="largest weight: found nan"):
        weight_frac(np.array([[np.nan]]))


def test_a_bias_is_rounded_half_up_and_never_wraps():
    assert quantize_bias(np.array([0.125, -0.125, 1.0]), np.array(2)).tolist() == [1, 0, 4]
    with pytest.raises(ValueError, match=r"largest bias: found 2\.14748e\+09 LSBs"):
        quantize_bias(np.array([2.0**16]), np.array(15))


def test_a_gru_layer_row_by_row():
    gru = torch.nn.GRU(3, 2)
    layer, weights = quantize_recurrent(float_network(gru).layers[0], Formats())
    frac = layer.weight_frac
    assert (layer.inputs, layer.units, layer.theta_x, layer.theta_h) == (3, 2, 0, 0)
    w_x, w_h, b_x, b_h = (p.detach().double().numpy() for p in gru.parameters())
    assert frac == weight_frac(w_x, w_h)
    assert weights.weight_x.tolist() == np.floor(w_x * 2**frac + 0.5).tolist()
    assert weights.weight_h.tolist() == np.floor(w_h * 2**frac + 0.5).tolist()
    bias = [*(b_x + b_h)[:4], *b_x[4:], *b_h[4:]]  # r, u added up; xc and hc apart
    assert weights.bias.tolist() == np.floor(np.array(bias) * 2 ** (4 + frac) + 0.5).tolist()


def test_one_weight_frac_serves_both_matrices():
    gru = torch.nn.GRU(3, 2)
    gru.weight_hh_l0.data[0, 0] = 3.0
    assert quantize_recurrent(float_network(gru).layers[0], Formats())[0].weight_frac == 5


def test_a_linear_layer():
    linear = torch.nn.Linear(4, 3)
    readout = float_network(torch.nn.GRU(2, 4), linear).layers[1]
    layer, weights = quantize_linear(readout, Formats())
    scale = 2**layer.weight_frac
    assert (layer.inputs, layer.units, layer.theta_h) == (4, 3, None)
    weight, bias = (p.detach().double().numpy() for p in linear.parameters())
    assert weights.weight_x.tolist() == np.floor(weight * scale + 0.5).tolist()
    assert weights.bias.tolist() == np.floor(bias * 16 * scale + 0.5).tolist()


def test_layers_without_bias_have_bias_0():
    gru = torch.nn.GRU(3, 2, num_layers=2, bias=False)
    network = float_network(gru, torch.nn.Linear(2, 1, bias=False))
    model = quantize_network("bare", Formats(), network)
    assert [layer.kind for layer in model.parameters.layers] == ["gru", "gru", "linear"]
    assert not any(weights.bias.any() for weights in model.weights)


def test_a_bidirectional_gru_is_refused():
    with pytest.raises(ValueError, match="GRU: found bidirectional, expected one direction"):
        float_network(torch.nn.GRU(3, 2, bidirectional=True))


@pytest.mark.parametrize(("most", "expected"), [(0, [0, 0, 0]), (2, [0, 1, 2]), (3, [0, 1, 3])])
def test_rows_of_small_weights_are_shifted(most, expected):
    """Units of an LSTM whose weights are 1, 1/2 and 1/16 of the largest: 0, 1 and 4 bits."""
    sizes = np.tile([1.0, 0.5, 1 / 16], 4)[:, None]
    layer = FloatLSTM.with_bias(sizes * np.ones((12, 2)), sizes * np.ones((12, 3)), np.ones(12))
    parameters, weights = quantize_recurrent(layer, Formats(), most)
    assert parameters.weight_frac == 6
    shifts = [0] * 12 if weights.shift is None else weights.shift.tolist()
    assert shifts == expected * 4
    assert weights.weight_x[:3, 0].tolist() == [
        64 * 2**s // d for s, d in zip(expected, (1, 2, 16), strict=True)
    ]
    assert weights.bias[:3].tolist() == [2 ** (4 + 6 + s) for s in expected]


def test_c_of_x_and_c_of_h_are_shifted_for_themselves():
    ones = np.ones((3, 1))
    layer = FloatGRU.with_bias(ones, ones * [[1.0], [1.0], [0.25]], np.zeros(4))
    _, weights = quantize_recurrent(layer, Formats(), 3)
    assert weights.shift.tolist() == [0, 0, 0, 2]
    assert weights.weight_x.ravel().tolist() == [64, 64, 64]
    assert weights.weight_h.ravel().tolist() == [64, 64, 64]


@pytest.mark.parametrize("kind", [FloatGRU, FloatLSTM])
def test_integers_with_row_shifts_stand_for_the_float_weights(kind):
    rng = np.random.default_rng(1)
    rows = {FloatGRU: 15, FloatLSTM: 20}[kind]
    spread = 2.0 ** rng.uniform(-4, 0, (rows, 1))
    layer = kind(
        *(rng.normal(0, 1, (rows, n)) * spread for n in (4, 5)), np.ones(rows), np.ones(rows)
    )
    model = quantize_network("shifted", Formats(), FloatNetwork((layer,)), shift_max=3)
    real = dequantized(model).layers[0]
    of_row = 2.0 ** -(model.parameters.layers[0].weight_frac + model.weights[0].shifts)
    assert len(set(of_row)) == 4
    for found, wanted in ((real.weight_x, layer.weight_x), (real.weight_h, layer.weight_h)):
        assert np.abs(found - wanted).max() <= of_row.max() / 2
        assert (np.abs(found - wanted).max(axis=1)[: rows // 2] <= of_row[: rows // 2] / 2).all()
