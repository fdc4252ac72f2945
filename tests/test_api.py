"""`import deltarnn`: from a module to answers, files and RTL."""

import json
from pathlib import Path

import numpy as np
import pytest

import deltarnn

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(8)
RECORDINGS = [np.cumsum(RNG.normal(size=(n, 3)), axis=0) * 0.3 for n in (40, 60)]


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(3)
    return torch.nn.ModuleDict({"rnn": torch.nn.LSTM(3, 8), "head": torch.nn.Linear(8, 2)})


def float_results(module, x):
    with torch.no_grad():
        return module["head"](module["rnn"](torch.tensor(x, dtype=torch.float32))[0]).numpy()


@pytest.fixture(scope="module")
def network(module):
    return deltarnn.convert(module, RECORDINGS, readout="frame", labels=["a", "b"])


def test_a_module_is_followed_in_its_own_units(module, network):
    found = network.predict(RECORDINGS)
    assert [each.shape for each in found] == [(40, 2), (60, 2)]
    wanted = [float_results(module, x) for x in RECORDINGS]
    spread = np.concatenate(wanted).std()
    for a, b in zip(found, wanted, strict=True):
        assert np.sqrt(np.mean((a - b) ** 2)) < 0.1 * spread
    assert network.dense is not None
    assert network.dense.loss < 0.1


def test_shapes_go_in_and_out(network):
    batch = np.stack([x[:30] for x in RECORDINGS])
    assert network.predict(batch).shape == (2, 30, 2)
    assert np.array_equal(network.predict(batch)[1], network.predict(batch[1]))
    frames = network.frames(batch[0]).astype(np.int16)
    assert np.array_equal(network.predict(frames), network.predict(batch[0]))


def test_answers_have_their_names_and_are_judged(module, network):
    wanted = [float_results(module, x).argmax(axis=1) for x in RECORDINGS]
    said = network.answers(RECORDINGS)
    assert set(said[0]) <= {"a", "b"}
    found = network.evaluate(RECORDINGS, wanted)
    assert found.error < 0.1
    assert found.confusion.sum() == 100
    names = [["ab"[k] for k in each] for each in wanted]
    assert network.evaluate(RECORDINGS, names).error == found.error


def test_a_file_gives_the_same_network(network, tmp_path):
    network.save(tmp_path / "m.safetensors")
    again = deltarnn.load(str(tmp_path / "m.safetensors"))
    assert np.array_equal(again.predict(RECORDINGS[0]), network.predict(RECORDINGS[0]))
    paths = again.generate(str(tmp_path / "out"), lanes=2)
    assert {path.name for path in paths} >= {"deltarnn_core.v", "deltarnn_core.json"}
    paths = again.generate(tmp_path / "four", lanes=2, streams=4)
    (manifest,) = (path for path in paths if path.suffix == ".json")
    assert json.loads(manifest.read_text())["streams"] == 4


def test_a_core_that_learns(tmp_path):
    model = Path(__file__).parents[1] / "models/japanese_vowels_eight.safetensors"
    paths = deltarnn.load(model).generate(tmp_path, frames=20)
    (manifest,) = (path for path in paths if path.suffix == ".json")
    assert json.loads(manifest.read_text())["training"]["frames"] == 20


@pytest.mark.slow
def test_the_rtl_does_the_same(network):
    pytest.importorskip("cocotb")
    recordings = [x[:12] for x in RECORDINGS]
    assert network.simulate(recordings, lanes=2).mismatch is None
    assert network.simulate(recordings, lanes=2, streams=2).report()["streams"] == 2


def test_refusals(module):
    with pytest.raises(ValueError, match="found list, expected a torch module"):
        deltarnn.convert([module])
    with pytest.raises(ValueError, match="Conv1d, weight: found"):
        deltarnn.convert(torch.nn.Conv1d(2, 2, 3))
    with pytest.raises(ValueError, match="readout: found none"):
        deltarnn.convert(module).answers(RECORDINGS)
    with pytest.raises(ValueError, match="labels: found 3, expected 2"):
        deltarnn.convert(module, labels=["a", "b", "c"])
    with pytest.raises(ValueError, match="labels: found 'ab', expected a list of names"):
        deltarnn.convert(module, labels="ab")
    assert deltarnn.convert(module, labels=[1, 2]).model.labels == ("1", "2")
    with pytest.raises(ValueError, match=r"wanted: found \[\], expected \[2\], one a recording"):
        deltarnn.convert(module, readout="last").evaluate(RECORDINGS, np.asarray(1))
    with pytest.raises(ValueError, match="recordings: found none"):
        deltarnn.convert(module).predict([])
