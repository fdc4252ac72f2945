"""onnxruntime's int8, beside an import: near the float network, and of LSTMs alone."""

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime")

from tests.test_train_verdict import FRAMES, layer  # noqa: E402
from train.importers.conversion import Calibration  # noqa: E402
from train.importers.onnxruntime_int8 import int8_results, onnx_of  # noqa: E402
from train.quantised.float_network import FloatGRU, FloatLinear, FloatLSTM, FloatNetwork  # noqa: E402


def test_two_lstms_and_a_readout_are_followed_from_reset_in_each_recording():
    rng = np.random.default_rng(1)
    readout = FloatLinear(rng.uniform(-1, 1, (2, 5)), rng.uniform(-1, 1, 2))
    layers = (layer(FloatLSTM, 3, 6), layer(FloatLSTM, 6, 5), readout)
    network = FloatNetwork(layers, np.array([0.5, -1.0, 0.0]))
    calibration = Calibration(network, [FRAMES[:50], FRAMES[50:]])
    results = int8_results(network, calibration.recordings)
    assert [each.shape for each in results] == [(50, 2), (70, 2)]
    assert 0.001 < calibration.loss_of(results) < 0.3
    session = onnxruntime.InferenceSession(onnx_of(network))
    floats = [
        session.run(None, {"x": network.centred(x)[:, None].astype(np.float32)})[0][:, 0]
        for x in calibration.recordings
    ]
    assert calibration.loss_of(floats) < 1e-5
    assert calibration.loss_of([network.run(each) for each in calibration.recordings]) < 1e-12


def test_it_has_no_gru():
    assert int8_results(FloatNetwork((layer(FloatGRU, 3, 4),)), [FRAMES]) is None
