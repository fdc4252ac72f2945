"""One delta GRU layer (docs/numerics.md, "GRU layer"), and its dense twin."""

from golden.fixed import Integers, rshift, sat
from golden.formats import Formats
from golden.recurrent import DeltaRecurrent, DenseRecurrent, Recurrent, RecurrentWeights
from golden.tables import sigmoid_table, tanh_table


class GRUWeights(RecurrentWeights):
    """Weight rows r, u, c; biases r, u, xc, hc."""


def gates(
    formats: Formats, weight_frac: int | Integers, m: Integers
) -> tuple[Integers, Integers, Integers, Integers]:
    """r, u, c (gate) and R(M_hc) (readout) from the accumulators M [batch, 4, H] (r, u, xc, hc).

    ``weight_frac`` is one number, or one for each accumulator [4, H].
    """
    pre, gate = formats.preactivation, formats.gate
    sigmoid, tanh = sigmoid_table(pre, gate), tanh_table(pre, gate)
    readout = sat(rshift(m, formats.readout_shift(weight_frac)), formats.readout)
    m_r, m_u, m_xc, m_hc = (readout[:, n] for n in range(4))
    r = sigmoid[sat(rshift(m_r, formats.index_shift), pre) - pre.min]
    u = sigmoid[sat(rshift(m_u, formats.index_shift), pre) - pre.min]
    candidate = (m_xc << gate.f) + r * m_hc
    c = tanh[sat(rshift(candidate, formats.candidate_shift), pre) - pre.min]
    return r, u, c, m_hc


def update_state(
    formats: Formats, weight_frac: int | Integers, m: Integers, h: Integers
) -> Integers:
    """Step 3: h_t (state) from M, as of ``gates``, and h_(t-1) [batch, H]."""
    _, u, c, _ = gates(formats, weight_frac, m)
    c_blend = c << (formats.blend_frac - formats.gate.f)
    h_blend = h << (formats.blend_frac - formats.state.f)
    blend = (c_blend << formats.gate.f) + u * (h_blend - c_blend)
    return sat(rshift(blend, formats.update_shift), formats.state)


def visible(formats: Formats, h: Integers) -> Integers:
    """a = sat(rshift(h, f_state - f_act), activation): h as other neurons see it."""
    return sat(rshift(h, formats.output_shift), formats.activation)


class _GRU(Recurrent):
    """Accumulators r, u, xc, hc; the state is h."""

    def _update(self) -> None:
        self.state = update_state(self.formats, self._frac, self.m, self.state)
        self.a = visible(self.formats, self.state)


class DenseGRU(_GRU, DenseRecurrent):
    """A GRU layer without deltas."""


class DeltaGRU(_GRU, DeltaRecurrent):
    """A GRU layer that computes with changes."""


Weights, Delta, Dense = GRUWeights, DeltaGRU, DenseGRU  # by these names for golden.kinds
