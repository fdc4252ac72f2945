"""What learning has beside the formats of inference (docs/training-core.md, "Formats")."""

from dataclasses import dataclass

from golden.errors import require_int
from golden.fixed import Q
from golden.formats import WEIGHT, Formats

RATE_MAX = 8  # of the register RATE: 2^-3
RATE_OFFSET = 11  # RATE r is a learning rate of 2^(r - 11)


@dataclass(frozen=True)
class LearningFormats:
    """The formats of learning.

    Attributes
    ----------
    error
        Whatever comes back: dL/dM, dL/dh, dL/dstate, dL/dv^.
    slope
        What errors are multiplied with, made of a frame's gates.
    master
        Bits of a weight while it learns. The upper eight are the weight.
    """

    error: Q = Q(1, 14)
    slope: Q = Q(1, 6)
    master: int = 16

    def __post_init__(self) -> None:
        require_int("width of format error", self.error.width, 2, 24)
        require_int("width of format slope", self.slope.width, 2, 18)
        require_int("width of a master", self.master, WEIGHT.width + 1, 31)

    @property
    def below(self) -> int:
        """Bits of a master below the weight."""
        return self.master - WEIGHT.width

    @property
    def half(self) -> int:
        """What every master holds beside its value, so that its upper byte is rounded."""
        return 1 << (self.below - 1)

    @property
    def range(self) -> Q:
        """The codes of a master; its binary point is its layer's affair."""
        return Q(0, self.master - 1)

    def master_frac(self, weight_frac: int) -> int:
        """Fraction bits of a layer's masters."""
        return weight_frac + self.below

    def step_shift(self, formats: Formats, weight_frac: int, rate: int) -> int:
        """s of w - G d 2^-s: from the fraction bits of G d to those of a master, less the rate."""
        product = self.error.f + formats.activation.f
        return product - self.master_frac(weight_frac) + RATE_OFFSET - rate
