"""How a network's results become answers: the key `readout` of a model file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.errors import refusal
from golden.model import Model

Floats = NDArray[np.float64]


def by_sum(results: np.ndarray) -> np.ndarray:
    """The class with the largest sum of results [T, O], the first of equals."""
    return np.asarray(results.sum(axis=0).argmax())


def by_last(results: np.ndarray) -> np.ndarray:
    """The class with the largest result of the last frame."""
    return np.asarray(results[-1].argmax())


def by_frame(results: np.ndarray) -> np.ndarray:
    """int64 [T]: in each frame the class with the largest result."""
    return results.argmax(axis=1)


def transcript(results: np.ndarray) -> np.ndarray:
    """The labels that results [T, O] say, the last result being the blank.

    Connectionist temporal classification (Graves et al., ICML 2006) read greedily: the largest
    result of every frame, repeats once, blanks left out.
    """
    best = results.argmax(axis=1)
    said = best[np.flatnonzero(np.diff(best, prepend=-1))]
    return said[said != results.shape[1] - 1]


def wrong(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """The fraction of answers that are not what was wanted."""
    pairs = zip(found, wanted, strict=True)
    return float(np.mean(np.concatenate([np.ravel(a != b) for a, b in pairs])))


def wrong_labels(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """Edit distance to what was wanted, over its length; where that is 0, the labels too many."""
    edits = sum(edit_distance(a, b) for a, b in zip(found, wanted, strict=True))
    return edits / max(1, sum(len(b) for b in wanted))


def root_mean_square(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """That of what is left; where one number a frame is wanted, it is the first result's.

    Raises ValueError where it is more than a float holds.
    """
    left = [
        a[:, : np.size(b) // len(b)] - np.reshape(b, (len(b), -1))
        for a, b in zip(found, wanted, strict=True)
    ]
    with np.errstate(over="ignore"):
        error = float(np.sqrt(np.mean(np.concatenate(left) ** 2)))
    if not np.isfinite(error):
        raise refusal("error", error, "results and wanted numbers whose squares a float holds")
    return error


def edit_distance(found: Sequence[int] | np.ndarray, wanted: Sequence[int] | np.ndarray) -> int:
    """The fewest insertions, deletions and substitutions that make one of the other."""
    row = np.arange(len(wanted) + 1)
    for n, label in enumerate(found, 1):
        before, row = row, np.empty_like(row)
        row[0] = n
        for k, other in enumerate(wanted, 1):
            row[k] = min(before[k] + 1, row[k - 1] + 1, before[k - 1] + (label != other))
    return int(row[-1])


@dataclass(frozen=True)
class Reading:
    """One way to read results.

    Attributes
    ----------
    what
        In words, for messages.
    unit
        What ``error`` counts.
    answer
        Results [T, O] of one sequence, as real numbers, to its answer: a class, a class for each
        frame, a string of classes, or the numbers themselves.
    error
        Answers and what was wanted, sequence by sequence, to one number.
    classes
        Whether answers are classes, which labels may name.
    per_frame
        Whether there is an answer in every frame.
    logits
        Results [T, O] of one sequence to the logits [.., O] that the class is the largest of; None
        where the answer is no such class.
    """

    what: str
    unit: str
    answer: Callable[[np.ndarray], np.ndarray]
    error: Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], float]
    classes: bool
    per_frame: bool
    logits: Callable[[np.ndarray], np.ndarray] | None = None

    def probability(self, results: np.ndarray) -> Floats:
        """float64 [.., O], softmax of the logits: [O] of a sequence, or [T, O] of its frames."""
        assert self.logits is not None
        logits = self.logits(results)
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    @property
    def countable(self) -> bool:
        """Whether each answer is one of the classes, and can be counted as such."""
        return self.logits is not None

    def shapes(self, frames: int, outputs: int) -> list[tuple[int, ...]]:
        """What may be wanted of a sequence of so many frames; empty: anything."""
        if self.countable:
            return [(frames,)] if self.per_frame else [()]
        return [] if self.classes else [(frames,), (frames, outputs)]


READINGS = {
    "sum": Reading(
        "the class with the largest sum",
        "recordings wrong",
        by_sum,
        wrong,
        True,
        False,
        lambda results: results.mean(axis=0),  # as training takes it: length says nothing
    ),
    "last": Reading(
        "the class with the largest last result",
        "recordings wrong",
        by_last,
        wrong,
        True,
        False,
        lambda results: results[-1],
    ),
    "frame": Reading(
        "a class in every frame", "frames wrong", by_frame, wrong, True, True, np.asarray
    ),
    "ctc": Reading("a string of labels", "labels wrong", transcript, wrong_labels, True, False),
    "value": Reading("numbers in every frame", "RMSE", np.asarray, root_mean_square, False, True),
}


def readout_for(wanted: Sequence[np.ndarray], lengths: Sequence[int]) -> str:
    """The readout that gives what is wanted of recordings of these lengths: classes, or numbers."""
    if any(each.dtype.kind != "i" for each in wanted):
        return "value"
    if not any(each.ndim for each in wanted):
        return "sum"
    per_frame = all(each.shape == (n,) for each, n in zip(wanted, lengths, strict=True))
    return "frame" if per_frame else "ctc"


def require_names(labels: Sequence[str], outputs: int, readout: str | None) -> None:
    """Refuses labels that are not a name for each class; the blank of a string needs none."""
    classes = outputs - (readout == "ctc")
    if len(labels) not in (classes, outputs):
        raise refusal("labels", f"{len(labels)}", f"{classes}, one a class")
    if len(set(labels)) < len(labels) or not all(labels):
        raise refusal("labels", "the same name twice, or none", "a name for each class")


def with_meaning(model: Model, readout: str | None, labels: Sequence[str] | None) -> Model:
    """The model with what its results mean, where that is given. Raises as ``require_names``."""
    outputs = model.parameters.outputs
    if labels is not None:
        if isinstance(labels, str):
            raise refusal("labels", repr(labels), "a list of names")
        labels = list(map(str, labels))
        require_names(labels, outputs, readout)
        model = replace(model, labels=(*labels, "blank")[:outputs])
    if readout is not None:
        model = replace(model, extra={**model.extra, "readout": readout})
    return model


@dataclass(frozen=True)
class Answers:
    """What a model's results mean.

    Attributes
    ----------
    reading
        None where the model does not say.
    scale
        What a result as a real number is multiplied by to be in its unit.
    labels
        The classes' names, or None.
    """

    reading: Reading | None
    scale: float
    labels: tuple[str, ...] | None
    _step: float

    @classmethod
    def of(cls, model: Model) -> "Answers":
        """By the model file's keys `readout`, `output_scale` and `labels`.

        Raises ValueError where one of them is none of what docs/data.md says.
        """
        name, scale = model.extra.get("readout"), model.extra.get("output_scale", 1.0)
        if name is not None and (not isinstance(name, str) or name not in READINGS):
            raise refusal("key 'readout'", repr(name), " or ".join(READINGS))
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not scale:
            raise refusal("key 'output_scale'", repr(scale), "a number that is not 0")
        reading = None if name is None else READINGS[name]
        return cls(reading, float(scale), model.labels, 2.0**-model.parameters.output_frac)

    def results(self, outputs: np.ndarray) -> Floats:
        """Results in their unit, float64, of a core's outputs in LSBs."""
        return np.asarray(outputs, np.float64) * (self._step * self.scale)

    def words(self, answer: np.ndarray) -> Any:
        """An answer for people and JSON: names where classes have some, else numbers."""
        assert self.reading is not None
        if self.labels is None or not self.reading.classes:
            return answer.tolist()
        found = np.array(self.labels, dtype=object)[answer]
        return found if isinstance(found, str) else found.tolist()
