"""What a forward pass of any network here gives to a loss."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pass:
    """Results, and what was sent to make them.

    Attributes
    ----------
    outputs : [B, T, O]
        Results of every frame.
    sent : tuple of [T, B, n]
        What every delta encoder had last sent: x^ and h^ of each layer in turn, x^ of the read-out.
    rows : per encoder
        Weights that one event of it fetches.
    """

    outputs: Tensor
    sent: tuple[Tensor, ...] = ()
    rows: tuple[int, ...] = ()

    def of(self, first: int, end: int) -> "Pass":
        """The pass of these sequences of the batch."""
        sent = tuple(each[:, first:end] for each in self.sent)
        return Pass(self.outputs[first:end], sent, self.rows)

    def moved(self, mask: Tensor) -> Tensor:
        """The L1 cost (Neil et al., ICML 2017): the mean size of a delta, fired or not.

        For the encoders that training can move, all but the input's, and weighted by what their
        events fetch; ``mask`` [B, T] is 1 on the frames that count.
        """
        total, columns = torch.zeros(()), 0
        for sent, rows in zip(self.sent[1:], self.rows[1:], strict=True):
            total = total + rows * (_steps(sent).abs().sum(dim=2) * mask.t()).sum()
            columns += rows * sent.shape[2]
        return total / (mask.sum() * columns)

    def cost(self, mask: Tensor) -> tuple[float, float]:
        """Weights fetched, and those that a dense network would, on the frames of ``mask``."""
        return self._weighted(mask, self.rows)

    def training_cost(self, mask: Tensor) -> tuple[float, float]:
        """Multiply-accumulates of a training step, and a dense network's (operations.py)."""
        inputs, *others = self.rows
        return self._weighted(mask, (2 * inputs, *(3 * rows for rows in others)))

    @torch.no_grad()
    def _weighted(self, mask: Tensor, weights: tuple[int, ...]) -> tuple[float, float]:
        """The columns that fired, and all, each with the weight of its encoder."""
        done, dense = 0.0, 0.0
        for sent, weight in zip(self.sent, weights, strict=True):
            fired = (_steps(sent) != 0).sum(dim=2) * mask.t()
            done += weight * float(fired.sum())
            dense += weight * float(mask.sum()) * sent.shape[2]
        return done, dense

    @torch.no_grad()
    def occupancy(self, mask: Tensor) -> tuple[float, float]:
        """The fractions of columns that fired, of x and of h, on the frames of ``mask``."""
        fired = [float(((_steps(s) != 0).sum(dim=2) * mask.t()).sum()) for s in self.sent]
        columns = [float(mask.sum()) * s.shape[2] for s in self.sent]
        of_x, of_h = slice(0, None, 2), slice(1, None, 2)  # in turn; the read-out's x is the last
        return sum(fired[of_x]) / sum(columns[of_x]), sum(fired[of_h]) / sum(columns[of_h])


def _steps(sent: Tensor) -> Tensor:
    return torch.diff(sent, dim=0, prepend=torch.zeros_like(sent[:1]))
