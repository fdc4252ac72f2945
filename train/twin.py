"""A model's twin in PyTorch, for searches that measure the same network many times."""

import torch

from golden.model import Model
from train.data import Sequences
from train.delta_gru import DeltaGRU
from train.goals import Goal, padded, unpadded
from train.network import dequantized
from train.score import Score
from train.thresholds import Thresholds


class Twin:
    """A model's twin in PyTorch on some frames, which gives golden's figures faster.

    Parameters
    ----------
    model
        Integers; its thresholds don't matter.
    data
        int8 frames in activation LSBs.
    """

    def __init__(self, model: Model, data: Sequences, goal: Goal) -> None:
        self._goal, self._data = goal, data
        self._network = DeltaGRU(dequantized(model), model.parameters.formats).eval()
        self._frames, self._mask = padded(data.frames)
        self._frames /= model.parameters.formats.activation.scale

    @torch.no_grad()
    def measure(self, thresholds: Thresholds) -> Score:
        self._network.set_thresholds(thresholds)
        found = self._network(self._frames)
        outputs = unpadded(found.outputs, self._data.frames)
        fetched, dense = found.cost(self._mask)
        of_x, of_h = found.occupancy(self._mask)
        loss = float(self._goal.loss(found.outputs, self._mask, self._data.labels))
        error = self._goal.error(outputs, self._data.labels)
        return Score(error, loss, of_x, of_h, fetched / dense)
