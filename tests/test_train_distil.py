"""Networks of others tuned to deltas: what is split, measured, kept and refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")

from deltarnn.command import cli  # noqa: E402
from golden.fixed import Q, quantize  # noqa: E402
from golden.formats import Formats  # noqa: E402
from golden.model import Model  # noqa: E402
from golden.model_file import load_model, save_model  # noqa: E402
from golden.network import DeltaNetwork  # noqa: E402
from golden.predict.inference import delta_cost, dense_cost  # noqa: E402
from train.course.distil import (  # noqa: E402
    LEAST_FRAMES,
    Course,
    Distilled,
    Following,
    Parts,
    distil,
)
from train.data.recordings import Sequences  # noqa: E402
from train.importers import read_network  # noqa: E402
from train.quantised.float_network import (  # noqa: E402
    FloatGRU,
    FloatLinear,
    FloatLSTM,
    FloatNetwork,
)
from train.quantised.quantize import quantize_network  # noqa: E402

SHORT = Course(rounds=1, steps=12, batch=1, learning_rate=4e-2)
I, H = 4, 8  # noqa: E741
SCALE = [2.0, 1.0, 2.0, 1.5]


def network(kind, seed: int = 3, readout: bool = False) -> FloatNetwork:
    rng = np.random.default_rng(seed)
    rows = {FloatGRU: 3, FloatLSTM: 4}[kind] * H
    shapes = ((rows, I), (rows, H), (rows,), (rows,))
    layer = kind(*(rng.normal(size=shape) * 0.5 for shape in shapes))
    head = FloatLinear(rng.normal(size=(2, H)), np.zeros(2))
    return FloatNetwork((layer, head) if readout else (layer,))


def recording(seed: int, frames: int = 90) -> np.ndarray:
    """float64 [T, I]: slow waves, and a little that moves in every frame."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None]
    waves = np.sin(t * rng.uniform(0.05, 0.3, I) + rng.uniform(0, 6, I))
    return waves + 0.02 * rng.normal(size=(frames, I))


def poor(float_network: FloatNetwork, size: float = 0.75) -> Model:
    """A model with thresholds 0 whose weights are a quarter too small: much is left to learn."""
    layer, *rest = float_network.layers
    assert not isinstance(layer, FloatLinear)
    small = replace(layer, weight_x=layer.weight_x * size, weight_h=layer.weight_h * size)
    formats = Formats(activation=Q(3, 7), state=Q(1, 14), gate=Q(1, 10), preactivation=Q(3, 6))
    scaled = FloatNetwork((small, *rest)).scaled(SCALE)
    extra = {"input_scale": SCALE, "source": "walks"}
    return quantize_network("m", formats, scaled, extra=extra, shift_max=3)


def tuned(kind, seed: int = 5, *, readout: bool = False, limit: float | None = 0.15) -> Distilled:
    float_network = network(kind, readout=readout)
    parts = Parts.of({str(n): recording(n) for n in range(3)})
    return distil(poor(float_network), float_network, parts, limit=limit, seed=seed, course=SHORT)


@pytest.fixture(scope="module")
def gru() -> Distilled:
    return tuned(FloatGRU)


def test_one_recording_is_cut_and_of_several_the_last_are_held_out():
    x = np.arange(300.0).reshape(100, 3)
    only = Parts.of({"x": x})
    for found, (first, end) in (
        (only.taught, (0, 54)),
        (only.chosen, (54, 80)),
        (only.judged, (80, 100)),
    ):
        np.testing.assert_array_equal(found[0], x[first:end])
    several = Parts.of({str(n): x + n for n in range(6)})
    assert [float(part[0, 0]) for part in several.judged] == [4, 5]
    assert [len(part) for part in several.taught] == [67] * 4
    assert [len(part) for part in several.chosen] == [33] * 4
    with pytest.raises(ValueError, match=f"y: found 59 frames, expected at least {LEAST_FRAMES}"):
        Parts.of({"x": x, "y": x[:59]})


def test_what_is_reported_is_what_the_model_does_on_frames_that_it_has_not_seen(gru):
    float_network, unseen = network(FloatGRU), recording(2)
    model = gru.model
    wanted = float_network.run(unseen)
    codes = quantize(unseen * model.extra["input_scale"], model.parameters.formats.activation)
    trace = DeltaNetwork(model).run(codes)
    error = trace.outputs / 2.0**model.parameters.output_frac - wanted
    spread = np.sqrt(np.mean((wanted - wanted.mean(axis=0)) ** 2))
    found = gru.scores["tuned"]
    assert found.error == pytest.approx(np.sqrt(np.mean(error**2)) / spread)
    costs = delta_cost(model.parameters, trace), dense_cost(model.parameters, len(unseen))
    assert found.macs == pytest.approx(costs[0].macs.sum() / costs[1].macs.sum())


def test_weights_are_learned_and_all_else_stays(gru):
    before, after = poor(network(FloatGRU)), gru.model
    assert after.parameters.formats == before.parameters.formats
    assert after.extra == before.extra
    scores = gru.scores
    # At thresholds 0 it is beyond the limit already, and no threshold helps.
    assert scores["thresholds alone"] == scores["thresholds 0"]
    assert scores["tuned"].macs < 0.5 * scores["thresholds 0"].macs
    assert gru.curves["tuned"][0].measured.error < 0.7 * scores["thresholds 0"].error


def test_curves_go_beyond_the_limit(gru):
    for curve in gru.curves.values():
        assert set(curve[0].thresholds) == {0}
        assert curve[-1].measured.macs < 0.35
        assert curve[-1].measured.error > gru.limit
    found = gru.at(3)
    assert found["tuned"] < found["thresholds alone"] < 1
    assert gru.at(1e6) == dict.fromkeys(gru.curves)


