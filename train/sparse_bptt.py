"""A delta layer whose training leaves out what did not fire (arXiv 2312.09391), in PyTorch.

One sequence, as a device learns: a batch would have one list of columns for each of its sequences.
Weights lie column by column, [columns, rows], so that what an event needs is in one piece. Three
products over lists of columns make up the work (golden/columns.py): W delta and dL/dM delta^T are
weighted sums of rows of a table, which PyTorch has as an embedding bag and which copies nothing;
W^T dL/dM gathers its columns first.
"""

from dataclasses import dataclass
from typing import Any

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
    counts
        Events of each frame.
    """

    columns: Tensor
    deltas: Tensor
    counts: list[int]

    def weighted_sums(self, table: Tensor) -> Tensor:
        """W delta of every frame, [T, rows], of W as ``table`` [columns, rows]."""
        counts = torch.tensor([0, *self.counts[:-1]], dtype=torch.int32)
        starts = counts.cumsum(0, dtype=torch.int32)
        return embedding_bag(
            self.columns, table, starts, mode="sum", per_sample_weights=self.deltas
        )

    def weight_gradient(self, errors: Tensor, size: int) -> Tensor:
        """sum over frames of delta dL/dM^T, [columns, rows], of dL/dM [T, rows]."""
        by_column, order = torch.sort(self.columns, stable=True)
        frames = torch.arange(len(self.counts), dtype=torch.int32)
        frames = frames.repeat_interleave(torch.tensor(self.counts))
        starts = torch.searchsorted(
            by_column, torch.arange(size, dtype=torch.int32), out_int32=True
        )
        return embedding_bag(
            frames[order], errors, starts, mode="sum", per_sample_weights=self.deltas[order]
        )


class _Encoder:
    """A delta encoder from v^ = 0, and all that it sent."""

    def __init__(self, size: int, theta: float, like: Tensor) -> None:
        self.theta = theta
        self.memory = like.new_zeros(size)
        self.columns: list[Tensor] = []
        self.deltas: list[Tensor] = []

    def send(self, v: Tensor) -> tuple[Tensor, Tensor]:
        d = v - self.memory
        fires = d.abs() > self.theta
        columns = fires.nonzero().view(-1)
        deltas = d.index_select(0, columns)
        torch.where(fires, v, self.memory, out=self.memory)
        self.columns.append(columns)
        self.deltas.append(deltas)
        return columns, deltas

    def lists(self) -> Lists:
        counts = [len(columns) for columns in self.columns]
        return Lists(torch.cat(self.columns).int(), torch.cat(self.deltas), counts)


class _Errors:
    """From dL/dM to dL/dv, from the last frame to the first (golden.columns.encoder_errors)."""

    def __init__(self, lists: Lists, table: Tensor, of_sent: Tensor) -> None:
        self.table = table
        self.columns = lists.columns.long().split(lists.counts)
        self.costs = (of_sent * lists.deltas.sign()).split(lists.counts)
        self.later = table.new_zeros(len(table))  # dL/ddelta of the next event of each element

    def step(self, t: int, of_m: Tensor, out: Tensor) -> None:
        columns = self.columns[t]
        of_deltas = torch.addmv(self.costs[t], self.table.index_select(0, columns), of_m)
        of_fired = of_deltas - self.later.index_select(0, columns)
        self.later.index_copy_(0, columns, of_deltas)
        out.zero_().index_copy_(0, columns, of_fired)


class _SparseLayer(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        table_x: Tensor,
        table_h: Tensor,
        bias_x: Tensor,
        bias_h: Tensor,
        thetas: tuple[float, float],
        cell: Cell,
    ) -> tuple[Tensor, Tensor]:
        units = len(table_h)
        of_x, of_h = _Encoder(len(table_x), thetas[0], x), _Encoder(units, thetas[1], x)
        for v in x:
            of_x.send(v)
        lists_x = of_x.lists()
        m_x = lists_x.weighted_sums(table_x).cumsum_(0).add_(bias_x)
        m_h, first = bias_h.clone(), torch.zeros(1, dtype=torch.int64)
        tape, outputs = cell.tape(len(x), units, x), x.new_empty(len(x), units)
        h = x.new_zeros(units)
        for t in range(len(x)):
            columns, deltas = of_h.send(h)
            m_h += embedding_bag(columns, table_h, first, mode="sum", per_sample_weights=deltas)[0]
            h = outputs[t] = cell.step(tape, t, m_x[t], m_h)
        lists_h = of_h.lists()
        ctx.cell, ctx.counts = cell, (lists_x.counts, lists_h.counts)
        lists = (lists_x.columns, lists_x.deltas, lists_h.columns, lists_h.deltas)
        ctx.save_for_backward(table_x, table_h, *lists, *tape)
        return outputs, lists_x.deltas.abs().sum() + lists_h.deltas.abs().sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_outputs: Tensor, of_sent: Tensor) -> tuple[Tensor | None, ...]:
        table_x, table_h, columns_x, deltas_x, columns_h, deltas_h, *tape = ctx.saved_tensors
        lists_x = Lists(columns_x, deltas_x, ctx.counts[0])
        lists_h = Lists(columns_h, deltas_h, ctx.counts[1])
        slopes = ctx.cell.slopes(tuple(tape))
        errors = _Errors(lists_h, table_h, of_sent)
        carried = torch.zeros_like(of_outputs[0])
        frames, rows = len(of_outputs), table_h.shape[1]
        own, of_m_h = (of_outputs.new_empty(frames, rows) for _ in range(2))
        total = of_outputs.new_zeros(rows)
        for t in range(frames - 1, -1, -1):
            own[t] = slopes.step(t, of_outputs[t] + carried)
            total = torch.add(total, own[t], out=of_m_h[t])
            errors.step(t, total, carried)
        of_m_x = slopes.of_x(own).flip(0).cumsum_(0).flip(0)
        of_x = None
        if ctx.needs_input_grad[0]:
            errors, of_x = (
                _Errors(lists_x, table_x, of_sent),
                table_x.new_empty(frames, len(table_x)),
            )
            for t in range(frames - 1, -1, -1):
                errors.step(t, of_m_x[t], of_x[t])
        of_tables = (
            lists.weight_gradient(of_m, len(table))
            for lists, of_m, table in ((lists_x, of_m_x, table_x), (lists_h, of_m_h, table_h))
        )
        return of_x, *of_tables, of_m_x[0], of_m_h[0], None, None


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
    ``bias_x`` and ``bias_h`` are [rows]; ``thetas`` are theta_x and theta_h, real numbers. What is
    kept for the backward pass is the events and the cell's tape.
    """
    return _SparseLayer.apply(  # type: ignore[no-any-return]
        x, table_x, table_h, bias_x, bias_h, thetas, cell
    )
