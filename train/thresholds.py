"""Thresholds by measurement: the greatest saving within a budget of what may be lost."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from golden.model import Model
from train.data import Sequences
from train.score import Score, score

Thresholds = tuple[int, ...]


@dataclass(frozen=True)
class Budget:
    """What may be lost on the validation part against the same network at threshold 0.

    Parameters
    ----------
    accuracy
        Fraction of the sequences.
    loss
        Cross entropy, in nats. A small validation part has few sequences near a boundary, so
        its accuracy stands still long after the margins have begun to go; the loss shows that.
    """

    accuracy: float
    loss: float


def thresholds(model: Model) -> Thresholds:
    """theta_x, theta_h of the first layer, then of the next; a linear layer has theta_x alone."""
    values: list[int] = []
    for layer in model.parameters.layers:
        values.append(layer.theta_x)
        if layer.theta_h is not None:
            values.append(layer.theta_h)
    return tuple(values)


def with_thresholds(model: Model, values: Thresholds) -> Model:
    """The same model with other thresholds, in the order of ``thresholds``."""
    rest = iter(values)
    layers = tuple(
        replace(
            layer,
            theta_x=next(rest),
            theta_h=next(rest) if layer.recurrent else None,
        )
        for layer in model.parameters.layers
    )
    return replace(model, parameters=replace(model.parameters, layers=layers))


class Measured(Protocol):
    """What a network loses, in whatever unit, and the MACs it needs."""

    @property
    def loss(self) -> float: ...

    @property
    def macs(self) -> float: ...


M = TypeVar("M", bound=Measured)


def calibrate(
    model: Model,
    validation: Sequences,
    budget: Budget,
    report: Callable[[Score], None] = lambda _: None,
) -> Model:
    """The model with the thresholds that save most MACs within the budget on ``validation``."""
    unthresholded = score(with_thresholds(model, (0,) * len(thresholds(model))), validation)
    floor = unthresholded.accuracy - budget.accuracy
    ceiling = unthresholded.loss + budget.loss
    return descend(
        model,
        lambda candidate: score(candidate, validation),
        lambda then: then.accuracy >= floor and then.loss <= ceiling,
        report,
    )


def descend(
    model: Model,
    measure: Callable[[Model], M],
    allowed: Callable[[M], bool],
    report: Callable[[M], None] = lambda _: None,
) -> Model:
    """Raises thresholds as long as that saves MACs and is allowed.

    Descent from all zero: of the steps of 1 LSB that save anything and are allowed, the one that
    costs least loss for each MAC that it saves is taken, until none is left. ``report`` is told
    what was measured after each step.
    """
    current = with_thresholds(model, (0,) * len(thresholds(model)))
    now = measure(current)
    while True:
        found = []
        for moved in _neighbours(thresholds(current), model):
            candidate = with_thresholds(current, moved)
            then = measure(candidate)
            if allowed(then) and then.macs < now.macs:
                found.append(((then.loss - now.loss) / (now.macs - then.macs), candidate, then))
        if not found:
            return current
        _, current, now = min(found, key=lambda entry: entry[0])
        report(now)


def _neighbours(values: Thresholds, model: Model) -> list[Thresholds]:
    top = model.parameters.formats.activation.max
    return [
        (*values[:k], value + 1, *values[k + 1 :]) for k, value in enumerate(values) if value < top
    ]
