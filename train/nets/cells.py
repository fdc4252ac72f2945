"""Units of delta layers, compiled: what they make of their accumulators in a frame, and back.

A layer's accumulators come in two parts, M_x and M_h [rows] each, because the GRU's candidate wants
them apart; biases lie in either as PyTorch has them. A cell's tape, [T + 1, 5 H], has in row t + 1
all that the backward pass needs of frame t; the last H of a row is what units remember, h or c, and
row 0 is zeros. Numbers are of the arrays' own width throughout, for which a literal 1 is too wide.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from typing import Any

from numba import njit

KEPT = 5  # values of the tape a unit and frame

# Sums may be taken in any order and products added unrounded, or no loop becomes vectors.
compiled: Callable[..., Any] = njit(fastmath={"contract", "reassoc"}, error_model="numpy")


@dataclass(frozen=True)
class Cell:
    """A kind of unit.

    Attributes
    ----------
    gates
        Weight rows a unit.
    step
        (m_x, m_h, before, now, output): a frame's row of the tape, ``now``, and its output [H] from
        M_x and M_h [rows] and the row before.
    back
        (of_output, carried, before, now, own_x, own_h): what a frame adds to dL/dM_x and dL/dM_h
        [rows], from dL/doutput [H] and ``carried`` [H], the error of what it remembers, which is 0
        behind the last frame and becomes that of the frame before.
    """

    gates: int
    step: Callable[..., None]
    back: Callable[..., None]


@compiled
def _sigmoid(v, one):
    return one / (one + exp(-v))  # exp may overflow to infinity, as it should


@compiled
def _tanh(v, one):
    twice = _sigmoid(v + v, one)  # a third of tanh's time; off by a rounding of 1
    return twice + twice - one


@compiled
def _gru_step(m_x, m_h, before, now, output):
    units, one = len(output), now.dtype.type(1)
    for k in range(units):
        r = _sigmoid(m_x[k] + m_h[k], one)
        u = _sigmoid(m_x[units + k] + m_h[units + k], one)
        hc = m_h[2 * units + k]
        c = _tanh(m_x[2 * units + k] + r * hc, one)
        h = c + u * (before[4 * units + k] - c)
        now[k], now[units + k], now[2 * units + k] = r, u, c
        now[3 * units + k], now[4 * units + k], output[k] = hc, h, h


@compiled
def _gru_back(of_output, carried, before, now, own_x, own_h):
    units = len(of_output)
    for k in range(units):
        r, u, c, hc = now[k], now[units + k], now[2 * units + k], now[3 * units + k]
        of_h = of_output[k] + carried[k]
        carried[k] = of_h * u
        of_c = of_h - of_h * u
        of_candidate = of_c - of_c * c * c
        of_r = of_candidate * hc * r
        of_u = of_h * (before[4 * units + k] - c) * u
        own_x[k] = own_h[k] = of_r - of_r * r
        own_x[units + k] = own_h[units + k] = of_u - of_u * u
        own_x[2 * units + k] = of_candidate
        own_h[2 * units + k] = of_candidate * r


@compiled
def _lstm_step(m_x, m_h, before, now, output):
    units, one = len(output), now.dtype.type(1)
    for k in range(units):
        i = _sigmoid(m_x[k] + m_h[k], one)
        f = _sigmoid(m_x[units + k] + m_h[units + k], one)
        g = _tanh(m_x[2 * units + k] + m_h[2 * units + k], one)
        o = _sigmoid(m_x[3 * units + k] + m_h[3 * units + k], one)
        c = f * before[4 * units + k] + i * g
        output[k] = o * _tanh(c, one)
        now[k], now[units + k], now[2 * units + k] = i, f, g
        now[3 * units + k], now[4 * units + k] = o, c


@compiled
def _lstm_back(of_output, carried, before, now, own_x, own_h):
    units, one = len(of_output), now.dtype.type(1)
    for k in range(units):
        i, f, g, o = now[k], now[units + k], now[2 * units + k], now[3 * units + k]
        tanh_c, of_h = _tanh(now[4 * units + k], one), of_output[k]
        of_tanh = of_h * o
        of_c = carried[k] + of_tanh - of_tanh * tanh_c * tanh_c
        carried[k] = of_c * f
        of_i, of_f = of_c * g * i, of_c * before[4 * units + k] * f
        of_g, of_o = of_c * i, of_h * tanh_c * o
        own_x[k] = own_h[k] = of_i - of_i * i
        own_x[units + k] = own_h[units + k] = of_f - of_f * f
        own_x[2 * units + k] = own_h[2 * units + k] = of_g - of_g * g * g
        own_x[3 * units + k] = own_h[3 * units + k] = of_o - of_o * o


# r, u, c as docs/numerics.md has them and as PyTorch's r, z, n. The tape: r, u, c, M_hc, h.
GRU = Cell(3, _gru_step, _gru_back)

# i, f, g, o in PyTorch's order. The tape: i, f, g, o, c.
LSTM = Cell(4, _lstm_step, _lstm_back)
