"""The same delta layer with dense products: what the sparse one is held against.

It multiplies with v^, all columns in every frame, forward and back, and leaves whatever does not
wait for the frame before to one product over all frames. Nothing is done twice.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from train.cells import Cell


class _DenseLayer(Function):
    @staticmethod
    def forward(ctx: Any, thetas: tuple[float, float], cell: Cell, *given: Tensor) -> Tensor:
        x, weight_x, weight_h, bias_x, bias_h = (each.detach().numpy() for each in given)
        frames, units = len(x), weight_h.shape[1]
        held_x, held_h = (np.zeros((frames + 1, n), x.dtype) for n in (x.shape[1], units))
        for t in range(frames):
            _hold(x[t], held_x, t, thetas[0])
        m_x = held_x[1:] @ weight_x.T + bias_x
        tape, outputs = cell.tape(frames, units, x.dtype), np.empty((frames, units), x.dtype)
        h = np.zeros(units, x.dtype)
        for t in range(frames):
            _hold(h, held_h, t, thetas[1])
            m_h = weight_h @ held_h[t + 1]
            m_h += bias_h
            h = outputs[t] = cell.step(tape, t, m_x[t], m_h)
        ctx.cell = cell
        kept = (held_x, held_h, *tape)
        ctx.save_for_backward(*given[1:3], *(torch.from_numpy(each) for each in kept))
        return torch.from_numpy(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_outputs: Tensor) -> tuple[Tensor | None, ...]:
        saved = (each.detach().numpy() for each in ctx.saved_tensors)
        weight_x, weight_h, held_x, held_h, *tape = saved
        slopes, errors = ctx.cell.slopes(tuple(tape)), of_outputs.numpy()
        of_m_h = np.empty((len(errors), len(weight_h)), weight_h.dtype)
        carried, waiting = np.zeros_like(errors[0]), np.zeros_like(errors[0])
        fired = held_h[1:] != held_h[:-1]
        for t in reversed(range(len(errors))):
            of_m_h[t] = slopes.step(t, errors[t] + carried)
            carried = _release(of_m_h[t] @ weight_h, waiting, fired[t])
        of_m_x = slopes.of_x(of_m_h)
        of_x = None
        if ctx.needs_input_grad[2]:
            of_x = of_m_x @ weight_x
            waiting = np.zeros_like(of_x[0])
            fired = held_x[1:] != held_x[:-1]
            for t in reversed(range(len(of_x))):
                of_x[t] = _release(of_x[t], waiting, fired[t])
        found = (
            of_x,
            of_m_x.T @ held_x[1:],
            of_m_h.T @ held_h[1:],
            of_m_x.sum(axis=0),
            of_m_h.sum(axis=0),
        )
        return None, None, *(None if each is None else torch.from_numpy(each) for each in found)


def _hold(v: np.ndarray, held: np.ndarray, t: int, theta: float) -> None:
    """v^ of frame ``t``, in row t + 1, after that of the frame before."""
    held[t + 1] = held[t]
    np.copyto(held[t + 1], v, where=np.abs(v - held[t]) > theta)


def _release(of_held: np.ndarray, waiting: np.ndarray, fired: np.ndarray) -> np.ndarray:
    """dL/dv of a frame; what did not fire waits, in place, for the frame that did."""
    waiting += of_held
    of_v = waiting * fired
    waiting -= of_v
    return of_v


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

    ``weight_x`` [rows, I], ``weight_h`` [rows, H]; all else as train.sparse_bptt.sparse_layer.
    """
    given = (x, weight_x, weight_h, bias_x, bias_h)
    return _DenseLayer.apply(thetas, cell, *given)  # type: ignore[no-any-return]
