"""Fixed point: the Q formats and the only two lossy operations (docs/numerics.md, "Formats")."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.errors import refusal, require_int

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Q:
    """Q(m, f): a signed two's-complement integer n of 1+m+f bits that stands for n / 2^f."""

    m: int
    f: int

    def __post_init__(self) -> None:
        require_int("integer bits m of a Q format", self.m, 0, 30)
        require_int("fraction bits f of a Q format", self.f, 0, 30)

    @property
    def width(self) -> int:
        """Bits, sign included."""
        return 1 + self.m + self.f

    @property
    def min(self) -> int:
        return -(1 << (self.m + self.f))

    @property
    def max(self) -> int:
        return (1 << (self.m + self.f)) - 1

    @property
    def scale(self) -> int:
        """LSBs in 1.0."""
        return 1 << self.f

    def __str__(self) -> str:
        return f"Q{self.m}.{self.f}"

    @classmethod
    def parse(cls, name: str, value: object) -> "Q":
        """A format from its ``[m, f]`` form in a model file; ValueError names ``name``."""
        if not (
            isinstance(value, list)
            and len(value) == 2
            and all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= 30 for n in value)
        ):
            raise refusal(name, repr(value), "[m, f], two integers from 0 to 30")
        return cls(*value)


def rshift(v: ArrayLike, n: ArrayLike) -> Integers:
    """floor((v + 2^(n-1)) / 2^n) for n > 0 (round half up), v * 2^-n for n <= 0. Exact.

    ``n`` is one number, or one for each of the last axes of ``v``.
    """
    v, n = np.asarray(v, dtype=np.int64), np.asarray(n, dtype=np.int64)
    right = np.maximum(n, 0)
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), 0)
    return ((v + half) >> right) << np.maximum(-n, 0)


def sat(v: ArrayLike, q: Q) -> Integers:
    """``v`` clipped to the range of ``q``."""
    return np.clip(np.asarray(v, dtype=np.int64), q.min, q.max)


def quantize(real: ArrayLike, q: Q) -> Integers:
    """The LSBs of ``q`` nearest to ``real``: sat(floor(real * 2^f + 1/2)); NaN is refused."""
    real = np.asarray(real, dtype=np.float64)
    if np.isnan(real).any():
        raise refusal("a value to quantise", "NaN", "a number")
    with np.errstate(over="ignore"):
        scaled = np.clip(real * q.scale, q.min, q.max)
    down = np.floor(scaled)  # adding 1/2 first would round the value just below a tie up to it
    return sat((down + (scaled - down >= 0.5)).astype(np.int64), q)
