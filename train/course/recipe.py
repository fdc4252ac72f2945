"""What a task decides: its data, what is wanted of it, and how that is trained."""

from collections.abc import Callable
from dataclasses import dataclass

from golden.errors import refusal
from golden.fixed import Q
from golden.formats import Formats
from train.course.fit import FitParameters
from train.course.goals import Goal
from train.data.recordings import Dataset
from train.nets.float_rnn import CELLS
from train.quantised.thresholds import Budget


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a task decides.

    Parameters
    ----------
    units, layers, cell
        H, the number of recurrent layers, and their kind: "gru" or "lstm".
    fit, tune
        How to train from random weights, and how to go on in the core's arithmetic from a float
        network.
    theta_x, theta_h
        Thresholds to train with, in activation LSBs: the input's, and those of whatever training
        can move (h of all layers, x of the layers above the first).
    noise
        In activation LSBs, for the method that has noise in place of thresholds.
    delta_cost
        Weight of the L1 cost on deltas.
    formats
        What to try, cheapest first; the first that loses no more than ``format_tolerance`` of loss
        to the best of them is taken. From scratch there is nothing to try them on: the first.
    span
        Standard deviations of a feature that the activation format reaches from 0: features are
        scaled so that it does, and not centred, because the first layer's bias can do that.
    shifted_copies
        Formats and thresholds are measured on the validation part and this many copies of it,
        shifted as ``fit.sequence_noise`` says: a network that gets all of a small part right
        shows too late, and too jumpily, what a threshold costs it on another day's recordings.
    budget
        What thresholds may cost on those.
    """

    units: int
    layers: int = 1
    cell: str = "gru"
    fit: FitParameters
    tune: FitParameters
    theta_x: int
    theta_h: int
    noise: float
    delta_cost: float
    formats: tuple[Formats, ...] = (Formats(), Formats(state=Q(1, 14)))
    format_tolerance: float
    span: float = 8.0
    shifted_copies: int = 0
    budget: Budget

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise refusal("cell", repr(self.cell), " or ".join(repr(cell) for cell in CELLS))


@dataclass(frozen=True)
class Task:
    """A dataset, what is wanted of it, and how that is trained."""

    load: Callable[[], Dataset]
    goal: Goal
    recipe: Recipe
