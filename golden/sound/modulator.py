"""A microphone's sigma-delta modulator of second order, for benches: samples in, bits out.

docs/sound.md, "The microphone". Its noise is (1 - z^-1)^2 of what the one-bit quantiser does.
"""

import numpy as np

from golden.errors import require_int
from golden.fixed import Integers

FULL = 1 << 15  # a sample of so much is a stream of ones


def interpolated(samples: Integers, ratio: int) -> Integers:
    """``ratio`` times as many samples [.., n ratio], ``ratio`` times as large, on straight lines.

    The last of each ``ratio`` is a sample times ``ratio``; before the first one there was 0.
    """
    require_int("ratio", ratio, 1)
    x = np.asarray(samples, dtype=np.int64)
    before = np.concatenate([np.zeros_like(x[..., :1]), x[..., :-1]], axis=-1)
    steps = np.arange(1, ratio + 1, dtype=np.int64)
    lines = before[..., None] * (ratio - steps) + x[..., None] * steps
    return lines.reshape(*x.shape[:-1], -1)


def modulated(samples: Integers, ratio: int) -> Integers:
    """Bits [n ratio], 0 or 1, of samples [n] within -FULL to FULL, ``ratio`` bits a sample.

    Both integrators are exact integers; samples above some 0.8 FULL overload them, as a real one's.
    """
    full = FULL * ratio
    first = second = 0
    bits = np.empty(len(samples) * ratio, dtype=np.uint8)
    for n, x in enumerate(interpolated(samples, ratio).tolist()):
        if second >= 0:
            bits[n] = 1
            first += x - full
            second += first - full
        else:
            bits[n] = 0
            first += x + full
            second += first + full
    return bits.astype(np.int64)
