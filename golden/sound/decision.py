"""From a network's results to words (docs/sound.md, "Decision"): averages, a margin, a pause."""

from dataclasses import dataclass

import numpy as np

from golden.errors import refusal, require_int
from golden.fixed import Integers

NOTHING = -1


@dataclass(frozen=True)
class Decision:
    """When a word has been said.

    Parameters
    ----------
    classes, background
        Results a frame, and the number of the class that is no word.
    result_width
        Bits of a result, sign included.
    smoothing
        An average forgets 2^-smoothing of itself in each frame.
    margin
        By how much a word's average must exceed the background's, in units of 2^-smoothing of a
        result's LSB.
    pause
        Frames after a word in which no other is told.

    Raises
    ------
    ValueError
        Where a number is out of its range.
    """

    classes: int
    background: int
    result_width: int
    smoothing: int = 5
    margin: int = 0
    pause: int = 100

    def __post_init__(self) -> None:
        require_int("classes", self.classes, 2)
        require_int("background", self.background, 0, self.classes - 1)
        require_int("result_width", self.result_width, 2, 32)
        require_int("smoothing", self.smoothing, 0, 10)
        require_int("margin", self.margin, 0, (1 << self.average_width) - 1)
        require_int("pause", self.pause, 0, (1 << 16) - 1)

    @property
    def average_width(self) -> int:
        """Bits of an average, sign included: none is beyond 2^smoothing times a result's range."""
        return self.result_width + self.smoothing

    def averages(self, results: Integers) -> Integers:
        """int64 [T, classes] of results [T, classes]: a <- a - floor(a / 2^smoothing) + result."""
        results = np.asarray(results, dtype=np.int64)
        if results.ndim != 2 or results.shape[1] != self.classes:
            raise refusal("results", list(results.shape), f"[T, {self.classes}]")
        found = np.empty_like(results)
        average = np.zeros(self.classes, dtype=np.int64)
        for n, frame in enumerate(results):
            average += frame - (average >> self.smoothing)
            found[n] = average
        return found

    def words(self, results: Integers) -> Integers:
        """int64 [T]: the word that is told after each frame, or NOTHING.

        It is the class with the largest average, the first of several, if that is not the
        background, exceeds it by more than ``margin``, and no word was told in the last ``pause``
        frames.
        """
        averages = self.averages(results)
        told = np.full(len(averages), NOTHING, dtype=np.int64)
        waits = 0
        for n, average in enumerate(averages):
            best = int(average.argmax())
            if waits:
                waits -= 1
            elif average[best] - average[self.background] > self.margin:
                told[n], waits = best, self.pause
        return told
