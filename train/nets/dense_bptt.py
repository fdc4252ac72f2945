"""The same delta layer with dense products: what the sparse one is held against.

It multiplies with v^, all columns in every frame, forward and back, and leaves whatever does not
wait for the frame before to one product over all frames. Nothing is done twice; the products are
the BLAS's.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from train.nets.cells import KEPT, Cell, compiled


@compiled
def hold(v, theta, before, after):
    """v^ after a frame."""
    for k in range(len(v)):
        after[k] = v[k] if abs(v[k] - before[k]) > theta else before[k]


@compiled
def release(of_held, waiting, before, after, of_v):
    """Adds dL/dv of a frame; what did not fire waits, in place, for the frame that did."""
    for k in range(len(of_held)):
        waiting[k] += of_held[k]
        if before[k] != after[k]:
            of_v[k] += waiting[k]
            waiting[k] = 0


@compiled
def forward(step, theta_x, theta_h, x, weight_x, weight_h, bias_x, bias_h):
    """v^ of x and of h [T + 1, n], the cell's tape, and outputs [T, H]."""
    frames, inputs, units = len(x), weight_x.shape[1], weight_h.shape[1]
    held_x, held_h = np.zeros((frames + 1, inputs), x.dtype), np.zeros((frames + 1, units), x.dtype)
    tape = np.zeros((frames + 1, KEPT * units), x.dtype)
    outputs = np.empty((frames, units), x.dtype)
    for t in range(frames):
        hold(x[t], theta_x, held_x[t], held_x[t + 1])
    m_x = np.dot(held_x[1:], weight_x.T)
    h, m_h = np.zeros_like(outputs[0]), np.empty_like(bias_h)
    for t in range(frames):
        m_x[t] += bias_x
        hold(h, theta_h, held_h[t], held_h[t + 1])
        np.dot(weight_h, held_h[t + 1], m_h)
        m_h += bias_h
        h = outputs[t]
        step(m_x[t], m_h, tape[t], tape[t + 1], h)
    return held_x, held_h, tape, outputs


@compiled
def accumulator_errors(back, of_outputs, weight_h, held_h, tape):
    """dL/dM_x and dL/dM_h, [T, rows] each: the part of the backward pass that goes by frames."""
    frames, rows = len(of_outputs), len(weight_h)
    of_m_x, of_m_h = np.empty((frames, rows), tape.dtype), np.empty((frames, rows), tape.dtype)
    of_h, carried = of_outputs[-1].copy(), np.zeros_like(of_outputs[0])
    waiting, of_held = np.zeros_like(carried), np.empty_like(carried)
    for t in range(frames - 1, -1, -1):
        back(of_h, carried, tape[t], tape[t + 1], of_m_x[t], of_m_h[t])
        np.dot(of_m_h[t], weight_h, of_held)
        of_h[:] = of_outputs[t - 1]
        release(of_held, waiting, held_h[t], held_h[t + 1], of_h)
    return of_m_x, of_m_h


@compiled
def value_errors(of_m, weight, held):
    """dL/dv [T, columns] from dL/dM [T, rows]."""
    of_held = np.dot(of_m, weight)
    of_v, waiting = np.zeros_like(of_held), np.zeros_like(of_held[0])
    for t in range(len(of_v) - 1, -1, -1):
        release(of_held[t], waiting, held[t], held[t + 1], of_v[t])
    return of_v


class _DenseLayer(Function):
    @staticmethod
    def forward(ctx: Any, thetas: tuple[float, float], cell: Cell, *given: Tensor) -> Tensor:
        arrays = [each.detach().numpy() for each in given]
        real = arrays[0].dtype.type
        *kept, outputs = forward(cell.step, *map(real, thetas), *arrays)
        ctx.cell = cell
        ctx.save_for_backward(*given[1:3], *(torch.from_numpy(each) for each in kept))
        return torch.from_numpy(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_outputs: Tensor) -> tuple[Tensor | None, ...]:
        saved = (each.detach().numpy() for each in ctx.saved_tensors)
        weight_x, weight_h, held_x, held_h, tape = saved
        errors = of_outputs.contiguous().numpy()
        of_m_x, of_m_h = accumulator_errors(ctx.cell.back, errors, weight_h, held_h, tape)
        found = (
            value_errors(of_m_x, weight_x, held_x) if ctx.needs_input_grad[2] else None,
            of_m_x.T @ held_x[1:],
            of_m_h.T @ held_h[1:],
            of_m_x.sum(axis=0),
            of_m_h.sum(axis=0),
        )
        return None, None, *(None if each is None else torch.from_numpy(each) for each in found)


def dense_layer(
    x: Tensor,
    weight_x: Tensor,
    weight_h: Tensor,
    bias_x: Tensor,
    bias_h: Tensor,
    thetas: tuple[float, float],
    cell: Cell,
) -> Tensor:
    """Outputs [T, H] of one sequence [T, I] from reset.

    ``weight_x`` [rows, I], ``weight_h`` [rows, H]; all else as train.nets.sparse_bptt.sparse_layer.
    """
    given = (x, weight_x, weight_h, bias_x, bias_h)
    return _DenseLayer.apply(thetas, cell, *given)  # type: ignore[no-any-return]
