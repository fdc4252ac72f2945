"""The number formats of a network (docs/numerics.md, "Formats")."""

from dataclasses import dataclass
from typing import TypeVar

from golden.errors import refusal, require_int
from golden.fixed import Integers, Q

WEIGHT = Q(0, 7)  # weights are 8 bits; where their binary point lies is each layer's weight_frac
SHIFT_MAX = 3  # of a row: two bits of hardware; more would gain nothing (docs/numerics.md)
WEIGHT_FRAC_MAX = 15  # a layer whose largest weight is below 2^-8 has nothing to say
ACTIVATION_BITS_MAX = 16
TABLE_BITS_MAX = 16
INTERMEDIATE_BITS_MAX = 62  # so that no step of golden/ leaves int64
ACCUMULATOR_BITS_MAX = 40

Fractions = TypeVar("Fractions", int, Integers, int | Integers)  # of one row, or of several


@dataclass(frozen=True)
class Formats:
    """The number formats of a network (docs/numerics.md, "Formats"); the defaults are its."""

    activation: Q = Q(3, 4)
    state: Q = Q(3, 4)
    gate: Q = Q(1, 6)
    readout: Q = Q(7, 8)
    preactivation: Q = Q(3, 4)
    cell: Q = Q(3, 12)

    def __post_init__(self) -> None:
        require_int("width of format activation", self.activation.width, 2, ACTIVATION_BITS_MAX)
        require_int("width of format preactivation", self.preactivation.width, 2, TABLE_BITS_MAX)
        require_int(
            f"bits of R(M_xc) + r * R(M_hc) with readout {self.readout} and gate {self.gate}",
            self.readout.width + self.gate.width + 1,
            1,
            INTERMEDIATE_BITS_MAX,
        )
        require_int(
            f"bits of c + u * (h - c) with state {self.state} and gate {self.gate}",
            max(self.state.m, self.gate.m) + 2 + self.blend_frac + self.gate.width + 1,
            1,
            INTERMEDIATE_BITS_MAX,
        )
        require_int(
            f"bits of f * c + i * g with cell {self.cell} and gate {self.gate}",
            max(self.cell.m, self.gate.m) + self.cell_frac + self.gate.width + 2,
            1,
            INTERMEDIATE_BITS_MAX,
        )
        require_int(
            f"bits of M in format readout {self.readout} with activation {self.activation}",
            ACCUMULATOR_BITS_MAX + max(0, self.readout.f - self.activation.f),
            1,
            INTERMEDIATE_BITS_MAX,
        )
        if self.gate.m < 1:
            raise refusal("format gate", str(self.gate), "at least Q1.f, so that 1.0 fits")

    def accumulator_frac(self, weight_frac: Fractions) -> Fractions:
        """Fraction bits of M: f_act + f_w."""
        return self.activation.f + weight_frac

    def readout_shift(self, weight_frac: Fractions) -> Fractions:
        """n of R(M) = sat(rshift(M, n), readout)."""
        return self.accumulator_frac(weight_frac) - self.readout.f

    @property
    def index_shift(self) -> int:
        """n of a gate's table index: sat(rshift(R, n), preactivation)."""
        return self.readout.f - self.preactivation.f

    @property
    def candidate_shift(self) -> int:
        """n of the c table index: sat(rshift(pre, n), preactivation)."""
        return self.readout.f + self.gate.f - self.preactivation.f

    @property
    def blend_frac(self) -> int:
        """f = max(f_gate, f_state): the fraction bits in which h' and c' meet."""
        return max(self.gate.f, self.state.f)

    @property
    def update_shift(self) -> int:
        """n of the one rounding of a GRU's h_t."""
        return self.blend_frac + self.gate.f - self.state.f

    @property
    def output_shift(self) -> int:
        """n of a GRU's a = sat(rshift(h, n), activation)."""
        return self.state.f - self.activation.f

    @property
    def cell_frac(self) -> int:
        """F = max(f_gate, f_cell): with a gate's more, the fraction bits of f * c + i * g."""
        return max(self.gate.f, self.cell.f)

    @property
    def cell_shift(self) -> int:
        """n of the one rounding of c_t."""
        return self.cell_frac + self.gate.f - self.cell.f

    @property
    def cell_index_shift(self) -> int:
        """n of the table index of tanh(c_t): sat(rshift(c_t, n), preactivation)."""
        return self.cell.f - self.preactivation.f

    @property
    def product_shift(self) -> int:
        """n of an LSTM's a = sat(rshift(o * y, n), activation)."""
        return 2 * self.gate.f - self.activation.f
