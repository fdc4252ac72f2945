"""Thresholds by measurement: the greatest saving within a budget of what may be lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from golden.model import Model

Thresholds = tuple[int, ...]


@dataclass(frozen=True)
class Budget:
    """What thresholds may cost on the validation part.

    Parameters
    ----------
    error
        In the goal's unit, against the float network.
    loss
        The goal's, against the network at the thresholds that the search begins with. A small
        validation part has few sequences near a boundary, so its error stands still long after
        the margins have begun to go; the loss shows that.
    """

    error: float
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


@dataclass(frozen=True)
class Step(Generic[M]):
    """Thresholds, and what was measured with them."""

    thresholds: Thresholds
    measured: M


def descend(
    start: Thresholds,
    top: int,
    measure: Callable[[Sequence[Thresholds]], Sequence[M]],
    allowed: Callable[[M], bool],
    report: Callable[[M], None] = lambda _: None,
    size: int = 1,
) -> list[Step[M]]:
    """Raises thresholds, to at most ``top``, as long as that saves MACs and is allowed.

    Descent from ``start``: of the steps of ``size`` LSBs that save anything and are allowed, the
    one that costs least loss for each MAC that it saves is taken, until none is left. Gives every
    step, the start first and the result last; ``report`` is told what was measured after each.
    ``measure`` is given all the steps that could be next at once.
    """
    path = [Step(start, measure([start])[0])]
    while True:
        now = path[-1]
        found = []
        neighbours = _neighbours(now.thresholds, top, size)
        for moved, then in zip(neighbours, measure(neighbours), strict=True):
            saved = now.measured.macs - then.macs
            if saved > 0 and allowed(then):
                found.append(((then.loss - now.measured.loss) / saved, Step(moved, then)))
        if not found:
            return path
        path.append(min(found, key=lambda entry: entry[0])[1])
        report(path[-1].measured)


def _neighbours(values: Thresholds, top: int, size: int) -> list[Thresholds]:
    return [
        (*values[:k], min(value + size, top), *values[k + 1 :])
        for k, value in enumerate(values)
        if value < top
    ]
