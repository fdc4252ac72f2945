"""Labelled sequences: what every task here learns from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.errors import refusal
from golden.files import written_aside
from golden.fixed import Q, quantize
from golden.recordings import load

Floats = NDArray[np.float64]
Labels = NDArray[np.int64] | tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Sequences:
    """Recordings, each with its label.

    Attributes
    ----------
    frames : per sequence float64 [T, I], or int8 [T, I] once in activation LSBs
        Features of T frames; T differs from sequence to sequence.
    labels : int64 [n], or per sequence an array
        The class of each sequence, from 0; or whatever a goal (train/course/goals.py) asks of one.
    """

    frames: tuple[np.ndarray, ...]
    labels: Labels

    def __post_init__(self) -> None:
        if len(self.frames) != len(self.labels):
            raise refusal("labels", len(self.labels), f"{len(self.frames)}, one a sequence")

    def __len__(self) -> int:
        return len(self.frames)

    def pick(self, which: ArrayLike) -> "Sequences":
        """The sequences at the indices ``which``, in that order."""
        indices = np.asarray(which, dtype=np.int64)
        labels = (
            tuple(self.labels[i] for i in indices)
            if isinstance(self.labels, tuple)
            else self.labels[indices]
        )
        return Sequences(tuple(self.frames[i] for i in indices), labels)

    def split(self, per_class: int, seed: int) -> tuple["Sequences", "Sequences"]:
        """Two disjoint parts: the rest, and ``per_class`` sequences of every class, drawn by seed.

        Both keep the order of the whole.
        """
        rng = np.random.default_rng(seed)
        assert isinstance(self.labels, np.ndarray)
        apart = np.zeros(len(self), dtype=bool)
        for label in np.unique(self.labels):
            members = np.flatnonzero(self.labels == label)
            if len(members) <= per_class:
                raise refusal(f"class {label}", f"{len(members)} sequences", f"over {per_class}")
            apart[rng.choice(members, per_class, replace=False)] = True
        return self.pick(np.flatnonzero(~apart)), self.pick(np.flatnonzero(apart))

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of each feature over all frames, float64 [I] each."""
        frames = np.concatenate(self.frames)
        return frames.mean(axis=0), frames.std(axis=0)

    def standardized(self, mean: Floats, std: Floats) -> "Sequences":
        """(frames - mean) / std."""
        return Sequences(tuple((x - mean) / std for x in self.frames), self.labels)

    def with_shifted_copies(self, copies: int, deviation: Floats, seed: int) -> "Sequences":
        """These sequences, then ``copies`` of each, every copy shifted by one draw of noise.

        A shift is the same in all frames of a sequence, as of another day or microphone;
        ``deviation`` [I] is its standard deviation for each feature.
        """
        rng = np.random.default_rng(seed)
        shifted = tuple(
            x + deviation * rng.standard_normal(len(deviation))
            for _ in range(copies)
            for x in self.frames
        )
        everyone = self.pick(np.tile(np.arange(len(self)), 1 + copies))
        return Sequences(self.frames + shifted, everyone.labels)

    def quantized(self, input_scale: ArrayLike, activation: Q) -> "Sequences":
        """int8 frames in activation LSBs: quantize(frames * input_scale)."""
        scale = np.asarray(input_scale, dtype=np.float64)
        if activation.width > 8:
            raise refusal("format activation", str(activation), "at most 8 bits, as int8 frames")
        frames = tuple(quantize(x * scale, activation).astype(np.int8) for x in self.frames)
        return Sequences(frames, self.labels)


@dataclass(frozen=True)
class Dataset:
    """Recordings of one task, with what must be said of their origin.

    ``train`` teaches the weights, ``validation`` decides all else, ``test`` only judges.
    """

    name: str
    labels: tuple[str, ...] | None
    source: str
    licence: str
    train: Sequences
    validation: Sequences
    test: Sequences

    @property
    def offset(self) -> Floats | None:
        """float64 [I]: what was subtracted from the features already, for the model's
        `input_offset`; None: nothing.
        """
        return None

    @property
    def outputs(self) -> int:
        """Results a frame: a class each, or what labels [T, O] have in a frame, 1 of labels [T]."""
        if self.labels is not None:
            return len(self.labels)
        return int(np.prod(self.train.labels[0].shape[1:]))


def save_recordings(data: Sequences, path: Path) -> None:
    """Quantised sequences as .npz, without pickle: recording k is frames[start[k]:start[k + 1]].

    ``frames`` int8 [N, I] in activation LSBs, ``start`` int64 [n + 1]; ``label`` int64 [n], or
    where a label is an array all of them in a row, with ``label_start`` int64 [n + 1].
    """
    arrays = {"frames": np.concatenate(data.frames), "start": _starts(data.frames)}
    if isinstance(data.labels, tuple):
        arrays |= {"label": np.concatenate(data.labels), "label_start": _starts(data.labels)}
    else:
        arrays["label"] = data.labels
    with written_aside(path) as part:
        np.savez_compressed(part, **arrays)


def load_recordings(path: Path) -> Sequences:
    """What ``save_recordings`` wrote."""
    found = load(path)
    assert found.wanted is not None
    one = all(each.ndim == 0 for each in found.wanted)
    return Sequences(found.sequences, np.array(found.wanted) if one else found.wanted)


def _starts(arrays: tuple[np.ndarray, ...]) -> NDArray[np.int64]:
    return np.cumsum([0, *(len(array) for array in arrays)], dtype=np.int64)
