"""Thresholds by what they may cost in accuracy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deltarnn.evaluation.evaluate import Evaluation, evaluate
from golden.errors import refusal
from golden.model import Model
from golden.recordings import Recordings
from train.quantised.thresholds import Step, Thresholds, descend, thresholds, with_thresholds

# An error of classes stands still long after the results have begun to go: of two steps that cost
# no error, the one that moves results less is cheaper.
_TIE = 1e-3
_THETA_FRAC = 6  # fraction bits in which thresholds are searched


@dataclass(frozen=True)
class Measured:
    """A model at some thresholds: its error, what decides between steps, and what it costs."""

    error: float
    loss: float
    macs: float
    cycles: float


def descended(
    model: Model,
    recordings: Recordings,
    drop: float,
    lanes: int,
    report: Callable[[Measured], None] = lambda _: None,
) -> list[Step[Measured]]:
    """Raises thresholds from the model's own as long as the error grows by no more than ``drop``.

    Parameters
    ----------
    drop
        In percentage points of an error that is a fraction; in percent of one that is an RMSE.
    lanes
        Cycles are the bound of a core of so many.

    Returns
    -------
    Every step, the model as it is first and the result last.

    Raises
    ------
    ValueError
        Where the recordings do not say what is wanted.
    """
    start = evaluate(model, recordings)
    base, reading = start.error, start.answers.reading
    if base is None:
        raise refusal("recordings", "no labels", "some: a drop in accuracy needs them")
    assert reading is not None
    limit = base + drop / 100 if reading.classes else base * (1 + drop / 100)
    results = np.concatenate(start.results)
    size = float(np.sqrt(np.mean(results**2))) or 1.0

    def measured(found: Evaluation) -> Measured:
        error = found.error
        assert error is not None
        moved = float(np.sqrt(np.mean((np.concatenate(found.results) - results) ** 2))) / size
        return Measured(error, error + _TIE * moved, found.fetches, found.bound(lanes))

    def tried(values: Thresholds) -> Measured:
        return measured(evaluate(with_thresholds(model, values), recordings))

    activation = model.parameters.formats.activation
    return descend(
        thresholds(model),
        activation.max,
        lambda several: [tried(values) for values in several],
        lambda then: then.error <= limit,
        report,
        size=1 << max(0, activation.f - _THETA_FRAC),
    )
