import numpy as np
import pytest

from golden.formats import Formats
from golden.linear import DeltaLinear, DenseLinear, LinearWeights
from golden.parameters import LayerParameters

FORMATS = Formats()


def read_out(
    theta: int, *, inputs: int = 7, outputs: int = 4
) -> tuple[LayerParameters, LinearWeights]:
    rng = np.random.default_rng(theta)
    weights = LinearWeights(
        rng.integers(-128, 128, (outputs, inputs)).astype(np.int8),
        rng.integers(-(2**31), 2**31, outputs).astype(np.int32),
    )
    return LayerParameters("linear", inputs, outputs, 6, theta), weights


def streams(batch: int, length: int, inputs: int = 7) -> np.ndarray:
    """int64 [length, batch, inputs] in which about half of the elements move."""
    rng = np.random.default_rng(3)
    steps = rng.integers(-20, 21, (length, batch, inputs)) * rng.integers(0, 2, (batch, inputs))
    return np.clip(steps.cumsum(axis=0), -128, 127)


def test_two_outputs_by_hand():
    weights = LinearWeights(
        np.array([[2, -3], [100, 0]], dtype=np.int8), np.array([10, -1], dtype=np.int32)
    )
    layer = DeltaLinear(FORMATS, LayerParameters("linear", 2, 2, 6, 4), weights)
    assert layer.m.tolist() == [[10, -1]]
    # Only the first element moves by more than 4; then the second, from the 0 that stands.
    assert layer.step(np.array([[5, 4]])).tolist() == [[10 + 2 * 5, -1 + 100 * 5]]
    assert layer.step(np.array([[1, -5]])).tolist() == [[20 - 3 * -5, 499]]
    assert layer.deltas_x.tolist() == [[0, -5]]


@pytest.mark.parametrize("theta", [0, 1, 10, 300])
def test_outputs_are_w_times_the_memory_plus_bias_in_every_frame(theta):
    parameters, weights = read_out(theta)
    layer = DeltaLinear(FORMATS, parameters, weights, batch=3)
    for x in streams(3, 3000):
        m = layer.step(x)
        assert (m == layer.encoder_x.memory @ weights.weight_x.astype(int).T + weights.bias).all()
        assert (np.abs(x - layer.encoder_x.memory) <= theta).all()


def test_at_threshold_0_it_is_the_dense_layer_over_10000_frames():
    parameters, weights = read_out(0)
    delta, dense = (kind(FORMATS, parameters, weights, 10) for kind in (DeltaLinear, DenseLinear))
    for x in streams(10, 1000):
        m = delta.step(x)
        assert (m == dense.step(x)).all()
        assert (m == x @ weights.weight_x.astype(int).T + weights.bias).all()


def test_an_output_given_away_does_not_change_later():
    parameters, weights = read_out(0)
    layer = DeltaLinear(FORMATS, parameters, weights)
    x = streams(1, 2)
    first = layer.step(x[0])
    kept = first.copy()
    layer.step(x[1] + 1)
    assert (first == kept).all()


def test_reset_starts_over():
    parameters, weights = read_out(2)
    layer = DeltaLinear(FORMATS, parameters, weights)
    runs = []
    for _ in range(2):
        runs.append([layer.step(x).tolist() for x in streams(1, 30)])
        layer.reset()
        assert (layer.m == weights.bias).all()
        assert not layer.encoder_x.memory.any()
    assert runs[0] == runs[1]
