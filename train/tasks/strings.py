"""Digit strings: three to seven digits in a row, spliced from the recordings of train/tasks/digits.

The connected-speech case of the delta network paper (which had WSJ), in small. One person says a
string; between its digits, before and after it are pauses. Which digits, and how long the pauses,
is drawn once for all, from takes of the part in hand: no recording is in two parts.
"""

import numpy as np

from train.course.fit import FitParameters
from train.course.goals import Transcript
from train.course.recipe import Recipe, Task
from train.data.audio import RATE
from train.data.recordings import Dataset, Floats, Sequences
from train.quantised.thresholds import Budget
from train.tasks.digits import (
    FRONT_END,
    LABELS,
    LICENCE,
    SOURCE,
    TEST_TAKES,
    VALIDATION_TAKES,
    Take,
    by_speaker,
    recordings,
)

DIGITS = range(3, 8)  # of a string
PAUSE = (0.1, 0.4)  # seconds
HISS = 3e-4  # standard deviation of what a pause holds
STRINGS = {"train": 900, "validation": 120, "test": 300}

RECIPE = Recipe(
    units=96,
    layers=2,
    # For its first five hundred updates CTC says nothing but blank: small batches soon have them.
    fit=FitParameters(epochs=36, batch=16, learning_rate=4e-3, sequence_noise=0.2, frame_noise=0.3),
    tune=FitParameters(
        epochs=10, batch=32, learning_rate=1e-3, sequence_noise=0.2, frame_noise=0.3
    ),
    theta_x=6,
    theta_h=3,
    noise=2.5,
    delta_cost=1.0,
    format_tolerance=0.02,
    budget=Budget(error=0.0, loss=0.03),
)


def load() -> Dataset:
    """Strings of each part from its own takes."""
    takes = recordings()
    parts = {
        "train": lambda take: take not in TEST_TAKES and take not in VALIDATION_TAKES,
        "validation": lambda take: take in VALIDATION_TAKES,
        "test": lambda take: take in TEST_TAKES,
    }
    sequences = {
        part: _strings({key: x for key, x in takes.items() if belongs(key[2])}, STRINGS[part], seed)
        for seed, (part, belongs) in enumerate(parts.items())
    }
    return Dataset("strings", (*LABELS, "blank"), SOURCE, LICENCE, **sequences)


def _strings(takes: dict[Take, Floats], count: int, seed: int) -> Sequences:
    rng = np.random.default_rng(seed)
    theirs_of = list(by_speaker(takes).values())

    def pause() -> Floats:
        return HISS * rng.standard_normal(int(RATE * rng.uniform(*PAUSE)))

    frames, labels = [], []
    for n in range(count):
        theirs = theirs_of[n % len(theirs_of)]
        chosen = [theirs[k] for k in rng.integers(len(theirs), size=rng.choice(DIGITS))]
        pieces = [pause()]
        for key in chosen:
            pieces += [takes[key], pause()]
        frames.append(FRONT_END(np.concatenate(pieces)))
        labels.append(np.array([digit for digit, _, _ in chosen], dtype=np.int64))
    return Sequences(tuple(frames), tuple(labels))


TASK = Task(load, Transcript(), RECIPE)
