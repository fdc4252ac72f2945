"""A user's data: recordings of features or of frames, with what is wanted of them if they say so.

One file is one recording or many (docs/data.md):

    .npy    [T, I], or [N, T, I]
    .npz    `features` [N, T, I], or all in a row [sum T, I], with `lengths` [N]; `labels` or
            `targets`, one a recording or one a frame. Or what `deltarnn train` keeps: `frames`,
            `start`, `label`.
    .csv    a row a frame; columns `recording` and `label` or `target` are no features
    folder  such files, .npy and .csv, in the order of their names; a folder in it is a label
"""

import csv
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from golden.arrays import load_array
from golden.errors import refusal
from golden.features import Features
from golden.files import unreadable
from golden.model import Model

BYTES_MAX = 1 << 30  # of a file of recordings: hours of speech

Wanted = tuple[np.ndarray, ...]
_FRAMES = (np.dtype(np.int8), np.dtype(np.int16))  # these are in activation LSBs already


@dataclass(frozen=True)
class Recordings:
    """Recordings, each to begin at reset.

    Attributes
    ----------
    names
        What each is called: the file, and its place in it.
    sequences : per recording [T, I], T >= 1
        float64 features, or int8 or int16 frames in activation LSBs.
    wanted : per recording
        A class (int64 scalar), classes or numbers [T] or [T, O], or their names (texts); None
        where the data does not say.
    """

    names: tuple[str, ...]
    sequences: tuple[np.ndarray, ...]
    wanted: Wanted | None = None

    @classmethod
    def of(cls, data: "Path | str | np.ndarray | Sequence[np.ndarray]") -> "Recordings":
        """Those in a file or folder, an array [T, I] or [N, T, I], or several [T, I]."""
        if isinstance(data, str | Path):
            return load(Path(data))
        expected = "[T, I] or [N, T, I]: float features, or int8 or int16 frames"
        if isinstance(data, np.ndarray):
            return _cut("array", _numbers("array", data, expected), None, expected)
        if not data:
            raise refusal("recordings", "none", "at least one")
        parts = [(f"recording {n}", np.asarray(each)) for n, each in enumerate(data)]
        return _joined([_cut(n, _numbers(n, a, "[T, I]"), None, "[T, I]") for n, a in parts], "")

    @property
    def lengths(self) -> list[int]:
        return [len(sequence) for sequence in self.sequences]

    def frames(self, model: Model) -> list[np.ndarray]:
        """Frames in activation LSBs, of this model.

        Raises ValueError that names the recording, where it is no recording for the model.
        """
        features, network = Features.of(model), model.parameters
        activation = network.formats.activation
        made = []
        for name, sequence in zip(self.names, self.sequences, strict=True):
            if sequence.shape[1] != network.inputs:
                raise refusal(name, f"{sequence.shape[1]} features", f"{network.inputs}")
            if sequence.dtype.kind == "f":
                made.append(features.frames(sequence))
                continue
            for value in (int(sequence.min()), int(sequence.max())):
                if not activation.min <= value <= activation.max:
                    bounds = f"{activation.min}..{activation.max}"
                    raise refusal(name, f"value {value}", bounds)
            made.append(sequence)
        return made

    def wanting(self, wanted: Any, name: str = "wanted") -> "Recordings":
        """With what is wanted: one a recording or one a frame, or several arrays of such.

        Raises ValueError that begins with ``name``.
        """
        if isinstance(wanted, list | tuple) and any(np.ndim(each) for each in wanted):
            if len(wanted) != len(self.names):
                raise refusal(name, f"{len(wanted)}", f"{len(self.names)}, one a recording")
            wanted = np.concatenate([np.asarray(each) for each in wanted])
        return replace(self, wanted=_wanted(name, np.asarray(wanted), None, self.lengths, None))

    def classes(self, labels: Sequence[str] | None) -> "Recordings":
        """With classes in place of their names, by the model's ``labels``."""
        if self.wanted is None or all(each.dtype.kind != "U" for each in self.wanted):
            return self
        if labels is None:
            found = f"names, such as {str(np.ravel(self.wanted[0])[0])!r}"
            raise refusal("labels", found, "numbers, for the model has no names of its classes")
        number = {label: n for n, label in enumerate(labels)}
        made = []
        for name, each in zip(self.names, self.wanted, strict=True):
            unknown = next(
                (str(label) for label in np.ravel(each) if str(label) not in number), None
            )
            if unknown is not None:
                raise refusal(
                    f"{name}, label", repr(unknown), "one of the model's: " + ", ".join(labels)
                )
            made.append(np.vectorize(lambda label: number[str(label)], otypes=[np.int64])(each))
        return replace(self, wanted=tuple(made))


