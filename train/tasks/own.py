"""A task of one's own: recordings, and what is wanted of them, in an .npz (docs/training.md)."""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from golden.errors import refusal
from golden.fixed import Q
from golden.formats import Formats
from train.course.fit import FitParameters
from train.course.goals import FrameClasses, Goal, OneClass, Value
from train.course.recipe import Recipe, Task
from train.data.recordings import Dataset, Floats, Labels, Sequences
from train.importers.suspicion import (
    content_of,
    listed,
    members_of,
    quoted,
    shape_of,
    shown,
    source_of,
)
from train.quantised.thresholds import Budget

SUFFIX = ".npz"
ARRAYS = ("features", "lengths", "labels", "targets", "label_names", "split")
PARTS = ("train", "validation", "test")  # 0, 1 and 2 of ``split``
FILE_BYTES = 1 << 29  # of the archive, and of all that it unpacks to
SPLIT_SEED = 0  # the split is part of the task: other training seeds see the same data
APART = 0.15  # of the sequences, to validate with, and as many to test with
SMALLEST, LARGEST = 1e-9, 1e9  # deviation of a feature
OFF_CENTRE = 6.0  # deviations that a feature's mean may be from 0, of the 8 that a core can hold
OFF_TARGET = 3.0  # the same of targets, which a read-out has to learn
CROP = 400  # frames of a stream that an epoch takes
UNITS = 32
FORMATS = (
    Formats(),
    Formats(state=Q(1, 14)),
    Formats(activation=Q(2, 5), state=Q(2, 5)),
    Formats(activation=Q(2, 5), state=Q(1, 14)),
)


def own_task(path: Path) -> Task:
    """The task in ``path``; what it is not is refused in one line that names file and array.

    Raises
    ------
    ValueError
        Where the archive is none, is too large, or holds arrays of other names, kinds or shapes,
        values that are not finite, too little to learn from, or features that a core cannot hold.
    """
    archive = _Archive.read(path)
    frames, lengths = archive.sequences()
    if ("labels" in archive.arrays) == ("targets" in archive.arrays):
        found = "both" if "labels" in archive.arrays else "neither"
        raise refusal(archive.source, f"{found} of labels and targets", "one of them")
    if "labels" in archive.arrays:
        labels, names = archive.labels(lengths)
    else:
        labels, names = archive.targets(lengths), None
    parts = archive.split(Sequences(frames, labels), names)
    archive.require_learnable(parts["train"], names)
    source = f"the owner's recordings, {archive.source}"
    data = Dataset(path.stem, names, source, "not stated", **parts)
    goal, recipe = _wanted(data)
    return Task(lambda: data, goal, recipe)


