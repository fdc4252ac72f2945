"""Incremental learning: a network learns some classes, then more of them, one sequence at a time.

As a device would that is in use: each step has the recordings of a few new classes and a small
store of the old ones, and shows them singly (batch 1). The read-out has all its rows from the
beginning; those of classes yet to come take no part.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from golden.model import Model
from train.course.fit import FitParameters, reproducible
from train.course.goals import FirstClasses
from train.course.methods import METHODS
from train.course.operations import Meter
from train.course.recipe import Task
from train.course.score import score
from train.course.scratch import beginning
from train.course.tuner import Tuner
from train.course.writing import training_record, write
from train.data.recordings import Dataset, Sequences


@dataclass(frozen=True)
class Increments:
    """What is learned when.

    Parameters
    ----------
    known
        Classes known after each step, the first of which learns as the recipe's ``fit`` says.
    replay
        Recordings of each class that are drawn when it has been learned, and kept: all later steps
        learn them beside the new ones.
    fit
        How the later steps learn.
    """

    known: tuple[int, ...]
    replay: int
    fit: FitParameters


@dataclass(frozen=True)
class Step:
    """After a step: errors on the test part's known, old and new classes, and what it took.

    ``operations`` and ``dense`` are multiply-accumulates of this step alone
    (train/course/operations.py); ``old`` is 0 in the first step, which has no old classes.
    """

    known: int
    sequences: int
    epochs: int
    error: float
    old: float
    new: float
    operations: float
    dense: float


def train_in_increments(
    task: Task,
    increments: Increments,
    data: Dataset,
    method: str,
    output: Path,
    seed: int,
    progress: bool,
) -> dict[str, Any]:
    """By a method of SCRATCH; as ``train_task``, but an interrupted run begins anew.

    The file has the record of every step.
    """
    steps: list[Step] = []
    before, kept = 0, np.empty(0, dtype=np.int64)
    rng = np.random.default_rng(seed)
    with reproducible(seed):
        first = data.train.pick(_of(data.train, 0, increments.known[0]))
        tuner, network = beginning(task, replace(data, train=first), method)
        for known in increments.known:
            now = replace(tuner, goal=FirstClasses(known=known))
            new = _of(data.train, before, known)
            lesson = replace(
                data,
                train=data.train.pick(np.concatenate([kept, new])),
                validation=data.validation.pick(_of(data.validation, 0, known)),
            )
            parameters = increments.fit if before else task.recipe.fit
            meter = Meter(METHODS[method].deltas)
            now.fit(network, lesson, parameters, progress, None, meter)
            model = network.exported(data.name, data.labels)
            steps.append(_step(now, model, data, before, lesson, meter))
            drawn = [
                rng.choice(_of(data.train, label, label + 1), increments.replay, replace=False)
                for label in range(before, known)
            ]
            before, kept = known, np.concatenate([kept, *drawn])
    made = {
        "training": {
            **training_record(task.recipe, method, seed),
            "increments": asdict(increments),
            "steps": [asdict(step) for step in steps],
        },
        "input_scale": tuner.scale.tolist(),
    }
    test = data.test.quantized(tuner.scale, tuner.formats.activation)
    return write(task.goal, data, replace(model, extra=made), test, {}, output)


def _step(
    tuner: Tuner, model: Model, data: Dataset, before: int, lesson: Dataset, meter: Meter
) -> Step:
    def error(first: int, end: int) -> float:
        test = data.test.pick(_of(data.test, first, end))
        frames = test.quantized(tuner.scale, tuner.formats.activation)
        return score(model, frames, tuner.goal).error

    assert isinstance(tuner.goal, FirstClasses)
    known, last = tuner.goal.known, meter.epochs[-1]
    return Step(
        known,
        len(lesson.train),
        last.epoch,
        error(0, known),
        error(0, before) if before else 0.0,
        error(before, known),
        last.operations,
        last.dense,
    )


def _of(part: Sequences, first: int, end: int) -> np.ndarray:
    """Indices of the sequences whose class is one of these."""
    labels = np.asarray(part.labels)
    return np.flatnonzero((labels >= first) & (labels < end))
