"""Envelopes to logarithms on straight lines: log2(1 + e / 2^floor) (docs/sound.md, "Logarithm")."""

import numpy as np

from golden.fixed import Integers


def log2(envelopes: Integers, floor: int, frac: int) -> Integers:
    """With ``frac`` fraction bits: of e + 2^floor = 2^k (1 + m), 0 <= m < 1, it is k - floor + m.

    m is cut off after ``frac`` bits, and never more than 0.087 below the true logarithm.
    """
    v = np.asarray(envelopes, dtype=np.int64) + (1 << floor)
    k = np.frexp(v.astype(np.float64))[1].astype(np.int64) - 1
    m = (v << frac >> k) - (1 << frac)
    return ((k - floor) << frac) + m
