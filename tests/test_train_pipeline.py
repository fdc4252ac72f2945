"""A task from end to end, in a few steps, by every method."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("aeon")

from golden.model_file import load_model  # noqa: E402
from train.course.goals import OneClass  # noqa: E402
from train.course.methods import LADDER  # noqa: E402
from train.course.pipeline import train_task  # noqa: E402
from train.course.recipe import Task  # noqa: E402
from train.course.score import score  # noqa: E402
from train.data.recordings import load_recordings  # noqa: E402
from train.tasks import TASKS, find_task, japanese_vowels  # noqa: E402


@pytest.fixture(scope="module")
def vowels():
    return japanese_vowels.load()


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


@pytest.fixture(scope="module")
def tiny(vowels) -> Task:
    """The task's own recipe with four units and two epochs."""
    recipe = japanese_vowels.RECIPE
    short = replace(recipe.fit, epochs=2)
    recipe = replace(
        recipe, units=4, fit=short, tune=short, formats=recipe.formats[:2], shifted_copies=0
    )
    return Task(lambda: vowels, OneClass(), recipe)


@pytest.mark.parametrize(
    ("method", "cell"), [*((m, "gru") for m in LADDER), ("plain", "lstm"), ("sparse", "lstm")]
)
def test_a_task_writes_a_model_and_recordings_that_agree_with_its_report(
    tmp_path, vowels, tiny, method, cell
):
    path = tmp_path / "m.safetensors"
    task = replace(tiny, recipe=replace(tiny.recipe, cell=cell))
    report = train_task(task, method, path, 5, False)
    assert json.loads(json.dumps(report)) == report
    model = load_model(path)
    assert [layer.kind for layer in model.parameters.layers] == [cell, "linear"]
    held_out = load_recordings(tmp_path / "m.frames.npz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.frames.npz", "m.safetensors"]
    assert model.labels is not None
    assert model.labels[0] == "speaker 1"
    assert model.extra["scores"] == report["scores"]
    assert model.extra["licence"] == "CC BY 4.0"
    assert model.extra["training"]["method"] == method
    assert score(model, held_out, OneClass()).error == report["held_out"]["delta"]
    activation = model.parameters.formats.activation
    test = vowels.test.quantized(model.extra["input_scale"], activation)
    assert all(np.array_equal(a, b) for a, b in zip(held_out.frames, test.frames[::5], strict=True))
    judged = score(model, test, OneClass())
    assert report["scores"]["delta"] == judged.error
    assert report["scores"]["mac_reduction"] == 1 / judged.macs
    last = model.extra["sweep"][-1]
    assert last["error"] == judged.error
    assert last["macs"] == pytest.approx(judged.macs)


def test_the_same_seed_gives_the_same_files(tmp_path, tiny):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        train_task(tiny, "sparse", tmp_path / folder / "m.safetensors", 5, False)
    for name in ("m.safetensors", "m.frames.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_an_interrupt_keeps_what_was_done(tmp_path, tiny, monkeypatch):
    path = tmp_path / "m.safetensors"

    def interrupted(*_):
        raise KeyboardInterrupt

    whole = train_task(tiny, "delta", tmp_path / "whole.safetensors", 5, False)
    with monkeypatch.context() as patch:
        patch.setattr("train.course.pipeline.Twin", interrupted)  # after the float network
        with pytest.raises(KeyboardInterrupt):
            train_task(tiny, "delta", path, 5, False)
    assert [p.name for p in tmp_path.glob("m.*")] == ["m.float.checkpoint"]
    again = train_task(tiny, "delta", path, 5, False)
    assert again["scores"] == whole["scores"]
    assert not list(tmp_path.glob("*.checkpoint"))


def test_what_cannot_be_done_is_refused_before_the_work(tmp_path, tiny):
    with pytest.raises(ValueError, match="nowhere: found no folder, expected a folder to write"):
        train_task(tiny, "delta", tmp_path / "nowhere" / "m.safetensors", 0, False)
    with pytest.raises(ValueError, match="method: found 'magic', expected plain or rounded or"):
        train_task(tiny, "magic", tmp_path / "m.safetensors", 0, False)


def test_every_recipe_is_one_that_can_be_run():
    for name in TASKS:
        recipe = find_task(name).recipe
        assert recipe.formats
        assert recipe.fit.crop == recipe.tune.crop


def test_a_seed_decides_and_leaves_no_trace():
    from train.course.fit import reproducible

    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with reproducible(1):
        a = torch.rand(3)
    with reproducible(1):
        b = torch.rand(3)
    assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
