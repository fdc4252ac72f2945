"""A user's data: every form of it gives the same recordings, and bad ones are refused by name."""

import re
import zipfile

import numpy as np
import pytest

from golden.features import Features
from golden.fixed import Q
from golden.formats import Formats
from golden.recordings import load
from tests.networks import random_model

RNG = np.random.default_rng(5)
LENGTHS = (4, 7, 2)
SEQUENCES = [np.round(RNG.normal(size=(n, 3)), 3) for n in LENGTHS]
LABELS = np.array([1, 0, 2])
BY_FRAME = [RNG.integers(0, 3, n) for n in LENGTHS]
PADDED = np.zeros((3, 7, 3))
for k, sequence in enumerate(SEQUENCES):
    PADDED[k, : len(sequence)] = sequence
ROW = np.concatenate(SEQUENCES)
FRAMES_PADDED = np.zeros((3, 7), int)
for k, labels in enumerate(BY_FRAME):
    FRAMES_PADDED[k, : len(labels)] = labels


@pytest.mark.parametrize("wanted", [None, "labels", "by frame", "targets"])
@pytest.mark.parametrize("ragged", [False, True])
def test_an_archive_is_padded_or_ragged(tmp_path, ragged, wanted):
    padded = np.where(np.arange(7)[:, None] < np.array(LENGTHS)[:, None, None], PADDED, np.nan)
    arrays = {"features": ROW if ragged else padded, "lengths": np.array(LENGTHS)}
    if wanted == "labels":
        arrays["labels"] = LABELS
    elif wanted == "by frame":
        arrays["labels"] = np.concatenate(BY_FRAME) if ragged else FRAMES_PADDED
    elif wanted == "targets":
        arrays["targets"] = (ROW if ragged else padded)[..., :2]
    np.savez(tmp_path / "d.npz", **arrays)
    found = load(tmp_path / "d.npz")
    assert [len(each) for each in found.sequences] == list(LENGTHS)
    assert np.array_equal(np.concatenate(found.sequences), ROW)
    expected = {
        None: None,
        "labels": list(LABELS),
        "by frame": BY_FRAME,
        "targets": [each[:, :2] for each in SEQUENCES],
    }[wanted]
    assert (found.wanted is None) == (expected is None)
    for a, b in zip(found.wanted or (), expected or (), strict=True):
        assert np.array_equal(a, b)


def test_a_table_says_recordings_and_labels_in_columns(tmp_path):
    lines = ["a,recording,b,c,label"]
    for name, sequence, label in zip("xyz", SEQUENCES, ("up", "down", "up"), strict=True):
        lines += [f"{a},{name},{b},{c},{label}" for a, b, c in sequence]
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    found = load(tmp_path / "d.csv").classes(("down", "up"))
    assert np.array_equal(np.concatenate(found.sequences), ROW)
    assert [each.tolist() for each in found.wanted] == [[1] * 4, [0] * 7, [1] * 2]
    (tmp_path / "plain.csv").write_text("\n".join(",".join(map(str, row)) for row in ROW))
    plain = load(tmp_path / "plain.csv")
    assert plain.wanted is None
    assert np.array_equal(plain.sequences[0], ROW)


def test_a_mark_at_the_beginning_of_a_table_is_no_cell(tmp_path):
    (tmp_path / "d.csv").write_bytes(b"\xef\xbb\xbf1,2\n3,4\n")
    assert load(tmp_path / "d.csv").sequences[0].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (("1", "2", "3"), [0, 1]),
        (("a", "b", "c"), [1, 2]),
        (None, [1, 2]),
        (("5", "1", "2"), [1, 2]),
    ],
)
def test_digits_are_names_where_the_model_has_such_names(tmp_path, labels, found):
    (tmp_path / "d.csv").write_text("a,label\n0.5,1\n0.25,2\n")
    assert load(tmp_path / "d.csv").classes(labels).wanted[0].tolist() == found


def test_label_names_are_the_model_s_or_numbers_stay(tmp_path):
    names = np.array(["up", "down", "left"])
    np.savez(tmp_path / "d.npz", features=PADDED, labels=LABELS, label_names=names)
    found = load(tmp_path / "d.npz")
    assert [int(each) for each in found.classes(None).wanted] == list(LABELS)
    assert [int(each) for each in found.classes(("left", "down", "up")).wanted] == [1, 2, 0]


