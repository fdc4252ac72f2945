"""Recordings to log-mel frames: one small front end for every speech task."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from golden.errors import refusal
from train.data.recordings import Floats

RATE = 8000  # samples a second, of every recording here


def read_audio(path: Path) -> Floats:
    """Samples [n] in -1 to 1 at 8 kHz, of one channel; other rates are resampled."""
    try:
        samples, rate = soundfile.read(path, dtype="float64")
    except (soundfile.SoundFileError, OSError):
        raise refusal(str(path), "no recording", "WAV or FLAC") from None
    if samples.ndim != 1:
        raise refusal(str(path), f"{samples.shape[1]} channels", "one")
    mono: Floats = np.asarray(samples, dtype=np.float64)
    return mono if rate == RATE else resample_poly(mono, RATE, rate)


def levelled(samples: Floats) -> Floats:
    """With the largest sample at 0.5: many microphones, as one gain control leaves them."""
    largest = float(np.abs(samples).max(initial=0.0))
    return samples * (0.5 / largest) if largest else samples


@dataclass(frozen=True)
class LogMel:
    """Energies of a triangular mel filter bank, as log2(1 + energy / floor).

    The floor makes silence 0, and stillness of what is below it: a delta network pays for noise.

    Parameters
    ----------
    bands
        Filters, evenly spaced on the mel scale (2595 log10(1 + f / 700)) from 100 Hz to 4 kHz.
    window, hop
        Samples of a frame, under a Hann window, and from frame to frame.
    floor
        Energy of a band, of samples within -1 to 1.
    """

    bands: int = 40
    window: int = 200
    hop: int = 80
    floor: float = 0.02

    def __call__(self, samples: Floats) -> Floats:
        """Frames [T, bands] of samples [n]; the last, shorter one is filled up with zeros."""
        count = max(1, -(-(len(samples) - self.window + self.hop) // self.hop))
        long = np.zeros((count - 1) * self.hop + self.window)
        long[: len(samples)] = samples[: len(long)]
        windows = np.lib.stride_tricks.sliding_window_view(long, self.window)[:: self.hop]
        power = np.abs(np.fft.rfft(windows * np.hanning(self.window), self._size)) ** 2
        # Not by BLAS: the order in which it sums a frame hangs on how many frames there are.
        energies = np.einsum("tk,bk->tb", power, self._filters)
        return np.log2(1 + energies / self.floor)

    def each(self, recordings: list[Floats]) -> list[Floats]:
        """Frames of recordings, one by one."""
        return [self(samples) for samples in recordings]

    @property
    def _size(self) -> int:
        return 1 << (self.window - 1).bit_length()

    @cached_property  # a frozen object's __dict__ still takes it
    def _filters(self) -> Floats:
        """[bands, bins]: triangles that meet at their neighbours' peaks."""
        low, high = (2595 * np.log10(1 + f / 700) for f in (100, RATE / 2))
        mel = np.linspace(low, high, self.bands + 2)
        edges = 700 * (10 ** (mel / 2595) - 1)
        bins = np.arange(self._size // 2 + 1) * RATE / self._size
        left, peak, right = (edges[n : n + self.bands, None] for n in range(3))
        return np.maximum(
            0, np.minimum((bins - left) / (peak - left), (right - bins) / (right - peak))
        )
