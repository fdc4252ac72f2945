"""The tables of sigmoid and tanh, each entry proven: integers that enclose what is rounded.

Only whole numbers are added, multiplied and divided, each time downwards for the lower end of an
interval and upwards for the upper one. Both ends round to the same entry, or precision is doubled.
"""

import math
from collections.abc import Callable
from fractions import Fraction

from golden.fixed import Q

Interval = tuple[int, int]  # lower and upper end, in steps of 2^-bits
BITS = 128


def sigmoid_table(index: Q, gate: Q, bits: int = BITS) -> list[int]:
    """quantize(1 / (1 + e^-x), gate) for every code of ``index``, the lowest first."""
    return _table(_sigmoid, 1, index, gate, bits)


def tanh_table(index: Q, gate: Q, bits: int = BITS) -> list[int]:
    """quantize(tanh(x), gate) for every code of ``index``, the lowest first."""
    return _table(_tanh, 2, index, gate, bits)


Function = Callable[[Interval, int, bool], Interval]


def _table(function: Function, factor: int, index: Q, gate: Q, bits: int) -> list[int]:
    """Entries of a function of e^(-factor |x|)."""
    count = 1 << (index.m + index.f)
    powers = _powers(Fraction(factor, 1 << index.f), count + 1, bits)
    entries = []
    for code in range(-count, count):
        ends = function(powers[abs(code)], bits, code < 0)
        low, high = (_rounded(end, bits, gate.f) for end in ends)
        if low != high:  # e^x is irrational but for x = 0, so more bits part them
            return _table(function, factor, index, gate, 2 * bits)
        most = 1 << (gate.m + gate.f)
        entries.append(max(-most, min(most - 1, low)))
    return entries


def _rounded(end: int, bits: int, fraction: int) -> int:
    """floor(end / 2^bits * 2^fraction + 1/2)."""
    return ((end << fraction + 1) + (1 << bits)) >> bits + 1


def _powers(step: Fraction, count: int, bits: int) -> list[Interval]:
    """e^(-n step) for n from 0 on."""
    low, high = _exponential(step, bits)
    powers = [(1 << bits, 1 << bits)]
    for _ in range(count - 1):
        a, b = powers[-1]
        powers.append((a * low >> bits, -(-b * high >> bits)))
    return powers


def _exponential(step: Fraction, bits: int) -> Interval:
    """e^-step, 0 < step <= 2: sums of an alternating series lie on either side of its limit.

    That holds once its terms shrink, from the third one on where step <= 2.
    """
    total, term, n = Fraction(0), Fraction(1), 0
    while n < 3 or abs(term) * (1 << bits) >= 1:
        total += term
        n += 1
        term *= -step / n
    low, high = sorted((total, total + term))
    return math.floor(low * (1 << bits)), math.ceil(high * (1 << bits))


def _sigmoid(power: Interval, bits: int, negative: bool) -> Interval:
    """1 / (1 + e) for e = e^-|x|, or for negative x what is left of 1."""
    one = 1 << bits
    low = (one << bits) // (one + power[1])
    high = -(-(one << bits) // (one + power[0]))
    return (one - high, one - low) if negative else (low, high)


def _tanh(power: Interval, bits: int, negative: bool) -> Interval:
    """(1 - e) / (1 + e) for e = e^-2|x|, or for negative x its negative."""
    one = 1 << bits
    low = (one - power[1] << bits) // (one + power[1])
    high = -(-(one - power[0] << bits) // (one + power[0]))
    return (-high, -low) if negative else (low, high)
