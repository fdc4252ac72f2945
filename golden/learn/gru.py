"""The GRU's cell with its derivative (docs/numerics.md, "GRU layer", step 3, in real numbers)."""

from dataclasses import dataclass

import numpy as np

from golden.learn.bptt import Layer, Projection
from golden.learn.columns import Floats


@dataclass(frozen=True)
class GRUGates:
    """What one frame leaves behind, [units] each; ``h`` is that of the frame before."""

    r: Floats
    u: Floats
    c: Floats
    m_hc: Floats
    h: Floats


@dataclass(frozen=True)
class GRU:
    """r, u = sigmoid(M_r, M_u); c = tanh(M_xc + r M_hc); h = c + u (h - c). The state is h."""

    def forward(self, m: Floats, state: Floats) -> tuple[Floats, Floats, GRUGates]:
        r, u = 1 / (1 + np.exp(-m[:2]))
        c = np.tanh(m[2] + r * m[3])
        h = c + u * (state - c)
        return h, h, GRUGates(r, u, c, m[3].copy(), state)

    def backward(
        self, gates: GRUGates, of_output: Floats, of_state: Floats
    ) -> tuple[Floats, Floats]:
        r, u, c = gates.r, gates.u, gates.c
        of_h = of_output + of_state
        of_c = of_h * (1 - u) * (1 - c * c)
        of_r = of_c * gates.m_hc * r * (1 - r)
        of_u = of_h * (gates.h - c) * u * (1 - u)
        return np.stack([of_r, of_u, of_c, of_c * r]), of_h * u


def gru_layer(
    weight_x: Floats, weight_h: Floats, bias: Floats, theta_x: float, theta_h: float
) -> Layer:
    """weight_x [3H, I] and weight_h [3H, H], rows r, u, c; bias [4H], rows r, u, xc, hc."""
    units = weight_h.shape[1]
    rows = np.arange(4 * units).reshape(4, units)
    return Layer(
        GRU(),
        Projection(weight_x, rows[[0, 1, 2]].ravel(), theta_x),
        Projection(weight_h, rows[[0, 1, 3]].ravel(), theta_h),
        bias.reshape(4, units),
    )
