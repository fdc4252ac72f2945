"""Features that are scaled and shifted one by one, as normalisations do, folded into a layer."""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from train.data.recordings import Floats
from train.quantised.float_network import FloatLinear, FloatRecurrent

_Layer = TypeVar("_Layer", bound=FloatRecurrent | FloatLinear)


@dataclass(frozen=True)
class Affine:
    """``scale * x + shift`` of features x: float64 [I], or [1] for all of them."""

    scale: Floats
    shift: Floats

    @classmethod
    def normalised(cls, mean: Floats, variance: Floats, scale: Floats, shift: Floats) -> "Affine":
        """``scale * (x - mean) / sqrt(variance) + shift``."""
        factor = scale / np.sqrt(variance)
        return cls(factor, shift - factor * mean)

    @property
    def spread(self) -> Floats:
        """What makes a number of 1 of each feature."""
        return 1 / np.where(self.scale == 0, 1.0, np.abs(self.scale))

    def then(self, other: "Affine") -> "Affine":
        """This one, and ``other`` after it."""
        return Affine(other.scale * self.scale, other.scale * self.shift + other.shift)

    def before_frames(self, layer: FloatRecurrent) -> tuple[FloatRecurrent, Floats | None]:
        """The first layer that does this to its frames too, and what is subtracted from them
        before it; None where that is 0.

        What is subtracted stays apart: in the bias it would have to be as fine as frames are large.
        """
        scale, shift = (np.broadcast_to(v, layer.inputs) for v in (self.scale, self.shift))
        still = scale == 0
        offset = np.where(still, 0.0, -shift / np.where(still, 1.0, scale))
        layer = fold(Affine(scale, np.where(still, shift, 0.0)), layer)
        return layer, offset + 0.0 if offset.any() else None

    def behind(self, linear: FloatLinear) -> FloatLinear:
        """The linear layer of which the results are changed so."""
        scale = np.broadcast_to(self.scale, linear.units)
        return FloatLinear(linear.weight * scale[:, None], linear.bias * scale + self.shift)


def fold(affine: Affine, layer: _Layer) -> _Layer:
    """The layer whose inputs are changed so: W (scale x + shift) is (W scale) x and a bias."""
    scale, shift = (np.broadcast_to(v, layer.inputs) for v in (affine.scale, affine.shift))
    if isinstance(layer, FloatLinear):
        bias = layer.bias + np.add.reduce(layer.weight * shift, axis=1)
        return replace(layer, weight=layer.weight * scale, bias=bias)
    bias = layer.bias_x + np.add.reduce(layer.weight_x * shift, axis=1)
    return replace(layer, weight_x=layer.weight_x * scale, bias_x=bias)
