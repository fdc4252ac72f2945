"""The LSTM's cell with its derivative, gates in the order of PyTorch, in real numbers."""

from dataclasses import dataclass

import numpy as np

from golden.learn.bptt import Layer, Projection
from golden.learn.columns import Floats


@dataclass(frozen=True)
class LSTMGates:
    """What one frame leaves behind, [units] each; ``before`` is c of the frame before."""

    i: Floats
    f: Floats
    g: Floats
    o: Floats
    before: Floats
    tanh_c: Floats


@dataclass(frozen=True)
class LSTM:
    """i, f, o = sigmoid(M_i, M_f, M_o); g = tanh(M_g); c = f c + i g; h = o tanh(c).

    The state is c.
    """

    def forward(self, m: Floats, state: Floats) -> tuple[Floats, Floats, LSTMGates]:
        i, f, o = 1 / (1 + np.exp(-m[[0, 1, 3]]))
        g = np.tanh(m[2])
        c = f * state + i * g
        tanh_c = np.tanh(c)
        return o * tanh_c, c, LSTMGates(i, f, g, o, state, tanh_c)

    def backward(
        self, gates: LSTMGates, of_output: Floats, of_state: Floats
    ) -> tuple[Floats, Floats]:
        i, f, g, o = gates.i, gates.f, gates.g, gates.o
        of_c = of_state + of_output * o * (1 - gates.tanh_c**2)
        of_i = of_c * g * i * (1 - i)
        of_f = of_c * gates.before * f * (1 - f)
        of_g = of_c * i * (1 - g * g)
        of_o = of_output * gates.tanh_c * o * (1 - o)
        return np.stack([of_i, of_f, of_g, of_o]), of_c * f


def lstm_layer(
    weight_x: Floats, weight_h: Floats, bias: Floats, theta_x: float, theta_h: float
) -> Layer:
    """weight_x [4H, I], weight_h [4H, H] and bias [4H], rows i, f, g, o."""
    units = weight_h.shape[1]
    rows = np.arange(4 * units)
    return Layer(
        LSTM(),
        Projection(weight_x, rows, theta_x),
        Projection(weight_h, rows, theta_h),
        bias.reshape(4, units),
    )
