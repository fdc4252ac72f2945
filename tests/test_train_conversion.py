"""From a float network to a model: scale, thresholds, budget, and the command that does it."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from deltarnn.command import cli
from golden.fixed import Q, quantize
from golden.model_file import load_model
from golden.network import DeltaNetwork
from tests.test_command import assert_refused, deltarnn
from train.importers.conversion import Calibration, convert, load_calibration
from train.quantised.float_network import FloatGRU, FloatLinear, FloatLSTM, FloatNetwork

INPUTS, UNITS, OUTPUTS = 3, 12, 2


GATES = {FloatGRU: 3, FloatLSTM: 4}


def network(seed: int = 1, kind: type = FloatGRU) -> FloatNetwork:
    rng = np.random.default_rng(seed)
    rows = GATES[kind] * UNITS

    def normal(*shape):
        return rng.normal(0, 0.6, shape)

    layer = kind(normal(rows, INPUTS), normal(rows, UNITS), normal(rows), normal(rows))
    return FloatNetwork((layer, FloatLinear(normal(OUTPUTS, UNITS), normal(OUTPUTS))))


def recording(size: float = 1.0, frames: int = 300) -> np.ndarray:
    """Slow: a walk, so that thresholds find something to skip."""
    rng = np.random.default_rng(2)
    steps = rng.normal(0, 0.1, (frames, INPUTS)).cumsum(axis=0)
    return size * (steps - steps.mean(axis=0))


@pytest.mark.parametrize("kind", GATES)
def test_the_model_follows_the_float_network(kind):
    float_network, frames = network(kind=kind), recording()
    found = convert("walk", float_network, Calibration(float_network, frames))
    model = found.model
    lsbs = quantize(frames * found.input_scale, model.parameters.formats.activation)
    results = DeltaNetwork(model).run(lsbs).outputs / 2.0**model.parameters.output_frac
    expected = float_network.run(frames)
    spread = np.sqrt(np.mean((expected - expected.mean(axis=0)) ** 2))
    error = np.sqrt(np.mean((results - expected) ** 2)) / spread
    assert found.dense is not None
    assert found.dense.loss == pytest.approx(error)
    assert error < 0.15


@pytest.mark.parametrize("size", [0.01, 1.0, 300.0])
def test_the_scale_makes_inputs_of_any_size_fit(size):
    """The same network for inputs in other units loses the same."""
    scaled = network().scaled(size)
    found = convert("units", scaled, Calibration(scaled, recording(size)))
    plain = convert("units", network(), Calibration(network(), recording()))
    assert found.dense is not None
    assert plain.dense is not None
    assert found.input_scale * size == pytest.approx(plain.input_scale)
    assert found.dense.loss == pytest.approx(plain.dense.loss, rel=1e-6)
    assert found.model.extra["input_scale"] == found.input_scale.tolist()


def test_a_cell_that_counts_far_gets_the_range_for_it():
    """Its gates stand open: c goes to some twenty and back, and what saturated would be below 0."""
    frames = np.repeat([[1.0], [-1.0]], 120, axis=0)
    weight_x = np.repeat([[0.0], [0.0], [3 / 16], [0.0]], 2, axis=0)
    bias = np.repeat([9.0, 9.0, 0.0, 9.0], 2)
    counter = FloatLSTM.with_bias(weight_x, np.zeros((8, 2)), bias)
    float_network = FloatNetwork((counter, FloatLinear(np.eye(1, 2), np.zeros(1))))
    found = convert("counter", float_network, Calibration(float_network, frames))
    assert found.model.parameters.formats.cell == Q(6, 9)


def test_a_budget_is_kept_and_a_larger_one_saves_more():
    calibration = Calibration(network(), recording())
    macs = []
    for budget in (0.0, 0.02, 0.2):
        found = convert("walk", network(), calibration, budget=budget)
        assert found.dense is not None
        assert found.delta is not None
        assert found.delta.loss <= found.dense.loss + budget
        macs.append(found.delta.macs)
    assert macs[0] > macs[1] > macs[2]


def test_thresholds_are_for_every_layer():
    gru, linear = network().layers
    upper = FloatGRU(np.ones((3, UNITS)), np.zeros((3, 1)), np.zeros(3), np.zeros(3))
    model = convert("two", FloatNetwork((gru, upper)), theta=(5, None)).model
    assert [(p.theta_x, p.theta_h) for p in model.parameters.layers] == [(5, 0), (5, 0)]
    model = convert("one", FloatNetwork((gru, linear)), theta=(5, 2)).model
    assert [(p.theta_x, p.theta_h) for p in model.parameters.layers] == [(5, 2), (5, None)]


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match="budget: found no calibration frames"):
        convert("walk", network(), budget=0.1)
    with pytest.raises(ValueError, match="thresholds: found some beside a budget"):
        convert("walk", network(), Calibration(network(), recording()), (1, 1), 0.1)
    with pytest.raises(ValueError, match=r"calibration: found shape \[9, 2\], expected \[T, 3\]"):
        Calibration(network(), np.zeros((9, 2)))


def recorded(change):
    """A recording of which something is changed in place."""
    frames = recording()
    change(frames)
    return frames


def feature(n, value):
    def change(frames):
        frames[:, n] = value

    return change


@pytest.mark.parametrize(
    ("frames", "naming"),
    [
        (np.zeros((300, INPUTS)), "found 0 in every place, expected a recording that changes"),
        (np.full((300, INPUTS), 0.7), "found 300 equal frames, expected a recording that chan"),
        (np.tile([[1.0, 2.0, 3.0]], (300, 1)), "found 300 equal frames"),
        (recorded(feature(1, np.nan)), "found nan in frame 0, feature 1, expected finite numb"),
        (recorded(lambda f: f.__setitem__((7, 2), -np.inf)), "found -inf in frame 7, feature 2"),
        (recording()[:15], r"found shape \[15, 3\], expected \[T, 3\], T >= 16"),
        (recording()[:0], r"found shape \[0, 3\], expected"),
        (recording()[:, :2], r"found shape \[300, 2\], expected"),
        (recording() * 1e12, r"a largest value of .*e\+12, expected one from 1e-09 to 1e\+09"),
        (recording() * 1e-12, r"a largest value of .*e-12, expected one from"),
        (recording() * 1e300, r"a largest value of .*e\+300, expected one from"),
    ],
)
def test_a_recording_that_tells_nothing_is_refused(frames, naming):
    with pytest.raises(ValueError, match=rf"^calibration: .*{naming}"):
        Calibration(network(), frames)


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0])
def test_one_feature_may_stay_as_it_is(value):
    found = convert("still", network(), Calibration(network(), recorded(feature(1, value))))
    assert found.dense is not None
    assert found.dense.loss < 0.2
    assert 0.1 < found.input_scale.min() <= found.input_scale.max() < 1000


def test_frames_that_are_nearly_all_0_choose_no_scale_by_that():
    """In 299 of 300: the one that moves says how far, down to a twentieth of the largest in what
    it does to the first layer.
    """
    frames = np.zeros((300, INPUTS))
    frames[150] = (1.0, -0.5, 1e-9)
    gru, linear = network().layers
    weight_x = gru.weight_x / np.abs(gru.weight_x).max(axis=0) * [1.0, 0.2, 0.5]
    calibration = Calibration(FloatNetwork((replace(gru, weight_x=weight_x), linear)), frames)
    by_largest, by_rms = calibration.scales([4.0])
    assert by_largest == pytest.approx([4, 8, 40])
    assert by_rms == pytest.approx(by_largest * np.sqrt(300) / 4)


def replaced(weight, value):
    gru, linear = network().layers
    changed = {"weight_x": gru, "weight": linear}[weight]
    changed = replace(changed, **{weight: np.full_like(getattr(changed, weight), value)})
    return FloatNetwork((changed, linear) if weight == "weight_x" else (gru, changed))


@pytest.mark.parametrize(
    ("weight", "value", "naming"),
    [
        ("weight_x", 0.0, "layer 0: found every weight of its inputs at 0 when rounded"),
        ("weight_x", 1e-9, "layer 0: found every weight of its inputs at 0 when rounded"),
        ("weight", 0.0, "layer 1: found every weight of its inputs at 0 when rounded"),
        ("weight", 200.0, "layer 1: largest weight: found 200, expected within -128"),
        ("weight_x", 1e300, r"layer 0: largest weight: found 1e\+300, expected"),
    ],
)
def test_a_network_that_no_integers_follow_is_refused(weight, value, naming):
    with pytest.raises(ValueError, match=naming):
        convert("none", replaced(weight, value))


@pytest.mark.parametrize("weight", ["weight_x", "weight"])
def test_results_that_stay_the_same_are_refused(weight):
    """A network that does not answer to its inputs; where it only begins to, the loss tells."""
    with pytest.raises(ValueError, match="results: found the same in every frame of the calib"):
        Calibration(replaced("weight", 0.0), recording())
    silent = replaced(weight, 1e-9)
    with pytest.raises(ValueError, match=r"found every weight of its inputs at 0|results: found"):
        convert("silent", silent, Calibration(silent, recording()))


@pytest.mark.parametrize("unit", [1e-6, 1e4, 1e8])
def test_a_feature_in_other_units_changes_nothing(unit):
    """A thousand metres are a kilometre, and the network that takes either is the same."""
    frames, units = recording(), np.array([unit, 1.0, 1.0])
    gru, linear = network().layers
    other = FloatNetwork((replace(gru, weight_x=gru.weight_x / units), linear))
    found = convert("other", other, Calibration(other, frames * units))
    plain = convert("plain", network(), Calibration(network(), frames))
    assert found.input_scale * units == pytest.approx(plain.input_scale)
    assert found.dense is not None
    assert plain.dense is not None
    assert found.dense.loss == pytest.approx(plain.dense.loss, rel=0.2)


def test_a_network_that_nothing_follows_is_refused_by_what_it_loses():
    """With such weights every rounding, however small, grows from frame to frame."""
    rng = np.random.default_rng(3)
    weights = (rng.normal(0, size, (3 * UNITS, n)) for size, n in ((0.1, INPUTS), (20, UNITS)))
    wild = FloatNetwork((FloatGRU(*weights, np.zeros(3 * UNITS), np.zeros(3 * UNITS)),))
    frames = rng.normal(size=(200, INPUTS))
    with pytest.raises(ValueError, match=r"found an error of \d{3}% of their spread in every"):
        convert("wild", wild, Calibration(wild, frames))


def test_one_result_that_is_lost_is_shown():
    """A read-out has one weight_frac: what is a thousand times smaller is rounded to nothing."""
    gru, linear = network().layers
    uneven = FloatLinear(linear.weight * [[1.0], [1e-3]], linear.bias * [1.0, 1e-3])
    net = FloatNetwork((gru, uneven))
    found = convert("uneven", net, Calibration(net, recording())).dense
    assert found is not None
    assert found.loss < 0.1
    assert found.worst > 0.5


@pytest.mark.parametrize("budget", [float("nan"), float("inf"), -0.1])
def test_a_budget_is_a_number(budget):
    with pytest.raises(ValueError, match=f"budget: found {budget}, expected a number that is"):
        convert("walk", network(), Calibration(network(), recording()), budget=budget)


def test_a_recording_is_read_once_it_is_known_to_be_a_file_of_some_size(tmp_path):
    large, pipe = tmp_path / "large.npy", tmp_path / "pipe.npy"
    with large.open("wb") as file:
        file.truncate(12 << 30)
    os.mkfifo(pipe)
    for path, found in ((large, "12,884,901,888 bytes"), (pipe, "a FIFO")):
        with pytest.raises(ValueError, match=rf"{path.name}: found {found}, expected"):
            load_calibration(path, network())


@pytest.fixture
def folder(tmp_path):
    gru, linear = network().layers
    state = {
        "gru.weight_ih_l0": gru.weight_x,
        "gru.weight_hh_l0": gru.weight_h,
        "gru.bias_ih_l0": gru.bias_x,
        "gru.bias_hh_l0": gru.bias_h,
        "head.weight": linear.weight,
        "head.bias": linear.bias,
    }
    save_file(state, tmp_path / "state.safetensors")
    np.save(tmp_path / "walk.npy", recording())
    np.save(tmp_path / "zeros.npy", np.zeros((99, INPUTS)))
    with (tmp_path / "large.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**12, INPUTS)}
        np.lib.format.write_array_header_1_0(file, header)
    np.save(tmp_path / "integers.npy", np.zeros((9, INPUTS), dtype=np.int8))
    return tmp_path


WORDS = ["import", "state.safetensors", "-o", "model.safetensors"]


def test_the_command_from_a_state_dict_to_equal_rtl(folder):
    more = ["--calibration", "walk.npy", "--budget", "0.05", "--json"]
    done = deltarnn(folder, *WORDS, *more)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert 0 < report["delta"]["macs"] < report["dense"]["macs"] <= 1
    assert report["delta"]["loss"] <= report["dense"]["loss"] + 0.05
    model = load_model(folder / "model.safetensors")
    assert model.name == "model"
    lsbs = quantize(recording()[:40] * report["input_scale"], model.parameters.formats.activation)
    np.save(folder / "frames.npy", lsbs.astype(np.int16))
    done = deltarnn(folder, "simulate", "model.safetensors", "frames.npy", "--simulator", "icarus")
    assert done.returncode == 0, done.stderr


def test_a_model_that_follows_badly_is_written_by_force_alone(folder):
    """Weights so large that the network is chaotic: no rounding is small enough."""
    rng = np.random.default_rng(5)
    state = {
        "gru.weight_ih_l0": rng.normal(0, 9, (3 * UNITS, INPUTS)),
        "gru.weight_hh_l0": rng.normal(0, 9, (3 * UNITS, UNITS)),
        "gru.bias_ih_l0": rng.normal(0, 1, 3 * UNITS),
        "gru.bias_hh_l0": rng.normal(0, 1, 3 * UNITS),
    }
    save_file(state, folder / "state.safetensors")
    words = [*WORDS, "--calibration", "walk.npy"]
    assert_refused(folder, words, ["results of state.safetensors", "at most 30%", "--force"])
    assert not (folder / "model.safetensors").exists()
    assert deltarnn(folder, *words, "--force").returncode == 0
    assert load_model(folder / "model.safetensors").parameters.inputs == INPUTS


def test_the_command_shows_what_it_made(folder):
    done = deltarnn(folder, *WORDS, "--theta-x", "3", "--theta-h", "2", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "gru 3 -> 12" in done.stdout
    assert "theta_x 3, theta_h 2" in done.stdout
    assert "input scale" in done.stdout


def imported(folder, gain, *more):
    """What `import` says of the network whose first layer's weights are multiplied by ``gain``."""
    state = load_file(folder / "state.safetensors")
    state["gru.weight_ih_l0"] *= gain
    save_file(state, folder / "changed.safetensors")
    words = ["import", folder / "changed.safetensors", "-o", folder / "m.safetensors", *more]
    return CliRunner(env={"COLUMNS": "400"}).invoke(cli, [str(word) for word in words])


