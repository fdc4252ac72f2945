"""The matrix operations of a training run, counted from its events.

Training multiplies three times with the same columns of W: forward W d, back W^T dM to what was
sent, and dM d^T, which is W's gradient. With M = sum of W d, a column that did not fire has d = 0
and sends nothing back: it takes no part in any of the three (Chen et al., arXiv 2312.09391).
Each costs a multiply-accumulate for each row of each column that fired, in each frame of each
sequence that is not padding; nothing is sent back to the network's inputs. A dense network's cost
is that of all columns.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from train.nets.forward import Pass


@dataclass(frozen=True)
class Epoch:
    """What training had done by the end of an epoch.

    Attributes
    ----------
    epoch
        From 1.
    occupancy_x, occupancy_h
        Columns that fired / all columns, over the training sequences of this epoch.
    operations, dense
        Multiply-accumulates since the beginning, and those of a dense network.
    loss, error
        On the validation part, after it; the error in the goal's unit.
    """

    epoch: int
    occupancy_x: float
    occupancy_h: float
    operations: float
    dense: float
    loss: float
    error: float


class Meter:
    """Counts a run; ``epochs`` is its record so far.

    ``skips`` says whether what did not fire is left out. At thresholds 0 it is not: gradients pass
    whether a value moved or not.
    """

    def __init__(self, skips: bool) -> None:
        self.epochs: list[Epoch] = []
        self._skips = skips
        self._done, self._dense = 0.0, 0.0
        self._open()

    def _open(self) -> None:
        self._occupancy = [0.0, 0.0]
        self._frames = 0.0

    @torch.no_grad()
    def count(self, found: Pass, mask: Tensor) -> None:
        """A training step on the frames of ``mask`` [B, T]."""
        done, dense = found.training_cost(mask)
        self._done += done if self._skips else dense
        self._dense += dense
        frames = float(mask.sum())
        self._frames += frames
        for n, fraction in enumerate(found.occupancy(mask)):
            self._occupancy[n] += frames * fraction

    def close(self, loss: float, error: float) -> None:
        """Ends an epoch with what validation said."""
        of_x, of_h = (fired / self._frames for fired in self._occupancy)
        number = len(self.epochs) + 1
        self.epochs.append(Epoch(number, of_x, of_h, self._done, self._dense, loss, error))
        self._open()

    def state_dict(self) -> dict[str, Any]:
        """Between two epochs: plain numbers, for a checkpoint."""
        return {"epochs": [vars(epoch) for epoch in self.epochs]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What ``state_dict`` gave."""
        self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
        self._done, self._dense = self.epochs[-1].operations, self.epochs[-1].dense
