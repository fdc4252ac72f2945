"""One's own recordings: what train takes, what it refuses, and training on it."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("aeon")

from click.testing import CliRunner  # noqa: E402

from deltarnn.commands.train import train as train_command  # noqa: E402
from deltarnn.evaluation.evaluate import evaluate  # noqa: E402
from golden.model_file import load_model  # noqa: E402
from golden.recordings import Recordings, load  # noqa: E402
from tests.networks import random_model  # noqa: E402
from train.course.goals import FrameClasses, OneClass, Value  # noqa: E402
from train.course.pipeline import train_task  # noqa: E402
from train.course.score import score  # noqa: E402
from train.data.recordings import load_recordings  # noqa: E402
from train.tasks import find_task, resized  # noqa: E402
from train.tasks.own import own_task  # noqa: E402

N, T, I = 20, 6, 3  # noqa: E741
LENGTHS = 1 + np.arange(N) % T
CLASSES = np.arange(N) % 2


def features(*shape):
    return np.random.default_rng(1).normal(size=shape)


def good(**more):
    return {"features": features(N, T, I), "lengths": LENGTHS, "labels": CLASSES, **more}


def saved(folder, arrays):
    path = folder / "my.npz"
    np.savez(path, **{name: each for name, each in arrays.items() if each is not None})
    return path


def parts(data):
    return data.train, data.validation, data.test


def test_padded_and_joined_recordings_are_the_same(tmp_path):
    padded = features(N, T, I)
    for n, length in enumerate(LENGTHS):
        padded[n, length:] = np.nan  # of what is no frame nothing is asked
    joined = np.concatenate([x[:length] for x, length in zip(padded, LENGTHS, strict=True)])
    found = [
        own_task(saved(tmp_path, good(features=each))).load()
        for each in (padded, joined, joined.astype(np.float64))
    ]
    for data in found:
        assert (data.name, data.labels, data.outputs) == ("my", ("0", "1"), 2)
        for a, b in zip(parts(data), parts(found[0]), strict=True):
            assert a.labels.tolist() == b.labels.tolist()
            for x, y in zip(a.frames, b.frames, strict=True):
                assert x.dtype == np.float64
                np.testing.assert_array_equal(x, y)


def test_a_drawn_split_has_each_class_in_every_part(tmp_path):
    labels = np.repeat([0, 1, 2], [3, 7, 30])
    data = own_task(saved(tmp_path, {"features": features(40, T, I), "labels": labels})).load()
    counts = [np.bincount(part.labels).tolist() for part in parts(data)]
    assert counts == [[1, 5, 22], [1, 1, 4], [1, 1, 4]]
    everyone = {x.tobytes() for part in parts(data) for x in part.frames}
    assert len(everyone) == 40


def test_a_split_and_names_are_taken_as_they_are(tmp_path):
    split = np.arange(N) % 5 % 3
    names = np.array(["no", "yes"])
    task = own_task(saved(tmp_path, good(split=split, label_names=names)))
    data = task.load()
    assert isinstance(task.goal, OneClass)
    assert data.labels == ("no", "yes")
    for k, part in enumerate(parts(data)):
        assert part.labels.tolist() == CLASSES[split == k].tolist()
        assert [len(x) for x in part.frames] == LENGTHS[split == k].tolist()


def test_labels_may_be_of_frames_and_targets_numbers(tmp_path):
    labels = np.arange(N * T).reshape(N, T) % 3
    task = own_task(saved(tmp_path, good(labels=labels)))
    data = task.load()
    assert isinstance(task.goal, FrameClasses)
    assert data.labels == ("0", "1", "2")
    assert [len(y) for y in data.train.labels] == [len(x) for x in data.train.frames]
    targets = 5 * features(LENGTHS.sum(), 2)
    arrays = {"features": features(LENGTHS.sum(), I), "lengths": LENGTHS, "targets": targets}
    task = own_task(saved(tmp_path, arrays))
    data = task.load()
    assert isinstance(task.goal, Value)
    every = np.concatenate(data.train.labels)
    assert task.goal.output_scale == pytest.approx(every.std(axis=0).max(), rel=1e-5)
    assert (data.labels, data.outputs, every.shape[1]) == (None, 2, 2)


def broken(array, where, value):
    array = np.array(array)
    array[where] = value
    return array


def strings(count):
    """Strings of two classes, a few a recording."""
    return {"labels": np.arange(2 * count) % 2, "label_lengths": np.full(count, 2)}


# What train takes is what eval takes: the same arrays, with the readout that they ask for.
BOTH = {
    "a class": ("sum", good()),
    "one behind the other": ("sum", good(features=features(LENGTHS.sum(), I))),
    "names": ("sum", good(labels=np.array(["yes", "no"])[CLASSES])),
    "digits": ("sum", good(labels=CLASSES.astype(str))),
    "label_names": ("sum", good(label_names=np.array(["no", "yes"]))),
    "a split": ("sum", good(split=np.arange(N) % 5 % 3)),
    "whole numbers": ("sum", good(features=np.rint(9 * features(N, T, I)).astype(np.int16))),
    "in frames": ("frame", good(labels=np.arange(N * T).reshape(N, T) % 2)),
    "in frames, joined": ("frame", good(labels=np.arange(LENGTHS.sum()) % 2)),
    "names in frames": (
        "frame",
        good(labels=np.full((N, T), "ab", "U1") + np.arange(T).astype(str)),
    ),
    "strings": ("ctc", good(lengths=None, **strings(N))),
    "targets": ("value", good(labels=None, targets=features(N, T, 2))),
    "one target": ("value", good(labels=None, targets=features(N, T))),
    "whole targets": (
        "value",
        good(labels=None, targets=np.arange(N * T).reshape(N, T, 1) % 3 - 1),
    ),
}


@pytest.mark.parametrize("case", BOTH)
def test_train_and_eval_take_the_same(case, tmp_path):
    readout, arrays = BOTH[case]
    path = saved(tmp_path, arrays)
    task = find_task(str(path))
    data = task.load()
    assert task.goal.readout == readout
    model = random_model((I, 4), data.outputs)
    model.extra["readout"] = readout
    found = evaluate(replace(model, labels=data.labels), load(path))
    assert sum(len(part) for part in parts(data)) == len(found.frames)
    assert found.error is not None


def table(folder, label):
    rows = [
        f"{n},{x},{label(n, x)}" for n in range(N) for x in np.round(features(T, 1)[:, 0] + n, 3)
    ]
    (folder / "my.csv").write_text("\n".join(["recording,a,label", *rows]))
    return folder / "my.csv"


def test_tables_and_folders_are_tasks_too(tmp_path):
    data = find_task(str(table(tmp_path, lambda _, x: "up" if x > 9 else "down"))).load()
    assert (data.name, data.labels) == ("my", ("down", "up"))
    assert {len(y) for y in data.train.labels} == {T}
    for n, x in enumerate(features(N, T, I)):
        (tmp_path / "f" / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "f" / "ab"[n % 2] / f"{n}.npy", x)
    data = find_task(str(tmp_path / "f")).load()
    assert (data.name, data.labels, data.outputs) == ("f", ("a", "b"), 2)
    np.save(tmp_path / "f" / "a" / "more.npy", features(T, I + 1))
    with pytest.raises(
        ValueError, match=r"more\.npy: found 4 features, expected 3, as in the first"
    ):
        find_task(str(tmp_path / "f"))


REFUSED = {
    "array 'weights', expected no others than features, len": good(weights=np.zeros(3)),
    "recording 0: found int8 frames in LSBs of a model, expected features": {
        "frames": np.ones((9, I), np.int8),
        "start": np.array([0, 3, 9]),
    },
    "neither labels nor targets, expected one": good(labels=None),
    "found 2 recordings, expected at least 3": {
        "features": features(2, T, I),
        "labels": np.array([0, 1]),
    },
    "feature 1: found 4 in every frame, expected one that changes": good(
        features=broken(features(N, T, I), (..., 1), 4.0)
    ),
    "feature 2: found 1.23457e+09 in every frame": good(
        features=broken(features(N, T, I), (..., 2), 1234567890.1)
    ),
    "feature 0: found a standard deviation of 1.04e+10": good(features=1e10 * features(N, T, I)),
    "labels: found -1, expected classes from 0": good(labels=broken(CLASSES, 3, -1)),
    "labels: found 3, but no 2, expected classes without": good(labels=broken(CLASSES, 3, 3)),
    "labels: found class '0' alone, expected two": good(labels=0 * CLASSES),
    "labels: found 1 of class '2', expected 3 recordings": good(labels=broken(CLASSES, 3, 2)),
    "labels: found none of class '2' to train with": good(
        labels=broken(CLASSES, 3, 2), split=broken(np.arange(N) % 3, 3, 1)
    ),
    "labels: found 2 classes in 1 frames, expected at least 2": good(**strings(N)),
    "labels: found a class 'blank', expected another name": good(
        lengths=None, label_names=np.array(["a", "blank"]), **strings(N)
    ),
    "split: found no 1, expected some recordings for val": good(split=2 * CLASSES),
    "wanted: found numbers [], expected numbers in every frame": good(
        labels=None, targets=features(N)
    ),
    "target 0: found 1 in every frame": good(labels=None, targets=np.ones((N, T, 1))),
    "target 1: found a mean of ": good(labels=None, targets=features(N, T, 2) + [0, 9.0]),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_no_task_is_refused(message, tmp_path):
    path = saved(tmp_path, REFUSED[message])
    with pytest.raises(ValueError, match=r"my\.npz") as refused:
        find_task(str(path))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize("output", ["my.npz", "m.safetensors"])
def test_recordings_are_not_written_over(tmp_path, output):
    path = saved(tmp_path, good())
    if output != path.name:  # else what lies beside the model would be
        path = path.rename(tmp_path / "m.frames.npz")
    before = path.read_bytes()
    done = CliRunner().invoke(train_command, [str(path), "-o", str(tmp_path / output)])
    assert "found the same file for" in str(done.exception)
    assert "expected two files" in str(done.exception)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [before]


def walks():
    rng = np.random.default_rng(3)
    return rng.normal(size=(N, 10, I)).cumsum(axis=1)


WANTED = {
    "class": {"labels": CLASSES},
    "frames": {"labels": (walks()[..., 0] > 0).astype(int)},
    "values": {"targets": walks()[..., :2]},
    "strings": strings(N),
}


@pytest.mark.parametrize("wanted", WANTED.values(), ids=WANTED)
def test_a_model_is_trained_on_them(tmp_path, wanted):
    path = saved(tmp_path, {"features": walks() + CLASSES[:, None, None], **wanted})
    task = resized(find_task(str(path)), 2, units=4, cell="lstm")
    report = train_task(task, "sparse", tmp_path / "m.safetensors", 0, False)
    assert json.loads(json.dumps(report)) == report
    model = load_model(tmp_path / "m.safetensors")
    kinds = [(layer.kind, layer.units) for layer in model.parameters.layers]
    assert kinds == [("lstm", 4), ("linear", task.load().outputs)]
    assert model.extra["readout"] == task.goal.readout
    assert model.extra.get("output_scale") == task.goal.output_scale
    held_out = load_recordings(tmp_path / "m.frames.npz")
    assert score(model, held_out, task.goal).error == report["held_out"]["delta"]
    assert report["training"]["recipe"]["tune"]["epochs"] == 2


def test_features_far_off_centre_are_trained_on_and_judged_as_they_are(tmp_path):
    """`eval` on the raw floats of the test part says what training said of it."""
    raw = 1000 + 0.1 * walks() * [1, 1, 10] + [0, -1000, 0] + CLASSES[:, None, None]
    split, output = np.arange(N) % 5 % 3, tmp_path / "m.safetensors"
    path = saved(tmp_path, {"features": raw, "labels": CLASSES, "split": split})
    report = train_task(resized(find_task(str(path)), 2, units=4), "sparse", output, 0, False)
    model = load_model(output)
    assert [round(each, -2) for each in model.extra["input_offset"]] == [1000, 0, 1000]
    assert model.extra["input_offset"][1] == 0
    found = evaluate(model, Recordings.of(raw[split == 2]).wanting(CLASSES[split == 2]))
    assert found.error == report["scores"]["delta"]
    assert found.events_x == report["scores"]["occupancy_x"]
    held_out = load_recordings(tmp_path / "m.frames.npz").frames
    for frames, kept in zip(found.frames, held_out, strict=True):
        np.testing.assert_array_equal(frames, kept)
    assert found.saturated < 0.05


def test_another_run_s_checkpoint_is_refused(tmp_path, monkeypatch):
    """Of the same settings, but of other recordings or sizes."""
    output = tmp_path / "m.safetensors"

    def interrupted(*_):
        raise KeyboardInterrupt

    def train(units, more):
        task = find_task(str(saved(tmp_path, good(features=features(N, T, I) + more))))
        train_task(resized(task, 2, units=units), "delta", output, 0, False)

    monkeypatch.setattr("train.course.pipeline.Twin", interrupted)  # after the float network
    with pytest.raises(KeyboardInterrupt):
        train(4, 0.0)
    assert [p.name for p in tmp_path.glob("m.*")] == ["m.float.checkpoint"]
    for units, more in ((5, 0.0), (4, 0.1)):
        with pytest.raises(ValueError, match="found another run's checkpoint, expected this run's"):
            train(units, more)
    with pytest.raises(KeyboardInterrupt):  # its own is taken up again
        train(4, 0.0)
