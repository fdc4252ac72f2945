"""Units of delta layers over one sequence: what they make of their accumulators, and the slopes.

A layer's accumulators come in two parts, M_x and M_h [rows] each, because the GRU's candidate wants
them apart; biases lie in either as PyTorch has them. A cell's tape is a tuple of arrays with one
row a frame; the backward pass is linear in the errors, so all that does not depend on them is made
for all frames at once. NumPy, since of vectors of a layer's size its operations cost a quarter of
PyTorch's, and there are some ten a frame.
"""

from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

Tape = tuple[np.ndarray, ...]


class Slopes(Protocol):
    """The backward pass of a cell, from the last frame to the first."""

    def step(self, t: int, of_output: np.ndarray) -> np.ndarray:
        """This frame's own share of dL/dM_h [rows] from dL/doutput [H]."""
        ...

    def of_x(self, of_h: np.ndarray) -> np.ndarray:
        """The shares of dL/dM_x [T, rows], once all of dL/dM_h [T, rows] are known."""
        ...


class Cell(Protocol):
    """``gates``: weight rows a unit. States and outputs are [H]."""

    @property
    def gates(self) -> int: ...

    def tape(self, frames: int, units: int, dtype: DTypeLike) -> Tape:
        """Zeros, which is also the state before the first frame."""
        ...

    def step(self, tape: Tape, t: int, m_x: np.ndarray, m_h: np.ndarray) -> np.ndarray:
        """The output of frame ``t``; the tape gets whatever backward needs."""
        ...

    def slopes(self, tape: Tape) -> Slopes:
        """What the backward pass multiplies errors with."""
        ...


class GRU:
    """r, u, c as docs/numerics.md has them and as PyTorch's r, z, n."""

    gates = 3

    def tape(self, frames: int, units: int, dtype: DTypeLike) -> Tape:
        ru, c, hc = (np.zeros((frames, n * units), dtype) for n in (2, 1, 1))
        return ru, c, hc, np.zeros((frames + 1, units), dtype)

    def step(self, tape: Tape, t: int, m_x: np.ndarray, m_h: np.ndarray) -> np.ndarray:
        ru, c, hc, h = tape
        units = c.shape[1]
        gates, candidate, new = ru[t], c[t], h[t + 1]
        _sigmoid(np.add(m_x[: 2 * units], m_h[: 2 * units], out=gates))
        hc[t] = m_h[2 * units :]
        np.multiply(gates[:units], hc[t], out=candidate)
        candidate += m_x[2 * units :]
        np.tanh(candidate, out=candidate)
        np.subtract(h[t], candidate, out=new)
        new *= gates[units:]
        new += candidate
        return new

    def slopes(self, tape: Tape) -> "GRUSlopes":
        return GRUSlopes(*tape)


class GRUSlopes:
    """dL/dM_r, dL/dM_u and dL/dM_hc are each dL/dh times something known."""

    def __init__(self, ru: np.ndarray, c: np.ndarray, hc: np.ndarray, h: np.ndarray) -> None:
        r, self._u = np.split(ru, 2, axis=1)
        self._of_xc = (1 - self._u) * (1 - c * c)
        of_u = (h[:-1] - c) * self._u * (1 - self._u)
        of_r = self._of_xc * hc * r * (1 - r)
        self._of_m = np.stack([of_r, of_u, self._of_xc * r], axis=1)
        self._of_h = np.empty_like(c)
        self._carried = np.zeros_like(c[0])

    def step(self, t: int, of_output: np.ndarray) -> np.ndarray:
        of_h = np.add(of_output, self._carried, out=self._of_h[t])
        np.multiply(of_h, self._u[t], out=self._carried)
        return (self._of_m[t] * of_h).ravel()

    def of_x(self, of_h: np.ndarray) -> np.ndarray:
        ru = of_h[:, : 2 * self._u.shape[1]]
        return np.concatenate([ru, self._of_h * self._of_xc], axis=1)


class LSTM:
    """i, f, g, o in PyTorch's order."""

    gates = 4

    def tape(self, frames: int, units: int, dtype: DTypeLike) -> Tape:
        gates, tanh_c = (np.zeros((frames, n * units), dtype) for n in (4, 1))
        return gates, tanh_c, np.zeros((frames + 1, units), dtype)

    def step(self, tape: Tape, t: int, m_x: np.ndarray, m_h: np.ndarray) -> np.ndarray:
        gates, tanh_c, c = tape
        units = c.shape[1]
        row = gates[t]
        np.add(m_x, m_h, out=row)
        i, f, g, o = row.reshape(4, units)
        _sigmoid(row[: 2 * units])
        np.tanh(g, out=g)
        _sigmoid(o)
        np.multiply(f, c[t], out=c[t + 1])
        c[t + 1] += i * g
        return o * np.tanh(c[t + 1], out=tanh_c[t])

    def slopes(self, tape: Tape) -> "LSTMSlopes":
        return LSTMSlopes(*tape)


class LSTMSlopes:
    """dL/dM_i, dL/dM_f and dL/dM_g are dL/dc, dL/dM_o is dL/dh times something known."""

    def __init__(self, gates: np.ndarray, tanh_c: np.ndarray, c: np.ndarray) -> None:
        i, self._f, g, o = np.split(gates, 4, axis=1)
        of_i, of_f = g * i * (1 - i), c[:-1] * self._f * (1 - self._f)
        of_g, of_o = i * (1 - g * g), tanh_c * o * (1 - o)
        self._of_m = np.stack([of_i, of_f, of_g, of_o], axis=1)
        self._of_c = o * (1 - tanh_c * tanh_c)
        self._carried = np.zeros_like(tanh_c[0])

    def step(self, t: int, of_output: np.ndarray) -> np.ndarray:
        of_c = self._carried
        of_c += of_output * self._of_c[t]
        own = np.empty_like(self._of_m[t])
        np.multiply(self._of_m[t, :3], of_c, out=own[:3])
        np.multiply(self._of_m[t, 3], of_output, out=own[3])
        of_c *= self._f[t]
        return own.ravel()

    def of_x(self, of_h: np.ndarray) -> np.ndarray:
        return of_h


def _sigmoid(v: np.ndarray) -> None:
    """In place: (1 + tanh(v / 2)) / 2, which cannot overflow."""
    v *= 0.5
    np.tanh(v, out=v)
    v += 1
    v *= 0.5
