"""The verdict of an import: what limits is what a finer format mends."""

from dataclasses import replace

import numpy as np
import pytest

from golden.fixed import Q
from golden.formats import Formats
from train.importers.conversion import Calibration, Converted
from train.importers.verdict import judge
from train.quantised.float_network import FloatGRU, FloatLinear, FloatLSTM, FloatNetwork
from train.quantised.quantize import quantize_network

RNG = np.random.default_rng(2)
FRAMES = RNG.normal(size=(120, 3)).cumsum(axis=0).clip(-12, 12) / 4
FINE = Formats(
    activation=Q(3, 12), state=Q(1, 18), gate=Q(1, 12), preactivation=Q(3, 8), cell=Q(3, 16)
)


def layer(kind, inputs, units):
    gates = 3 if kind is FloatGRU else 4
    shapes = ((gates * units, inputs), (gates * units, units), gates * units, gates * units)
    return kind(*(np.round(RNG.uniform(-1, 1, shape) * 64) / 64 for shape in shapes))


def network():
    readout = FloatLinear(np.round(RNG.uniform(-1, 1, (2, 5)) * 64) / 64, np.zeros(2))
    return FloatNetwork((layer(FloatGRU, 3, 6), layer(FloatLSTM, 6, 5), readout))


def verdict(formats, floats):
    """On a network whose weights are exact in 8 bits: it is formats that lose."""
    calibration, scale = Calibration(floats, FRAMES), np.ones(3)
    model = quantize_network("n", formats, floats)
    dense = calibration.fidelity(model, scale)
    return judge(Converted(model, scale, dense), calibration), dense


@pytest.mark.parametrize(
    ("formats", "limit"),
    [
        (replace(FINE, activation=Q(3, 3)), "activation"),
        (replace(FINE, gate=Q(1, 4), preactivation=Q(3, 3)), "gate"),
        (replace(FINE, state=Q(1, 5), cell=Q(3, 3)), "state"),
    ],
)
def test_a_coarse_format_is_found(formats, limit):
    found, dense = verdict(formats, network())
    assert found.limit == limit
    assert found.finer[limit] < 0.8 * dense.loss
    assert found.layers[-1] == pytest.approx(dense.loss)
    assert len(found.layers) == 3


def test_weights_limit_where_formats_are_fine():
    floats = network()
    first = floats.layers[0]
    coarse = replace(
        first, weight_x=first.weight_x + RNG.uniform(-0.02, 0.02, first.weight_x.shape)
    )
    calibration = Calibration(FloatNetwork((coarse, *floats.layers[1:])), FRAMES)
    model = quantize_network("n", FINE, floats)
    dense = calibration.fidelity(model, np.ones(3))
    found = judge(Converted(model, np.ones(3), dense), calibration)
    assert found.limit == "weights"
    assert found.usable


def test_a_model_of_another_network_is_not_usable():
    calibration = Calibration(network(), FRAMES)
    model = quantize_network("n", FINE, network())
    dense = calibration.fidelity(model, np.ones(3))
    assert not judge(Converted(model, np.ones(3), dense), calibration).usable
