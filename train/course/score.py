"""What the integer network makes of labelled sequences: golden/ is the judge."""

from dataclasses import dataclass

import torch

from golden.model import Model
from golden.network import Trace, run_sequences
from golden.predict.inference import delta_cost, dense_cost, occupancy
from train.course.goals import Goal, padded
from train.data.recordings import Sequences


@dataclass(frozen=True)
class Score:
    """How good and how dear a network is on some sequences.

    Attributes
    ----------
    error
        In the goal's unit: a fraction, or a root mean square.
    loss
        The goal's; it moves where the error does not yet.
    occupancy_x, occupancy_h
        Columns that fired / all columns, over all frames and layers.
    macs
        Multiply-accumulates done / those of the dense network; weights fetched are as many.
    """

    error: float
    loss: float
    occupancy_x: float
    occupancy_h: float
    macs: float


def score(model: Model, data: Sequences, goal: Goal) -> Score:
    """Runs every sequence from reset; ``data`` holds int8 frames in activation LSBs."""
    traces = run_sequences(model, data.frames)
    network = model.parameters
    outputs = [trace.outputs / 2.0**network.output_frac for trace in traces]
    joined = Trace.joined(traces)
    of_x, of_h = occupancy(network, joined)
    macs = (
        delta_cost(network, joined).macs.sum() / dense_cost(network, len(joined.outputs)).macs.sum()
    )
    with torch.no_grad():
        loss = float(goal.loss(*padded(outputs), data.labels))
    return Score(goal.error(outputs, data.labels), loss, of_x, of_h, float(macs))
