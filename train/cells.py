"""Units of delta layers over one sequence: what they make of their accumulators, and the slopes.

A layer's accumulators come in two parts, M_x and M_h [rows] each, because the GRU's candidate wants
them apart; biases lie in either as PyTorch has them. A cell's tape is a tuple of tensors with one
row a frame; the backward pass is linear in the errors, so all that does not depend on them is made
for all frames at once.
"""

from typing import Protocol

import torch
from torch import Tensor

Tape = tuple[Tensor, ...]


class Cell(Protocol):
    """``gates``: weight rows a unit. States and outputs are [H]."""

    gates: int

    def tape(self, frames: int, units: int, like: Tensor) -> Tape:
        """Empty, but for the state before the first frame, which is 0."""
        ...

    def step(self, tape: Tape, t: int, m_x: Tensor, m_h: Tensor) -> Tensor:
        """The output of frame ``t``, kept on the tape with whatever else backward needs."""
        ...

    def slopes(self, tape: Tape) -> "Slopes":
        """What the backward pass multiplies errors with."""
        ...


class Slopes(Protocol):
    """The backward pass of a cell, from the last frame to the first."""

    def step(self, t: int, of_output: Tensor) -> Tensor:
        """This frame's own share of dL/dM_h [rows] from dL/doutput [H]."""
        ...

    def of_x(self, of_h: Tensor) -> Tensor:
        """The shares of dL/dM_x [T, rows], once all of dL/dM_h [T, rows] are known."""
        ...


class GRU:
    """r, u, c as docs/numerics.md has them and as PyTorch's r, z, n."""

    gates = 3

    def tape(self, frames: int, units: int, like: Tensor) -> Tape:
        ru, c, hc = (like.new_empty(frames, n * units) for n in (2, 1, 1))
        h = like.new_empty(frames + 1, units)
        h[0] = 0
        return ru, c, hc, h

    def step(self, tape: Tape, t: int, m_x: Tensor, m_h: Tensor) -> Tensor:
        ru, c, hc, h = tape
        units = c.shape[1]
        torch.add(m_x[: 2 * units], m_h[: 2 * units], out=ru[t]).sigmoid_()
        hc[t] = m_h[2 * units :]
        torch.addcmul(m_x[2 * units :], ru[t, :units], hc[t], out=c[t]).tanh_()
        torch.lerp(c[t], h[t], ru[t, units:], out=h[t + 1])
        return h[t + 1]

    def slopes(self, tape: Tape) -> "GRUSlopes":
        return GRUSlopes(*tape)


class GRUSlopes:
    """dL/dM_r, dL/dM_u and dL/dM_hc are each dL/dh times something known."""

    def __init__(self, ru: Tensor, c: Tensor, hc: Tensor, h: Tensor) -> None:
        r, self._u = ru.chunk(2, dim=1)
        self._of_xc = (1 - self._u) * (1 - c * c)
        of_u = (h[:-1] - c) * self._u * (1 - self._u)
        of_r = self._of_xc * hc * r * (1 - r)
        self._of_m = torch.stack([of_r, of_u, self._of_xc * r], dim=1)
        self._of_h = torch.empty_like(c)
        self._carried = torch.zeros_like(c[0])

    def step(self, t: int, of_output: Tensor) -> Tensor:
        of_h = torch.add(of_output, self._carried, out=self._of_h[t])
        torch.mul(of_h, self._u[t], out=self._carried)
        return (self._of_m[t] * of_h).view(-1)

    def of_x(self, of_h: Tensor) -> Tensor:
        return torch.cat([of_h[:, : -self._u.shape[1]], self._of_h * self._of_xc], dim=1)


class LSTM:
    """i, f, g, o in PyTorch's order."""

    gates = 4

    def tape(self, frames: int, units: int, like: Tensor) -> Tape:
        gates, tanh_c = (like.new_empty(frames, n * units) for n in (4, 1))
        c = like.new_empty(frames + 1, units)
        c[0] = 0
        return gates, tanh_c, c

    def step(self, tape: Tape, t: int, m_x: Tensor, m_h: Tensor) -> Tensor:
        gates, tanh_c, c = tape
        units = c.shape[1]
        torch.add(m_x, m_h, out=gates[t])
        gates[t, : 2 * units].sigmoid_()
        gates[t, 2 * units : 3 * units].tanh_()
        gates[t, 3 * units :].sigmoid_()
        i, f, g, o = gates[t].view(4, units)
        torch.mul(f, c[t], out=c[t + 1]).addcmul_(i, g)
        return o * torch.tanh(c[t + 1], out=tanh_c[t])

    def slopes(self, tape: Tape) -> "LSTMSlopes":
        return LSTMSlopes(*tape)


class LSTMSlopes:
    """dL/dM_i, dL/dM_f and dL/dM_g are dL/dc, dL/dM_o is dL/dh times something known."""

    def __init__(self, gates: Tensor, tanh_c: Tensor, c: Tensor) -> None:
        i, self._f, g, o = gates.chunk(4, dim=1)
        of_i, of_f = g * i * (1 - i), c[:-1] * self._f * (1 - self._f)
        of_g, of_o = i * (1 - g * g), tanh_c * o * (1 - o)
        self._of_m = torch.stack([of_i, of_f, of_g, of_o], dim=1)
        self._of_c = o * (1 - tanh_c * tanh_c)
        self._carried = torch.zeros_like(tanh_c[0])

    def step(self, t: int, of_output: Tensor) -> Tensor:
        of_c = self._carried.addcmul_(of_output, self._of_c[t])
        own = torch.empty_like(self._of_m[t])
        torch.mul(self._of_m[t, :3], of_c, out=own[:3])
        torch.mul(self._of_m[t, 3], of_output, out=own[3])
        of_c.mul_(self._f[t])
        return own.view(-1)

    def of_x(self, of_h: Tensor) -> Tensor:
        return of_h
