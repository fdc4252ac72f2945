"""A whole network on batches of sequences, and the record of what it did."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.errors import refusal
from golden.fixed import Integers
from golden.kinds import arithmetic
from golden.linear import DeltaLinear, DenseLinear
from golden.model import Model
from golden.recurrent import DeltaRecurrent, DenseRecurrent


@dataclass(frozen=True)
class Trace:
    """What a network did with one sequence of T frames.

    Attributes
    ----------
    outputs : int64 [T, O]
        Results: M of a read-out, or a of the last recurrent layer.
    states : per recurrent layer int64 [T, H]
        h_t of a GRU layer in state LSBs, c_t of an LSTM layer in cell LSBs.
    deltas_x : per layer int64 [T, I]
        Deltas of x, 0 where nothing fired.
    deltas_h : per recurrent layer int64 [T, H]
        Deltas of h, 0 where nothing fired.
    """

    outputs: Integers
    states: tuple[Integers, ...]
    deltas_x: tuple[Integers, ...]
    deltas_h: tuple[Integers, ...]

    @classmethod
    def joined(cls, traces: Sequence["Trace"]) -> "Trace":
        """One trace of the frames of several, in a row."""

        def rows(name: str) -> tuple[Integers, ...]:
            columns = zip(*(getattr(trace, name) for trace in traces), strict=True)
            return tuple(np.concatenate(column) for column in columns)

        outputs = np.concatenate([trace.outputs for trace in traces])
        return cls(outputs, rows("states"), rows("deltas_x"), rows("deltas_h"))

    def __getitem__(self, part: int | slice) -> "Trace":
        """Some frames in a row; or, of a batch's trace, one of its sequences."""
        return Trace(
            self.outputs[part],
            tuple(a[part] for a in self.states),
            tuple(a[part] for a in self.deltas_x),
            tuple(a[part] for a in self.deltas_h),
        )

    @property
    def state(self) -> Integers:
        """int64 [T, H]: the state of the last recurrent layer."""
        return self.states[-1]

    @property
    def events_x(self) -> Integers:
        """int64 [T, layers]: events of x in each frame and layer."""
        return np.stack([np.count_nonzero(d, axis=-1) for d in self.deltas_x], axis=-1)

    @property
    def events_h(self) -> Integers:
        """int64 [T, layers]: events of h in each frame and layer, 0 for a linear layer."""
        counts = np.zeros_like(self.events_x)
        for k, d in enumerate(self.deltas_h):
            counts[..., k] = np.count_nonzero(d, axis=-1)
        return counts


class DeltaNetwork:
    """A network of delta layers over ``batch`` independent sequences.

    Attributes
    ----------
    layers
        The layers, in order; their memories, accumulators and thresholds may be looked at.
    """

    def __init__(self, model: Model, batch: int = 1) -> None:
        formats = model.parameters.formats
        self.model, self.batch = model, batch
        self.layers: list[DeltaRecurrent | DeltaLinear] = [
            arithmetic(layer.kind).Delta(formats, layer, weights, batch)
            for layer, weights in zip(model.parameters.layers, model.weights, strict=True)
        ]

    def reset(self) -> None:
        for layer in self.layers:
            layer.reset()

    def step(self, x: Integers) -> Integers:
        """One frame: x int64 [batch, I] in activation LSBs to results int64 [batch, O]."""
        for layer in self.layers:
            x = layer.step(x)
        return x

    def run(self, frames: np.ndarray) -> Trace:
        """T frames in a row, from the state that the network is in.

        ``frames`` is an integer array [T, I] for a batch of one, else [batch, T, I]; every array
        of the trace then has the leading batch axis as well.
        """
        single = frames.ndim == 2
        x = np.asarray(frames, dtype=np.int64)[None] if single else frames.astype(np.int64)
        if x.shape[0] != self.batch or x.shape[2] != self.model.parameters.inputs:
            raise refusal(
                "shape of the frames",
                list(frames.shape),
                f"batch {self.batch} of T frames of {self.model.parameters.inputs}",
            )
        length = x.shape[1]
        recurrent = [layer for layer in self.layers if isinstance(layer, DeltaRecurrent)]

        def record(units: int) -> Integers:
            return np.zeros((self.batch, length, units), dtype=np.int64)

        outputs = record(self.model.parameters.outputs)
        states = tuple(record(layer.layer.units) for layer in recurrent)
        deltas_x = tuple(record(layer.layer.inputs) for layer in self.layers)
        deltas_h = tuple(record(layer.layer.units) for layer in recurrent)
        for t in range(length):
            outputs[:, t] = self.step(x[:, t])
            for k, layer in enumerate(self.layers):
                deltas_x[k][:, t] = layer.deltas_x
            for k, layer in enumerate(recurrent):
                states[k][:, t] = layer.state
                deltas_h[k][:, t] = layer.deltas_h
        trace = Trace(outputs, states, deltas_x, deltas_h)
        return trace[0] if single else trace


class DenseNetwork:
    """The same network without deltas, recomputed in every frame: the twin at threshold 0."""

    def __init__(self, model: Model, batch: int = 1) -> None:
        formats = model.parameters.formats
        self.layers: list[DenseRecurrent | DenseLinear] = [
            arithmetic(layer.kind).Dense(formats, layer, weights, batch)
            for layer, weights in zip(model.parameters.layers, model.weights, strict=True)
        ]

    def step(self, x: Integers) -> Integers:
        """One frame: x int64 [batch, I] in activation LSBs to results int64 [batch, O]."""
        for layer in self.layers:
            x = layer.step(x)
        return x


def run_sequences(model: Model, sequences: Sequence[np.ndarray]) -> list[Trace]:
    """Each sequence (integers [T, I], lengths may differ) from reset, all at once.

    Shorter sequences are padded at their end, which cannot reach back into them.
    """
    if not sequences:
        return []
    longest = max(len(frames) for frames in sequences)
    batch = np.zeros((len(sequences), longest, model.parameters.inputs), dtype=np.int64)
    for b, frames in enumerate(sequences):
        batch[b, : len(frames)] = frames
    trace = DeltaNetwork(model, len(sequences)).run(batch)
    return [trace[b][: len(frames)] for b, frames in enumerate(sequences)]