def load(path: Path) -> Recordings:
    """The recordings at ``path``, a file or a folder.

    Raises ValueError that names the file and the array or line, what was found and expected.
    """
    if path.is_dir():
        return _folder(path)
    reader, expected = _READERS.get(path.suffix, (None, f"a folder, or {' or '.join(_READERS)}"))
    reason = unreadable(path, BYTES_MAX)
    if reason is not None:
        size = f" of at most {BYTES_MAX:,} bytes" if "bytes" in reason else ""
        raise refusal(str(path), reason, expected + size)
    if reader is None:
        raise refusal(str(path), f"suffix {path.suffix!r}", expected)
    try:
        return reader(path)
    except OSError as error:
        raise refusal(str(path), error.strerror or str(error), expected) from None


def _folder(path: Path) -> Recordings:
    files = [path] if path.is_file() else sorted(_files(path))
    if not files:
        raise refusal(str(path), "no .npy and no .csv file", "recordings")
    parts, names = [load(file) for file in files], {file.parent for file in files}
    if names != {path}:  # the folders say what is wanted
        if path in names:
            raise refusal(str(path), "recordings beside folders of them", "one or the other")
        parts = [
            replace(part, wanted=(np.array(file.parent.name),) * len(part.names))
            for part, file in zip(parts, files, strict=True)
        ]
    return _joined(parts, str(path))


def _files(path: Path) -> Iterable[Path]:
    for each in path.iterdir():
        if each.is_dir() and not each.name.startswith("."):
            yield from (file for file in each.iterdir() if file.suffix in (".npy", ".csv"))
        elif each.suffix in (".npy", ".csv"):
            yield each


def _joined(parts: Sequence[Recordings], name: str) -> Recordings:
    says = {part.wanted is not None for part in parts}
    if len(says) > 1:
        raise refusal(name, "labels in some of its files alone", "in all of them, or none")
    return Recordings(
        tuple(each for part in parts for each in part.names),
        tuple(each for part in parts for each in part.sequences),
        tuple(each for part in parts for each in part.wanted or ()) if says == {True} else None,
    )


def _npy(path: Path) -> Recordings:
    load_array(path, _NPY, "r")  # a header that claims more than there is is refused here
    return _cut(str(path), _numbers(str(path), load_array(path, _NPY, None), _NPY), None, _NPY)


def _npz(path: Path) -> Recordings:
    arrays = _arrays(path)
    if "frames" in arrays and "start" in arrays:  # as train keeps them
        lengths = np.diff(_integers(f"{path}, start", arrays["start"]))
        source, wanted = "frames", arrays.get("label")
        cuts = arrays.get("label_start")
    elif "features" in arrays:
        given = arrays.get("lengths")
        lengths = None if given is None else _integers(f"{path}, lengths", given)
        said = [key for key in ("labels", "targets") if key in arrays]
        if len(said) > 1:
            raise refusal(str(path), "labels and targets", "one of them")
        source, wanted, cuts = "features", arrays[said[0]] if said else None, None
    else:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise refusal(str(path), f"arrays {found}", "an array features (docs/data.md)")
    expected = "[N, T, I], or [sum T, I] with lengths"
    array = arrays[source]
    if source == "features" and array.dtype.kind in "iu":
        array = array.astype(np.float64)  # by its name it holds no frames
    array = _numbers(f"{path}, {source}", array, expected)
    made = _cut(f"{path}, {source}", array, lengths, expected)
    made = replace(made, names=tuple(f"{path}, recording {n}" for n in range(len(made.names))))
    if wanted is None:
        return made
    return replace(
        made,
        wanted=_wanted(f"{path}, labels", wanted, cuts, made.lengths, arrays.get("label_names")),
    )


