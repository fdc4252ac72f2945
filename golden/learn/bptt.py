"""Sparse backpropagation through time of a delta network, in real numbers (arXiv 2312.09391).

The forward pass is docs/numerics.md without its roundings. It keeps, of every frame, each encoder's
events and the gates; the backward pass visits the same columns. With a_l the cell's own share,

    dL/dM[t]     = a_l[t] + dL/dM[t+1]            elementwise, since M[t+1] = M[t] + W delta[t+1]
    dL/dW       += dL/dM[t] delta[t]^T            columns that fired
    dL/ddelta[t] = W^T dL/dM[t]                   columns that fired
    dL/dbias     = dL/dM[0]                       since M starts as the bias

and golden.learn.columns.encoder_errors takes dL/ddelta to v. Thresholds are constants. The L1 cost
on deltas, lambda * sum |delta| over all that the network sends, adds lambda * sign(delta) to
dL/ddelta: what did not fire was not sent, costs nothing and gets nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from golden.errors import refusal
from golden.fixed import Integers
from golden.learn.columns import (
    Events,
    Floats,
    add_weight_gradient,
    encode,
    encoder_errors,
    error_product,
    forward_product,
)


class Cell(Protocol):
    """What a unit makes of its accumulators, elementwise.

    ``m`` is [accumulators, units], ``state`` and what goes out are [units].
    """

    def forward(self, m: Floats, state: Floats) -> tuple[Floats, Floats, Any]:
        """The output, the state after the frame, and what ``backward`` has to know of it."""
        ...

    def backward(self, gates: Any, of_output: Floats, of_state: Floats) -> tuple[Floats, Floats]:
        """dL/dM of this frame's output and state alone [accumulators, units], dL/dstate[t-1]."""
        ...


@dataclass(frozen=True)
class Projection:
    """A delta encoder and the columns that its events fetch.

    Attributes
    ----------
    weight : float64 [rows, columns]
    rows : int64 [rows]
        The accumulator that each row goes to, of all those of the layer in a line.
    theta
        Threshold, a real number.
    """

    weight: Floats
    rows: Integers
    theta: float

    def __post_init__(self) -> None:
        if len(self.weight) != len(self.rows):
            raise refusal("rows of a weight matrix", len(self.weight), str(len(self.rows)))
        if not self.theta >= 0:
            raise refusal("theta", self.theta, "a number >= 0")


@dataclass(frozen=True)
class Layer:
    """A delta layer: ``of_h`` is None in one that is not recurrent.

    ``bias`` float64 [accumulators, units] is what M starts from.
    """

    cell: Cell
    of_x: Projection
    of_h: Projection | None
    bias: Floats

    @property
    def units(self) -> int:
        return self.bias.shape[1]


@dataclass(frozen=True)
class Tape:
    """What the backward pass of a layer needs, per frame; ``events_h`` is empty without an h."""

    events_x: list[Events] = field(default_factory=list)
    events_h: list[Events] = field(default_factory=list)
    gates: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Gradient:
    """dL of a layer's parameters, in the parameters' shapes; those of a batch add up."""

    weight_x: Floats
    weight_h: Floats | None
    bias: Floats

    def __add__(self, other: "Gradient") -> "Gradient":
        of_h = None
        if self.weight_h is not None and other.weight_h is not None:
            of_h = self.weight_h + other.weight_h
        return Gradient(self.weight_x + other.weight_x, of_h, self.bias + other.bias)


@dataclass(frozen=True)
class Linear:
    """The cell of a read-out: M itself. It has no state and needs to know nothing."""

    def forward(self, m: Floats, state: Floats) -> tuple[Floats, Floats, None]:
        return m[0], state, None

    def backward(self, gates: None, of_output: Floats, of_state: Floats) -> tuple[Floats, Floats]:
        return of_output[None], of_state


def linear_layer(weight: Floats, bias: Floats, theta: float) -> Layer:
    """A read-out: weight [O, I], bias [O]."""
    return Layer(Linear(), Projection(weight, np.arange(len(bias)), theta), None, bias[None])


