"""The linear read-out (docs/numerics.md, "Linear layer"), and its dense twin."""

from dataclasses import dataclass

import numpy as np

from golden.accumulate import ExactMatrix
from golden.delta import DeltaEncoder
from golden.fixed import Integers
from golden.formats import Formats
from golden.parameters import LayerParameters


@dataclass(frozen=True)
class LinearWeights:
    """``weight_x`` int8 [O, I] and ``bias`` int32 [O] with f_act + f_w fraction bits."""

    weight_x: np.ndarray
    bias: np.ndarray

    @property
    def shifts(self) -> Integers:
        """int64 [O]: 0. Results have one format, whatever their rows hold."""
        return np.zeros(len(self.bias), dtype=np.int64)

    def reach(self, largest: int) -> Integers:
        """int64 [O]: the most that |M| of each one can be if no |v| exceeds ``largest``."""
        rows = np.abs(self.weight_x.astype(np.int64)).sum(axis=1)
        return np.abs(self.bias.astype(np.int64)) + rows * largest


class DenseLinear:
    """M = W x + bias, computed anew in every frame.

    Attributes
    ----------
    m : int64 [batch, O]
        Accumulators, which are the layer's output as they stand.
    """

    def __init__(
        self, formats: Formats, layer: LayerParameters, weights: LinearWeights, batch: int = 1
    ) -> None:
        assert not layer.recurrent
        self.layer, self.batch = layer, batch
        self._product = ExactMatrix(weights.weight_x, formats.activation.width + 1)
        self._bias = weights.bias.astype(np.int64)
        self.reset()

    def reset(self) -> None:
        """M = bias."""
        self.m: Integers = np.tile(self._bias, (self.batch, 1))

    def step(self, x: Integers) -> Integers:
        """One frame: x int64 [batch, I] (activation LSBs) to M int64 [batch, O]."""
        self.m = self._bias + self._product(x)
        return self.m


class DeltaLinear(DenseLinear):
    """A linear layer that computes with changes.

    Attributes
    ----------
    theta_x
        Threshold in activation LSBs; it may be changed between frames.
    encoder_x
        Delta encoder; its ``memory`` is x^. M = W x^ + bias holds after every frame.
    deltas_x : int64 [batch, I]
        Deltas of the last frame, 0 where nothing fired.
    """

    def __init__(
        self, formats: Formats, layer: LayerParameters, weights: LinearWeights, batch: int = 1
    ) -> None:
        self.theta_x = layer.theta_x
        self.encoder_x = DeltaEncoder(layer.inputs, batch)
        super().__init__(formats, layer, weights, batch)

    def reset(self) -> None:
        """M = bias, x^ = 0."""
        super().reset()
        self.encoder_x.reset()

    def step(self, x: Integers) -> Integers:
        """One frame: x int64 [batch, I] (activation LSBs) to M int64 [batch, O]."""
        self.deltas_x = self.encoder_x.encode(x, self.theta_x)
        self.m = self.m + self._product(self.deltas_x)
        return self.m


Weights, Delta, Dense = LinearWeights, DeltaLinear, DenseLinear  # by these names for golden.kinds
