"""Command words: thirty-one of them, by synthetic voices.

All recordings were made by speech synthesisers, formant, diphone and neural ones; none is of a
person. ``command_words/keywords_tts_8k.npz`` holds ``audio`` int16 at 8 kHz, ``start`` [n + 1]
(recording k is audio[start[k]:start[k + 1]]), ``label`` and ``voice``, which is
ENGINE-SPEAKER_TAKE.

The test part is of neural voices and engines that training never heard: all of the engines hibari
and piper, the speaker slt in both engines that have her, and every fourth of kokoro's speakers.
Every eighth speaker of the rest validates. Training hears each recording at three speeds, its pitch
with them (Ko et al., Interspeech 2015), because most of its voices are one formant synthesiser's.
"""

import zipfile

import numpy as np
from scipy.signal import resample_poly

from golden.errors import refusal
from golden.parameters import Formats
from train.audio import LogMel, levelled
from train.data import Dataset, Floats, Sequences
from train.fit import FitParameters
from train.goals import OneClass
from train.increments import Increments
from train.places import folder
from train.recipe import Recipe, Task
from train.thresholds import Budget

ARCHIVE = "keywords_tts_8k.npz"
SOURCE = "command words by synthetic voices (espeak, festival, flite, hibari, kokoro, piper)"
LICENCE = "made with programs under Apache-2.0, MIT and GPL"
UNHEARD_ENGINES = ("hibari", "piper")
UNHEARD_SPEAKERS = ("festival-cmuussltarctichts", "flite-slt")  # one woman
FRONT_END = LogMel(bands=16, window=256, hop=160)
SPEEDS = {"train": (100, 87, 115), "validation": (100,), "test": (100,)}  # percent
AUDIBLE = 0.02  # of full scale, after levelling: what is below it at either end is cut off

RECIPE = Recipe(
    units=64,
    layers=2,
    cell="lstm",
    fit=FitParameters(epochs=20, batch=32, learning_rate=4e-3, sequence_noise=0.3, frame_noise=0.3),
    tune=FitParameters(epochs=8, batch=64, learning_rate=2e-3, sequence_noise=0.3, frame_noise=0.3),
    theta_x=8,
    theta_h=4,
    noise=3.0,
    delta_cost=2.0,
    formats=(Formats(),),
    format_tolerance=0.01,
    budget=Budget(error=0.0, loss=0.01),
)

# Two thirds of the words, then the others, by threes and at last four.
INCREMENTS = Increments(
    known=(21, 24, 27, 31),
    replay=6,
    fit=FitParameters(epochs=3, batch=1, learning_rate=5e-4, sequence_noise=0.6, frame_noise=0.4),
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
        spoken = [_spoken(audio[start[k] : start[k + 1]]) for k in which]
        frames = [FRONT_END(_at(speed, x)) for speed in SPEEDS[part] for x in spoken]
        theirs = np.tile(labels[which], len(SPEEDS[part]))
        parts[part] = Sequences(tuple(frames), theirs.astype(np.int64))
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


def _spoken(samples: np.ndarray) -> Floats:
    """Levelled, without the silence at either end."""
    level = levelled(samples / 2.0**15)
    audible = np.flatnonzero(np.abs(level) > AUDIBLE)
    return level[audible[0] : audible[-1] + 1] if len(audible) else level


def _at(percent: int, samples: Floats) -> Floats:
    return samples if percent == 100 else resample_poly(samples, 100, percent)


TASK = Task(load, OneClass(), RECIPE)
