"""Thresholds by measurement: the greatest saving within a budget of what may be lost."""

from collections.abc import Callable
from dataclasses import dataclass, replace

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


def calibrate(
    model: Model,
    validation: Sequences,
    budget: Budget,
    report: Callable[[Score], None] = lambda _: None,
) -> Model:
    """The model with the thresholds that save most MACs within the budget on ``validation``.

    Descent from all zero: of the steps of 1 LSB that save anything and stay within the budget, the
    one that costs least loss for each MAC that it saves is taken, until none is left. ``report`` is
    told the score after each step.
    """
    current = with_thresholds(model, (0,) * len(thresholds(model)))
    now = score(current, validation)
    floor, ceiling = now.accuracy - budget.accuracy, now.loss + budget.loss
    while True:
        found = []
        for moved in _neighbours(thresholds(current), model):
            candidate = with_thresholds(current, moved)
            then = score(candidate, validation)
            if then.accuracy >= floor and then.loss <= ceiling and then.macs < now.macs:
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
