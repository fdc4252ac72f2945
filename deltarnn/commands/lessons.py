"""Recordings that a core learns from, and how, as `learn` and `simulate --train` have it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from click.core import ParameterSource

from golden.errors import refusal
from golden.fixed import Integers
from golden.learn.formats import RATE_MAX
from golden.learn.sequence import COST_MAX, Settings
from golden.learn.tape import FRAMES_MAX
from golden.model import Model
from golden.readings import READINGS, Answers
from golden.recordings import load

TRAIN = click.option("--train", is_flag=True, help="A core that learns (docs/learning.md).")
TRAIN_FRAMES = click.option(
    "--frames",
    type=click.IntRange(1, FRAMES_MAX),
    help=f"Of the longest sequence that it learns.  [default: {FRAMES_MAX}]",
)
_OPTIONS = (
    click.option(
        "--rate",
        type=click.IntRange(0, RATE_MAX),
        default=6,
        show_default=True,
        help="Learning rate 2^(RATE - 11), or none, 0.",
    ),
    click.option(
        "--known",
        type=click.IntRange(1),
        help="Classes that there are so far, the first ones.  [default: all of the model's]",
    ),
    click.option(
        "--cost",
        type=click.IntRange(0, COST_MAX),
        default=0,
        show_default=True,
        help="Cost of a column that fires, in error LSBs: more of it, and fewer fire.",
    ),
    click.option("--readout-only", is_flag=True, help="Nothing but the read-out learns."),
)


def tape_frames(train: bool, frames: int | None) -> int | None:
    """Of the longest sequence that a core learns; None where it learns nothing."""
    if frames is not None and not train:
        raise refusal("--frames", frames, "--train beside it")
    return frames or FRAMES_MAX if train else None


def learning_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what a core is told of how it is to learn."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse_learning_options() -> None:
    """Refuses them where nothing is to be learned."""
    context = click.get_current_context()
    for name in ("rate", "known", "cost", "readout_only"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = f"--{name.replace('_', '-')}"
            raise refusal(option, "it alone", "--train beside it")


def settings_of(
    model: Model, rate: int, known: int | None, cost: int, readout_only: bool
) -> Settings:
    """Raises ValueError where the model has fewer classes than are known."""
    outputs = model.parameters.outputs
    if known is not None and known > outputs:
        raise refusal("--known", known, f"at most {outputs}, the classes of the model")
    return Settings(rate, known or outputs, cost, readout_only)


@dataclass(frozen=True)
class Lessons:
    """Recordings and the class of each.

    Attributes
    ----------
    names
    frames : per recording int [T, I]
        In activation LSBs.
    labels
    """

    names: tuple[str, ...]
    frames: tuple[Integers, ...]
    labels: tuple[int, ...]

    @classmethod
    def of(cls, model: Model, files: Sequence[Path], known: int) -> "Lessons":
        """Those of all files.

        Raises ValueError where one does not say its class or it is not known, and where the model's
        results are read otherwise than a core learns.
        """
        answers = Answers.of(model)
        learned = READINGS["sum"]
        if answers.reading not in (None, learned):
            said = model.extra["readout"]
            raise refusal(
                "key 'readout'", repr(said), "'sum': a core learns by what results sum to"
            )
        names: list[str] = []
        frames: list[Integers] = []
        labels: list[int] = []
        for file in files:
            recordings = load(file)
            if recordings.wanted is None:
                raise refusal(str(file), "no labels", "a class for each recording")
            classes = recordings.classes(model.labels).fitting(learned, model.parameters.outputs)
            assert classes.wanted is not None
            names += classes.names
            frames += [each.astype(np.int64) for each in classes.frames(model)]
            labels += [int(each) for each in classes.wanted]
        for name, label in zip(names, labels, strict=True):
            if label >= known:
                raise refusal(f"{name}, wanted", f"class {label}", f"one of the {known} known")
        return cls(tuple(names), tuple(frames), tuple(labels))

    @property
    def longest(self) -> int:
        return max(map(len, self.frames))

    def require_room(self, frames: int) -> None:
        """Refuses a recording of more frames than a core's tape takes."""
        for name, each in zip(self.names, self.frames, strict=True):
            if len(each) > frames:
                raise refusal(name, f"{len(each)} frames", f"at most {frames}, those of the tape")