def test_strings_of_classes_lie_one_behind_the_other(tmp_path):
    strings = [[0, 1], [], [2, 1, 0]]
    arrays = {"labels": np.concatenate(strings).astype(int), "label_lengths": np.array([2, 0, 3])}
    np.savez(tmp_path / "d.npz", features=PADDED, lengths=np.array(LENGTHS), **arrays)
    assert [each.tolist() for each in load(tmp_path / "d.npz").wanted] == strings


def test_folders_are_labels(tmp_path):
    for n, (sequence, label) in enumerate(zip(SEQUENCES, ("b", "a", "b"), strict=True)):
        (tmp_path / label).mkdir(exist_ok=True)
        np.save(tmp_path / label / f"{n}.npy", sequence)
    found = load(tmp_path).classes(("a", "b"))
    assert [int(each) for each in found.wanted] == [0, 1, 1]
    assert [len(each) for each in found.sequences] == [7, 4, 2]
    with pytest.raises(ValueError, match="label: found 'b', expected one of the model's: a"):
        load(tmp_path).classes(("a",))
    np.save(tmp_path / "more.npy", ROW)
    with pytest.raises(ValueError, match="recordings beside folders"):
        load(tmp_path)


def test_features_become_frames_by_the_model_s_own_scales(tmp_path):
    model = random_model((3, 4), 2, formats=Formats(activation=Q(3, 4)))
    model.extra.update(input_scale=[1.0, 2.0, 0.5], input_offset=[0.0, 1.0, -1.0])
    np.save(tmp_path / "d.npy", ROW)
    (found,) = load(tmp_path / "d.npy").frames(model)
    expected = np.floor((ROW - [0, 1, -1]) * [1, 2, 0.5] * 16 + 0.5).clip(-128, 127)
    assert np.array_equal(found, expected)
    np.save(tmp_path / "d.npy", found.astype(np.int8))
    assert np.array_equal(load(tmp_path / "d.npy").frames(model)[0], found)


@pytest.mark.parametrize("value", ["1", [1.0], [[1.0] * 3], [1.0, None, 2.0], [1, [2]], {"a": 1}])
def test_a_scale_that_is_none_is_refused(value):
    model = random_model((3, 4), 2)
    model.extra["input_scale"] = value
    with pytest.raises(ValueError, match=r"key 'input_scale': found .* expected a number, or 3"):
        Features.of(model)


def save(**arrays):
    return lambda path: np.savez(path, **arrays)


BAD = {
    "an unknown array": (save(features=ROW, x=ROW), "an array 'x', expected no others than"),
    "no array features": (save(labels=LABELS), "arrays labels, expected an array features"),
    "no start": (save(frames=FRAMES_PADDED), "arrays frames, expected an array start"),
    "arrays of both forms": (save(frames=ROW, features=ROW), "an array 'frames', expected no"),
    "NaN": (save(features=np.full((5, 3), np.nan)), "features [0, 0]: found nan"),
    "infinity": (
        save(features=np.where(PADDED[1, 6, 2] == PADDED, -np.inf, PADDED)),
        "features, recording 1 [6, 2]: found -inf",
    ),
    "targets that are not finite": (
        save(features=PADDED, targets=np.where(PADDED[1, 6, 2] == PADDED, np.nan, PADDED)),
        "targets, recording 1 [6, 2]: found nan",
    ),
    "texts": (
        save(features=np.full((5, 3), "a")),
        "features: found dtype <U1, expected numbers [N",
    ),
    "wide frames": (
        save(frames=np.ones((5, 3), int), start=np.array([0, 5])),
        "frames: found dtype int64",
    ),
    "objects": (
        save(features=np.array([[None]])),
        "features: found a broken array, or one of objects, expected numbers or texts",
    ),
    "no archive": (lambda path: path.write_bytes(b"text"), "found a broken archive, expected"),
    "bytes": (
        lambda path: zipfile.ZipFile(path, "w").writestr("features.npy", "text"),
        "features: found a broken array",
    ),
    "an array twice": (
        lambda path: [zipfile.ZipFile(path, "a").writestr("lengths", "text") for _ in "ab"],
        "found an array 'lengths' twice",
    ),
    "an unusual compression": (
        lambda path: zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA).writestr("features.npy", "text"),
        "found an unusual compression, expected arrays stored or deflated",
    ),
    "lengths": (save(features=ROW, lengths=np.array([4, 7, 3])), "lengths from 3, 14 in all"),
    "a length of 0": (save(features=ROW, lengths=np.array([0, 13])), "lengths from 0"),
    "beyond": (save(features=PADDED, lengths=np.array([4, 8, 2])), "3 lengths from 2 to 8"),
    "too few labels": (save(features=PADDED, labels=np.arange(2)), "labels: found [2], expected"),
    "both": (save(features=ROW, labels=LABELS, targets=ROW), "labels and targets"),
    "one axis": (save(features=np.ones(5)), "shape [5]"),
    "names": (
        save(features=PADDED, labels=LABELS, label_names=np.array([1, 2])),
        "label_names: found int64 [2], expected texts [classes]",
    ),
    "a name twice": (
        save(features=PADDED, labels=LABELS, label_names=np.array(["a", "b", "a"])),
        "label_names: found 'a' twice, expected names that differ",
    ),
    "names of names": (
        save(features=PADDED, labels=np.array(["a", "b", "a"]), label_names=np.array(["a", "b"])),
        "label_names: found some beside names or numbers, expected labels that are integers",
    ),
    "names alone": (
        save(features=PADDED, label_names=np.array(["a", "b"])),
        "label_names: found some without labels",
    ),
    "a class without a name": (
        save(features=PADDED, labels=LABELS, label_names=np.array(["a", "b"])),
        "recording 2, labels: found class 2, expected 0..1, as label_names",
    ),
    "a split of others": (
        save(features=PADDED, split=np.array([0, 1])),
        "split: found 2, expected 3, one a recording",
    ),
    "a split into four": (
        save(features=PADDED, split=np.array([0, 1, 3])),
        "split: found 3, expected 0 (train), 1 (validation), 2 (test)",
    ),
    "numbers as labels": (
        save(features=PADDED, labels=LABELS * 1.0),
        "labels: found dtype float64",
    ),
    "lengths beyond an integer": (
        save(features=ROW, lengths=np.array([2**62, 2**62, 2**62, 2**62 + 13])),
        "lengths from 4611686018427387904, 18446744073709551629 in all",
    ),
    "strings of other lengths": (
        save(features=PADDED, labels=LABELS, label_lengths=np.array([1, 1, 2])),
        "labels' lengths: found 3, 4 in all, expected 3, 3 in all",
    ),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", BAD)
