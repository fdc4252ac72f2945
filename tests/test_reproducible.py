"""What must not hang on the machine (docs/reproducibility.md): an imported model, and tables."""

import hashlib
from decimal import Decimal, localcontext

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__  # what NumPy has faster code for
from safetensors.numpy import save_file

from golden.fixed import Q
from golden.formats import Formats
from tests.test_command import deltarnn
from train.quantised.float_network import _exp, _tanh

# A CPU without vector instructions, as far as NumPy and its BLAS are concerned.
PLAIN = {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__)}
GATES = {"gru": 3, "lstm": 4}
GATE_FRAC_MAX = 28
MODELS = {  # SHA-256 of each file: other machines than this one
    "gru": "14523655b242b5e81bf414475ff515666e895f0ab4335600b8dc5b7bab3f7bd8",
    "lstm": "3209d42732c1b5d4df6c1c73b521e3ac9a5e3077e3adbdac2430b1531fd843f1",
}


@pytest.mark.parametrize("kind", GATES)
def test_an_import_with_calibration_gives_the_same_file_on_every_machine(kind, tmp_path):
    """Drawn from integers: a normal distribution already differs from machine to machine."""
    rng, inputs, units, outputs = np.random.default_rng(1), 3, 12, 2
    rows = GATES[kind] * units

    def drawn(*shape):
        return rng.integers(-1500, 1501, shape) / 1024

    state = {
        f"{kind}.weight_ih_l0": drawn(rows, inputs),
        f"{kind}.weight_hh_l0": drawn(rows, units),
        f"{kind}.bias_ih_l0": drawn(rows),
        f"{kind}.bias_hh_l0": drawn(rows),
        "head.weight": drawn(outputs, units),
        "head.bias": drawn(outputs),
    }
    save_file(state, tmp_path / "state.safetensors")
    np.save(tmp_path / "walk.npy", rng.integers(-100, 101, (200, inputs)).cumsum(axis=0) / 512)
    words = ["import", "state.safetensors", "--calibration", "walk.npy", "--budget", "0.1"]
    reports, files = [], []
    for name, environment in (("here", {}), ("plain", PLAIN)):
        done = deltarnn(tmp_path, *words, "-o", "m.safetensors", "--json", **environment)
        assert done.returncode == 0, done.stderr
        reports.append(done.stdout)
        files.append((tmp_path / "m.safetensors").rename(tmp_path / name).read_bytes())
    assert reports[0] == reports[1]  # losses to the last digit
    assert files[0] == files[1]
    assert hashlib.sha256(files[0]).hexdigest() == MODELS[kind]


def test_the_exponential_function_is_one():
    rng = np.random.default_rng(1)
    v = np.concatenate([rng.integers(-(10**6), 10**6, 300) / 10**n for n in (4, 5, 6, 9)])
    with localcontext() as context:
        context.prec = 40
        exact = np.array([float(Decimal(float(x)).exp()) for x in v])
    assert np.abs(_exp(v) / exact - 1).max() < 2.0**-51
    np.testing.assert_allclose(_tanh(v), np.tanh(v), rtol=0, atol=2.0**-50)
    assert _exp(np.array([0.0, -0.0])).tolist() == [1, 1]
    assert _tanh(np.array([-1e9, 0.0, 1e9])).tolist() == [-1, 0, 1]


@pytest.mark.slow
@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs a finer float than float64")
@pytest.mark.parametrize("frac", range(16))
def test_no_entry_of_any_table_is_near_enough_to_a_tie_for_rounding_to_hang_on_the_machine(frac):
    """Every value that the widest tables with ``frac`` fraction bits hold, in every gate format.

    Exponential functions differ between machines by a unit of the last place, or two.
    """
    x = np.arange(-(1 << 15), 1 << 15).astype(np.longdouble) / 2**frac
    x = x[(x != 0) & (np.abs(x) < 21)]  # beyond it, both are nearer to 0 and 1 than to any tie
    for exact in (1 / (1 + np.exp(-x)), np.tanh(x)):
        unit = np.spacing(np.abs(exact).astype(np.float64))
        for gate in range(GATE_FRAC_MAX + 1):
            scaled = exact * 2**gate
            off = np.abs(scaled - np.floor(scaled) - 0.5) / 2**gate
            assert (off > 5 * unit).all()


def test_no_gate_is_finer():
    Formats(gate=Q(1, GATE_FRAC_MAX), state=Q(0, 1), cell=Q(0, 1))
    with pytest.raises(ValueError, match="gate"):
        Formats(gate=Q(1, GATE_FRAC_MAX + 1), state=Q(0, 1), cell=Q(0, 1))
