"""The same delta layer with dense products: what the sparse one is held against.

It multiplies with v^, all columns in every frame, forward and back, and leaves the weight gradients
to one product over all frames. Nothing is left out and nothing is done twice.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from train.cells import Cell
from train.straight_through import held


class _DenseRecurrence(Function):
    @staticmethod
    def forward(
        ctx: Any, m_x: Tensor, weight_h: Tensor, bias_h: Tensor, theta: float, cell: Cell
    ) -> Tensor:
        frames, units = len(m_x), weight_h.shape[1]
        tape, outputs = cell.tape(frames, units, m_x), m_x.new_empty(frames, units)
        memory = m_x.new_zeros(frames + 1, units)
        h = m_x.new_zeros(units)
        for t in range(frames):
            fires = (h - memory[t]).abs() > theta
            torch.where(fires, h, memory[t], out=memory[t + 1])
            m_h = torch.addmv(bias_h, weight_h, memory[t + 1])
            h = outputs[t] = cell.step(tape, t, m_x[t], m_h)
        ctx.cell = cell
        ctx.save_for_backward(weight_h, memory, *tape)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_outputs: Tensor) -> tuple[Tensor | None, ...]:
        weight_h, memory, *tape = ctx.saved_tensors
        slopes = ctx.cell.slopes(tuple(tape))
        fired = memory[1:] != memory[:-1]
        carried, held_back = torch.zeros_like(memory[0]), torch.zeros_like(memory[0])
        of_m_h = of_outputs.new_empty(len(of_outputs), len(weight_h))
        for t in range(len(of_outputs) - 1, -1, -1):
            of_m_h[t] = slopes.step(t, of_outputs[t] + carried)
            of_memory = torch.addmv(held_back, weight_h.t(), of_m_h[t])
            carried = of_memory * fired[t]
            held_back = of_memory - carried
        return slopes.of_x(of_m_h), of_m_h.t() @ memory[1:], of_m_h.sum(0), None, None


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
    m_x = held(x, thetas[0]) @ weight_x.t() + bias_x
    return _DenseRecurrence.apply(m_x, weight_h, bias_h, thetas[1], cell)  # type: ignore[no-any-return]