def test_the_same_seed_gives_the_same_model_and_another_one_another(gru):
    def weights(found):
        return np.concatenate([w.weight_x.ravel() for w in found.model.weights])

    np.testing.assert_array_equal(weights(gru), weights(tuned(FloatGRU)))
    assert (weights(gru) != weights(tuned(FloatGRU, seed=6))).any()


@pytest.mark.slow
def test_an_lstm_with_a_read_out_is_tuned():
    found = tuned(FloatLSTM, readout=True)
    assert found.curves["tuned"][0].measured.error < 0.9 * found.scores["thresholds 0"].error
    assert len(found.model.weights) == 2


def test_another_network_s_model_is_refused():
    parts = Parts.of({str(n): recording(n) for n in range(2)})
    with pytest.raises(
        ValueError, match=r"results of the model: found an error of \d+% of their spread"
    ):
        distil(poor(network(FloatGRU)), network(FloatGRU, seed=8), parts, course=SHORT)


def test_results_that_stay_the_same_are_refused():
    still = Sequences((np.zeros((20, I)),), (np.full((20, H), 0.3),))
    with pytest.raises(ValueError, match="results: found the same in every frame of a part"):
        Following.of(still)


@pytest.fixture
def files(tmp_path):
    """A network's file, a model of it and a recording."""
    torch.manual_seed(1)
    gru = torch.nn.GRU(I, H)
    paths = [tmp_path / name for name in ("gru.pt", "m.safetensors", "frames.npy")]
    torch.save(gru.state_dict(), paths[0])
    save_model(poor(read_network(paths[0]), 1.0), paths[1])
    np.save(paths[2], recording(0))
    return paths


def run(*arguments, **options):
    return CliRunner().invoke(cli, ["tune", *map(str, arguments)], **options)


def test_the_command_writes_a_model_with_its_report(files, tmp_path, monkeypatch):
    monkeypatch.setattr("train.course.distil.Course", lambda: SHORT)
    network, model, frames = files
    output = tmp_path / "tuned.safetensors"
    given = (model, "--network", network, "--data", frames, "-o", output)
    found = run(*given, "--json", standalone_mode=False, catch_exceptions=False)
    record = json.loads(found.stdout)
    written = load_model(output)
    assert record["model"] == str(output)
    assert record["scores"] == written.extra["tuning"]["scores"]
    assert [layer["theta_x"] for layer in record["layers"]] == [
        written.parameters.layers[0].theta_x
    ]
    shown = run(*given, "--error", 0.3, standalone_mode=False, catch_exceptions=False).stdout
    assert "30.00% of the results' spread" in shown
    assert "5 times fewer fetches, tuned" in shown


def test_what_is_subtracted_from_features_changes_nothing(files, tmp_path, monkeypatch):
    monkeypatch.setattr("train.course.distil.Course", lambda: replace(SHORT, steps=2))
    file, path, frames = files
    model, offset = load_model(path), np.array([4.0, -2.0, 0.0, 64.0])
    moved = FloatNetwork(read_network(file).layers, offset)
    x = np.round(np.load(frames) * 1024) / 1024
    scores = []
    for network_read, shift, extra in (
        (read_network(file), 0.0, {}),
        (moved, offset, {"input_offset": offset.tolist()}),
    ):
        monkeypatch.setattr("train.importers.read_network", lambda *_, n=network_read: n)
        save_model(replace(model, extra={**model.extra, **extra}), tmp_path / "m.safetensors")
        np.save(tmp_path / "x.npy", x + shift)
        given = ("--network", file, "--data", tmp_path / "x.npy", "-o", tmp_path / "t.safetensors")
        found = run(tmp_path / "m.safetensors", *given, "--json", standalone_mode=False)
        scores.append(json.loads(found.stdout)["scores"])
    assert scores[0] == scores[1]


def small(files, tmp_path):
    np.save(tmp_path / "short.npy", recording(0, 40))
    return {
        "--data": tmp_path / "short.npy"
    }, r"short\.npy.*: found 40 frames, expected at least 60"


def narrow(files, tmp_path):
    np.save(tmp_path / "narrow.npy", recording(0)[:, :3])
    return {"--data": tmp_path / "narrow.npy"}, r"shape \[90, 3\], expected \[T, 4\]"


def of_other_sizes(files, tmp_path):
    torch.save(torch.nn.GRU(I, H + 1).state_dict(), tmp_path / "other.pt")
    expected = "found gru 4 -> 9, expected gru 4 -> 8, as the model has"
    return {"--network": tmp_path / "other.pt"}, f"layers of .*other.pt.*: {expected}"


def onto_its_model(files, tmp_path):
    return {"-o": files[1]}, "the same file for -o and MODEL"


def without_error(files, tmp_path):
    return {"--error": "nan"}, "error: found nan, expected a number above 0"


@pytest.mark.parametrize("bad", [small, narrow, of_other_sizes, onto_its_model, without_error])
def test_bad_input_is_refused_and_nothing_is_lost(files, tmp_path, bad):
    changed, message = bad(files, tmp_path)
    before = files[1].read_bytes()
    options = {
        "--network": files[0],
        "--data": files[2],
        "-o": tmp_path / "tuned.safetensors",
        **changed,
    }
    with pytest.raises(ValueError, match=message):
        run(
            files[1],
            *(each for option in options.items() for each in option),
            standalone_mode=False,
            catch_exceptions=False,
        )
    assert files[1].read_bytes() == before
    assert not (tmp_path / "tuned.safetensors").exists()
