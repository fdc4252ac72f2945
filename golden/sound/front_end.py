"""The whole front end and every number it depends on (docs/sound.md)."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from golden.errors import refusal, require_int
from golden.fixed import Integers, Q, rshift, sat
from golden.sound import bank, cic, log
from golden.sound.bank import Resonator
from golden.sound.modulator import FULL

GAIN_BITS = 8
BANDS_MAX = 32


@dataclass(frozen=True)
class FrontEnd:
    """From a microphone's bits to frames of activations.

    Parameters
    ----------
    pdm_rate
        Bits a second.
    decimation, order, drop
        Bits a sample, integrators and combs, and low bits of their sum that are left out.
    bands, lowest, highest
        Bands evenly spaced on the mel scale between two frequencies in Hz, as a LogMel's.
    overlap
        Bandwidth (-3 dB) in halves of the distance between a band's neighbours.
    guard, coefficient_frac
        Fraction bits of the bank's states beyond the samples', and of its coefficients.
    leak
        An envelope forgets 2^-leak of itself with each sample.
    hop
        Samples from frame to frame.
    floor
        Below 2^floor an envelope counts as silence, a logarithm of 0 to 1.
    log_frac
        Fraction bits of the logarithm.
    activation
        Format of what goes to the network.
    gains, gain_frac
        What each band's logarithm is multiplied by, with ``gain_frac`` fraction bits. None: by 1.

    Raises
    ------
    ValueError
        Where a number is out of its range, or a band has no place below half the sample rate.
    """

    pdm_rate: int = 3_072_000
    decimation: int = 192
    order: int = 3
    drop: int = 8
    bands: int = 32
    lowest: float = 100.0
    highest: float = 4000.0
    overlap: float = 1.0
    guard: int = 2
    coefficient_frac: int = 12
    leak: int = 7
    hop: int = 160
    floor: int = 15
    log_frac: int = 6
    activation: Q = Q(3, 4)
    gains: tuple[int, ...] | None = None
    gain_frac: int = 7

    def __post_init__(self) -> None:
        require_int("pdm_rate", self.pdm_rate, 1)
        require_int("decimation", self.decimation, 2, 1024)
        require_int("order", self.order, 1, 5)
        require_int("drop", self.drop, 0, cic.width(self.order, self.decimation) - 2)
        require_int("bands", self.bands, 1, BANDS_MAX)
        require_int("guard", self.guard, 0, 8)
        require_int("coefficient_frac", self.coefficient_frac, 4, 14)
        require_int("leak", self.leak, 1, self.coefficient_frac)
        require_int("hop", self.hop, self.bands)  # a band's envelope leaves with each sample
        if self.coefficient_frac % 2:
            raise refusal("coefficient_frac", self.coefficient_frac, "an even number")
        require_int("log_frac", self.log_frac, 1, 8)
        require_int("gain_frac", self.gain_frac, 0, GAIN_BITS)
        if not 0 < self.lowest < self.highest <= self.sample_rate / 4:
            found = f"{self.lowest} to {self.highest} Hz"
            raise refusal("bands", found, f"rising, at most {self.sample_rate / 4} Hz")
        if not self.overlap > 0:
            raise refusal("overlap", self.overlap, "more than 0")
        if self.gains is not None:
            if len(self.gains) != self.bands:
                raise refusal("gains", len(self.gains), f"{self.bands}, one a band")
            for gain in self.gains:
                require_int("gain", gain, 0, (1 << GAIN_BITS) - 1)
        require_int("floor", self.floor, 0, self.word - 2)
        require_int("bits that an activation leaves out", self.gain_shift, 0, self.log_width)

    @property
    def sample_rate(self) -> float:
        """Samples a second."""
        return self.pdm_rate / self.decimation

    @property
    def sum_width(self) -> int:
        """Bits of the decimator's integrators."""
        return cic.width(self.order, self.decimation)

    @property
    def sample_max(self) -> int:
        """The largest sample, that of a stream of ones."""
        return self.decimation**self.order >> self.drop

    @property
    def sample_width(self) -> int:
        """Bits of a sample, sign included."""
        return self.sum_width - self.drop

    @cached_property
    def resonators(self) -> tuple[Resonator, ...]:
        """The coefficients of each band."""
        edges = bank.mel_centres(self.bands, self.lowest, self.highest)
        return tuple(
            bank.resonator(
                centre, self.overlap * (right - left) / 2, self.sample_rate, self.coefficient_frac
            )
            for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False)
        )

    @property
    def decay(self) -> int:
        """1 - 2^-leak, with ``coefficient_frac`` fraction bits."""
        return (1 << self.coefficient_frac) - (1 << (self.coefficient_frac - self.leak))

    @cached_property
    def word(self) -> int:
        """Bits, sign included, that hold all states of the bank, differences and envelopes.

        And the digits of a coefficient, two bits each, which lie in the same memory.
        """
        full = -(-(self.decimation**self.order) >> self.drop) << self.guard
        limits = bank.limits(self.resonators, full, self.coefficient_frac)
        # The envelope gains half an LSB at most by its rounding.
        envelope = (limits.difference + 0.5) * 2.0**self.leak
        largest = max(limits.low + full, limits.band, envelope)
        return max(math.ceil(largest).bit_length() + 1, self.coefficient_frac + 2)

    @property
    def log_width(self) -> int:
        """Bits of a logarithm, which is not negative."""
        return ((self.word - self.floor) << self.log_frac).bit_length()

    @property
    def gain_shift(self) -> int:
        """n of an activation sat(rshift(logarithm gain, n))."""
        return self.log_frac + self.gain_frac - self.activation.f

    def scaled(self, scale: ArrayLike) -> "FrontEnd":
        """The same with gains next to ``scale`` [bands], a model's ``input_scale``.

        Raises ValueError where one does not fit into GAIN_BITS.
        """
        wanted = np.broadcast_to(np.asarray(scale, dtype=np.float64), (self.bands,))
        gains = np.floor(wanted * 2**self.gain_frac + 0.5)
        return replace(self, gains=tuple(int(gain) for gain in gains))

    def samples(self, bits: Integers) -> Integers:
        """int64 [.., n // decimation] of a microphone's bits [.., n], 0 or 1."""
        return cic.decimated(bits, self.order, self.decimation, self.drop)

    def samples_of(self, pcm: Integers, oversampling: int) -> Integers:
        """What ``samples`` gives of a modulator without noise: of PCM [n] within -FULL to FULL.

        ``oversampling`` samples of it are one of the result [n // oversampling].
        """
        ratio = self.decimation // oversampling
        if self.decimation % oversampling:
            raise refusal("oversampling", oversampling, f"a divisor of {self.decimation}")
        taps = cic.response(self.order, self.decimation, ratio)[ratio - 1 :: ratio]
        pcm = np.asarray(pcm, dtype=np.int64)
        sums = np.convolve(pcm, taps)[: len(pcm)][oversampling - 1 :: oversampling]
        return sums // ((FULL * ratio) << self.drop)

    def envelopes(self, samples: Integers) -> Integers:
        """int64 [.., T // hop, bands] of samples [.., T]."""
        return bank.envelopes(
            np.asarray(samples, dtype=np.int64) << self.guard,
            self.resonators,
            self.decay,
            self.coefficient_frac,
            self.hop,
        )

    def logarithms(self, envelopes: Integers) -> Integers:
        """log2(1 + e / 2^floor) of envelopes e, with ``log_frac`` fraction bits."""
        return log.log2(envelopes, self.floor, self.log_frac)

    def activations(self, logarithms: Integers) -> Integers:
        """Frames in activation LSBs of logarithms [.., bands]."""
        gains = self.gains or (1 << self.gain_frac,) * self.bands
        return sat(rshift(logarithms * np.array(gains), self.gain_shift), self.activation)

    def frames(self, bits: Integers) -> Integers:
        """int64 [.., frames, bands] in activation LSBs of a microphone's bits [.., n]."""
        return self.activations(self.logarithms(self.envelopes(self.samples(bits))))