def _wanted(
    name: str,
    wanted: np.ndarray,
    cuts: np.ndarray | None,
    lengths: list[int],
    names: np.ndarray | None,
) -> Wanted:
    """What is wanted of each recording: one thing, or one a frame, however they lie."""
    count = len(lengths)
    if wanted.dtype.kind not in "iufU" or not wanted.size:
        raise refusal(
            name, f"dtype {wanted.dtype} {list(wanted.shape)}", "classes, names or numbers"
        )
    if wanted.dtype.kind == "f" and not np.isfinite(wanted).all():
        raise refusal(name, "some that are not finite", "numbers")
    if names is not None:
        if wanted.dtype.kind not in "iu" or names.ndim != 1 or names.dtype.kind != "U":
            raise refusal(
                f"{name}' names", f"{names.dtype} {list(names.shape)}", "texts for classes"
            )
        if wanted.min() < 0 or wanted.max() >= len(names):
            raise refusal(name, f"class {wanted.max()}", f"0..{len(names) - 1}, as label_names")
        wanted = names[wanted]
    if wanted.dtype.kind in "iu":
        wanted = wanted.astype(np.int64)
    if cuts is not None:
        return tuple(np.split(wanted, _integers(f"{name}' starts", cuts)[1:-1]))
    if wanted.ndim > 1 and len(wanted) == count and wanted.shape[1] >= max(lengths):
        return tuple(each[:length] for each, length in zip(wanted, lengths, strict=True))
    if wanted.ndim == 1 and len(wanted) == count:
        return tuple(np.asarray(each) for each in wanted)
    if len(wanted) == sum(lengths):
        return tuple(np.split(wanted, np.cumsum(lengths)[:-1]))
    expected = f"[{count}], one a recording, or [{sum(lengths)}], one a frame"
    raise refusal(name, list(wanted.shape), expected)


