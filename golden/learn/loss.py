"""The loss of a sequence, in integers (docs/training-core.md, "Loss")."""

from dataclasses import dataclass

import numpy as np

from golden.fixed import Integers, rshift, sat
from golden.learn.formats import LearningFormats


@dataclass(frozen=True)
class Verdict:
    """What a sequence's results come to.

    Attributes
    ----------
    sums : int64 [O]
        S, the sum of the results of all frames.
    halvings
        K = ceil(log2 T): the mean is taken as S / 2^K.
    decided
        The known class with the largest S, the first of equals.
    """

    sums: Integers
    halvings: int
    decided: int


def verdict(results: Integers, known: int) -> Verdict:
    """Of results [T, O], of which the first ``known`` are classes that the network knows."""
    sums = results.sum(axis=0)
    return Verdict(sums, (len(results) - 1).bit_length(), int(sums[:known].argmax()))


def hinge(
    found: Verdict, output_frac: int, learning: LearningFormats, label: int, known: int
) -> Integers:
    """e [O] in error LSBs: how far each mean is from its target, at most 1, and 0 beyond it.

    The target is 1 for ``label`` and -1 for every other class that is known.
    """
    one = learning.error.scale
    means = rshift(found.sums, found.halvings + output_frac - learning.error.f)
    side = np.where(np.arange(len(means)) == label, 1, -1)
    beyond = np.maximum(one - means * side, 0)
    e = -side * np.minimum(beyond, one)
    e[known:] = 0
    return sat(e, learning.error)


def of_each_frame(e: Integers, found: Verdict) -> Integers:
    """dL/dresult [O], which is the same in every frame."""
    return rshift(e, found.halvings)
