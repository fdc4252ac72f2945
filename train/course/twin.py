"""A model's twin in PyTorch, for searches that measure the same network many times."""

from collections.abc import Sequence

import torch

from golden.model import Model
from train.course.goals import Goal, padded, unpadded
from train.course.score import Score
from train.data.recordings import Sequences
from train.nets.delta_rnn import DeltaRNN
from train.nets.forward import Pass
from train.quantised.thresholds import Thresholds

TOGETHER = 64  # sequences of a batch, about: with fewer, a frame's overhead is most of its time


class Twin:
    """A model's twin in PyTorch on some frames, which gives golden's figures faster.

    Parameters
    ----------
    model
        Integers; its thresholds don't matter.
    data
        Frames in activation LSBs.
    """

    def __init__(self, model: Model, data: Sequences, goal: Goal) -> None:
        self._goal, self._data = goal, data
        self._network = DeltaRNN.of(model).eval()
        self._frames, self._mask = padded(data.frames)
        self._frames /= model.parameters.formats.activation.scale

    def measure(self, tried: Sequence[Thresholds]) -> list[Score]:
        """The score with each of the thresholds tried."""
        together = max(1, TOGETHER // len(self._data))
        return [
            score
            for first in range(0, len(tried), together)
            for score in self._in_one_batch(tried[first : first + together])
        ]

    @torch.no_grad()
    def _in_one_batch(self, tried: Sequence[Thresholds]) -> list[Score]:
        count = len(self._data)
        values = torch.tensor(tried).repeat_interleave(count, dim=0)
        self._network.set_thresholds(values.t().unsqueeze(2).unbind())
        found = self._network(self._frames.repeat(len(tried), 1, 1))
        return [self._score(found.of(n * count, (n + 1) * count)) for n in range(len(tried))]

    def _score(self, found: Pass) -> Score:
        outputs = unpadded(found.outputs, self._data.frames)
        fetched, dense = found.cost(self._mask)
        of_x, of_h = found.occupancy(self._mask)
        loss = float(self._goal.loss(found.outputs, self._mask, self._data.labels))
        error = self._goal.error(outputs, self._data.labels)
        return Score(error, loss, of_x, of_h, fetched / dense)
