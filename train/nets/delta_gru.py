"""The delta GRU layer in PyTorch: docs/numerics.md with gradients (Neil et al., ICML 2017).

The loop over time is one autograd function with a backward pass written out, because there are some
forty small operations to a frame, and recording each would cost more than doing it.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from golden.formats import Formats
from train.nets.delta_layer import DeltaRecurrentLayer
from train.nets.straight_through import require_exact, to_grid
from train.quantised.float_network import FloatGRU


class _Recurrence(Function):
    """A GRU layer over all frames, from h = h^ = 0 (docs/numerics.md, "GRU layer", steps 1 to 3).

    ``products`` [T, B, 3H] is W_x x^ + bias (r, u, xc), ``bias_h`` [H] is hc's. Gives a [T, B, H]
    and h^ [T, B, H], the latter as the frame's products used it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        products: Tensor,
        weight_h: Tensor,
        bias_h: Tensor,
        noise: Tensor | None,
        theta: float | Tensor,
        formats: Formats,
    ) -> tuple[Tensor, Tensor]:
        frames, batch, width = products.shape
        size = width // 3
        new = products.new_empty
        ru, c = new(frames, batch, 2 * size), new(frames, batch, size)
        hc, xc = new(frames, batch, size), to_grid(products[..., 2 * size :], formats.readout)
        h, memory = new(frames + 1, batch, size), new(frames + 1, batch, size)
        a = new(frames, batch, size)
        h[0], memory[0] = 0, 0
        seen = torch.zeros_like(h[0])
        transposed = weight_h.t().contiguous()
        for t in range(frames):
            v = seen if noise is None else to_grid(seen + noise[t], formats.activation)
            torch.where((v - memory[t]).abs() > theta, v, memory[t], out=memory[t + 1])
            product = memory[t + 1] @ transposed
            gates = to_grid(
                product[:, : 2 * size].add_(products[t, :, : 2 * size]), formats.readout
            )
            ru[t] = to_grid(to_grid(gates, formats.preactivation).sigmoid_(), formats.gate)
            hc[t] = to_grid(product[:, 2 * size :].add_(bias_h), formats.readout)
            r, u = ru[t, :, :size], ru[t, :, size:]
            candidate = torch.addcmul(xc[t], r, hc[t])
            c[t] = to_grid(to_grid(candidate, formats.preactivation).tanh_(), formats.gate)
            h[t + 1] = to_grid(torch.addcmul(c[t], u, h[t] - c[t]), formats.state)
            a[t] = h[t + 1] if formats.output_shift == 0 else to_grid(h[t + 1], formats.activation)
            seen = a[t]
        ctx.theta = theta
        ctx.save_for_backward(weight_h, ru, c, hc, h, memory)
        return a, memory[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_a: Tensor, grad_memory: Tensor) -> tuple[Tensor | None, ...]:
        weight_h, ru, c, hc, h, memory = ctx.saved_tensors
        frames, batch, size = c.shape
        of_x = c.new_empty(frames, batch, 3 * size)  # of M_r, M_u, M_xc
        of_hc = torch.empty_like(c)
        carried, carried_memory = torch.zeros_like(c[0]), torch.zeros_like(c[0])
        r, u = ru[..., :size], ru[..., size:]
        slope_r, slope_u, slope_c = r * (1 - r), u * (1 - u), 1 - c * c
        slope_u *= h[:-1] - c
        slope_r *= hc
        slope_c *= 1 - u
        fired = memory[1:] != memory[:-1]
        for t in range(frames - 1, -1, -1):
            grad_h = carried + grad_a[t]
            candidate = grad_h * slope_c[t]
            torch.mul(candidate, slope_r[t], out=of_x[t, :, :size])
            torch.mul(grad_h, slope_u[t], out=of_x[t, :, size : 2 * size])
            of_x[t, :, 2 * size :] = candidate
            torch.mul(candidate, r[t], out=of_hc[t])
            grad = torch.addmm(grad_memory[t], of_x[t, :, : 2 * size], weight_h[: 2 * size])
            grad.addmm_(of_hc[t], weight_h[2 * size :])
            carried = grad_h * u[t]
            if ctx.theta:
                grad += carried_memory
                passed = grad * fired[t]
                carried += passed
                carried_memory = grad - passed
            else:
                carried += grad
        of_h = torch.cat([of_x[..., : 2 * size], of_hc], dim=2).view(-1, 3 * size)
        grad_weight = of_h.t() @ memory[1:].view(-1, size)
        return of_x, grad_weight, of_hc.sum(dim=(0, 1)), None, None, None


class DeltaGRULayer(DeltaRecurrentLayer):
    """A GRU layer: rows r, u, c; biases r, u, xc, hc.

    Raises ValueError where c or h before their rounding have more bits than ``dtype`` holds.
    """

    kind = FloatGRU

    def __init__(
        self, layer: FloatGRU, formats: Formats, shift_max: int, dtype: torch.dtype
    ) -> None:
        super().__init__(layer, formats, shift_max, dtype)
        gate, readout, state = formats.gate, formats.readout, formats.state
        # |R(M_xc)| and |r R(M_hc)| are at most 2^m_readout each, |c| and |h| 1, |u (h - c)| 2.
        by = f" with readout {readout} and gate {gate}"
        require_exact("R(M_xc) + r R(M_hc)", readout.m + 1 + readout.f + gate.f, dtype, by)
        by = f" with state {state} and gate {gate}"
        require_exact("c + u (h - c)", 1 + formats.blend_frac + gate.f, dtype, by)

    def recurrence(
        self, products: Tensor, weight_h: Tensor, bias: Tensor, noise: Tensor | None, theta: Any
    ) -> tuple[Tensor, Tensor]:
        of_x, of_hc = bias.split([len(weight_h), weight_h.shape[1]])
        return _Recurrence.apply(  # type: ignore[no-any-return]
            products + of_x, weight_h, of_hc, noise, theta, self.formats
        )
