"""The golden layers in fine formats are torch's: gates, biases, reset gate, layers, read-out."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from golden.fixed import Q  # noqa: E402
from golden.formats import Formats  # noqa: E402
from golden.gru import GRUWeights  # noqa: E402
from golden.lstm import LSTMWeights  # noqa: E402
from golden.model import Model  # noqa: E402
from golden.network import DeltaNetwork  # noqa: E402
from golden.recurrent import RecurrentWeights  # noqa: E402
from train.course.fit import reproducible  # noqa: E402
from train.nets.float_rnn import CELLS, FloatRNN, float_network  # noqa: E402
from train.quantised.quantize import quantize_network  # noqa: E402

FINE = Formats(
    activation=Q(1, 14),
    state=Q(1, 22),
    gate=Q(1, 14),
    readout=Q(7, 16),
    preactivation=Q(3, 12),
    cell=Q(3, 22),
)
INPUTS, UNITS, CLASSES, FRAMES = 5, 12, 3, 50
WEIGHT_FRAC = 7
STEP = 1 / FINE.preactivation.scale


def network(layers: int = 1, cell: str = "gru") -> FloatRNN:
    """Weights are exact int8 multiples of 2^-7 that keep preactivations within the tables."""
    with reproducible(seed=3):
        net = FloatRNN(INPUTS, UNITS, CLASSES, layers, cell)
        for parameter in net.parameters():
            steps = torch.randint(-64, 65, parameter.shape)
            # One full-scale weight: a larger f_w would saturate it.
            steps.view(-1)[0] = 127
            parameter.data = steps / 2**WEIGHT_FRAC
    return net


def frames() -> np.ndarray:
    """int64 [T, I] within +-1, exact in the activation format."""
    one = FINE.activation.scale
    return np.random.default_rng(5).integers(-one, one, (FRAMES, INPUTS))


def errors(net: FloatRNN, model: Model) -> tuple[float, float]:
    """The largest difference between torch and golden: of h, and of the read-out."""
    x = frames()
    with torch.no_grad():
        given = torch.tensor(x / FINE.activation.scale, dtype=torch.float32)[None]
        states, _ = net.recurrent(given)
        logits = net.readout(states)
    layers = model.parameters.layers
    headless = Model.of("headless", FINE, layers[:-1], model.weights[:-1])

    def error(of: Model, expected: torch.Tensor) -> float:
        found = DeltaNetwork(of).run(x).outputs / 2.0**of.parameters.output_frac
        return float(np.abs(found - expected[0].double().numpy()).max())

    return error(headless, states), error(model, logits)


def quantized(net: FloatRNN) -> Model:
    return quantize_network("fine", FINE, float_network(net.recurrent, net.readout))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_golden_follows_torch_within_the_quantisation_step(layers, cell):
    net = network(layers, cell)
    model = quantized(net)
    assert all(layer.weight_frac == WEIGHT_FRAC for layer in model.parameters.layers)
    biases = [dict(net.recurrent.named_parameters())[f"bias_{part}_l0"] for part in ("ih", "hh")]
    assert all(torch.count_nonzero(bias) > 2 * UNITS for bias in biases)
    assert not torch.equal(*biases)
    h, y = errors(net, model)
    assert h <= STEP * layers
    assert y <= 2 * STEP * layers  # a read-out adds up the errors of all units


@pytest.mark.parametrize("cell", CELLS)
def test_the_float_network_is_torch_s(cell):
    net = network(2, cell)
    x = frames() / FINE.activation.scale
    with torch.no_grad():
        expected = net(torch.tensor(x, dtype=torch.float32)[None]).outputs[0].numpy()
    np.testing.assert_allclose(net.floats().run(x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "naming"),
    [({"bidirectional": True}, "LSTM: found bidirectional"), ({"proj_size": 2}, "projections")],
)
def test_what_the_core_does_not_have_is_refused(options, naming):
    with pytest.raises(ValueError, match=naming):
        float_network(torch.nn.LSTM(3, 4, **options))


def with_first_layer(model: Model, weights: RecurrentWeights) -> Model:
    return replace(model, weights=(weights, *model.weights[1:]))


def swapped(rows: np.ndarray, first: int = 0) -> np.ndarray:
    """Rows of two neighbouring gates exchanged: r and u, or i and f."""
    gates = np.split(rows, len(rows) // UNITS)
    gates[first], gates[first + 1] = gates[first + 1], gates[first]
    return np.concatenate(gates)


def gates_swapped(w: RecurrentWeights) -> RecurrentWeights:
    return type(w)(swapped(w.weight_x), swapped(w.weight_h), swapped(w.bias))


def last_gates_swapped(w: RecurrentWeights) -> RecurrentWeights:
    """ONNX' order of an LSTM's, but for one exchange."""
    return type(w)(swapped(w.weight_x, 2), swapped(w.weight_h, 2), swapped(w.bias, 2))


def hidden_bias_dropped(w: RecurrentWeights) -> RecurrentWeights:
    bias = w.bias.copy()
    bias[3 * UNITS :] = 0
    return replace(w, bias=bias)


def hidden_bias_outside_the_reset_gate(w: RecurrentWeights) -> RecurrentWeights:
    """b_xc + b_hc in one place, as a reset gate before the product would have it."""
    bias = w.bias.copy()
    bias[2 * UNITS : 3 * UNITS] += bias[3 * UNITS :]
    bias[3 * UNITS :] = 0
    return replace(w, bias=bias)


@pytest.mark.parametrize(
    ("cell", "kind", "mistake"),
    [
        ("gru", GRUWeights, gates_swapped),
        ("gru", GRUWeights, hidden_bias_dropped),
        ("gru", GRUWeights, hidden_bias_outside_the_reset_gate),
        ("lstm", LSTMWeights, gates_swapped),
        ("lstm", LSTMWeights, last_gates_swapped),
    ],
)
def test_the_comparison_sees_every_mistake(cell, kind, mistake):
    net = network(cell=cell)
    model = quantized(net)
    weights = model.weights[0]
    assert isinstance(weights, kind)
    h, _ = errors(net, with_first_layer(model, mistake(weights)))
    assert h > 100 * STEP


def test_folding_the_input_changes_the_scale_and_nothing_else():
    net = network(2)
    x = torch.tensor(frames() / FINE.activation.scale, dtype=torch.float32)[None]
    gain, offset = np.array([0.5, 2.0, 1.5, 1.0, 3.0]), np.array([1.0, -0.5, 0.0, 2.0, -1.0])
    with torch.no_grad():
        before = net(x).outputs
        net.fold_input(gain, offset)
        folded_input = torch.tensor(gain, dtype=x.dtype) * (x + torch.tensor(offset, dtype=x.dtype))
        after = net(folded_input).outputs
    torch.testing.assert_close(after, before, rtol=0, atol=1e-5)
