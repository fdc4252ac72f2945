"""One delta LSTM layer (docs/numerics.md, "LSTM layer"), and its dense twin."""

from golden.fixed import Integers, rshift, sat
from golden.formats import Formats
from golden.recurrent import DeltaRecurrent, DenseRecurrent, Recurrent, RecurrentWeights
from golden.tables import sigmoid_table, tanh_table


class LSTMWeights(RecurrentWeights):
    """Weight rows and biases i, f, g, o."""


def gates(
    formats: Formats, weight_frac: int | Integers, m: Integers
) -> tuple[Integers, Integers, Integers, Integers]:
    """i, f, g, o (gate) from the accumulators M [batch, 4, H] of these.

    ``weight_frac`` is one number, or one for each accumulator [4, H].
    """
    pre, gate = formats.preactivation, formats.gate
    sigmoid, tanh = sigmoid_table(pre, gate), tanh_table(pre, gate)
    readout = sat(rshift(m, formats.readout_shift(weight_frac)), formats.readout)
    index = sat(rshift(readout, formats.index_shift), pre) - pre.min
    i, f, o = (sigmoid[index[:, n]] for n in (0, 1, 3))
    return i, f, tanh[index[:, 2]], o


def shown(formats: Formats, c: Integers) -> Integers:
    """tanh of c (cell), as o multiplies it (gate)."""
    pre = formats.preactivation
    index = sat(rshift(c, formats.cell_index_shift), pre) - pre.min
    return tanh_table(pre, formats.gate)[index]


def update_cell(
    formats: Formats, weight_frac: int | Integers, m: Integers, c: Integers
) -> tuple[Integers, Integers]:
    """Step 3: c_t (cell) and a_t (activation) from M, as of ``gates``, and c_(t-1) [batch, H]."""
    i, f, g, o = gates(formats, weight_frac, m)
    kept = f * (c << (formats.cell_frac - formats.cell.f))
    new = (i * g) << (formats.cell_frac - formats.gate.f)
    c = sat(rshift(kept + new, formats.cell_shift), formats.cell)
    return c, sat(rshift(o * shown(formats, c), formats.product_shift), formats.activation)


class _LSTM(Recurrent):
    """Accumulators i, f, g, o; the state is c."""

    def _update(self) -> None:
        self.state, self.a = update_cell(self.formats, self._frac, self.m, self.state)


class DenseLSTM(_LSTM, DenseRecurrent):
    """An LSTM layer without deltas."""


class DeltaLSTM(_LSTM, DeltaRecurrent):
    """An LSTM layer that computes with changes."""


Weights, Delta, Dense = LSTMWeights, DeltaLSTM, DenseLSTM  # by these names for golden.kinds
