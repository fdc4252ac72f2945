"""A delta layer whose training leaves out what did not fire (arXiv 2312.09391).

One sequence, as a device learns: a batch would have one list of columns for each of its sequences.
Weights lie column by column, [columns, rows], so that what an event needs is in one piece. Three
products over lists of columns make up the work (golden/columns.py). Those that wait for the frame
before gather their columns, frame by frame; those that do not are done for all frames at once, as
weighted sums of rows of a table, which PyTorch has as an embedding bag.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag

from train.cells import Cell


@dataclass(frozen=True)
class Lists:
    """The events of an encoder in all frames, in a row.

    Attributes
    ----------
    columns : int32 [n]
        The elements that fired, frame by frame.
    deltas : [n]
        By how much they moved.
    counts : int32 [T]
        Events of each frame.
    """

    columns: np.ndarray
    deltas: np.ndarray
    counts: np.ndarray

    def forward_products(self, table: np.ndarray) -> np.ndarray:
        """W delta of every frame, [T, rows], of W as ``table`` [columns, rows]."""
        return _weighted_sums(table, self.columns, self.deltas, np.cumsum(self.counts)[:-1])

    def weight_gradient(self, errors: np.ndarray, size: int) -> np.ndarray:
        """sum over frames of delta dL/dM^T, [columns, rows], of dL/dM [T, rows]."""
        order = self._by_column(size)
        ends = np.cumsum(np.bincount(self.columns, minlength=size))[:-1]
        return _weighted_sums(errors, self._frames[order], self.deltas[order], ends)

    def errors(self, table: np.ndarray, of_m: np.ndarray, of_sent: float) -> np.ndarray:
        """dL/dv [T, columns] from dL/dM [T, rows], where all of that is known beforehand.

        An element that fires gets dL/ddelta of now less that of its next event.
        """
        pairs = zip(self.by_frame(self.columns), of_m, strict=True)
        of_deltas = np.concatenate([table.take(c, axis=0) @ each for c, each in pairs])
        of_deltas += of_sent * np.sign(self.deltas)
        order = self._by_column(len(table))
        columns, by_column = self.columns[order], of_deltas[order]
        by_column[:-1] -= of_deltas[order[1:]] * (columns[:-1] == columns[1:])
        of_v = np.zeros((len(of_m), len(table)), table.dtype)
        of_v[self._frames[order], columns] = by_column
        return of_v

    def by_frame(self, values: np.ndarray) -> list[np.ndarray]:
        """One value an event, [n], in one array a frame."""
        return [values[a:b] for a, b in pairwise([0, *np.cumsum(self.counts).tolist()])]

    def _by_column(self, size: int) -> np.ndarray:
        """The events in the order of columns, then of frames."""
        narrow = np.min_scalar_type(size - 1)  # NumPy sorts 16 bits by radix
        return np.argsort(self.columns.astype(narrow), kind="stable")

    @property
    def _frames(self) -> np.ndarray:
        """int32 [n]: the frame of each event."""
        return np.repeat(np.arange(len(self.counts), dtype=np.int32), self.counts)


def _weighted_sums(
    table: np.ndarray, rows: np.ndarray, weights: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """[sums, ...] of rows of ``table``; ``ends``: where each sum's list ends, but the last."""
    starts = torch.from_numpy(np.concatenate([[0], ends]).astype(np.int32))
    scale = torch.from_numpy(weights)
    return embedding_bag(
        torch.from_numpy(rows),
        torch.from_numpy(table),
        starts,
        mode="sum",
        per_sample_weights=scale,
    ).numpy()


def _sum_up(rows: np.ndarray) -> None:
    """Each row becomes the sum of those up to it, in place; np.cumsum would go column by column."""
    for before, row in pairwise(rows):
        row += before


def encode(v: np.ndarray, theta: float) -> Lists:
    """What a delta encoder sends of ``v`` [T, n], from v^ = 0."""
    memory, fires, d = np.zeros_like(v[0]), np.empty(v.shape, dtype=bool), np.empty_like(v)
    for t, each in enumerate(v):
        np.subtract(each, memory, out=d[t])
        np.greater(np.abs(d[t]), theta, out=fires[t])
        np.copyto(memory, each, where=fires[t])
    counts = fires.sum(axis=1, dtype=np.int32)
    return Lists(fires.nonzero()[1].astype(np.int32), d[fires], counts)


