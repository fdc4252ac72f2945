"""A network that somebody else trained: the power amplifier model of the package opendpd.

opendpd 2.4.2 (Apache-2.0, github.com/lab-emi/OpenDPD) ships a GRU of 6 features and 37 units with a
linear read-out, which models a measured 200 MHz amplifier, and the I/Q record that it was measured
with. A convolution beside it, which skips the GRU, is not part of what is imported.
"""

import io
import os
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

torch = pytest.importorskip("torch")

from golden.fixed import quantize  # noqa: E402
from golden.network import run_sequences  # noqa: E402
from train.data.places import package  # noqa: E402
from train.importers import read_network  # noqa: E402
from train.importers.conversion import PRECISIONS, Calibration, convert  # noqa: E402
from train.quantised.quantize import quantize_network  # noqa: E402

WHEEL = "opendpd-2.4.2-py3-none-any.whl"
SHA256 = "b7bfb801d737c5fd4fcab27d507252b464ea427b69f68720cb3a4021ddcce013"
ASSETS = "opendpd/arena_assets/apa-200mhz-b-"


@pytest.fixture(scope="module")
def opened() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Tensors of the model, and the test part of the record [19662, 2]."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ["DELTARNN_CACHE"])  # not the user's
        try:
            wheel = package("opendpd==2.4.2", WHEEL, SHA256)
        except ValueError as error:
            if not str(error).startswith("pip download"):
                raise
            pytest.skip(f"without a network: {error}")
    with zipfile.ZipFile(wheel) as archive:
        tensors, record = (
            dict(np.load(io.BytesIO(archive.read(f"{ASSETS}{name}.npz")), allow_pickle=False))
            for name in ("pa-v6", "data-v3")
        )
    return tensors, record["x_test"].astype(np.float64)


def features(iq: np.ndarray) -> np.ndarray:
    """[T, 6]: I, Q, the amplitude, its cube, and I and Q of the sample that follows."""
    amplitude = np.hypot(iq[:, 0], iq[:, 1])[:, None]
    return np.concatenate([iq, amplitude, amplitude**3, np.roll(iq, -1, axis=0)], axis=1)


@pytest.mark.slow
def test_it_is_refused_as_a_whole_and_its_gru_computes_what_torch_does(opened, tmp_path):
    tensors, iq = opened
    file = tmp_path / "amplifier.safetensors"
    save_file(tensors, file)
    with pytest.raises(ValueError, match=r"backbone\.tcn\.0\.weight: found a tensor \[3, 2, 3\]"):
        read_network(file)

    save_file({key: t for key, t in tensors.items() if "tcn" not in key}, file)
    network = read_network(file)
    gru = torch.nn.GRU(6, 37, bias=False, batch_first=True).double()
    readout = torch.nn.Linear(37, 2, bias=False).double()
    with torch.no_grad():
        for parameter, key in zip(
            (*gru.parameters(), *readout.parameters()),
            ("backbone.rnn.weight_ih_l0", "backbone.rnn.weight_hh_l0", "backbone.fc_out.weight"),
            strict=True,
        ):
            parameter.copy_(torch.tensor(tensors[key]))
        frames = features(iq[:600])
        expected = readout(gru(torch.tensor(frames)[None])[0])[0].numpy()
    assert np.abs(network.run(frames) - expected).max() < 1e-12

    calibration = Calibration(network, frames)
    found = convert("amplifier", network, calibration, (None, None), 0.02)
    assert found.dense is not None
    assert found.delta is not None
    worst = quantize_network("amplifier", PRECISIONS[0].formats, network.scaled(10.0))
    assert calibration.fidelity(worst, 10.0).loss > 2.5 * found.dense.loss
    # The signal moves at every sample: eight bits cost a tenth of the spread, deltas save little.
    assert found.dense.loss < 0.15
    assert found.delta.loss <= found.dense.loss + 0.02
    assert found.delta.macs < found.dense.macs
    later = features(iq[600:1200])
    activation = found.model.parameters.formats.activation
    (trace,) = run_sequences(found.model, [quantize(later * found.input_scale, activation)])
    outputs = trace.outputs / 2.0**found.model.parameters.output_frac
    real = network.run(later)
    error = np.sqrt(np.mean((outputs - real) ** 2) / np.mean((real - real.mean(axis=0)) ** 2))
    assert error < 1.5 * found.delta.loss
