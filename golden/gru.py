"""One delta GRU layer (docs/numerics.md, "GRU layer"), and its dense twin."""

from dataclasses import dataclass

import numpy as np

from golden.accumulate import ExactMatrix
from golden.delta import DeltaEncoder
from golden.fixed import Integers, rshift, sat
from golden.parameters import Formats, LayerParameters
from golden.tables import sigmoid_table, tanh_table


@dataclass(frozen=True)
class GRUWeights:
    """Integers of a GRU layer as the model file holds them.

    ``weight_x`` int8 [3H, I] and ``weight_h`` int8 [3H, H], rows r, u, c; ``bias`` int32 [4H], rows
    r, u, xc, hc, with f_act + f_w fraction bits.
    """

    weight_x: np.ndarray
    weight_h: np.ndarray
    bias: np.ndarray


def update_state(formats: Formats, weight_frac: int, m: Integers, h: Integers) -> Integers:
    """Step 3: h_t (state) from the accumulators M [batch, 4, H] (r, u, xc, hc) and h_(t-1)."""
    pre, gate = formats.preactivation, formats.gate
    sigmoid, tanh = sigmoid_table(pre, gate), tanh_table(pre, gate)
    readout = sat(rshift(m, formats.readout_shift(weight_frac)), formats.readout)
    m_r, m_u, m_xc, m_hc = (readout[:, n] for n in range(4))
    r = sigmoid[sat(rshift(m_r, formats.index_shift), pre) - pre.min]
    u = sigmoid[sat(rshift(m_u, formats.index_shift), pre) - pre.min]
    candidate = (m_xc << gate.f) + r * m_hc
    c = tanh[sat(rshift(candidate, formats.candidate_shift), pre) - pre.min]
    c_blend = c << (formats.blend_frac - gate.f)
    h_blend = h << (formats.blend_frac - formats.state.f)
    blend = (c_blend << gate.f) + u * (h_blend - c_blend)
    return sat(rshift(blend, formats.update_shift), formats.state)


def visible(formats: Formats, h: Integers) -> Integers:
    """a = sat(rshift(h, f_state - f_act), activation): h as other neurons see it."""
    return sat(rshift(h, formats.output_shift), formats.activation)


class DenseGRU:
    """The same GRU without deltas: M is computed anew from x_t and a_(t-1) in every frame.

    At threshold 0 the delta layer equals it bit for bit; it exists to prove that.

    Attributes
    ----------
    m : int64 [batch, 4, H]
        Accumulators r, u, xc, hc.
    h : int64 [batch, H]
        State.
    """

    def __init__(
        self, formats: Formats, layer: LayerParameters, weights: GRUWeights, batch: int = 1
    ) -> None:
        assert layer.recurrent
        self.formats, self.layer, self.batch = formats, layer, batch
        delta_bits = formats.activation.width + 1
        self._product_x = ExactMatrix(weights.weight_x, delta_bits)
        self._product_h = ExactMatrix(weights.weight_h, delta_bits)
        self._bias = weights.bias.astype(np.int64).reshape(4, layer.units)
        self.reset()

    def reset(self) -> None:
        """M = bias, h = 0."""
        self.m: Integers = np.tile(self._bias, (self.batch, 1, 1))
        self.h: Integers = np.zeros((self.batch, self.layer.units), dtype=np.int64)

    def _accumulate(self, x: Integers, h: Integers) -> None:
        """M += W_x x + W_h h, each gate into its own accumulator (r and u: both; c: apart)."""
        units = self.layer.units
        product_x = self._product_x(x).reshape(self.batch, 3, units)
        product_h = self._product_h(h).reshape(self.batch, 3, units)
        self.m[:, 0:3] += product_x
        self.m[:, 0:2] += product_h[:, 0:2]
        self.m[:, 3] += product_h[:, 2]

    def _update(self) -> Integers:
        self.h = update_state(self.formats, self.layer.weight_frac, self.m, self.h)
        return visible(self.formats, self.h)

    def step(self, x: Integers) -> Integers:
        """One frame: x int64 [batch, I] to a int64 [batch, H], both in activation LSBs."""
        self.m = np.tile(self._bias, (self.batch, 1, 1))
        self._accumulate(x, visible(self.formats, self.h))
        return self._update()


class DeltaGRU(DenseGRU):
    """A GRU layer that computes with changes.

    Attributes
    ----------
    theta_x, theta_h
        Thresholds in activation LSBs; they may be changed between frames.
    encoder_x, encoder_h
        Delta encoders; their ``memory`` is x^ and h^. M = W v^ + bias holds after every frame.
    deltas_x : int64 [batch, I], deltas_h : int64 [batch, H]
        Deltas of the last frame, 0 where nothing fired.
    """

    def __init__(
        self, formats: Formats, layer: LayerParameters, weights: GRUWeights, batch: int = 1
    ) -> None:
        self.theta_x = layer.theta_x
        self.theta_h = layer.theta_h or 0
        self.encoder_x = DeltaEncoder(layer.inputs, batch)
        self.encoder_h = DeltaEncoder(layer.units, batch)
        super().__init__(formats, layer, weights, batch)

    def reset(self) -> None:
        """M = bias, h = 0, x^ = h^ = 0."""
        super().reset()
        self.encoder_x.reset()
        self.encoder_h.reset()

    def step(self, x: Integers) -> Integers:
        """One frame: x int64 [batch, I] to a int64 [batch, H], both in activation LSBs."""
        self.deltas_x = self.encoder_x.encode(x, self.theta_x)
        self.deltas_h = self.encoder_h.encode(visible(self.formats, self.h), self.theta_h)
        self._accumulate(self.deltas_x, self.deltas_h)
        return self._update()
