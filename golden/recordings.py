"""A user's data: recordings of features or of frames, with what is wanted of them if they say so.

One file is one recording or many (docs/data.md):

    .npy    [T, I], or [N, T, I]
    .npz    the arrays ARRAYS: `features` [N, T, I], or all in a row [sum T, I], with `lengths`
            [N]; `labels` or `targets`, one a recording or one a frame. Or what `deltarnn train`
            keeps, KEPT.
    .csv    a row a frame; columns `recording` and `label` or `target` are no features (rows.py)
    folder  such files, .npy and .csv, in the order of their names; a folder in it is a label
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from golden.arrays import load_array, load_arrays
from golden.errors import refusal
from golden.features import Features
from golden.files import unreadable
from golden.model import Model
from golden.readings import Reading
from golden.rows import read_rows

BYTES_MAX = 1 << 30  # of a file of recordings: hours of speech
ARRAYS = ("features", "lengths", "labels", "targets", "label_lengths", "label_names", "split")
KEPT = ("frames", "start", "label", "label_start")
PARTS = ("train", "validation", "test")  # 0, 1 and 2 of `split`

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
    split : int64 per recording
        Which of PARTS each belongs to; None where the data does not say.
    """

    names: tuple[str, ...]
    sequences: tuple[np.ndarray, ...]
    wanted: Wanted | None = None
    label_names: tuple[str, ...] | None = None
    split: np.ndarray | None = None

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
        return joined([_cut(n, _numbers(n, a, "[T, I]"), None, "[T, I]") for n, a in parts], "")

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
            wanted = tuple(np.array(own)[each] for each in wanted)
        texts = _texts(wanted)
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

    def named(self) -> "Recordings":
        """With classes as numbers, and texts that are names as ``label_names``, in their order."""
        texts = _texts(self.wanted or ())
        if all(text.isdecimal() for text in texts):
            return self.classes(None)
        names = tuple(sorted(set(texts)))
        return replace(self.classes(names), label_names=names)

    def fitting(self, reading: Reading, outputs: int) -> "Recordings":
        """With what is wanted as the reading gives it; refuses what is of another kind.

        A class of a recording is that of all its frames, and the other way round.
        """
        assert self.wanted is not None
        made = []
        for name, each, length in zip(self.names, self.wanted, self.lengths, strict=True):
            classes = each.dtype.kind == "i"
            if reading.countable and classes:
                if reading.per_frame and each.ndim == 0:
                    each = np.full(length, each)
                elif not reading.per_frame and each.shape == (length,) and (each == each[0]).all():
                    each = each[0]
            shapes = reading.shapes(length, outputs)
            fits = each.shape in shapes if shapes else each.ndim == 1
            if reading.classes != classes or not fits:
                found = f"{'classes' if classes else 'numbers'} {list(each.shape)}"
                expected = " or ".join(str(list(shape)) for shape in shapes) or "[n]"
                raise refusal(f"{name}, wanted", found, f"{reading.what} {expected}".strip())
            outside = _outside(each, outputs) if classes else None
            if outside is not None:
                raise refusal(f"{name}, wanted", f"class {outside}", f"0..{outputs - 1}")
            made.append(each)
        return replace(self, wanted=tuple(made))


def _texts(wanted: Wanted) -> list[str]:
    return [str(t) for each in wanted if each.dtype.kind == "U" for t in np.ravel(each)]


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
    return joined(parts, str(path))


def _files(path: Path) -> Iterable[Path]:
    """Those in a folder and in its folders, none of them hidden."""
    for each in path.iterdir():
        inside = each.iterdir() if each.is_dir() else [each]
        if not each.name.startswith("."):
            yield from (f for f in inside if f.suffix in (".npy", ".csv") and f.name[0] != ".")


def joined(parts: Sequence[Recordings], name: str) -> Recordings:
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
    arrays = load_arrays(path, _NPZ, BYTES_MAX, (ARRAYS, KEPT))
    source, expected = "features", "numbers [N, T, I], or [sum T, I] with lengths"
    if "frames" in arrays:
        source = "frames"
        if "start" not in arrays:
            raise refusal(str(path), f"arrays {', '.join(arrays)}", "an array start beside frames")
    elif arrays[source].dtype.kind in "iu":
        arrays[source] = arrays[source].astype(np.float64)  # by its name it holds no frames
    name = f"{path}, {source}"
    lengths = _counts(path, arrays, "lengths", "start")
    made = _cut(name, _numbers(name, arrays[source], expected), lengths, expected)
    count = len(made.names)
    names = tuple(f"{path}, recording {n}" for n in range(count))
    made = replace(made, names=names, split=_split(path, arrays, count))
    said = [key for key in ("labels", "label", "targets") if key in arrays]
    if len(said) > 1:
        raise refusal(str(path), " and ".join(said), "one of them")
    wanted, label_names = None, None
    if said:
        wanted = _said(path, arrays, said[0], made.lengths)
        label_names = _label_names(path, arrays, wanted)
    elif "label_names" in arrays:
        raise refusal(f"{path}, label_names", "some without labels", "labels beside them")
    return replace(made, wanted=wanted, label_names=label_names)


