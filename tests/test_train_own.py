"""One's own recordings: what an .npz may hold, what is refused, and training on it."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("aeon")

from click.testing import CliRunner  # noqa: E402

from deltarnn.commands.train import train as train_command  # noqa: E402
from golden.model_file import load_model  # noqa: E402
from train.course.goals import FrameClasses, OneClass, Value  # noqa: E402
from train.course.pipeline import train_task  # noqa: E402
from train.course.score import score  # noqa: E402
from train.data.recordings import load_recordings  # noqa: E402
from train.tasks import find_task, resized  # noqa: E402
from train.tasks import own as own_module  # noqa: E402
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


OF_FRAMES = np.zeros((N, T), dtype=int)
REFUSED = {
    "array 'weights', expected no others than features, len": good(weights=np.zeros(3)),
    "arrays 'labels', expected features among them": {"labels": CLASSES},
    "labels: found no array of numbers or texts, expected one that": good(labels=np.array([{}])),
    "neither of labels and targets, expected one": good(labels=None),
    "both of labels and targets, expected one": good(targets=features(N, T, 1)),
    "features: found bool [20, 6, 3], expected numbers": good(features=np.ones((N, T, I), bool)),
    "features: found float64 [20, 6] without lengths, expected": good(
        features=features(N, T), lengths=None
    ),
    "features: found float64 [20, 6, 0], expected": good(features=features(N, T, 0)),
    "features: found float64 [20], expected numbers [N, T, I], or [frames, I] with": good(
        features=features(N)
    ),
    "features: found nan in sequence 7, frame 1, column 2, expected finite": good(
        features=broken(features(N, T, I), (7, 1, 2), np.nan)
    ),
    "features: found -inf in sequence 0": good(
        features=broken(features(N, T, I), (0, 0, 0), -np.inf)
    ),
    "features: found 2 sequences, expected at least 3": {
        "features": features(2, T, I),
        "labels": np.array([0, 1]),
    },
    "feature 1: found 4 in every frame, expected one that changes": good(
        features=broken(features(N, T, I), (..., 1), 4.0)
    ),
    "feature 2: found a mean of ": good(features=features(N, T, I) + [0, 0, 50.0]),
    "feature 0: found a standard deviation of 1.04e+10": good(features=1e10 * features(N, T, I)),
    "lengths: found float64 [20], expected integers": good(lengths=LENGTHS / 1),
    "lengths: found int64 [19], expected int [20]": good(lengths=LENGTHS[1:]),
    "lengths: found 0, expected from 1 to 6": good(lengths=broken(LENGTHS, 3, 0)),
    "lengths: found 7, expected from 1 to 6": good(lengths=broken(LENGTHS, 3, 7)),
    "lengths: found a sum of 66, expected 70, the": good(features=features(70, I)),
    "labels: found float64 [20], expected integers": good(labels=CLASSES / 1),
    "labels: found int64 [20, 5], expected int [20] or [20, 6]": good(labels=OF_FRAMES[:, 1:]),
    "labels: found -1, expected classes from 0": good(labels=broken(CLASSES, 3, -1)),
    "labels: found 3, but no 2, expected classes without": good(labels=broken(CLASSES, 3, 3)),
    "labels: found 1, expected 0 to 0, as label_names": good(label_names=np.array(["a"])),
    "labels: found class 0 alone, expected two": good(labels=0 * CLASSES),
    "labels: found 1 of class '2', expected 3 sequences": good(labels=broken(CLASSES, 3, 2)),
    "labels: found none of class '2' to train with": good(
        labels=broken(CLASSES, 3, 2), split=broken(np.arange(N) % 3, 3, 1)
    ),
    "label_names: found int64 [2], expected texts": good(label_names=np.arange(2)),
    "label_names: found 'a' twice, expected names": good(label_names=np.array(["a", "a"])),
    "label_names: found some beside targets": good(
        labels=None, targets=features(N, T, 1), label_names=np.array(["a"])
    ),
    "split: found int64 [3], expected int [20]": good(split=np.arange(3)),
    "split: found 3, expected 0 (train), 1": good(split=np.arange(N) % 4),
    "split: found no 1, expected some sequences for val": good(split=2 * CLASSES),
    "targets: found float64 [20, 6], expected numbers [20, 6, O]": good(
        labels=None, targets=features(N, T)
    ),
    "targets: found nan in sequence 2, frame 0, column 1": good(
        labels=None, targets=broken(features(N, T, 2), (2, 0, 1), np.nan)
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


def test_a_file_that_is_no_archive_or_too_large_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, good())
    np.savez_compressed(path, features=np.zeros((N, T, 40)), labels=CLASSES)
    for limit, found in ((100, " bytes, expected an .npz"), (3000, " bytes unpacked, expected")):
        monkeypatch.setattr(own_module, "FILE_BYTES", limit)
        with pytest.raises(ValueError, match=found):
            own_task(path)
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"my\.npz: found a broken archive"):
        own_task(path)
    with pytest.raises(ValueError, match=r"absent\.npz: found No such file"):
        own_task(tmp_path / "absent.npz")


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
}


@pytest.mark.parametrize("wanted", WANTED.values(), ids=WANTED)
def test_a_model_is_trained_on_them(tmp_path, wanted):
    path = saved(tmp_path, {"features": walks() + CLASSES[:, None, None], **wanted})
    task = resized(find_task(str(path)), 2, units=4, cell="lstm")
    report = train_task(task, "sparse", tmp_path / "m.safetensors", 0, False)
    assert json.loads(json.dumps(report)) == report
    model = load_model(tmp_path / "m.safetensors")
    kinds = [(layer.kind, layer.units) for layer in model.parameters.layers]
    assert kinds == [("lstm", 4), ("linear", 2)]
    assert model.extra["readout"] == task.goal.readout
    assert model.extra.get("output_scale") == task.goal.output_scale
    held_out = load_recordings(tmp_path / "m.frames.npz")
    assert score(model, held_out, task.goal).error == report["held_out"]["delta"]
    assert report["training"]["recipe"]["tune"]["epochs"] == 2


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
