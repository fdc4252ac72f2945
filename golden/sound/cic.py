"""Bits to samples: a cascaded integrator-comb decimator (E. Hogenauer, IEEE ASSP-29, 1981).

docs/sound.md, "Decimator". A bit is +1 or -1. What leaves is the moving sum over ``rate`` bits,
``order`` times over, at every ``rate``-th bit, with its lowest ``drop`` bits left out.
"""

from itertools import repeat

import numpy as np

from golden.errors import refusal
from golden.fixed import Integers


def width(order: int, rate: int) -> int:
    """Bits, sign included, of the largest sum: -rate^order to rate^order."""
    return (rate**order).bit_length() + 1


def decimated(bits: Integers, order: int, rate: int, drop: int) -> Integers:
    """Samples [.., n // rate] of bits [.., n], each 0 or 1, from reset on.

    Integrators overflow and wrap, here at 64 bits and in gates at ``width``; differences of what
    wrapped are right modulo that, and every result fits.
    """
    bits = np.asarray(bits)
    if not np.isin(bits, (0, 1)).all():
        raise refusal("bits of a microphone", "another number", "0 or 1")
    sums = 2 * bits.astype(np.int64) - 1
    for _ in range(order):
        sums = np.cumsum(sums, axis=-1)
    sums = sums[..., rate - 1 :: rate]
    for _ in range(order):
        sums = np.diff(sums, axis=-1, prepend=0)
    return sums >> drop


def response(order: int, rate: int, interpolation: int) -> Integers:
    """What the decimator makes of one sample that a straight line each leads to and away from.

    int64 taps at the PDM rate, whose sum is interpolation^2 rate^order: those of a line of
    ``interpolation`` bits up and one down (golden.sound.modulator.interpolated), summed ``order``
    times over ``rate`` bits.
    """
    boxes = [np.ones(n, np.int64) for n in (interpolation, interpolation, *repeat(rate, order))]
    taps = boxes[0]
    for box in boxes[1:]:
        taps = np.convolve(taps, box)  # integers: exact in any order
    return taps
