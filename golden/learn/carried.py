"""What a sequence carries over the border of two chunks (docs/training-core.md, "Chunks")."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.errors import refusal
from golden.fixed import Integers
from golden.linear import DeltaLinear
from golden.parameters import LayerParameters
from golden.recurrent import DeltaRecurrent


@dataclass(frozen=True)
class Carried:
    """What a layer goes on from. M is not part of it: a chunk's first frame begins M anew.

    Attributes
    ----------
    x : int64 [I], h : int64 [H], or [0] in a layer without h
        v^ of both encoders, in activation LSBs.
    state : int64 [H], or [0]
        h of a GRU in state LSBs, c of an LSTM in cell LSBs.
    a : int64 [H], or [0]
        h as other neurons see it, in activation LSBs.
    """

    x: Integers
    h: Integers
    state: Integers
    a: Integers

    @classmethod
    def reset(cls, layer: LayerParameters) -> "Carried":
        """What a layer begins a sequence with: zeros."""
        units = layer.units if layer.recurrent else 0
        return cls(*(np.zeros(n, dtype=np.int64) for n in (layer.inputs, units, units, units)))

    @classmethod
    def of(cls, layer: DeltaRecurrent | DeltaLinear) -> "Carried":
        """What a layer, of a batch of one, has after a frame."""
        x, none = layer.encoder_x.memory[0].copy(), np.zeros(0, dtype=np.int64)
        if isinstance(layer, DeltaLinear):
            return cls(x, none, none, none)
        return cls(x, layer.encoder_h.memory[0].copy(), layer.state[0].copy(), layer.a[0].copy())

    def into(self, layer: DeltaRecurrent | DeltaLinear) -> None:
        """Has a layer in reset go on from here; its next frame is an opening frame."""
        layer.encoder_x.memory[0] = self.x
        layer.encoder_x.resend()
        if isinstance(layer, DeltaRecurrent):
            layer.encoder_h.memory[0] = self.h
            layer.encoder_h.resend()
            layer.state[0], layer.a[0] = self.state, self.a

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(v) for v in (self.x, self.h, self.state, self.a))


def begun(
    layers: Sequence[LayerParameters], before: Sequence[Carried] | None
) -> tuple[Carried, ...]:
    """What these layers go on from: ``before``, or reset where that is None.

    Raises ValueError where it is not what such layers carry.
    """
    reset = tuple(map(Carried.reset, layers))
    if before is None:
        return reset
    found, expected = ([each.sizes for each in of] for of in (before, reset))
    if found != expected:
        raise refusal("sizes of what is carried", found, str(expected))
    return tuple(before)