@pytest.mark.parametrize("gain", [1e4, 1e-4, 1.0])
def test_without_calibration_it_says_what_would_help(folder, gain):
    """Where no default format holds the weights; and where the error is not known."""
    done = imported(folder, gain)
    said = done.stdout if gain == 1 else str(done.exception)
    assert ("layer 0: " in said) == (gain != 1)
    assert "--calibration RECORDING" in said
    assert "\n" not in str(done.exception)
    np.save(folder / "scaled.npy", recording() / gain)
    done = imported(folder, gain, "--calibration", folder / "scaled.npy")
    assert done.exit_code == 0
    assert "--calibration" not in done.stdout


@pytest.mark.parametrize(
    ("words", "naming"),
    [
        (["--calibration", "integers.npy"], ["integers.npy", "int8", "features as floats"]),
        (["--calibration", "none.npy"], ["none.npy", "No such file"]),
        (["--calibration", "state.safetensors"], ["state.safetensors", "suffix '.safetensors'"]),
        (["--calibration", "zeros.npy"], ["zeros.npy: calibration: found 0 in every place"]),
        (["--calibration", "large.npy"], ["large.npy", "no .npy file of numbers"]),
        (["--budget", "0.1"], ["budget", "no calibration frames"]),
        (["--budget", "-1"], ["--budget"]),
        (["--theta-x", "-1"], ["theta_x", "-1"]),
    ],
)
def test_the_command_refuses(folder, words, naming):
    assert_refused(folder, [*WORDS, *words], naming)
