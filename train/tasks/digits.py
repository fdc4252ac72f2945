"""Spoken digits: which of ten, said by six people (the delta network paper's TIDIGITS, in small).

Free Spoken Digit Dataset (Z. Jackson and others, github.com/Jakobovski/free-spoken-digit-dataset),
under CC BY-SA 4.0: 3,000 recordings at 8 kHz in ``fsdd/recordings/{digit}_{speaker}_{take}.wav``.
Its own split: takes 0 to 4 test. Takes 5 to 9 validate here.
"""

from functools import partial

import numpy as np

from golden.errors import refusal
from train.course.fit import FitParameters
from train.course.goals import OneClass
from train.course.recipe import Recipe, Task
from train.data.audio import LogMel, levelled, read_audio
from train.data.places import folder
from train.data.recordings import Dataset, Floats, Sequences
from train.quantised.thresholds import Budget

SOURCE = "Free Spoken Digit Dataset (Z. Jackson and others)"
LICENCE = "CC BY-SA 4.0"
LABELS = tuple("0123456789")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TEST_TAKES, VALIDATION_TAKES = range(5), range(5, 10)
FRONT_END = LogMel(bands=40)

Take = tuple[int, str, int]  # digit, speaker, take

RECIPE = Recipe(
    units=128,
    fit=FitParameters(epochs=25, batch=64, learning_rate=4e-3, sequence_noise=0.3, frame_noise=0.3),
    tune=FitParameters(
        epochs=25, batch=64, learning_rate=2e-3, sequence_noise=0.3, frame_noise=0.3
    ),
    theta_x=12,
    theta_h=6,
    noise=5.0,
    delta_cost=5.0,
    format_tolerance=0.005,
    shifted_copies=1,
    budget=Budget(error=0.0, loss=0.01),
)


def recordings() -> dict[Take, Floats]:
    """Samples of every recording, levelled, in the order of their names."""
    found: dict[Take, Floats] = {}
    for path in sorted(folder("fsdd/recordings").glob("*.wav")):
        match path.stem.split("_"):
            case [digit, speaker, take] if digit in LABELS and take.isdecimal():
                found[int(digit), speaker, int(take)] = levelled(read_audio(path))
            case _:
                raise refusal(str(path), "a name of another form", "{digit}_{speaker}_{take}.wav")
    if not found:
        raise refusal(str(folder("fsdd/recordings")), "no .wav file", "the recordings")
    return found


def by_speaker(takes: dict[Take, Floats]) -> dict[str, list[Take]]:
    """Whose takes are whose, speakers in the order of their names."""
    return {
        speaker: [take for take in takes if take[1] == speaker]
        for speaker in sorted({speaker for _, speaker, _ in takes})
    }


def load(unseen: str | None = None) -> Dataset:
    """The set's own split; or without one speaker in training, whose takes all are the test."""
    takes = recordings()
    parts: dict[str, list[Take]] = {"train": [], "validation": [], "test": []}
    for key in takes:
        _, speaker, take = key
        tested = take in TEST_TAKES if unseen is None else speaker == unseen
        part = "test" if tested else "validation" if take in VALIDATION_TAKES else "train"
        parts[part].append(key)
    sequences = {
        part: Sequences(
            tuple(FRONT_END(takes[key]) for key in keys),
            np.array([digit for digit, _, _ in keys], dtype=np.int64),
        )
        for part, keys in parts.items()
    }
    name = "digits" if unseen is None else f"digits_unseen_{unseen}"
    return Dataset(name, LABELS, SOURCE, LICENCE, **sequences)


def unseen(speaker: str) -> Task:
    """The same task with one speaker left out of training."""
    return Task(partial(load, speaker), OneClass(), RECIPE)


TASK = Task(load, OneClass(), RECIPE)