class _Forward:
    """A projection on its way through the frames of one sequence, from v^ = 0."""

    def __init__(self, projection: Projection) -> None:
        self.projection = projection
        self.memory = np.zeros(projection.weight.shape[1])

    def step(self, m: Floats, v: Floats) -> Events:
        """Adds what ``v`` changes to the accumulators ``m``, all of the layer in a line."""
        events = encode(v, self.memory, self.projection.theta)
        m[self.projection.rows] += forward_product(self.projection.weight, events)
        return events


class _Backward:
    """The same, from the last frame to the first."""

    def __init__(self, projection: Projection, delta_cost: float) -> None:
        self.projection, self.delta_cost = projection, delta_cost
        self.gradient = np.zeros_like(projection.weight)
        self.held = np.zeros(projection.weight.shape[1])

    def step(self, of_m: Floats, events: Events) -> Floats:
        """dL/dv [columns] from dL/dM, all of the layer in a line."""
        error = of_m[self.projection.rows]
        add_weight_gradient(self.gradient, error, events)
        of_deltas = error_product(self.projection.weight, error, events)
        of_deltas += self.delta_cost * np.sign(events.deltas)
        return encoder_errors(self.held, of_deltas, events)


def layer_forward(layer: Layer, frames: Floats) -> tuple[Floats, Tape]:
    """Outputs [T, units] of frames [T, I], from reset, and the tape."""
    of_x = _Forward(layer.of_x)
    of_h = None if layer.of_h is None else _Forward(layer.of_h)
    m, state, h = layer.bias.copy(), np.zeros(layer.units), np.zeros(layer.units)
    outputs, tape = np.zeros((len(frames), layer.units)), Tape()
    for t, x in enumerate(frames):
        tape.events_x.append(of_x.step(m.reshape(-1), x))
        if of_h is not None:
            tape.events_h.append(of_h.step(m.reshape(-1), h))
        h, state, gates = layer.cell.forward(m, state)
        tape.gates.append(gates)
        outputs[t] = h
    return outputs, tape


def layer_backward(
    layer: Layer, tape: Tape, of_outputs: Floats, delta_cost: float = 0.0
) -> tuple[Gradient, Floats]:
    """The layer's gradient, and dL/dx [T, I], from dL/doutputs [T, units]."""
    of_x = _Backward(layer.of_x, delta_cost)
    of_h = None if layer.of_h is None else _Backward(layer.of_h, delta_cost)
    of_m, of_state, carried = np.zeros_like(layer.bias), *np.zeros((2, layer.units))
    of_frames = np.zeros((len(of_outputs), layer.of_x.weight.shape[1]))
    for t in reversed(range(len(of_outputs))):
        own, of_state = layer.cell.backward(tape.gates[t], of_outputs[t] + carried, of_state)
        of_m += own
        of_frames[t] = of_x.step(of_m.reshape(-1), tape.events_x[t])
        if of_h is not None:
            carried = of_h.step(of_m.reshape(-1), tape.events_h[t])
    gradient_h = None if of_h is None else of_h.gradient
    return Gradient(of_x.gradient, gradient_h, of_m), of_frames


def forward(network: Sequence[Layer], frames: Floats) -> tuple[Floats, list[Tape]]:
    """Outputs [T, O] of one sequence [T, I], and each layer's tape."""
    tapes = []
    for layer in network:
        frames, tape = layer_forward(layer, frames)
        tapes.append(tape)
    return frames, tapes


def backward(
    network: Sequence[Layer], tapes: Sequence[Tape], of_outputs: Floats, delta_cost: float = 0.0
) -> tuple[list[Gradient], Floats]:
    """Every layer's gradient, and dL/dframes [T, I], from dL/doutputs [T, O].

    ``delta_cost`` is lambda of the L1 cost on deltas.
    """
    gradients = []
    for layer, tape in zip(reversed(network), reversed(tapes), strict=True):
        gradient, of_outputs = layer_backward(layer, tape, of_outputs, delta_cost)
        gradients.insert(0, gradient)
    return gradients, of_outputs


def sent(tapes: Sequence[Tape]) -> float:
    """sum |delta| over everything that a sequence's network sent: the L1 cost at lambda = 1."""
    return float(
        sum(np.abs(e.deltas).sum() for tape in tapes for e in (*tape.events_x, *tape.events_h))
    )
