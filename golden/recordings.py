"""A user's data: recordings of features or of frames, with what is wanted of them if they say so.

One file is one recording or many (docs/data.md):

    .npy    [T, I], or [N, T, I]
    .npz    `features` [N, T, I], or all in a row [sum T, I], with `lengths` [N]; `labels` or
            `targets`, one a recording or one a frame. Or what `deltarnn train` keeps: `frames`,
            `start`, `label`.
    .csv    a row a frame; columns `recording` and `label` or `target` are no features (rows.py)
    folder  such files, .npy and .csv, in the order of their names; a folder in it is a label
"""

import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from golden.arrays import load_array
from golden.errors import refusal
from golden.features import Features
from golden.files import unreadable
from golden.model import Model
from golden.rows import read_rows

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
        A class (int64 scalar), classes [T], a string of classes, or numbers [T] or [T, O]. Classes
        may be texts: names, or numbers. None where the data does not say.
    label_names
        What the data itself calls classes that are numbers.
    """

    names: tuple[str, ...]
    sequences: tuple[np.ndarray, ...]
    wanted: Wanted | None = None
    label_names: tuple[str, ...] | None = None

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
            return replace(self, wanted=tuple(_answers(name, np.array(each)) for each in wanted))
        return replace(self, wanted=_wanted(name, np.asarray(wanted), self.lengths))

    def classes(self, labels: Sequence[str] | None) -> "Recordings":
        """With classes as numbers, by the model's ``labels``.

        A text is a class's name if all of them are; else they are numbers.
        """
        wanted, own = self.wanted, self.label_names
        if wanted is None:
            return self
        if own is not None and labels is not None:
            for name, each in zip(self.names, wanted, strict=True):
                if each.size and not 0 <= each.min() <= each.max() < len(own):
                    outside = each.min() if each.min() < 0 else each.max()
                    expected = f"0..{len(own) - 1}, as label_names"
                    raise refusal(f"{name}, labels", f"class {outside}", expected)
            wanted = tuple(np.array(own)[each] for each in wanted)
        texts = [str(t) for each in wanted if each.dtype.kind == "U" for t in np.ravel(each)]
        if not texts:
            return self
        known = {label: n for n, label in enumerate(labels or ())}
        if all(text.isdecimal() for text in texts) and not known.keys() >= set(texts):
            known = {text: int(text) for text in texts}
        made = []
        for name, each in zip(self.names, wanted, strict=True):
            unknown = next((str(t) for t in np.ravel(each) if str(t) not in known), None)
            if unknown is not None:
                names = "one of the model's: " + ", ".join(labels or ())
                expected = names if labels else "numbers, for the model has no names of its classes"
                raise refusal(f"{name}, label", repr(unknown), expected)
            numbers = [known[str(t)] for t in np.ravel(each)]
            made.append(np.array(numbers, np.int64).reshape(each.shape))
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
    files = sorted(_files(path))
    if not files:
        raise refusal(str(path), "no .npy and no .csv file", "recordings")
    parts, names = [load(file) for file in files], {file.parent for file in files}
    if names != {path}:  # the folders say what is wanted
        if path in names:
            raise refusal(str(path), "recordings beside folders of them", "one or the other")
        for part, file in zip(parts, files, strict=True):
            if part.wanted is not None:
                found = "labels in a folder that is a label"
                raise refusal(str(file), found, "one or the other")
        parts = [
            replace(part, wanted=(np.array(file.parent.name),) * len(part.names))
            for part, file in zip(parts, files, strict=True)
        ]
    return _joined(parts, str(path))


def _files(path: Path) -> Iterable[Path]:
    """Those in a folder and in its folders, none of them hidden."""
    for each in path.iterdir():
        inside = each.iterdir() if each.is_dir() else [each]
        if not each.name.startswith("."):
            yield from (f for f in inside if f.suffix in (".npy", ".csv") and f.name[0] != ".")


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
        source, wanted, said = "frames", arrays.get("label"), []
        starts = arrays.get("label_start")
        cuts = None if starts is None else np.diff(_integers(f"{path}, label_start", starts))
    elif "features" in arrays:
        given = arrays.get("lengths")
        lengths = None if given is None else _integers(f"{path}, lengths", given)
        said = [key for key in ("labels", "targets") if key in arrays]
        if len(said) > 1:
            raise refusal(str(path), "labels and targets", "one of them")
        source, wanted = "features", arrays[said[0]] if said else None
        cuts = arrays.get("label_lengths")
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
    key = f"{path}, {'label' if source == 'frames' else said[0]}"
    if source == "features" and said == ["labels"] and wanted.dtype.kind == "f":
        raise refusal(key, f"dtype {wanted.dtype}", "classes or their names; numbers are targets")
    if cuts is not None:
        ends = np.cumsum(_integers(f"{key}' lengths", cuts))
        if len(ends) != len(made.names) or ends[-1] != len(wanted) or cuts.min() < 0:
            expected = f"{len(made.names)}, {len(wanted)} in all"
            raise refusal(f"{key}' lengths", f"{len(ends)}, {ends[-1]} in all", expected)
        strings = np.split(_answers(key, wanted), ends[:-1])
        return replace(made, wanted=tuple(strings), label_names=_label_names(path, arrays))
    wanted = _wanted(key, wanted, made.lengths)
    return replace(made, wanted=wanted, label_names=_label_names(path, arrays))


def _label_names(path: Path, arrays: dict[str, np.ndarray]) -> tuple[str, ...] | None:
    names = arrays.get("label_names")
    if names is None:
        return None
    labels = arrays.get("labels")
    if (
        names.ndim != 1
        or names.dtype.kind != "U"
        or labels is None
        or labels.dtype.kind not in "iu"
    ):
        found = f"{names.dtype} {list(names.shape)}"
        raise refusal(
            f"{path}, label_names", found, "texts [classes], beside labels that are numbers"
        )
    return tuple(map(str, names))


def _wanted(name: str, wanted: np.ndarray, lengths: list[int]) -> Wanted:
    """What is wanted of each recording: one thing, or one a frame, however they lie."""
    count, wanted = len(lengths), _answers(name, wanted)
    if wanted.ndim > 1 and len(wanted) == count and wanted.shape[1] >= max(lengths):
        return tuple(each[:length] for each, length in zip(wanted, lengths, strict=True))
    if wanted.ndim == 1 and len(wanted) == count:
        return tuple(np.asarray(each) for each in wanted)
    if wanted.ndim and len(wanted) == sum(lengths):
        return tuple(np.split(wanted, np.cumsum(lengths)[:-1]))
    expected = f"[{count}], one a recording, or [{sum(lengths)}], one a frame"
    raise refusal(name, list(wanted.shape), expected)


def _answers(name: str, wanted: np.ndarray) -> np.ndarray:
    """Classes as int64, names, or finite numbers."""
    if wanted.dtype.kind == "f" and not wanted.size:
        return wanted.astype(np.int64)  # an empty string of classes
    if wanted.dtype.kind not in "iufU":
        found = f"dtype {wanted.dtype} {list(wanted.shape)}"
        raise refusal(name, found, "classes, names or numbers")
    if wanted.dtype.kind == "f" and not np.isfinite(wanted).all():
        raise refusal(name, "some that are not finite", "numbers")
    return wanted.astype(np.int64) if wanted.dtype.kind in "iu" else wanted


def _csv(path: Path) -> Recordings:
    return Recordings(**vars(read_rows(path)))


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
        whole = not lengths.min() < 1 and not lengths.max() > len(array)  # their sum may overflow
        if not whole or lengths.sum() != len(array):
            total = sum(map(int, lengths))
            found = f"lengths from {lengths.min()}, {total} in all"
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
