"""A delta layer whose training leaves out what did not fire (arXiv 2312.09391).

One sequence, as a device learns: a batch would have one list of columns for each of its sequences.
Weights lie column by column, [columns, rows], so that what an event needs is in one piece. The
three products over lists of columns that make up the work (golden/learn/columns.py) take two forms:
rows of a table weighted and added up, and rows of a table times a vector. Those of the backward
pass that do not wait for another frame go column by column, over the frames in which it fired.

Compiled, because a frame of such a layer takes less time than an interpreter to ask for it.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from train.nets.cells import KEPT, Cell, compiled


class Events(NamedTuple):
    """A sparse matrix of deltas [T, size], frame by frame; or, transposed, column by column.

    Attributes
    ----------
    places : int32 [n]
        The elements that fired in a frame; transposed, the frames in which an element fired.
    deltas : [n]
        By how much they moved.
    ends : int32 [T + 1]
        Those of frame t are from ends[t] to ends[t + 1].
    """

    places: np.ndarray
    deltas: np.ndarray
    ends: np.ndarray


@compiled
def encode(t, v, theta, memory, events):
    """Adds what a delta encoder sends of ``v`` in frame ``t``."""
    n = events.ends[t]
    for k in range(len(v)):
        d = v[k] - memory[k]
        fires = abs(d) > theta
        memory[k] = v[k] if fires else memory[k]
        events.places[n], events.deltas[n] = k, d  # the next one overwrites what did not fire
        n += fires
    events.ends[t + 1] = n


@compiled
def add_rows(out, table, places, weights):
    """``out`` += sum of weights[k] table[places[k]]; four at once, to touch ``out`` less often."""
    fours = len(places) // 4 * 4
    for k in range(0, fours, 4):
        a, b = table[places[k]], table[places[k + 1]]
        c, d = table[places[k + 2]], table[places[k + 3]]
        of_a, of_b, of_c, of_d = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for r in range(len(out)):
            out[r] += of_a * a[r] + of_b * b[r] + of_c * c[r] + of_d * d[r]
    for k in range(fours, len(places)):
        a, of_a = table[places[k]], weights[k]
        for r in range(len(out)):
            out[r] += of_a * a[r]


@compiled
def times_rows(out, table, places, vector):
    """out[k] = table[places[k]] . vector"""
    for k in range(len(places)):
        row, total = table[places[k]], vector[0] - vector[0]
        for r in range(len(vector)):
            total += row[r] * vector[r]
        out[k] = total


@compiled
def transposed(events, size):
    """Events of ``size`` columns, column by column."""
    n = events.ends[-1]
    found = Events(
        np.empty(n, np.int32), np.empty_like(events.deltas), np.zeros(size + 1, np.int32)
    )
    for k in range(n):
        found.ends[events.places[k] + 1] += 1
    for k in range(size):
        found.ends[k + 1] += found.ends[k]
    free = found.ends[:-1].copy()
    for t in range(len(events.ends) - 1):
        for k in range(events.ends[t], events.ends[t + 1]):
            place = free[events.places[k]]
            found.places[place], found.deltas[place] = t, events.deltas[k]
            free[events.places[k]] += 1
    return found


@compiled
def room(frames, size, dtype_of):
    """For the events of all frames, and the place that ``encode`` writes to in vain."""
    most = frames * size + 1
    return Events(
        np.empty(most, np.int32),
        np.empty(most, dtype_of.dtype),
        np.zeros(frames + 1, np.int32),
    )


@compiled
def forward(step, theta_x, theta_h, x, table_x, table_h, bias_x, bias_h):
    """The events of x and of h, the cell's tape, and outputs [T, H]."""
    frames, units = len(x), len(table_h)
    tape = np.zeros((frames + 1, KEPT * units), x.dtype)
    outputs = np.empty((frames, units), x.dtype)
    events_x, events_h = room(frames, len(table_x), x), room(frames, units, x)
    memory_x, memory_h, h = (
        np.zeros_like(x[0]),
        np.zeros_like(outputs[0]),
        np.zeros_like(outputs[0]),
    )
    m_x, m_h = bias_x.copy(), bias_h.copy()
    for t in range(frames):
        encode(t, x[t], theta_x, memory_x, events_x)
        encode(t, h, theta_h, memory_h, events_h)
        a, b = events_x.ends[t], events_x.ends[t + 1]
        add_rows(m_x, table_x, events_x.places[a:b], events_x.deltas[a:b])
        a, b = events_h.ends[t], events_h.ends[t + 1]
        add_rows(m_h, table_h, events_h.places[a:b], events_h.deltas[a:b])
        h = outputs[t]
        step(m_x, m_h, tape[t], tape[t + 1], h)
    return events_x, events_h, tape, outputs


