"""Japanese Vowels: which of nine men said /ae/, from 12 LPC cepstrum coefficients a frame.

Kudo, Toyama and Shimbo, "Multidimensional curve classification using passing-through regions",
Pattern Recognition Letters 20 (1999); UCI Machine Learning Repository, doi:10.24432/C5NS47, under
CC BY 4.0. Speech at 10 kHz, a frame of 25.6 ms every 6.4 ms; 270 utterances of 7 to 26 frames to
learn from and 370 of 7 to 29 frames, recorded on other occasions, to test with. The recordings
come with the package aeon; nothing is downloaded.
"""

import numpy as np

from golden.fixed import Q
from golden.formats import Formats
from train.course.fit import FitParameters
from train.course.goals import OneClass
from train.course.recipe import Recipe, Task
from train.data.recordings import Dataset, Sequences
from train.quantised.thresholds import Budget

NAME = "japanese_vowels"
LABELS = tuple(f"speaker {n}" for n in range(1, 10))
SOURCE = (
    "Japanese Vowels (M. Kudo, J. Toyama, M. Shimbo, 1999), UCI Machine Learning Repository, "
    "doi:10.24432/C5NS47"
)
LICENCE = "CC BY 4.0"
VALIDATION_PER_SPEAKER = 6  # of the 30 that each speaker gave for training
SPLIT_SEED = 0  # the split is part of the task: other training seeds see the same data


RECIPE = Recipe(
    units=32,
    fit=FitParameters(),
    tune=FitParameters(epochs=60, learning_rate=3e-3),
    theta_x=6,
    theta_h=4,
    noise=2.5,
    delta_cost=2.0,
    formats=(
        Formats(),
        Formats(state=Q(1, 14)),
        Formats(activation=Q(2, 5), state=Q(2, 5)),
        Formats(activation=Q(2, 5), state=Q(1, 14)),
    ),
    format_tolerance=0.005,
    shifted_copies=3,
    budget=Budget(error=0.01, loss=0.004),
)


def load() -> Dataset:
    """216 utterances to train with, 54 to validate, and the set's own 370 to test."""
    train, validation = _part("train").split(VALIDATION_PER_SPEAKER, SPLIT_SEED)
    return Dataset(NAME, LABELS, SOURCE, LICENCE, train, validation, _part("test"))


def _part(name: str) -> Sequences:
    from aeon.datasets import load_japanese_vowels  # a second to import: only when data is wanted

    cases, speakers = load_japanese_vowels(name)[:2]
    frames = tuple(np.ascontiguousarray(case.T, dtype=np.float64) for case in cases)
    return Sequences(frames, np.asarray(speakers, dtype=np.int64) - 1)


TASK = Task(load, OneClass(), RECIPE)
