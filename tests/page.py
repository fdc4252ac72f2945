"""docs/numerics.md in Python's own integers and fractions: slow, and plain to read."""

import math
from fractions import Fraction

from golden.fixed import Q


def page_rshift(v: int, n: int) -> int:
    return math.floor(Fraction(v) / 2**n + (Fraction(1, 2) if n > 0 else 0))


def page_sat(v: int, q: Q) -> int:
    return max(q.min, min(q.max, v))
