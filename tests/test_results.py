"""The results: what is missing is trained, what is there is not, and tables say what files say."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("aeon")
pytest.importorskip("matplotlib")

from deltarnn.results import studies as module
from deltarnn.results.publish import publish
from deltarnn.results.studies import (
    IncrementalStudy,
    ScratchStudy,
    Study,
    chosen,
    complete,
    studies,
)
from deltarnn.results.tables import TABLES
from sim.simulators import find_simulator
from train.course.fit import FitParameters
from train.course.goals import OneClass
from train.course.increments import Increments
from train.course.methods import LADDER, SCRATCH
from train.course.recipe import Task
from train.tasks import TASKS, japanese_vowels


def test_every_task_has_its_study():
    found = studies()
    assert set(TASKS) < set(found)
    assert found["digits"].methods == tuple(LADDER)
    assert found["command_words_scratch"].methods == ("dense", "scratch")
    assert found["digits_unseen_theo"].task().load.args == ("theo",)  # type: ignore[attr-defined]
    assert list(chosen(["kitti"])) == ["kitti"]
    with pytest.raises(ValueError, match="study: found 'x', expected japanese_vowels or"):
        chosen(["x"])


@pytest.fixture(scope="module")
def small() -> dict[str, Study]:
    """Studies of four units, one epoch and a third of the recordings: a ladder, one speaker left
    out of it, and training from scratch.
    """
    whole = japanese_vowels.load()
    parts = {name: getattr(whole, name) for name in ("train", "validation", "test")}
    parts = {name: part.pick(range(0, len(part), 3)) for name, part in parts.items()}
    data = replace(whole, **parts)
    recipe = japanese_vowels.RECIPE
    short = replace(recipe.fit, epochs=1)
    recipe = replace(
        recipe, units=4, fit=short, tune=short, formats=recipe.formats[:1], shifted_copies=0
    )
    task = Task(lambda: data, OneClass(), recipe)
    return {
        "digits": Study("digits", lambda: task, ("plain", "sparse"), (0, 1)),
        "digits_unseen_theo": Study("digits_unseen_theo", lambda: task, ("sparse",), (0,)),
        "vowels_scratch": ScratchStudy("vowels_scratch", lambda: task, tuple(SCRATCH), (0, 1)),
        "vowels_increments": IncrementalStudy(
            "vowels_increments", lambda: task, tuple(SCRATCH), (0,)
        ),
    }


def three_steps(monkeypatch) -> None:
    singly = FitParameters(epochs=1, batch=1, learning_rate=1e-3)
    increments = Increments(known=(6, 8, 9), replay=2, fit=singly)
    monkeypatch.setattr(module, "INCREMENTS", increments)


@pytest.fixture(scope="module")
def runs(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        three_steps(patch)
        complete(small, folder, False)
    return folder


def test_what_is_there_is_not_trained_again(small, runs, monkeypatch):
    names = {path.name for path in runs.glob("*.safetensors")}
    assert names == {
        *(
            f"digits.{method}.{seed}.safetensors"
            for method in ("plain", "sparse")
            for seed in (0, 1)
        ),
        "digits_unseen_theo.sparse.0.safetensors",
        *(f"vowels_scratch.{method}.{seed}.safetensors" for method in SCRATCH for seed in (0, 1)),
        *(f"vowels_increments.{method}.0.safetensors" for method in SCRATCH),
    }
    assert not list(runs.glob("*.checkpoint"))
    for name in ("pretrain", "train_from_scratch", "train_in_increments"):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("trained again"))
    complete(small, runs, False)


@pytest.mark.slow
def test_a_document_gets_its_tables(small, runs, tmp_path):
    marks = "\n".join(
        f"# {name}\n<!-- {name} -->\nto be replaced\n<!-- end -->\n" for name in TABLES
    )
    (tmp_path / "results.md").write_text(marks)
    _, files = publish(small, runs, tmp_path, find_simulator("verilator"), lambda _: None)
    assert all(path.is_file() for path in files)
    text = (tmp_path / "results.md").read_text()
    assert "to be replaced" not in text
    found = json.loads((tmp_path / "results/results.json").read_text())
    entry = found["studies"]["digits"]
    cycles = entry["cycles"]
    assert cycles["cycles_per_frame"] >= cycles["ideal_cycles_per_frame"]
    assert cycles["words_compared"] > 10_000
    reduction = entry["methods"]["plain"]["mac_reduction"]
    assert reduction["least"] <= reduction["mean"] <= reduction["greatest"]
    assert f"| {reduction['mean']:.1f} (" in text
    assert "| theo |" in text
    dense, delta = (found["studies"]["vowels_scratch"]["scratch"][m] for m in SCRATCH)
    assert dense["share"]["mean"] == 1
    assert 0 < delta["share"]["mean"] < 1
    assert f"| scratch | {100 * delta['error']['mean']:.2f} % (" in text
    steps = found["studies"]["vowels_increments"]["increments"]["scratch"]["steps"]
    assert [step["known"] for step in steps] == [6, 8, 9]
    assert f"| 9 | {steps[-1]['sequences']} | " in text
    again = text
    few = {"vowels_scratch": small["vowels_scratch"]}
    publish(few, runs, tmp_path, find_simulator("verilator"), lambda _: None)
    assert (tmp_path / "results.md").read_text() == again