def _csv(path: Path) -> Recordings:
    """A row a frame, under a line of names or none."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = [(n, row) for n, row in enumerate(csv.reader(file), 1) if any(map(str.strip, row))]
    if not rows:
        raise refusal(str(path), "no line", "a row a frame")
    first = rows[0][1]
    header = None if all(map(_is_number, first)) else [name.strip().lower() for name in first]
    if header is not None:
        del rows[0]
    width = len(first)
    special = {
        name: [
            n for n, each in enumerate(header or ()) if each == name or each.startswith(f"{name}_")
        ]
        for name in ("recording", "label", "target")
    }
    apart = {n for columns in special.values() for n in columns}
    features = [n for n in range(width) if n not in apart]
    if not features or not rows:
        raise refusal(
            str(path), "no feature" if rows else "no frame", "columns of features, a row a frame"
        )
    for n, row in rows:
        if len(row) != width:
            raise refusal(f"{path}, line {n}", f"{len(row)} columns", f"{width}, as above")
    numbers = _columns(path, rows, features)
    starts = [0, len(rows)]
    if special["recording"]:
        ids = [row[special["recording"][0]] for _, row in rows]
        starts = [0, *(n for n in range(1, len(ids)) if ids[n] != ids[n - 1]), len(ids)]
    pieces = [slice(*each) for each in pairwise(starts)]
    names = tuple(f"{path}, lines {rows[p.start][0]} to {rows[p.stop - 1][0]}" for p in pieces)
    made = Recordings(names, tuple(numbers[p] for p in pieces))
    if special["target"]:
        targets = _columns(path, rows, special["target"])
        return replace(made, wanted=tuple(targets[p] for p in pieces))
    if special["label"]:
        column = special["label"][0]
        texts = np.array([row[column].strip() for _, row in rows])
        labels = texts.astype(np.int64) if all(t.isdecimal() for t in texts) else texts
        return replace(made, wanted=tuple(labels[p] for p in pieces))
    return made


def _columns(path: Path, rows: list[tuple[int, list[str]]], columns: list[int]) -> np.ndarray:
    found = np.empty((len(rows), len(columns)))
    for k, (n, row) in enumerate(rows):
        for c, column in enumerate(columns):
            if not _is_number(row[column]):
                found_text = repr(row[column][:40])
                raise refusal(f"{path}, line {n}, column {column + 1}", found_text, "a number")
            found[k, c] = float(row[column])
    return found


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an archive that are numbers or texts, none of them pickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(each.file_size for each in archive.infolist())
        if unpacked > BYTES_MAX:
            raise refusal(str(path), f"{unpacked:,} bytes unpacked", f"at most {BYTES_MAX:,}")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # a broken archive raises nearly anything
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        raise refusal(str(path), "a broken archive, or one of objects", _NPZ) from None


def _numbers(name: str, array: np.ndarray, expected: str) -> np.ndarray:
    """float64 features, or int8 or int16 frames as they are."""
    if array.dtype.newbyteorder("=") in _FRAMES:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind != "f":
        raise refusal(name, f"dtype {array.dtype}", expected)
    values = np.asarray(array, np.float64)
    if not np.isfinite(values).all():
        where = [int(n) for n in np.argwhere(~np.isfinite(values))[0]]
        raise refusal(f"{name} {where}", f"{values[tuple(where)]}", "finite numbers")
    return values


def _integers(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iu" or array.ndim != 1 or not len(array):
        raise refusal(name, f"{array.dtype} {list(array.shape)}", "integers [N]")
    return array.astype(np.int64)


def _cut(name: str, array: np.ndarray, lengths: np.ndarray | None, expected: str) -> Recordings:
    """Recordings of an array [T, I], [N, T, I] or [sum T, I]."""
    if array.ndim not in (2, 3) or not array.size:
        raise refusal(name, f"shape {list(array.shape)}", expected)
    if array.ndim == 2:
        lengths = np.array([len(array)]) if lengths is None else lengths
        if lengths.min() < 1 or lengths.sum() != len(array):
            found = f"lengths from {lengths.min()}, {lengths.sum()} in all"
            raise refusal(name, found, f"at least 1 each, and {len(array)} in all")
        sequences = np.split(array, np.cumsum(lengths)[:-1])
    else:
        lengths = np.full(len(array), array.shape[1]) if lengths is None else lengths
        if len(lengths) != len(array) or lengths.min() < 1 or lengths.max() > array.shape[1]:
            found = f"{len(lengths)} lengths from {lengths.min()} to {lengths.max()}"
            raise refusal(name, found, f"{len(array)}, from 1 to {array.shape[1]}")
        sequences = [each[:length] for each, length in zip(array, lengths, strict=True)]
    names = (
        [name] if len(sequences) == 1 else [f"{name}, recording {n}" for n in range(len(sequences))]
    )
    return Recordings(tuple(names), tuple(sequences))


_NPY = "a .npy array [T, I] or [N, T, I]: float features, or int8 or int16 frames"
_NPZ = "an .npz archive of arrays"
_READERS: dict[str, tuple[Callable[[Path], Recordings], str]] = {
    ".npy": (_npy, _NPY),
    ".npz": (_npz, _NPZ),
    ".csv": (_csv, "a table with a row a frame"),
}
