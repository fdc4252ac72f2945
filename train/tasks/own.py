"""A task of one's own: recordings, and what is wanted of them (docs/training.md)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from golden.errors import refusal
from golden.fixed import Q
from golden.formats import Formats
from golden.readings import READINGS, readout_for
from golden.recordings import PARTS, Recordings, load
from train.course.fit import FitParameters
from train.course.goals import FrameClasses, Goal, OneClass, Transcript, Value
from train.course.recipe import Recipe, Task
from train.data.recordings import Dataset, Floats, Labels, Sequences
from train.importers.suspicion import quoted, source_of
from train.quantised.thresholds import Budget

BLANK = "blank"  # the last result, where strings are wanted
SPLIT_SEED = 0  # the split is part of the task: other training seeds see the same data
APART = 0.15  # of the sequences, to validate with, and as many to test with
SMALLEST, LARGEST = 1e-9, 1e9  # deviation of a feature
OFF_CENTRE = 2.0  # deviations: a mean further from 0 is subtracted, for a core holds 8
OFF_TARGET = 3.0  # the same of targets, which a read-out has to learn
CROP = 400  # frames of a stream that an epoch takes
UNITS = 32
FORMATS = (
    Formats(),
    Formats(state=Q(1, 14)),
    Formats(activation=Q(2, 5), state=Q(2, 5)),
    Formats(activation=Q(2, 5), state=Q(1, 14)),
)


@dataclass(frozen=True)
class _Own(Dataset):
    subtracted: Floats | None = None

    @property
    def offset(self) -> Floats | None:
        return self.subtracted


def own_task(path: Path) -> Task:
    """The task in a file or folder that golden.recordings reads.

    Raises
    ------
    ValueError
        In one line that names the file, and the array or recording: where it cannot be read, holds
        frames in LSBs in place of features, or too little to learn from.
    """
    recordings = load(path).named()
    name = source_of(path)
    _require_features(recordings)
    if recordings.wanted is None:
        raise refusal(name, "neither labels nor targets", "one of them, to be learned")
    readout = readout_for(recordings.wanted, recordings.lengths)
    if readout == "value":
        names, outputs = None, int(np.prod(recordings.wanted[0].shape[1:]))
    else:
        names = _names(name, recordings, readout)
        outputs = len(names)
    recordings = recordings.fitting(READINGS[readout], outputs)
    if readout == "ctc":
        _require_room(recordings)
    whole = Sequences(recordings.sequences, _labels(recordings, readout))
    parts = _parts(name, whole, recordings.split, names)
    said = None if names is None else names[: outputs - (readout == "ctc")]
    _require_learnable(name, parts["train"], said)
    parts, offset = _centred(parts)
    source = f"the owner's recordings, {name}"
    data = _Own(path.resolve().stem, names, source, "not stated", **parts, subtracted=offset)
    goal, recipe = _GOALS[readout](data)
    return Task(lambda: data, goal, recipe)


def _class(data: Dataset) -> tuple[Goal, Recipe]:
    fit = FitParameters(batch=_batch(data, 64))
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


def _frame_classes(data: Dataset) -> tuple[Goal, Recipe]:
    fit = FitParameters(60, _batch(data, 64), 5e-3, sequence_noise=0.2, frame_noise=0.2, crop=CROP)
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


def _string(data: Dataset) -> tuple[Goal, Recipe]:
    # For its first hundreds of updates CTC says nothing but blank: small batches soon have them.
    fit = FitParameters(60, _batch(data, 16), 4e-3, sequence_noise=0.2, frame_noise=0.3)
    return Transcript(), Recipe(
        units=UNITS,
        fit=fit,
        tune=replace(fit, epochs=20, learning_rate=1e-3),
        theta_x=4,
        theta_h=2,
        noise=1.5,
        delta_cost=0.5,
        formats=FORMATS,
        format_tolerance=0.02,
        budget=Budget(error=0.0, loss=0.03),
    )


def _value(data: Dataset) -> tuple[Goal, Recipe]:
    scale = float(f"{_rows(data.train.labels).std(axis=0).max():.6g}")
    fit = FitParameters(60, _batch(data, 64), 5e-3, sequence_noise=0.0, frame_noise=0.1, crop=CROP)
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


# By the readout: the goal, and a recipe that does for most networks of its kind.
_GOALS: dict[str, Callable[[Dataset], tuple[Goal, Recipe]]] = {
    "sum": _class,
    "frame": _frame_classes,
    "ctc": _string,
    "value": _value,
}


def _batch(data: Dataset, most: int) -> int:
    return int(np.clip(len(data.train) // 8, 4, most))


def _require_features(recordings: Recordings) -> None:
    """Refuses frames, which only the model has use for that they were made for, and odd widths."""
    width = recordings.sequences[0].shape[1]
    for name, each in zip(recordings.names, recordings.sequences, strict=True):
        if each.dtype.kind != "f":
            raise refusal(name, f"{each.dtype} frames in LSBs of a model", "features")
        if each.shape[1] != width:
            raise refusal(name, f"{each.shape[1]} features", f"{width}, as in the first recording")


def _names(source: str, recordings: Recordings, readout: str) -> tuple[str, ...]:
    """The classes' names, with that of the blank where strings are wanted."""
    assert recordings.wanted is not None
    where, names = f"{source}, labels", recordings.label_names
    classes = np.unique(np.concatenate([np.ravel(each) for each in recordings.wanted]))
    if names is None:
        if len(classes) and classes[0] < 0:
            raise refusal(where, f"{classes[0]}", "classes from 0 on")
        absent = np.flatnonzero(classes != np.arange(len(classes)))
        if len(absent):
            raise refusal(where, f"{classes[-1]}, but no {absent[0]}", "classes without a gap")
        names = tuple(str(n) for n in classes)
    if len(classes) < 2:
        found = f"class {quoted(names[classes[0]])} alone" if len(classes) else "no class"
        raise refusal(where, found, "two classes at least")
    if readout != "ctc":
        return names
    if BLANK in names:
        raise refusal(where, f"a class {quoted(BLANK)}", "another name: between classes lies that")
    return (*names, BLANK)


