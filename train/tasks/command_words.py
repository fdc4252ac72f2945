"""Command words: thirty-one of them, by synthetic voices.

All recordings were made by speech synthesisers, formant, diphone and neural ones; none is of a
person. ``command_words/keywords_tts_8k.npz`` holds ``audio`` int16 at 8 kHz, ``start`` [n + 1]
(recording k is audio[start[k]:start[k + 1]]), ``label`` and ``voice``, which is
ENGINE-SPEAKER_TAKE.

The test part is of neural voices and engines that training never heard: all of the engines hibari
and piper, the speaker slt in both engines that have her, and every fourth of kokoro's speakers.
Every eighth speaker of the rest validates. Four in five training voices are espeak's, which is a
formant synthesiser; the others are heard at five speeds, their pitch with them (Ko et al.,
Interspeech 2015).
"""

import zipfile

import numpy as np
from scipy.signal import resample_poly

from golden.errors import refusal
from golden.fixed import Q
from golden.formats import Formats
from train.course.fit import FitParameters
from train.course.goals import OneClass
from train.course.increments import Increments
from train.course.recipe import Recipe, Task
from train.data.audio import LogMel, levelled
from train.data.places import folder
from train.data.recordings import Dataset, Sequences
from train.quantised.thresholds import Budget

ARCHIVE = "keywords_tts_8k.npz"
SOURCE = "command words by synthetic voices (espeak, festival, flite, hibari, kokoro, piper)"
LICENCE = "made with programs under Apache-2.0, MIT and GPL"
UNHEARD_ENGINES = ("hibari", "piper")
UNHEARD_SPEAKERS = ("festival-cmuussltarctichts", "flite-slt")  # one woman
MANY = "espeak"
SPEEDS = (100, 84, 92, 109, 119)  # percent
FRONT_END = LogMel(bands=16, window=256, hop=128)

RECIPE = Recipe(
    units=64,
    layers=2,
    cell="lstm",
    fit=FitParameters(
        epochs=16, batch=64, learning_rate=1.2e-2, sequence_noise=1.0, frame_noise=0.4
    ),
    tune=FitParameters(epochs=8, batch=64, learning_rate=2e-3, sequence_noise=1.0, frame_noise=0.4),
    theta_x=3,
    theta_h=8,
    noise=3.0,
    delta_cost=0.3,
    formats=(Formats(activation=Q(1, 6)), Formats(activation=Q(1, 6), cell=Q(1, 14))),
    format_tolerance=0.01,
    budget=Budget(error=0.0, loss=0.01),
)

# Two thirds of the words, then the others, by threes and at last four.
INCREMENTS = Increments(
    known=(21, 24, 27, 31),
    replay=40,
    fit=FitParameters(epochs=2, batch=1, learning_rate=5e-4, sequence_noise=1.0, frame_noise=0.4),
)


def load() -> Dataset:
    """All words, in the order of their names."""
    path = folder("command_words") / ARCHIVE
    try:
        with np.load(path, allow_pickle=False) as archive:
            audio, start, label, voice = (
                archive[key] for key in ("audio", "start", "label", "voice")
            )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        expected = "an .npz archive of audio, start, label and voice"
        raise refusal(str(path), "no such recordings", expected) from None
    words, labels = np.unique(label, return_inverse=True)
    speakers = np.array([name.rpartition("_")[0] for name in voice])
    parts = {}
    for part, heard in split(speakers).items():
        which = np.flatnonzero(np.isin(speakers, heard))
        frames, theirs = [], []
        for k in which:
            samples = levelled(audio[start[k] : start[k + 1]] / 2.0**15)
            few = part == "train" and not str(speakers[k]).startswith(MANY)
            for percent in SPEEDS if few else SPEEDS[:1]:
                frames.append(FRONT_END(resample_poly(samples, 100, percent)))
                theirs.append(labels[k])
        parts[part] = Sequences(tuple(frames), np.array(theirs, dtype=np.int64))
    return Dataset("command_words", tuple(map(str, words)), SOURCE, LICENCE, **parts)


def split(speakers: np.ndarray) -> dict[str, list[str]]:
    """Whose recordings each part has."""
    known = sorted(set(map(str, speakers)))
    kokoro = [name for name in known if name.startswith("kokoro-")]
    test = [
        name
        for name in known
        if name.partition("-")[0] in UNHEARD_ENGINES
        or name in UNHEARD_SPEAKERS
        or name in kokoro[3::4]
    ]
    rest = [name for name in known if name not in test]
    validation = rest[7::8]
    train = [name for name in rest if name not in validation]
    return {"train": train, "validation": validation, "test": test}


TASK = Task(load, OneClass(), RECIPE)
