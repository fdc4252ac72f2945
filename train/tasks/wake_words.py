"""Wake words: six keywords of more than fifty people, against other words and silence.

Picovoice's wake-word-benchmark (github.com/Picovoice/wake-word-benchmark), Apache-2.0: recordings
in ``wake_words/KEYWORD/*.flac``, at 16 or at 8 kHz. They name no speakers, so blocks of the index
are the best there is to keep people apart: the last quarter of each keyword tests, the eighth
before it validates. The rest class is the digits of train/tasks/digits, one to three in a row so
that they last as long as a keyword, of speakers that only one part has, and hiss.
"""

from collections.abc import Callable

import numpy as np

from golden.errors import refusal
from train.course.fit import FitParameters
from train.course.goals import OneClass
from train.course.recipe import Recipe, Task
from train.data.audio import RATE, LogMel, levelled, read_audio
from train.data.places import folder
from train.data.recordings import Dataset, Floats, Sequences
from train.quantised.thresholds import Budget
from train.tasks import digits

KEYWORDS = ("alexa", "computer", "jarvis", "smart_mirror", "snowboy", "view_glass")
SPEAKERS = {
    "train": ("george", "jackson", "lucas"),
    "validation": ("nicolas",),
    "test": ("theo", "yweweler"),
}
REST = {"train": 360, "validation": 60, "test": 180}
SILENT = 6  # of the rest, one in so many is hiss alone
HISS = (1e-4, 3e-3)  # standard deviation
LOG_MEL = LogMel(bands=32)
Heard = Callable[[list[Floats]], list[Floats]]  # recordings to frames

RECIPE = Recipe(
    units=96,
    fit=FitParameters(epochs=20, batch=64, learning_rate=4e-3, sequence_noise=0.3, frame_noise=0.3),
    tune=FitParameters(epochs=8, batch=64, learning_rate=2e-3, sequence_noise=0.3, frame_noise=0.3),
    theta_x=8,
    theta_h=4,
    noise=3.0,
    delta_cost=2.0,
    format_tolerance=0.01,
    budget=Budget(error=0.0, loss=0.01),
)


def load(name: str = "wake_words", heard: Heard = LOG_MEL.each) -> Dataset:
    """Seven classes: the keywords, then the rest; ``heard`` by one front end or another."""
    samples: dict[str, list[Floats]] = {part: [] for part in REST}
    labels: dict[str, list[int]] = {part: [] for part in REST}
    for label, keyword in enumerate(KEYWORDS):
        paths = sorted(folder(f"wake_words/{keyword}").glob("*.flac"), key=_index)
        if not paths:
            raise refusal(str(folder(f"wake_words/{keyword}")), "no .flac file", "recordings")
        cuts = (len(paths) * 5 // 8, len(paths) * 6 // 8)
        for part, members in zip(
            REST, (paths[: cuts[0]], paths[cuts[0] : cuts[1]], paths[cuts[1] :]), strict=True
        ):
            samples[part] += [levelled(read_audio(path)) for path in members]
            labels[part] += [label] * len(members)
    takes = digits.recordings()
    for seed, part in enumerate(REST):
        theirs = {key: x for key, x in takes.items() if key[1] in SPEAKERS[part]}
        samples[part] += _rest(theirs, REST[part], seed)
        labels[part] += [len(KEYWORDS)] * REST[part]
    parts = {
        part: Sequences(tuple(heard(samples[part])), np.array(labels[part], dtype=np.int64))
        for part in REST
    }
    return Dataset(
        name,
        (*KEYWORDS, "rest"),
        f"wake-word-benchmark (Picovoice); rest class: {digits.SOURCE}",
        f"Apache-2.0; rest class: {digits.LICENCE}",
        **parts,
    )


def _index(path: object) -> tuple[int, str]:
    """Numbers by value, other names by letter."""
    stem = path.stem  # type: ignore[attr-defined]
    return (int(stem), "") if stem.isdecimal() else (0, stem)


def _rest(takes: dict[digits.Take, Floats], count: int, seed: int) -> list[Floats]:
    rng = np.random.default_rng(seed)
    theirs_of = list(digits.by_speaker(takes).values())
    found = []
    for n in range(count):
        hiss = np.exp(rng.uniform(*np.log(HISS)))
        if n % SILENT == 0:
            found.append(hiss * rng.standard_normal(int(RATE * rng.uniform(0.8, 2.0))))
            continue
        theirs = theirs_of[n % len(theirs_of)]
        chosen = [takes[theirs[k]] for k in rng.integers(len(theirs), size=rng.integers(1, 4))]
        around = [np.zeros(int(RATE * rng.uniform(0.1, 0.4))) for _ in range(2)]
        speech = np.concatenate([around[0], *chosen, around[1]])
        found.append(speech + hiss * rng.standard_normal(len(speech)))
    return found


TASK = Task(load, OneClass(), RECIPE)