class _Encoder:
    """A delta encoder for a ``v`` that depends on what it sends, frame by frame, from v^ = 0."""

    def __init__(self, size: int, theta: float, dtype: np.dtype) -> None:
        self.theta = theta
        self.memory = np.zeros(size, dtype)
        self.columns: list[np.ndarray] = []
        self.deltas: list[np.ndarray] = []

    def send(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        d = v - self.memory
        fires = np.abs(d) > self.theta
        columns = fires.nonzero()[0]
        deltas = d[columns]
        np.copyto(self.memory, v, where=fires)
        self.columns.append(columns)
        self.deltas.append(deltas)
        return columns, deltas

    def lists(self) -> Lists:
        counts = np.array([len(columns) for columns in self.columns], dtype=np.int32)
        columns = np.concatenate(self.columns).astype(np.int32)
        return Lists(columns, np.concatenate(self.deltas), counts)


class _Errors:
    """The way back through it, from the last frame to the first (golden.columns.encoder_errors)."""

    def __init__(self, lists: Lists, table: np.ndarray, of_sent: float) -> None:
        self.table = table
        self.columns = lists.by_frame(lists.columns)
        self.costs = lists.by_frame(of_sent * np.sign(lists.deltas))
        self.later = np.zeros(len(table), table.dtype)  # dL/ddelta of an element's next event

    def step(self, t: int, of_m: np.ndarray, out: np.ndarray) -> None:
        columns = self.columns[t]
        of_deltas = self.table.take(columns, axis=0) @ of_m
        of_deltas += self.costs[t]
        out[:] = 0
        out[columns] = of_deltas - self.later[columns]
        self.later[columns] = of_deltas


class _SparseLayer(Function):
    @staticmethod
    def forward(ctx: Any, thetas: tuple[float, float], cell: Cell, *given: Tensor) -> Any:
        x, table_x, table_h, bias_x, bias_h = (each.detach().numpy() for each in given)
        frames, units = len(x), len(table_h)
        lists_x, of_h = encode(x, thetas[0]), _Encoder(units, thetas[1], x.dtype)
        m_x = lists_x.forward_products(table_x)
        m_x[0] += bias_x
        _sum_up(m_x)
        m_h, h = bias_h.copy(), np.zeros(units, x.dtype)
        tape, outputs = cell.tape(frames, units, x.dtype), np.empty((frames, units), x.dtype)
        for t in range(frames):
            columns, deltas = of_h.send(h)
            m_h += deltas @ table_h.take(columns, axis=0)
            h = outputs[t] = cell.step(tape, t, m_x[t], m_h)
        lists_h = of_h.lists()
        kept = (*vars(lists_x).values(), *vars(lists_h).values(), *tape)
        ctx.cell = cell
        ctx.save_for_backward(*given[1:3], *(torch.from_numpy(each) for each in kept))
        sent = sum(np.abs(lists.deltas).sum() for lists in (lists_x, lists_h))
        return torch.from_numpy(outputs), given[0].new_tensor(sent)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_outputs: Tensor, of_sent: Tensor) -> tuple[Tensor | None, ...]:
        table_x, table_h, *kept = (each.detach().numpy() for each in ctx.saved_tensors)
        lists_x, lists_h, tape = Lists(*kept[:3]), Lists(*kept[3:6]), tuple(kept[6:])
        errors, cost = of_outputs.numpy(), of_sent.item()
        frames, rows = len(errors), table_h.shape[1]
        own, of_m_h = (np.empty((frames, rows), table_h.dtype) for _ in range(2))
        total, carried = np.zeros_like(own[0]), np.zeros_like(errors[0])
        slopes, of_h = ctx.cell.slopes(tape), _Errors(lists_h, table_h, cost)
        for t in reversed(range(frames)):
            own[t] = slopes.step(t, errors[t] + carried)
            total = np.add(total, own[t], out=of_m_h[t])
            of_h.step(t, total, carried)
        of_m_x = slopes.of_x(own)
        _sum_up(of_m_x[::-1])
        wanted = ctx.needs_input_grad[2]
        found = (
            lists_x.errors(table_x, of_m_x, cost) if wanted else None,
            lists_x.weight_gradient(of_m_x, len(table_x)),
            lists_h.weight_gradient(of_m_h, len(table_h)),
            of_m_x[0],
            of_m_h[0],
        )
        return None, None, *(None if each is None else torch.from_numpy(each) for each in found)


def sparse_layer(
    x: Tensor,
    table_x: Tensor,
    table_h: Tensor,
    bias_x: Tensor,
    bias_h: Tensor,
    thetas: tuple[float, float],
    cell: Cell,
) -> tuple[Tensor, Tensor]:
    """Outputs [T, H] of one sequence [T, I] from reset, and the sum of |delta| of all it sent.

    ``table_x`` [I, rows] and ``table_h`` [H, rows] hold a column of weights in each row,
    ``bias_x`` and ``bias_h`` are [rows]; ``thetas`` are theta_x and theta_h, real numbers. All on
    the CPU. What is kept for the backward pass is the events and the cell's tape.
    """
    given = (x, table_x, table_h, bias_x, bias_h)
    return _SparseLayer.apply(thetas, cell, *given)  # type: ignore[no-any-return]
