"""The delta LSTM layer in PyTorch: docs/numerics.md with gradients.

The loop over time is one autograd function with a backward pass written out, as the GRU's is.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from golden.formats import Formats
from train.nets.delta_layer import DeltaRecurrentLayer
from train.nets.straight_through import require_exact, to_grid
from train.quantised.float_network import FloatLSTM


class _Recurrence(Function):
    """An LSTM layer over all frames, from c = a = h^ = 0 (docs/numerics.md, "LSTM layer").

    ``products`` [T, B, 4H] is W_x x^ + bias. Gives a [T, B, H] and h^ [T, B, H], the latter as the
    frame's products used it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        products: Tensor,
        weight_h: Tensor,
        noise: Tensor | None,
        theta: float | Tensor,
        formats: Formats,
    ) -> tuple[Tensor, Tensor]:
        frames, batch, width = products.shape
        size = width // 4
        new = products.new_empty
        gates = new(frames, batch, 4, size)
        y, a = new(frames, batch, size), new(frames, batch, size)
        c, memory = new(frames + 1, batch, size), new(frames + 1, batch, size)
        c[0], memory[0] = 0, 0
        seen = torch.zeros_like(c[0])
        transposed = weight_h.t().contiguous()
        for t in range(frames):
            v = seen if noise is None else to_grid(seen + noise[t], formats.activation)
            torch.where((v - memory[t]).abs() > theta, v, memory[t], out=memory[t + 1])
            m = torch.addmm(products[t], memory[t + 1], transposed).view(batch, 4, size)
            index = to_grid(to_grid(m, formats.readout), formats.preactivation)
            made = index.sigmoid()
            torch.tanh(index[:, 2], out=made[:, 2])
            gates[t] = to_grid(made, formats.gate)
            i, f, g, o = gates[t].unbind(1)
            c[t + 1] = to_grid(torch.addcmul(i * g, f, c[t]), formats.cell)
            y[t] = to_grid(to_grid(c[t + 1], formats.preactivation).tanh_(), formats.gate)
            a[t] = seen = to_grid(o * y[t], formats.activation)
        ctx.theta = theta
        ctx.save_for_backward(weight_h, gates, y, c, memory)
        return a, memory[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_a: Tensor, grad_memory: Tensor) -> tuple[Tensor | None, ...]:
        weight_h, gates, y, c, memory = ctx.saved_tensors
        frames, batch, size = y.shape
        i, f, g, o = gates.unbind(2)
        # What one step of c, or of a, is worth in each accumulator.
        slopes = torch.stack([i * (1 - i) * g, f * (1 - f) * c[:-1], (1 - g * g) * i], dim=2)
        slope_o, slope_c = o * (1 - o) * y, (1 - y * y) * o
        of_m = torch.empty_like(gates)
        carried, carried_memory, carried_c = (torch.zeros_like(y[0]) for _ in range(3))
        fired = memory[1:] != memory[:-1]
        for t in range(frames - 1, -1, -1):
            of_a = grad_a[t] + carried
            of_c = torch.addcmul(carried_c, of_a, slope_c[t])
            torch.mul(slopes[t], of_c.unsqueeze(1), out=of_m[t, :, :3])
            torch.mul(slope_o[t], of_a, out=of_m[t, :, 3])
            carried_c = of_c * f[t]
            grad = torch.addmm(grad_memory[t], of_m[t].view(batch, 4 * size), weight_h)
            if ctx.theta:
                grad += carried_memory
                carried = grad * fired[t]
                carried_memory = grad - carried
            else:
                carried = grad
        of_products = of_m.view(frames, batch, 4 * size)
        grad_weight = of_products.view(-1, 4 * size).t() @ memory[1:].view(-1, size)
        return of_products, grad_weight, None, None, None


class DeltaLSTMLayer(DeltaRecurrentLayer):
    """An LSTM layer: rows and biases i, f, g, o.

    Raises ValueError where f c + i g has more bits than ``dtype`` holds.
    """

    kind = FloatLSTM

    def __init__(
        self, layer: FloatLSTM, formats: Formats, shift_max: int, dtype: torch.dtype
    ) -> None:
        super().__init__(layer, formats, shift_max, dtype)
        # |f c| <= 2^m_cell and |i g| <= 1, in steps of 2^-(F + f_gate); their sum is one bit more.
        bits = formats.cell.m + formats.cell_frac + formats.gate.f + 1
        by = f" with cell {formats.cell} and gate {formats.gate}"
        require_exact("f c + i g", bits, dtype, by)

    def recurrence(
        self, products: Tensor, weight_h: Tensor, bias: Tensor, noise: Tensor | None, theta: Any
    ) -> tuple[Tensor, Tensor]:
        return _Recurrence.apply(  # type: ignore[no-any-return]
            products + bias, weight_h, noise, theta, self.formats
        )
