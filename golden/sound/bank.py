"""Samples to envelopes: a bank of resonators, each rectified and smoothed (docs/sound.md, "Bank").

Each band has two states of its resonator, low and band, and an envelope; below is the band of the
one before, of the same sample:

    low  <- low + rshift(f band)
    band <- rshift(h band) + rshift(-f (low - x))
    env  <- rshift(decay env) + |band - below|

f, h and decay have ``frac`` fraction bits. Its poles are r e^(+-jw) with h = r^2 and
f^2 = 1 + h - 2 r cos w; it passes w and has a zero at 0 Hz.
"""

import math
from dataclasses import dataclass

import numpy as np

from golden.fixed import Integers

SETTLING = 2000  # samples of a response that are summed one by one


@dataclass(frozen=True)
class Resonator:
    """The integers of a band: f and h."""

    f: int
    h: int


def resonator(centre: float, bandwidth: float, rate: float, frac: int) -> Resonator:
    """The resonator for a centre and a bandwidth (-3 dB) in Hz, at ``rate`` samples a second."""
    r = math.exp(-math.pi * bandwidth / rate)
    f = math.sqrt(1 + r * r - 2 * r * math.cos(2 * math.pi * centre / rate))
    return Resonator(round(f * 2**frac), round(r * r * 2**frac))


def mel_centres(bands: int, low: float, high: float) -> list[float]:
    """``bands`` + 2 frequencies in Hz from ``low`` to ``high``, even on the mel scale.

    It is 2595 log10(1 + f / 700). A band has one between its neighbours'.
    """
    first, last = (math.log1p(f / 700) for f in (low, high))
    steps = (first + (last - first) * n / (bands + 1) for n in range(bands + 2))
    return [700 * math.expm1(step) for step in steps]


def envelopes(
    samples: Integers, resonators: tuple[Resonator, ...], decay: int, frac: int, hop: int
) -> Integers:
    """int64 [.., T // hop, bands]: after each ``hop`` samples of [.., T], from reset on."""
    samples = np.asarray(samples, dtype=np.int64)
    *several, length = samples.shape
    x = samples.reshape(math.prod(several), length).T
    frames = length // hop
    shape = (len(resonators), x.shape[1])
    f, h = (
        np.array([getattr(band, name) for band in resonators], dtype=np.int64)[:, None]
        for name in ("f", "h")
    )
    half = 1 << (frac - 1)
    low, band, env, new, more = (np.zeros(shape, dtype=np.int64) for _ in range(5))
    found = np.empty((frames, *shape), dtype=np.int64)

    def product(factor: Integers | int, of: Integers, out: Integers) -> None:
        np.multiply(of, factor, out=out)
        np.add(out, half, out=out)
        np.right_shift(out, frac, out=out)

    for n in range(frames * hop):
        product(f, band, new)
        np.add(low, new, out=low)
        product(h, band, band)
        np.subtract(low, x[n], out=new)
        product(-f, new, more)
        np.add(band, more, out=band)
        product(decay, env, env)
        new[0] = band[0]
        np.subtract(band[1:], band[:-1], out=new[1:])
        np.add(env, np.abs(new, out=new), out=env)
        if (n + 1) % hop == 0:
            found[n // hop] = env
    return found.transpose(2, 0, 1).reshape(*several, frames, len(resonators))


@dataclass(frozen=True)
class Limits:
    """What a bank never exceeds, whatever the samples: |low|, |band| and their |difference|."""

    low: float
    band: float
    difference: float


def limits(resonators: tuple[Resonator, ...], full: float, frac: int) -> Limits:
    """Those of samples of at most ``full``.

    The sum of |impulse response|, times ``full``; and the same of every rounding, each of which is
    half an LSB off at most. After N samples the rest of a response of poles r e^(+-jw) is at most
    a r^N / (1 - r), where a is its amplitude.
    """
    f, h = (
        np.array([getattr(band, name) for band in resonators])[:, None] / 2**frac
        for name in ("f", "h")
    )
    # A sample adds f to band. Roundings add 2 x 1/2 to band, and 1/2 to low, which takes f / 2 from
    # band: two responses [bands, 2], each of low and of band.
    low = np.tile([0.0, 1.0], (len(resonators), 1))
    band = np.hstack([np.ones_like(f), -f])
    of_low, of_band = np.zeros_like(low), np.zeros_like(band)
    of_difference = np.zeros_like(f)

    def following(low: np.ndarray, band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        then = low + f * band
        return then, h * band - f * then

    for _ in range(SETTLING):
        of_low += np.abs(low)
        of_band += np.abs(band)
        of_difference += np.abs(np.diff(f * band[:, :1], axis=0, prepend=0))
        low, band = following(low, band)
    # Two neighbours of a r^n cos(w n + p) give a; sin(w) is far from 0 in every band.
    r = np.sqrt(h)
    cos = (1 + h - f * f) / (2 * r)

    def rest(now: np.ndarray, after: np.ndarray) -> np.ndarray:
        sine = (now * cos - after / r) / np.sqrt(1 - cos * cos)
        return np.hypot(now, sine) / (1 - r)

    then = following(low, band)
    of_low += rest(low, then[0])
    of_band += rest(band, then[1])
    tail = f * rest(band, then[1])[:, :1]
    of_difference += tail + np.vstack([np.zeros((1, 1)), tail[:-1]])

    def most(of: np.ndarray) -> np.ndarray:
        return full * f[:, 0] * of[:, 0] + rounded(of)

    def rounded(of: np.ndarray) -> np.ndarray:
        return of[:, 0] + 0.5 * of[:, 1]

    noise = rounded(of_band)
    noise[1:] += noise[:-1].copy()
    difference = full * of_difference[:, 0] + noise
    return Limits(*(float(each.max()) for each in (most(of_low), most(of_band), difference)))