@compiled
def accumulator_errors(back, of_outputs, of_sent, table_h, events_h, tape):
    """dL/dM_x and dL/dM_h, [T, rows] each: the part of the backward pass that goes by frames."""
    frames, rows = len(of_outputs), table_h.shape[1]
    of_m_x, of_m_h = np.empty((frames, rows), tape.dtype), np.empty((frames, rows), tape.dtype)
    of_h, carried = of_outputs[-1].copy(), np.zeros_like(of_outputs[0])
    later = np.zeros_like(carried)  # dL/ddelta of an element's next event
    of_deltas = np.empty_like(carried)
    for t in range(frames - 1, -1, -1):
        back(of_h, carried, tape[t], tape[t + 1], of_m_x[t], of_m_h[t])
        if t + 1 < frames:
            of_m_x[t] += of_m_x[t + 1]
            of_m_h[t] += of_m_h[t + 1]
        a, b = events_h.ends[t], events_h.ends[t + 1]
        places, deltas = events_h.places[a:b], events_h.deltas[a:b]
        times_rows(of_deltas, table_h, places, of_m_h[t])
        of_h[:] = of_outputs[t - 1]
        for k in range(len(places)):
            of_delta = of_deltas[k] + (of_sent if deltas[k] > 0 else -of_sent)
            of_h[places[k]] += of_delta - later[places[k]]
            later[places[k]] = of_delta
    return of_m_x, of_m_h


@compiled
def weight_gradient(by_column, of_m, size):
    """sum over frames of delta dL/dM^T, [columns, rows], of dL/dM [T, rows]."""
    gradient = np.zeros((size, of_m.shape[1]), of_m.dtype)
    for k in range(size):
        a, b = by_column.ends[k], by_column.ends[k + 1]
        add_rows(gradient[k], of_m, by_column.places[a:b], by_column.deltas[a:b])
    return gradient


@compiled
def value_errors(by_column, of_m, of_sent, table):
    """dL/dv [T, columns] from dL/dM [T, rows]: of an event dL/ddelta, less that of the next."""
    of_v = np.zeros((len(of_m), len(table)), of_m.dtype)
    of_deltas = np.empty_like(of_v[:, 0])
    for k in range(len(table)):
        a, b = by_column.ends[k], by_column.ends[k + 1]
        places, deltas = by_column.places[a:b], by_column.deltas[a:b]
        times_rows(of_deltas, of_m, places, table[k])
        for n in range(len(places)):
            of_delta = of_deltas[n] + (of_sent if deltas[n] > 0 else -of_sent)
            of_v[places[n], k] += of_delta
            if n:
                of_v[places[n - 1], k] -= of_delta
    return of_v


class _SparseLayer(Function):
    @staticmethod
    def forward(ctx: Any, thetas: tuple[float, float], cell: Cell, *given: Tensor) -> Any:
        arrays = [each.detach().numpy() for each in given]
        real = arrays[0].dtype.type
        *lists, tape, outputs = forward(cell.step, *map(real, thetas), *arrays)
        events = [_cut(each) for each in lists]
        kept = (tape, *events[0], *events[1])
        ctx.cell = cell
        ctx.save_for_backward(*given[1:3], *(torch.from_numpy(each) for each in kept))
        sent = sum(float(np.abs(each.deltas).sum()) for each in events)
        return torch.from_numpy(outputs), given[0].new_tensor(sent)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_outputs: Tensor, of_sent: Tensor) -> tuple[Tensor | None, ...]:
        table_x, table_h, tape, *kept = (each.detach().numpy() for each in ctx.saved_tensors)
        events_x, events_h = Events(*kept[:3]), Events(*kept[3:])
        cost, errors = tape.dtype.type(of_sent.item()), of_outputs.contiguous().numpy()
        of_m_x, of_m_h = accumulator_errors(ctx.cell.back, errors, cost, table_h, events_h, tape)
        by_column = transposed(events_x, len(table_x))
        found = (
            value_errors(by_column, of_m_x, cost, table_x) if ctx.needs_input_grad[2] else None,
            weight_gradient(by_column, of_m_x, len(table_x)),
            weight_gradient(transposed(events_h, len(table_h)), of_m_h, len(table_h)),
            of_m_x[0],
            of_m_h[0],
        )
        return None, None, *(None if each is None else torch.from_numpy(each) for each in found)


def _cut(events: Events) -> Events:
    """Without the room that was left."""
    n = events.ends[-1]
    return Events(events.places[:n].copy(), events.deltas[:n].copy(), events.ends)


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
    ``bias_x`` and ``bias_h`` are [rows]; ``thetas`` are theta_x and theta_h, real numbers. All
    contiguous, of one width, and on the CPU. What is kept for the backward pass is the events and
    the cell's tape.
    """
    given = (x, table_x, table_h, bias_x, bias_h)
    return _SparseLayer.apply(thetas, cell, *given)  # type: ignore[no-any-return]
