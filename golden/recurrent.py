"""What recurrent layers do alike (docs/numerics.md, steps 1, 2 and 4), and their dense twins."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from golden.accumulate import ExactMatrix
from golden.delta import DeltaEncoder
from golden.fixed import Integers
from golden.formats import Formats
from golden.parameters import LayerParameters


@dataclass(frozen=True)
class RecurrentWeights:
    """Integers of a recurrent layer as the model file holds them, G rows and K accumulators a unit.

    ``weight_x`` int8 [G H, I] and ``weight_h`` int8 [G H, H]; ``bias`` int32 [K H], one for each
    accumulator, with f_act + f_w fraction bits, and as many more as ``shift`` int8 [K H] says where
    there is one: then the accumulator and its weights have so many more, too.
    """

    weight_x: np.ndarray
    weight_h: np.ndarray
    bias: np.ndarray
    shift: np.ndarray | None = None

    @property
    def shifts(self) -> Integers:
        """int64 [K H]: the row shift of each accumulator, 0 without any."""
        none = np.zeros(len(self.bias), dtype=np.int64)
        return none if self.shift is None else self.shift.astype(np.int64)

    def reach(self, largest: int) -> Integers:
        """int64 [K H]: the most that |M| of each one can be if no |v| exceeds ``largest``.

        An accumulator takes both products. Where there is one more than gates, the last gate has
        one for x and one for h (golden.kinds.Kind.splits).
        """
        units = self.weight_h.shape[1]
        of_x, of_h = (
            np.abs(w.astype(np.int64)).sum(axis=1) * largest for w in (self.weight_x, self.weight_h)
        )
        whole = len(of_x) - units * (len(self.bias) > len(of_x))
        bias = np.abs(self.bias.astype(np.int64))
        return bias + np.concatenate([of_x[:whole] + of_h[:whole], of_x[whole:], of_h[whole:]])


class Recurrent(ABC):
    """A recurrent layer; its kind says what is accumulated where, and what becomes of it.

    Attributes
    ----------
    m : int64 [batch, K, H]
        Accumulators.
    state : int64 [batch, H]
        What a neuron itself keeps between frames: h of a GRU, c of an LSTM.
    a : int64 [batch, H]
        h as other neurons see it, in activation LSBs.
    """

    def __init__(
        self, formats: Formats, layer: LayerParameters, weights: RecurrentWeights, batch: int = 1
    ) -> None:
        assert layer.recurrent
        self.formats, self.layer, self.batch = formats, layer, batch
        delta_bits = formats.activation.width + 1
        self._product_x = ExactMatrix(weights.weight_x, delta_bits)
        self._product_h = ExactMatrix(weights.weight_h, delta_bits)
        of_units = (layer.accumulators, layer.units)
        self._bias = weights.bias.astype(np.int64).reshape(of_units)
        self._frac = layer.weight_frac + weights.shifts.reshape(of_units)
        self.reset()

    def reset(self) -> None:
        """M = bias, state = a = 0."""
        self.m: Integers = np.tile(self._bias, (self.batch, 1, 1))
        self.state: Integers = np.zeros((self.batch, self.layer.units), dtype=np.int64)
        self.a: Integers = np.zeros_like(self.state)

    def _accumulate(self, x: Integers, h: Integers) -> None:
        """M += W_x x + W_h h."""
        gates, splits = self.layer.gates, self.layer.has.splits
        shape = (self.batch, gates, self.layer.units)
        of_x, of_h = self._product_x(x).reshape(shape), self._product_h(h).reshape(shape)
        self.m[:, :gates] += of_x
        self.m[:, : gates - splits] += of_h[:, : gates - splits]
        if splits:
            self.m[:, gates] += of_h[:, -1]

    @abstractmethod
    def _update(self) -> None:
        """Step 3: ``state`` and ``a`` from the accumulators and the state before."""

    @abstractmethod
    def step(self, x: Integers) -> Integers:
        """One frame: x int64 [batch, I] to a int64 [batch, H], both in activation LSBs."""


class DenseRecurrent(Recurrent):
    """A layer without deltas: M is computed anew from x_t and a_(t-1) in every frame.

    At threshold 0 the delta layer equals it bit for bit; it exists to prove that.
    """

    def step(self, x: Integers) -> Integers:
        """One frame: x int64 [batch, I] to a int64 [batch, H], both in activation LSBs."""
        self.m = np.tile(self._bias, (self.batch, 1, 1))
        self._accumulate(x, self.a)
        self._update()
        return self.a


class DeltaRecurrent(Recurrent):
    """A layer that computes with changes.

    Attributes
    ----------
    theta_x, theta_h
        Thresholds in activation LSBs; they may be changed between frames.
    encoder_x, encoder_h
        Delta encoders; their ``memory`` is x^ and h^. M = W v^ + bias holds after every frame.
    deltas_x : int64 [batch, I], deltas_h : int64 [batch, H]
        Deltas of the last frame, 0 where nothing fired.
    """

    def __init__(
        self, formats: Formats, layer: LayerParameters, weights: RecurrentWeights, batch: int = 1
    ) -> None:
        self.theta_x = layer.theta_x
        self.theta_h = layer.theta_h or 0
        self.encoder_x = DeltaEncoder(layer.inputs, batch)
        self.encoder_h = DeltaEncoder(layer.units, batch)
        super().__init__(formats, layer, weights, batch)

    def reset(self) -> None:
        """M = bias, state = a = 0, x^ = h^ = 0."""
        super().reset()
        self.encoder_x.reset()
        self.encoder_h.reset()

    def step(self, x: Integers) -> Integers:
        """One frame: x int64 [batch, I] to a int64 [batch, H], both in activation LSBs."""
        self.deltas_x = self.encoder_x.encode(x, self.theta_x)
        self.deltas_h = self.encoder_h.encode(self.a, self.theta_h)
        self._accumulate(self.deltas_x, self.deltas_h)
        self._update()
        return self.a
