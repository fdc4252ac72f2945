"""The three products of training a delta network, each over the list of columns that fired.

Chen et al., "Exploiting Symmetric Temporally Sparse BPTT for Efficient RNN Training", AAAI 2024,
arXiv 2312.09391: the columns of W that a frame's forward product reads are those that its two
backward products need. Everything here is real numbers, one sequence, one frame.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.fixed import Integers

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Events:
    """What a delta encoder sent in one frame: all that the backward pass needs to know of it.

    Attributes
    ----------
    columns : int64 [n], rising
        The elements that fired.
    deltas : float64 [n]
        By how much each of them moved.
    """

    columns: Integers
    deltas: Floats


def encode(v: Floats, memory: Floats, theta: float) -> Events:
    """The elements of ``v`` with |v - v^| > theta; ``memory``, which is v^, takes them over."""
    d = v - memory
    columns = np.flatnonzero(np.abs(d) > theta)
    memory[columns] = v[columns]
    return Events(columns, d[columns])


def forward_product(weight: Floats, events: Events) -> Floats:
    """W delta, [rows]: what M gains in a frame."""
    return weight[:, events.columns] @ events.deltas


def error_product(weight: Floats, error: Floats, events: Events) -> Floats:
    """W^T dL/dM, [n]: dL/ddelta of the columns that fired. No other entry is ever used."""
    return error @ weight[:, events.columns]


def add_weight_gradient(gradient: Floats, error: Floats, events: Events) -> None:
    """dL/dW += dL/dM delta^T, in place, in the columns that fired. All others gain 0."""
    gradient[:, events.columns] += np.outer(error, events.deltas)


def encoder_errors(held: Floats, of_deltas: Floats, events: Events) -> Floats:
    """dL/dv of one frame, [size], from dL/ddelta [n]; the frames are taken from last to first.

    ``held`` is dL/dv^ and is moved one frame back. Where an element fired, delta = v - v^[t-1] and
    v^ = v: so v gets both errors, and v^[t-1] the one of delta, negated. Elsewhere v^ stays what it
    was and so does its error: v gets none. The mask of what fired is a constant.
    """
    of_v = np.zeros_like(held)
    of_v[events.columns] = held[events.columns] + of_deltas
    held[events.columns] = -of_deltas
    return of_v
