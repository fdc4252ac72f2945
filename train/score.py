"""What the integer network makes of labelled sequences: golden/ is the judge."""

from dataclasses import dataclass

import numpy as np

from golden.cost import delta_cost, dense_cost
from golden.model import Model
from golden.network import Trace, run_sequences
from train.data import Floats, Sequences


@dataclass(frozen=True)
class Score:
    """How good and how dear a network is on some sequences.

    Attributes
    ----------
    accuracy
        Fraction of sequences whose largest sum of read-outs is their label.
    loss
        Mean cross entropy of the read-outs, in nats; it moves where the accuracy does not yet.
    occupancy
        Columns that fired / all columns; x and h of all frames and layers together.
    macs
        Multiply-accumulates done / those of the dense network.
    """

    accuracy: float
    loss: float
    occupancy: float
    macs: float


def score(model: Model, data: Sequences) -> Score:
    """Runs every sequence from reset; ``data`` holds int8 frames in activation LSBs."""
    traces = run_sequences(model, data.frames)
    network = model.parameters
    sums = np.stack([trace.outputs.sum(axis=0) for trace in traces])
    lengths = np.array([len(trace.outputs) for trace in traces])
    frames = int(lengths.sum())
    events = sum(int(trace.events_x.sum() + trace.events_h.sum()) for trace in traces)
    macs = sum(int(delta_cost(network, trace).macs.sum()) for trace in traces)
    logits = sums / lengths[:, None] / 2.0**network.output_frac
    return Score(
        accuracy=float(np.mean(predictions(traces) == data.labels)),
        loss=_cross_entropy(logits, data.labels),
        occupancy=events / (frames * sum(layer.columns for layer in network.layers)),
        macs=macs / int(dense_cost(network, frames).macs.sum()),
    )


def predictions(traces: list[Trace]) -> np.ndarray:
    """int64 [n]: the class with the largest sum of read-outs, the first of equals."""
    return np.array([trace.outputs.sum(axis=0).argmax() for trace in traces])


def _cross_entropy(logits: Floats, labels: np.ndarray) -> float:
    """Mean of log(sum exp) - logit of the label; logits [n, O], labels [n]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    own = shifted[np.arange(len(labels)), labels]
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - own))
