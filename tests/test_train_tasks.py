"""A task from end to end, in a few steps; and the loader of its recordings."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from golden.model import load_model
from train import tasks
from train.data import load_recordings
from train.score import score

NEEDS = ("torch", "aeon")


@pytest.fixture(scope="module")
def vowels():
    pytest.importorskip("aeon")
    from train.japanese_vowels import load

    return load()


def test_the_recordings_are_those_of_the_set(vowels):
    assert [len(p) for p in (vowels.train, vowels.validation, vowels.test)] == [216, 54, 370]
    assert np.bincount(vowels.train.labels).tolist() == [24] * 9
    assert np.bincount(vowels.validation.labels).tolist() == [6] * 9
    assert np.bincount(vowels.test.labels).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    for part in (vowels.train, vowels.validation, vowels.test):
        assert all(x.shape[1] == 12 and 7 <= len(x) <= 29 for x in part.frames)
    # The first numbers of the set's first test recording.
    np.testing.assert_array_equal(vowels.test.frames[0][:2, 0], [1.635533, 1.547694])
    assert vowels.test.frames[0][0, 1] == 0.024848


@pytest.fixture
def tiny(monkeypatch):
    """The task's own recipe with four units and two epochs."""
    for package in NEEDS:
        pytest.importorskip(package)
    from train import classifier

    fit = replace(classifier.SPEAKERS.fit, epochs=2)
    formats = classifier.SPEAKERS.formats[:2]
    recipe = replace(classifier.SPEAKERS, units=4, fit=fit, formats=formats, shifted_copies=0)
    monkeypatch.setattr(classifier, "SPEAKERS", recipe)


@pytest.mark.usefixtures("tiny")
def test_a_task_writes_a_model_and_recordings_that_agree_with_its_report(tmp_path, vowels):
    path = tmp_path / "m.safetensors"
    report = tasks.TASKS["japanese_vowels"](path, 5, False)
    assert json.loads(json.dumps(report)) == report
    model = load_model(path)
    held_out = load_recordings(tmp_path / "m.frames.npz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.frames.npz", "m.safetensors"]
    assert model.labels is not None
    assert model.labels[0] == "speaker 1"
    assert model.extra["scores"] == report["scores"]
    assert model.extra["licence"] == "CC BY 4.0"
    assert score(model, held_out).accuracy == report["held_out"]["delta"]
    frames = vowels.test.quantized(
        model.extra["input_scale"], model.parameters.formats.activation
    ).frames
    assert all(np.array_equal(a, b) for a, b in zip(held_out.frames, frames[::5], strict=True))

    again = tmp_path / "again"
    again.mkdir()
    tasks.TASKS["japanese_vowels"](again / "m.safetensors", 5, False)
    for name in ("m.safetensors", "m.frames.npz"):
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.usefixtures("tiny")
def test_a_missing_folder_is_refused_before_the_work(tmp_path):
    with pytest.raises(ValueError, match="nowhere: found no folder, expected a folder to write"):
        tasks.TASKS["japanese_vowels"](tmp_path / "nowhere" / "m.safetensors", 0, False)


@pytest.mark.parametrize(
    ("package", "modules"),
    [
        ("torch", ["train.classifier", "train.fit", "train.gru", "train.quantize"]),
        ("aeon", ["aeon.datasets"]),
    ],
)
def test_a_missing_package_is_one_line(monkeypatch, tmp_path, package, modules):
    for needed in NEEDS:
        pytest.importorskip(needed)
    for name in modules:  # as if they had never been imported
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"training: found no package '{package}"):
        tasks.TASKS["japanese_vowels"](tmp_path / "m.safetensors", 0, False)


def test_a_seed_decides_and_leaves_no_trace():
    torch = pytest.importorskip("torch")
    from train.fit import reproducible

    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with reproducible(1):
        a = torch.rand(3)
    with reproducible(1):
        b = torch.rand(3)
    assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
