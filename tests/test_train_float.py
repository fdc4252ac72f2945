"""The golden GRU in fine formats is torch.nn.GRU: gates, biases, reset gate, layers, read-out."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from golden.fixed import Q  # noqa: E402
from golden.gru import GRUWeights  # noqa: E402
from golden.model import Model  # noqa: E402
from golden.network import DeltaNetwork  # noqa: E402
from golden.parameters import Formats  # noqa: E402
from train.fit import reproducible  # noqa: E402
from train.float_gru import FloatGRUNetwork, float_network  # noqa: E402
from train.quantize import quantize_network  # noqa: E402

FINE = Formats(
    activation=Q(3, 12),
    state=Q(1, 22),
    gate=Q(1, 14),
    readout=Q(7, 16),
    preactivation=Q(3, 12),
)
INPUTS, UNITS, CLASSES, FRAMES = 5, 12, 3, 50
WEIGHT_FRAC = 7
STEP = 1 / FINE.preactivation.scale


def network(layers: int = 1) -> FloatGRUNetwork:
    """Weights are exact int8 multiples of 2^-7 that keep preactivations within the tables."""
    with reproducible(seed=3):
        net = FloatGRUNetwork(INPUTS, UNITS, CLASSES, layers)
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


def errors(net: FloatGRUNetwork, model: Model) -> tuple[float, float]:
    """The largest difference between torch and golden: of h, and of the read-out."""
    x = frames()
    with torch.no_grad():
        states, _ = net.gru(torch.tensor(x / FINE.activation.scale, dtype=torch.float32)[None])
        logits = net.readout(states)[0].double().numpy()
    trace = DeltaNetwork(model).run(x)
    h = trace.state / FINE.state.scale
    y = trace.outputs / 2.0**model.parameters.output_frac
    return float(np.abs(h - states[0].double().numpy()).max()), float(np.abs(y - logits).max())


def quantized(net: FloatGRUNetwork) -> Model:
    return quantize_network("fine", FINE, float_network(net.gru, net.readout))


@pytest.mark.parametrize("layers", [1, 2])
def test_golden_follows_torch_within_the_quantisation_step(layers):
    net = network(layers)
    model = quantized(net)
    assert all(layer.weight_frac == WEIGHT_FRAC for layer in model.parameters.layers)
    biases = [dict(net.gru.named_parameters())[f"bias_{part}_l0"] for part in ("ih", "hh")]
    assert all(torch.count_nonzero(bias) > 2 * UNITS for bias in biases)
    assert not torch.equal(*biases)
    h, y = errors(net, model)
    assert h <= STEP * layers
    assert y <= 2 * STEP * layers  # a read-out adds up the errors of all units


def with_first_layer(model: Model, weights: GRUWeights) -> Model:
    return replace(model, weights=(weights, *model.weights[1:]))


def swapped(rows: np.ndarray) -> np.ndarray:
    """Rows of r and u exchanged."""
    r, u, *rest = np.split(rows, len(rows) // UNITS)
    return np.concatenate([u, r, *rest])


def gates_swapped(w: GRUWeights) -> GRUWeights:
    return GRUWeights(swapped(w.weight_x), swapped(w.weight_h), swapped(w.bias))


def hidden_bias_dropped(w: GRUWeights) -> GRUWeights:
    bias = w.bias.copy()
    bias[3 * UNITS :] = 0
    return replace(w, bias=bias)


def hidden_bias_outside_the_reset_gate(w: GRUWeights) -> GRUWeights:
    """b_xc + b_hc in one place, as a reset gate before the product would have it."""
    bias = w.bias.copy()
    bias[2 * UNITS : 3 * UNITS] += bias[3 * UNITS :]
    bias[3 * UNITS :] = 0
    return replace(w, bias=bias)


@pytest.mark.parametrize(
    "mistake", [gates_swapped, hidden_bias_dropped, hidden_bias_outside_the_reset_gate]
)
def test_the_comparison_sees_every_mistake(mistake):
    net = network()
    model = quantized(net)
    weights = model.weights[0]
    assert isinstance(weights, GRUWeights)
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
