"""Small networks to prove things about. Their weights are all 0: proofs leave them free."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from golden.formats import Formats
from golden.kinds import KINDS
from golden.model import WEIGHTS, Model
from golden.parameters import LayerParameters


def network(
    sizes: Sequence[int],
    outputs: int | None = None,
    *,
    kind: str = "gru",
    formats: Formats | None = None,
    weight_frac: int = 6,
) -> Model:
    """Recurrent layers sizes[0] -> sizes[1] -> ..., then a read-out of ``outputs`` if given."""
    layers, weights = [], []
    has = KINDS[kind]

    def zeros(*shape: int, dtype: type = np.int8) -> np.ndarray:
        return np.zeros(shape, dtype=dtype)

    for inputs, units in pairwise(sizes):
        layers.append(LayerParameters(kind, inputs, units, weight_frac, 0, 0))
        rows = len(has.gates) * units
        bias = zeros(len(has.accumulators) * units, dtype=np.int32)
        weights.append(WEIGHTS[kind](zeros(rows, inputs), zeros(rows, units), bias))
    if outputs is not None:
        layers.append(LayerParameters("linear", sizes[-1], outputs, weight_frac, 0))
        bias = zeros(outputs, dtype=np.int32)
        weights.append(WEIGHTS["linear"](zeros(outputs, sizes[-1]), bias))
    return Model.of("small", formats or Formats(), tuple(layers), tuple(weights))