def _said(path: Path, arrays: dict[str, np.ndarray], key: str, lengths: list[int]) -> Wanted:
    """What the array ``key`` wants of each recording."""
    name, wanted = f"{path}, {key}", arrays[key]
    if key == "labels" and wanted.dtype.kind == "f":
        raise refusal(name, f"dtype {wanted.dtype}", "classes or their names; numbers are targets")
    if key == "targets" and wanted.dtype.kind in "iu":
        wanted = wanted.astype(np.float64)  # by its name it holds no classes
    cuts = _counts(path, arrays, "label_lengths", "label_start")
    if cuts is None:
        return _wanted(name, wanted, lengths)
    ends, count = np.cumsum(cuts), len(lengths)
    rows = len(wanted) if wanted.ndim else 0
    within = 0 <= cuts.min() <= cuts.max() <= rows  # their sum may overflow
    if len(ends) != count or ends[-1] != rows or not within:
        found, expected = f"{len(ends)}, {ends[-1]} in all", f"{count}, {rows} in all"
        raise refusal(f"{name}' lengths", found, expected)
    return tuple(_answers(name, each) for each in np.split(wanted, ends[:-1]))


def _label_names(
    path: Path, arrays: dict[str, np.ndarray], wanted: Wanted
) -> tuple[str, ...] | None:
    names = arrays.get("label_names")
    if names is None:
        return None
    name = f"{path}, label_names"
    if any(each.dtype.kind != "i" for each in wanted):
        raise refusal(name, "some beside names or numbers", "labels that are integers")
    if names.ndim != 1 or names.dtype.kind != "U" or not names.size:
        raise refusal(name, f"{names.dtype} {list(names.shape)}", "texts [classes]")
    texts = tuple(map(str, names))
    twice = next((text for n, text in enumerate(texts) if text in texts[:n]), None)
    if twice is not None:
        raise refusal(name, f"{twice[:40]!r} twice", "names that differ")
    for n, each in enumerate(wanted):
        outside = _outside(each, len(texts))
        if outside is not None:
            where, expected = f"{path}, recording {n}, labels", f"0..{len(texts) - 1}"
            raise refusal(where, f"class {outside}", f"{expected}, as label_names")
    return texts


def _outside(classes: np.ndarray, count: int) -> int | None:
    """The first that is none of so many classes."""
    wrong = classes[(classes < 0) | (classes >= count)]
    return int(wrong[0]) if wrong.size else None


def _split(path: Path, arrays: dict[str, np.ndarray], count: int) -> np.ndarray | None:
    if "split" not in arrays:
        return None
    name, split = f"{path}, split", _integers(f"{path}, split", arrays["split"])
    if len(split) != count:
        raise refusal(name, f"{len(split)}", f"{count}, one a recording")
    parts = ", ".join(f"{k} ({part})" for k, part in enumerate(PARTS))
    for value in (int(split.min()), int(split.max())):
        if not 0 <= value < len(PARTS):
            raise refusal(name, f"{value}", parts)
    return split


def _wanted(name: str, wanted: np.ndarray, lengths: list[int]) -> Wanted:
    """What is wanted of each recording: one thing, or one a frame, however they lie."""
    count = len(lengths)
    if wanted.ndim > 1 and len(wanted) == count and wanted.shape[1] >= max(lengths):
        parts = [each[:length] for each, length in zip(wanted, lengths, strict=True)]
    elif wanted.ndim == 1 and len(wanted) == count:
        parts = [np.asarray(each) for each in wanted]
    elif wanted.ndim and len(wanted) == sum(lengths):
        parts = np.split(wanted, np.cumsum(lengths)[:-1])
    else:
        expected = f"[{count}], one a recording, or [{sum(lengths)}], one a frame"
        raise refusal(name, list(wanted.shape), expected)
    return tuple(_answers(f"{name}, recording {n}", each) for n, each in enumerate(parts))


def _answers(name: str, wanted: np.ndarray) -> np.ndarray:
    """Classes as int64, names, or finite numbers as float64."""
    if wanted.dtype.kind == "f" and not wanted.size:
        return wanted.astype(np.int64)  # an empty string of classes
    if wanted.dtype.kind not in "iufU":
        found = f"dtype {wanted.dtype} {list(wanted.shape)}"
        raise refusal(name, found, "classes, names or numbers")
    if wanted.dtype.kind == "U":
        return wanted
    return wanted.astype(np.int64) if wanted.dtype.kind in "iu" else _finite(name, wanted)


def _csv(path: Path) -> Recordings:
    return Recordings(**vars(read_rows(path)))


def _numbers(name: str, array: np.ndarray, expected: str) -> np.ndarray:
    """float64 features, or int8 or int16 frames as they are."""
    if array.dtype.newbyteorder("=") in _FRAMES:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind != "f":
        raise refusal(name, f"dtype {array.dtype}", expected)
    with np.errstate(over="ignore"):  # wider floats may hold more
        return np.asarray(array, np.float64)


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        values = np.asarray(values, np.float64)
    if not np.isfinite(values).all():
        where = [int(n) for n in np.argwhere(~np.isfinite(values))[0]]
        raise refusal(f"{name} {where}", f"{values[tuple(where)]}", "finite numbers")
    return values


def _counts(path: Path, arrays: dict[str, np.ndarray], key: str, starts: str) -> np.ndarray | None:
    """How many each recording has, as ``key`` says or the ``starts`` of all."""
    if key in arrays:
        return _integers(f"{path}, {key}", arrays[key])
    return np.diff(_integers(f"{path}, {starts}", arrays[starts])) if starts in arrays else None


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
    if array.dtype.kind == "f":  # only now: what pads them need not be
        for each, sequence in zip(names, sequences, strict=True):
            _finite(each, sequence)
    return Recordings(tuple(names), tuple(sequences))


_NPY = "a .npy array [T, I] or [N, T, I]: float features, or int8 or int16 frames"
_NPZ = "an .npz archive of arrays"
_READERS: dict[str, tuple[Callable[[Path], Recordings], str]] = {
    ".npy": (_npy, _NPY),
    ".npz": (_npz, _NPZ),
    ".csv": (_csv, "a table with a row a frame"),
}
SUFFIXES = tuple(_READERS)