def _require_room(recordings: Recordings) -> None:
    """Refuses strings that have no room: a frame a class, and one between two that are the same."""
    assert recordings.wanted is not None
    for name, each, frames in zip(
        recordings.names, recordings.wanted, recordings.lengths, strict=True
    ):
        least = len(each) + int(np.count_nonzero(np.diff(each) == 0))
        if least > frames:
            found = f"{len(each)} classes in {frames} frames"
            raise refusal(f"{name}, labels", found, f"at least {least} frames")


def _labels(recordings: Recordings, readout: str) -> Labels:
    assert recordings.wanted is not None
    return np.array(recordings.wanted) if readout == "sum" else recordings.wanted


def _rows(labels: Labels) -> np.ndarray:
    """Labels of all frames in a row [n, O]."""
    every = np.concatenate([np.atleast_1d(each) for each in labels])
    return every.reshape(len(every), -1)


def _parts(
    source: str, whole: Sequences, split: np.ndarray | None, names: tuple[str, ...] | None
) -> dict[str, Sequences]:
    """By name: as ``split`` says, else drawn, of each class the same share."""
    if len(whole) < len(PARTS):
        found = f"{len(whole)} recording{'s' * (len(whole) > 1)}"
        raise refusal(source, found, "at least 3: one each to train, validate and test")
    if split is None and isinstance(whole.labels, np.ndarray):
        assert names is not None
        for label, count in enumerate(np.bincount(whole.labels, minlength=len(names))):
            if count < len(PARTS):
                found = f"{count} of class {quoted(names[label])}"
                raise refusal(f"{source}, labels", found, "3 recordings at least, or a split")
        split = _drawn(whole.labels)
    elif split is None:
        split = _drawn(np.zeros(len(whole), dtype=np.int64))
    parts = {part: np.flatnonzero(split == k) for k, part in enumerate(PARTS)}
    for k, part in enumerate(PARTS):
        if not len(parts[part]):
            raise refusal(f"{source}, split", f"no {k}", f"some recordings for {part}")
    return {part: whole.pick(which) for part, which in parts.items()}


def _require_learnable(source: str, train: Sequences, names: tuple[str, ...] | None) -> None:
    """Refuses a part to train with from which a core could not learn what is asked."""
    for i, values in enumerate(np.concatenate(train.frames).T):
        _require_spread(f"{source}, feature {i}", values)
    every = _rows(train.labels)
    if names is not None:
        absent = np.setdiff1d(np.arange(len(names)), every)
        if len(absent):
            found = f"none of class {quoted(names[absent[0]])} to train with"
            raise refusal(f"{source}, labels", found, "some of each class")
        return
    with np.errstate(over="ignore", invalid="ignore"):
        means, spreads = every.mean(axis=0), every.std(axis=0)
    for o, at in enumerate(means):
        _require_spread(f"{source}, target {o}", every[:, o])
        # One scale serves all results, that of the one which moves most.
        if abs(at) > OFF_TARGET * spreads.max():
            found = f"a mean of {at:.6g} at a standard deviation of {spreads.max():.3g}"
            expected = f"0 within {OFF_TARGET:g} of them: subtract the mean"
            raise refusal(f"{source}, target {o}", found, expected)


def _require_spread(name: str, values: Floats) -> None:
    if (values == values[0]).all():  # the deviation of a constant may be more than 0, by rounding
        raise refusal(name, f"{values[0]:.6g} in every frame", "one that changes: leave it out")
    with np.errstate(over="ignore", invalid="ignore"):
        std = values.std()
    if not SMALLEST <= std <= LARGEST:
        expected = f"one from {SMALLEST:g} to {LARGEST:g}"
        raise refusal(name, f"a standard deviation of {std:.3g}", expected)


def _centred(parts: dict[str, Sequences]) -> tuple[dict[str, Sequences], Floats | None]:
    """Parts without the means of features that lie far from 0, and those means; None: there are
    none.
    """
    mean, std = parts["train"].moments()
    far = np.abs(mean) > OFF_CENTRE * std
    if not far.any():
        return parts, None
    offset = np.where(far, mean, 0.0)
    return {
        name: part.standardized(offset, np.ones_like(std)) for name, part in parts.items()
    }, offset


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
