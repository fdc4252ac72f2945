"""Rounding with a gradient: forward as docs/numerics.md says, backward as if it were not there.

Values are real numbers that are multiples of 2^-f, held as float32, which is exact for them up to
24 bits; so what a network computes here is what golden/ computes, bit for bit.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from golden.fixed import Q

EXACT_BITS = 24  # of an integer, sign not among them, that float32 holds


def to_grid(v: Tensor, q: Q) -> Tensor:
    """sat(floor(v * 2^f + 1/2)) / 2^f: ``v`` as ``q`` holds it. A new tensor; no gradient."""
    rounded = v.mul(q.scale).add_(0.5).floor_()
    return rounded.clamp_(q.min, q.max).mul_(1 / q.scale)


class _Rounded(Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, q: Q) -> Tensor:
        # In float64: of a weight just below a tie, float32 would make the tie.
        wide = v.double()
        low, high = q.min / q.scale, q.max / q.scale
        ctx.save_for_backward((wide >= low - 0.5 / q.scale) & (wide <= high + 0.5 / q.scale))
        return to_grid(wide, q).to(v.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return grad * inside, None


def rounded(v: Tensor, q: Q) -> Tensor:
    """``v`` as ``q`` holds it; the gradient passes where it did not saturate."""
    return _Rounded.apply(v, q)  # type: ignore[no-any-return]


class _Held(Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, theta: float | Tensor) -> Tensor:
        memory = torch.empty_like(v)
        held = torch.zeros_like(v[0])
        for t in range(len(v)):
            held = torch.where((v[t] - held).abs() > theta, v[t], held, out=memory[t])
        ctx.theta = theta
        ctx.save_for_backward(memory)
        return memory

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (memory,) = ctx.saved_tensors
        if not ctx.theta:
            return grad, None
        result = torch.zeros_like(grad)
        carried = torch.zeros_like(grad[0])
        for t in range(len(grad) - 1, -1, -1):
            carried = carried + grad[t]
            before = memory[t - 1] if t else torch.zeros_like(carried)
            fired = memory[t] != before
            torch.mul(carried, fired, out=result[t])
            carried = carried - result[t]
        return result, None


def held(v: Tensor, theta: float | Tensor) -> Tensor:
    """v^ of a delta encoder in every frame, [T, ...] of [T, ...], from v^ = 0.

    The mask of what fired is a constant in the gradient: what a frame did not send is that of the
    frame that sent last. At theta = 0 everything passes, moved or not.
    """
    return _Held.apply(v, theta)  # type: ignore[no-any-return]