def test_a_bad_archive_is_refused(tmp_path, case):
    write, message = BAD[case]
    write(tmp_path / "d.npz")
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load(tmp_path / "d.npz")
    assert str(tmp_path / "d.npz") in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no line"),
        ("a,b\n", "found no frame"),
        ("label\n1\n", "found no feature"),
        ("a,b\n1,2\n3\n", "line 3: found 1 columns, expected 2"),
        ("1,2\n3,x\n", "line 2, column 2: found 'x', expected a number"),
        ("1,2\n3,inf\n", "line 2, column 2: found 'inf'"),
        ("1,,3\n4,5,6\n", "line 1, column 2: found '', expected a number"),
        ("nan,nan\n1,2\n", "line 1, column 1: found 'nan'"),
        ("1,2.0.1\n1,2\n", "line 1, column 2: found '2.0.1'"),
        ("1,1_0\n", "line 1, column 2: found '1_0'"),
        (",a\n0,1\n", "line 1, column 1: found no name, expected a name for each column"),
        ("a,label,label\n1,2,3\n", "found two columns label"),
        ("a,label,target\n1,2,3\n", "found columns label and target"),
        ("a,label\n1,\n", "line 2, column label: found nothing"),
        ("a" * 200_000, "found no table"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, message):
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "d.csv")


def refused_as(path):
    try:
        load(path)
    except ValueError as error:
        return str(error)
    return None


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "d.npz", features=np.zeros((50, 40)))
    for limit, found in ((100, " bytes, expected an .npz"), (3000, " bytes unpacked, expected")):
        monkeypatch.setattr("golden.recordings.BYTES_MAX", limit)
        with pytest.raises(ValueError, match=found):
            load(tmp_path / "d.npz")


def test_damaged_archives_get_one_line(tmp_path):
    """Bytes changed at random: recordings, or a refusal that begins with the file."""
    np.savez(tmp_path / "d.npz", features=PADDED, lengths=np.array(LENGTHS), labels=LABELS)
    whole = (tmp_path / "d.npz").read_bytes()
    refused = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), 1 + seed % 5):
            content[place] = rng.integers(0, 256)
        path = tmp_path / "e.npz"
        path.write_bytes(content[: len(content) - seed % 3])
        message = refused_as(path)
        assert message is None or (message.startswith(str(path)) and "\n" not in message)
        refused += message is not None
    assert refused > 20
