"""Stochastic rounding from a shift register (docs/training-core.md, "Noise")."""

from functools import cache

import numpy as np

from golden.fixed import Integers, rshift

BITS = 16
PERIOD = (1 << BITS) - 1


@cache
def states() -> Integers:
    """int64 [65535]: what the register holds, every 16th step from 1 on.

    Its taps are 16, 14, 13 and 11: x^16 + x^14 + x^13 + x^11 + 1 is primitive, so it takes every
    value but 0; and 16 has no factor in common with 65535, so every 16th step does as well.
    """
    found, state = np.zeros(PERIOD, dtype=np.int64), 1
    for n in range(BITS * PERIOD):
        if n % BITS == 0:
            found[n // BITS] = state
        bit = (state ^ (state >> 2) ^ (state >> 3) ^ (state >> 5)) & 1
        state = (state >> 1) | (bit << (BITS - 1))
    found.setflags(write=False)
    return found


class Nearest:
    """rshift, as everywhere in docs/numerics.md."""

    def shift(self, v: Integers, n: int) -> Integers:
        return rshift(v, n)


class Stochastic:
    """floor((v + noise) / 2^n), noise uniform from 0 to 2^n - 1: right in the mean.

    Attributes
    ----------
    words
        How many words of noise have been used.
    """

    def __init__(self, words: int = 0) -> None:
        self.words = words

    def shift(self, v: Integers, n: int) -> Integers:
        """One word for each element of ``v`` in order, its ``n`` top bits; none where n <= 0."""
        if n <= 0:
            return rshift(v, n)
        order = (self.words + np.arange(v.size)) % PERIOD
        self.words += v.size
        noise = _floored(states()[order], BITS - n).reshape(v.shape)
        return (v + noise) >> n


def _floored(v: Integers, n: int) -> Integers:
    """floor(v / 2^n), also for n < 0."""
    return v >> n if n > 0 else v << -n
