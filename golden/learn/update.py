"""One list of events on its way back: errors of deltas, and masters (docs/training-core.md)."""

from dataclasses import dataclass

import numpy as np

from golden.fixed import Integers, rshift, sat
from golden.learn.formats import LearningFormats


@dataclass(frozen=True)
class Sweep:
    """What one frame's list of one vector did.

    Attributes
    ----------
    columns, deltas : int64 [n]
        The events.
    of_deltas : int64 [n] or None
        D of each event; None where nobody asks for it.
    old, new : int64 [rows, n]
        The masters of these columns before and after.
    """

    columns: Integers
    deltas: Integers
    of_deltas: Integers | None
    old: Integers
    new: Integers


@dataclass(frozen=True)
class Step:
    """How masters follow their errors: w - G d 2^-shift. Rate 0 is no ``shift``."""

    learning: LearningFormats
    weight_frac: int
    shift: int | None
    cost: int

    def sweep(self, masters: Integers, g: Integers, deltas: Integers, asked: bool) -> Sweep:
        """Of errors ``g`` [rows] and the frame's deltas [columns]; changes ``masters`` in place."""
        columns = np.flatnonzero(deltas)
        d, old = deltas[columns], masters[:, columns]
        new, of_deltas = old, None
        if asked:
            sums = rshift(g @ (old >> self.learning.below), self.weight_frac)
            of_deltas = sat(sums + self.cost * np.sign(d), self.learning.error)
        if self.shift is not None:
            new = sat(old + rshift(-g[:, None] * d, self.shift), self.learning.range)
            masters[:, columns] = new
        return Sweep(columns, d, of_deltas, old, new)


def encoder_errors(held: Integers, done: Sweep, learning: LearningFormats) -> Integers:
    """dL/dv [columns] of a sweep; ``held`` is dL/dv^ and is moved one frame back."""
    of_v = np.zeros_like(held)
    if done.of_deltas is not None:
        at = done.columns
        of_v[at] = sat(held[at] + done.of_deltas, learning.error)
        held[at] = sat(-done.of_deltas, learning.error)
    return of_v
