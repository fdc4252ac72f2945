"""Recordings as the front end on the chip hears them (docs/sound.md)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

from golden.errors import refusal
from golden.fixed import Integers
from golden.sound.front_end import FrontEnd
from golden.sound.modulator import FULL
from train.data.audio import RATE
from train.data.recordings import Floats

BATCH = 256  # recordings whose bands are computed side by side


@dataclass(frozen=True)
class Microphone:
    """Logarithms of the bands' envelopes, in octaves: integers over 2^log_frac.

    Samples come by ``FrontEnd.samples_of``: what the decimator makes of a microphone without
    noise. docs/sound.md says how far that is from its bits.

    Parameters
    ----------
    front
        The front end, whose gains are left out: a model's ``input_scale`` stands for them.
    oversampling
        PCM samples that a recording has for each of the front end's.
    """

    front: FrontEnd = FrontEnd()  # noqa: RUF009  # it is frozen
    oversampling: int = 2

    @property
    def factor(self) -> int:
        """PCM samples of each of a recording."""
        factor = self.front.sample_rate * self.oversampling / RATE
        if factor != int(factor):
            raise refusal("sample rate", self.front.sample_rate, f"a multiple of {RATE}")
        return int(factor)

    def pcm(self, samples: Floats) -> Integers:
        """Samples [n] in -1 to 1 at 8 kHz as integers within -FULL to FULL [n factor]."""
        finer = resample_poly(samples, self.factor, 1)
        return np.clip(np.floor(finer * FULL + 0.5), -FULL, FULL).astype(np.int64)

    def of(self, recordings: Sequence[Floats]) -> list[Floats]:
        """Frames [T, bands] of recordings [n]; the last samples that fill no hop are left out."""
        found: list[Floats] = [np.empty(0)] * len(recordings)
        order = sorted(range(len(recordings)), key=lambda n: len(recordings[n]))
        for low in range(0, len(order), BATCH):
            chosen = order[low : low + BATCH]
            each = [
                self.front.samples_of(self.pcm(recordings[n]), self.oversampling) for n in chosen
            ]
            together = np.zeros((len(each), max(map(len, each))), dtype=np.int64)
            for row, samples in zip(together, each, strict=True):
                row[: len(samples)] = samples
            logarithms = self.front.logarithms(self.front.envelopes(together))
            for n, samples, frames in zip(chosen, each, logarithms, strict=True):
                whole = frames[: len(samples) // self.front.hop]
                found[n] = whole / 2.0**self.front.log_frac
        return found
