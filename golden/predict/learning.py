"""What a frame costs to learn from: the three products counted, dense and over columns that fired.

Counted is what grows with the weights, per frame of one sequence (with a batch each sequence has
its own events, and its own counts):

    forward          W delta: a multiplication and a weight read for each weight of a column
    error            W^T dL/dM: the same; not for the first layer's x, whose error nobody asks for
    weight_gradient  dL/dM delta^T: a multiplication for each weight of a column, and a word of the
                     gradient read and written back

Elementwise work (gates, sums of dL/dM, v^) is the same in both forms and left out. Dense is a
network that does all columns in every frame, as a device that learns from one stream would.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.fixed import Integers
from golden.learn.bptt import Layer, Projection, Tape
from golden.learn.columns import Events


@dataclass(frozen=True)
class TrainingCost:
    """Counts per frame and product, int64 [T, 3]: forward, error, weight_gradient."""

    multiplications: Integers
    weight_reads: Integers
    gradient_reads: Integers
    gradient_writes: Integers

    @classmethod
    def of_products(cls, products: Integers) -> "TrainingCost":
        """The weights that each product touches, [T, 3]: the last one's are gradients."""
        weights, gradients = products * [1, 1, 0], products * [0, 0, 1]
        return cls(products, weights, gradients, gradients)


def sparse_cost(network: Sequence[Layer], tapes: Sequence[Tape]) -> TrainingCost:
    """What the frames of one sequence cost when columns that did not fire are left out."""
    products = np.zeros((len(tapes[0].events_x), 3), dtype=np.int64)
    for projection, wanted, events in _encoders(network, tapes):
        fired = np.array([e.columns.size for e in events], dtype=np.int64)
        products += np.outer(fired * len(projection.rows), wanted)
    return TrainingCost.of_products(products)


def dense_cost(network: Sequence[Layer], tapes: Sequence[Tape]) -> TrainingCost:
    """What they cost when every column is done in every frame."""
    products = np.zeros((len(tapes[0].events_x), 3), dtype=np.int64)
    for projection, wanted, _ in _encoders(network, tapes):
        products += projection.weight.size * wanted
    return TrainingCost.of_products(products)


def _encoders(
    network: Sequence[Layer], tapes: Sequence[Tape]
) -> list[tuple[Projection, Integers, list[Events]]]:
    """Each encoder's columns, which of the three products are wanted of them, and its events."""
    found = []
    for k, (layer, tape) in enumerate(zip(network, tapes, strict=True)):
        found.append((layer.of_x, np.array([1, k > 0, 1]), tape.events_x))
        if layer.of_h is not None:
            found.append((layer.of_h, np.array([1, 1, 1]), tape.events_h))
    return found
