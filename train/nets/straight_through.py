"""Rounding with a gradient: forward as docs/numerics.md says, backward as if it were not there.

Values are real numbers that are multiples of 2^-f, held as float32, which is exact for them up to
24 bits, or as float64, up to 53; so what a network computes here is what golden/ computes, bit for
bit.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from golden.errors import refusal
from golden.fixed import Q

# Of an integer, sign not among them, that a float holds.
EXACT_BITS = {torch.float32: 24, torch.float64: 53}


def require_exact(name: str, bits: int, dtype: torch.dtype, by: str = "") -> None:
    """Refuses what has more bits than ``dtype`` holds; ``by`` says where they come from."""
    if bits > EXACT_BITS[dtype]:
        expected = f"at most {EXACT_BITS[dtype]}, as {dtype} holds them"
        raise refusal(name, f"{bits} bits{by}", expected)


def to_grid(v: Tensor, q: Q) -> Tensor:
    """sat(floor(v * 2^f + 1/2)) / 2^f: ``v`` as ``q`` holds it. A new tensor; no gradient."""
    rounded = v.mul(q.scale).add_(0.5).floor_()
    return rounded.clamp_(q.min, q.max).mul_(1 / q.scale)


class _Rounded(Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, q: Q) -> Tensor:
        # Without the sum v + 1/2: it would make a tie of what is just below one.
        scaled = v * q.scale
        ctx.save_for_backward((scaled >= q.min - 0.5) & (scaled <= q.max + 0.5))
        down = scaled.floor()
        down += scaled - down >= 0.5
        return down.clamp_(q.min, q.max).mul_(1 / q.scale)

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