def _wanted(data: Dataset) -> tuple[Goal, Recipe]:
    """The goal that the labels ask for, and a recipe that does for most networks of its kind."""
    batch = int(np.clip(len(data.train) // 8, 4, 64))
    if data.labels is None:
        scale = float(f"{np.concatenate(data.train.labels).std(axis=0).max():.6g}")
        fit = FitParameters(60, batch, 5e-3, sequence_noise=0.0, frame_noise=0.1, crop=CROP)
        return Value(output_scale=scale, unit="RMSE", second=1), Recipe(
            units=UNITS,
            fit=fit,
            tune=replace(fit, learning_rate=2e-3),
            theta_x=2,
            theta_h=1,
            noise=1.0,
            delta_cost=0.01,
            formats=FORMATS,
            format_tolerance=0.002,
            budget=Budget(error=0.003 * scale, loss=0.003),
        )
    if isinstance(data.train.labels, tuple):
        fit = FitParameters(60, batch, 5e-3, sequence_noise=0.2, frame_noise=0.2, crop=CROP)
        return FrameClasses(), Recipe(
            units=UNITS,
            fit=fit,
            tune=replace(fit, learning_rate=2e-3),
            theta_x=4,
            theta_h=2,
            noise=1.5,
            delta_cost=0.5,
            formats=FORMATS,
            format_tolerance=0.005,
            shifted_copies=1,
            budget=Budget(error=0.005, loss=0.005),
        )
    fit = FitParameters(batch=batch)
    return OneClass(), Recipe(
        units=UNITS,
        fit=fit,
        tune=replace(fit, epochs=60, learning_rate=3e-3),
        theta_x=5,
        theta_h=3,
        noise=2.0,
        delta_cost=1.0,
        formats=FORMATS,
        format_tolerance=0.005,
        shifted_copies=3 if len(data.validation) < 200 else 1,
        budget=Budget(error=0.01, loss=0.004),
    )


@dataclass(frozen=True)
class _Archive:
    """The arrays of a file, of which nothing is known yet but that they are no objects."""

    source: str
    arrays: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> "_Archive":
        """All arrays; nothing is unpickled."""
        source, expected = source_of(path), "an .npz archive of arrays"
        content = content_of(path, source, expected, FILE_BYTES)
        arrays = {}
        for member, data in members_of(content, source, expected, FILE_BYTES).items():
            name = member.removesuffix(".npy")
            if name not in ARRAYS:
                found = f"an array {quoted(name)}"
                raise refusal(source, found, f"no others than {', '.join(ARRAYS)}")
            try:
                arrays[name] = np.load(io.BytesIO(data), allow_pickle=False)
            except Exception:  # a broken header raises nearly anything
                found = "no array of numbers or texts"
                raise refusal(f"{source}, {name}", found, "one that needs no pickle") from None
        if "features" not in arrays:
            raise refusal(source, f"arrays {listed(arrays)}", "features among them")
        return cls(source, arrays)

    def refusal(self, name: str, found: str, expected: str) -> ValueError:
        return refusal(f"{self.source}, {name}", found, expected)

    def sequences(self) -> tuple[tuple[Floats, ...], np.ndarray]:
        """Features of each sequence, float64 [T, I], and its length, int64 [N]."""
        features = self._of("features", "fiu", "numbers")
        expected = "numbers [N, T, I], or [frames, I] with lengths"
        if features.ndim not in (2, 3) or 0 in features.shape:
            raise self.refusal("features", _described(features), expected)
        padded = features.ndim == 3
        if "lengths" in self.arrays:
            lengths = self._of("lengths", "iu", "integers")
            count = len(features) if padded else len(lengths) if lengths.ndim else 0
            if lengths.shape != (count,) or not count:
                raise self.refusal(
                    "lengths", _described(lengths), f"int [{count if padded else 'N'}]"
                )
            most = features.shape[1] if padded else len(features)
            for value in (int(lengths.min()), int(lengths.max())):
                if not 1 <= value <= most:
                    raise self.refusal("lengths", f"{value}", f"from 1 to {most}, the frames")
            lengths = lengths.astype(np.int64)
            if not padded and lengths.sum() != len(features):
                expected = f"{len(features)}, the frames of features"
                raise self.refusal("lengths", f"a sum of {lengths.sum()}", expected)
        elif padded:
            lengths = np.full(len(features), features.shape[1], dtype=np.int64)
        else:
            raise self.refusal("features", f"{_described(features)} without lengths", expected)
        return self._finite("features", self._pieces(features, lengths)), lengths

    def labels(self, lengths: np.ndarray) -> tuple[Labels, tuple[str, ...]]:
        """The class of each sequence or frame, and the classes' names."""
        labels = self._of("labels", "iu", "integers")
        shape = self._frames
        if labels.shape == lengths.shape:
            found: Labels = labels.astype(np.int64)
            every = np.asarray(found)
        elif labels.shape == shape:
            found = tuple(piece.astype(np.int64) for piece in self._pieces(labels, lengths))
            every = np.concatenate(found)
        else:
            expected = f"int {list(lengths.shape)} or {list(shape)}"
            raise self.refusal("labels", _described(labels), expected)
        classes, names = np.unique(every), self._names()
        low, high = int(classes[0]), int(classes[-1])
        if names is None:
            if low < 0:
                raise self.refusal("labels", f"{low}", "classes from 0 on")
            absent = np.flatnonzero(classes != np.arange(len(classes)))
            if len(absent):
                raise self.refusal("labels", f"{high}, but no {absent[0]}", "classes without a gap")
            names = tuple(str(n) for n in classes)
        for value in (low, high):
            if not 0 <= value < len(names):
                raise self.refusal("labels", f"{value}", f"0 to {len(names) - 1}, as label_names")
        if len(classes) < 2:
            raise self.refusal("labels", f"class {low} alone", "two classes at least")
        return found, names

    def targets(self, lengths: np.ndarray) -> tuple[np.ndarray, ...]:
        """The targets of each sequence, float64 [T, O]."""
        targets = self._of("targets", "fiu", "numbers")
        shape = self._frames
        if targets.shape[:-1] != shape or not targets.size:
            expected = f"numbers [{', '.join(map(str, shape))}, O]"
            raise self.refusal("targets", _described(targets), expected)
        if "label_names" in self.arrays:
            raise self.refusal("label_names", "some beside targets", "them with labels alone")
        return self._finite("targets", self._pieces(targets, lengths))

    def split(self, whole: Sequences, names: tuple[str, ...] | None) -> dict[str, Sequences]:
        """Parts by name: as the array says, else drawn, of each class the same share."""
        if len(whole) < len(PARTS):
            found = f"{len(whole)} sequence{'s' * (len(whole) > 1)}"
            raise self.refusal("features", found, "at least 3: one each to train, validate, test")
        if "split" in self.arrays:
            split = self._of("split", "iu", "integers")
            if split.shape != (len(whole),):
                raise self.refusal("split", _described(split), f"int [{len(whole)}]")
            for value in (int(split.min()), int(split.max())):
                if value not in range(len(PARTS)):
                    raise self.refusal("split", f"{value}", "0 (train), 1 (validation) or 2 (test)")
        elif isinstance(whole.labels, np.ndarray):
            assert names is not None
            for label, count in enumerate(np.bincount(whole.labels, minlength=len(names))):
                if count < len(PARTS):
                    found = f"{count} of class {quoted(names[label])}"
                    raise self.refusal("labels", found, "3 sequences at least, or a split")
            split = _drawn(whole.labels)
        else:
            split = _drawn(np.zeros(len(whole), dtype=np.int64))
        parts = {part: np.flatnonzero(split == k) for k, part in enumerate(PARTS)}
        for k, part in enumerate(PARTS):
            if not len(parts[part]):
                raise self.refusal("split", f"no {k}", f"some sequences for {part}")
        return {part: whole.pick(which) for part, which in parts.items()}

    def require_learnable(self, train: Sequences, names: tuple[str, ...] | None) -> None:
        """Refuses a part to train with from which a core could not learn what is asked."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = train.moments()
        for i, (at, spread) in enumerate(zip(mean, std, strict=True)):
            self._require_spread(f"feature {i}", at, spread, OFF_CENTRE)
        if names is None:
            every = np.concatenate(train.labels)
            with np.errstate(over="ignore", invalid="ignore"):
                means, spreads = every.mean(axis=0), every.std(axis=0)
            for o, at in enumerate(means):
                self._require_spread(f"target {o}", at, spreads[o], np.inf)
                # One scale serves all results, that of the one which moves most.
                self._require_spread(f"target {o}", at, spreads.max(), OFF_TARGET)
        else:
            labels = train.labels
            every = labels if isinstance(labels, np.ndarray) else np.concatenate(labels)
            absent = np.setdiff1d(np.arange(len(names)), every)
            if len(absent):
                found = f"none of class {quoted(names[absent[0]])} to train with"
                raise self.refusal("labels", found, "some of each class")

    def _require_spread(self, name: str, mean: float, std: float, most: float) -> None:
        if not std:
            raise self.refusal(name, f"{mean:.6g} in every frame", "one that changes: leave it out")
        if not SMALLEST <= std <= LARGEST:
            expected = f"one from {SMALLEST:g} to {LARGEST:g}"
            raise self.refusal(name, f"a standard deviation of {std:.3g}", expected)
        if abs(mean) > most * std:
            found = f"a mean of {mean:.6g} at a standard deviation of {std:.3g}"
            raise self.refusal(name, found, f"0 within {most:g} of them: subtract the mean")

    def _of(self, name: str, kinds: str, what: str) -> np.ndarray:
        array = self.arrays[name]
        if array.dtype.kind not in kinds:
            raise self.refusal(name, _described(array), what)
        return array

    def _names(self) -> tuple[str, ...] | None:
        if "label_names" not in self.arrays:
            return None
        names = self._of("label_names", "U", "texts")
        if names.ndim != 1 or not names.size:
            raise self.refusal("label_names", _described(names), "texts [classes]")
        texts = tuple(str(name) for name in names)
        twice = [name for name in texts if texts.count(name) > 1]
        if twice:
            raise self.refusal("label_names", f"{quoted(twice[0])} twice", "names that differ")
        return texts

    @property
    def _frames(self) -> tuple[int, ...]:
        """The shape of an array with one entry a frame."""
        return self.arrays["features"].shape[:-1]

    def _pieces(self, array: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, ...]:
        """What is each sequence's of an array with an entry, or a row, a frame."""
        if self.arrays["features"].ndim == 3:
            return tuple(rows[:length] for rows, length in zip(array, lengths, strict=True))
        return tuple(np.split(array, np.cumsum(lengths)[:-1]))

    def _finite(self, name: str, pieces: tuple[np.ndarray, ...]) -> tuple[Floats, ...]:
        for n, piece in enumerate(pieces):
            wrong = np.argwhere(~np.isfinite(piece))
            if len(wrong):
                t, i = (int(k) for k in wrong[0])
                found = f"{shown(piece[t, i])} in sequence {n}, frame {t}, column {i}"
                raise self.refusal(name, found, "finite numbers")
        return tuple(piece.astype(np.float64) for piece in pieces)


def _drawn(strata: np.ndarray) -> np.ndarray:
    """A split of sequences [N], of each stratum the same share."""
    rng = np.random.default_rng(SPLIT_SEED)
    split = np.zeros(len(strata), dtype=np.int64)
    for stratum in np.unique(strata):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        each = max(1, round(APART * len(members)))
        split[members[:each]] = PARTS.index("validation")
        split[members[each : 2 * each]] = PARTS.index("test")
    return split


def _described(array: np.ndarray) -> str:
    return f"{shown(str(array.dtype))} {shape_of(array.shape)}"
