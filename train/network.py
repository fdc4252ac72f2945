"""A float network of recurrent layers and an optional linear read-out, whoever trained it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from golden.errors import refusal
from golden.gru import GRUWeights
from golden.linear import LinearWeights
from golden.lstm import LSTMWeights
from golden.model import Model, Weights
from train.data import Floats


@dataclass(frozen=True)
class FloatGRU:
    """A GRU layer; gates in the order r, u, c, reset gate after the product (docs/numerics.md).

    Attributes
    ----------
    weight_x, weight_h : float64 [3H, I], [3H, H]
    bias_x, bias_h : float64 [3H]
        What is added to each product.
    """

    weight_x: Floats
    weight_h: Floats
    bias_x: Floats
    bias_h: Floats

    @classmethod
    def with_bias(cls, weight_x: Floats, weight_h: Floats, bias: Floats) -> "FloatGRU":
        """Of one bias [4H], rows r, u, xc, hc: all but hc goes with x."""
        of_x, of_hc = np.split(bias, [len(weight_x)])
        return cls(weight_x, weight_h, of_x, np.concatenate([np.zeros(2 * len(of_hc)), of_hc]))

    @property
    def bias(self) -> Floats:
        """[4H], rows r, u, xc, hc. r and u add both products, so one bias serves."""
        ru, c = slice(0, 2 * self.units), slice(2 * self.units, None)
        return np.concatenate([self.bias_x[ru] + self.bias_h[ru], self.bias_x[c], self.bias_h[c]])

    @property
    def inputs(self) -> int:
        return self.weight_x.shape[1]

    @property
    def units(self) -> int:
        return self.weight_h.shape[1]

    def run(self, frames: Floats) -> Floats:
        """h [T, H] of frames [T, I], from h = 0."""
        size = self.units
        h, states = np.zeros(size), np.empty((len(frames), size))
        products = frames @ self.weight_x.T + self.bias_x
        for t, x in enumerate(products):
            p = self.weight_h @ h + self.bias_h
            r, u = np.split(_sigmoid(x[: 2 * size] + p[: 2 * size]), 2)
            h = (1 - u) * np.tanh(x[2 * size :] + r * p[2 * size :]) + u * h
            states[t] = h
        return states


@dataclass(frozen=True)
class FloatLSTM:
    """An LSTM layer; gates in the order i, f, g, o (docs/numerics.md).

    Attributes
    ----------
    weight_x, weight_h : float64 [4H, I], [4H, H]
    bias_x, bias_h : float64 [4H]
        What is added to each product.
    """

    weight_x: Floats
    weight_h: Floats
    bias_x: Floats
    bias_h: Floats

    @classmethod
    def with_bias(cls, weight_x: Floats, weight_h: Floats, bias: Floats) -> "FloatLSTM":
        """Of one bias [4H]: all of it goes with x."""
        return cls(weight_x, weight_h, bias, np.zeros_like(bias))

    @property
    def bias(self) -> Floats:
        """[4H]: every gate adds both products, so one bias serves."""
        return self.bias_x + self.bias_h

    @property
    def inputs(self) -> int:
        return self.weight_x.shape[1]

    @property
    def units(self) -> int:
        return self.weight_h.shape[1]

    def run(self, frames: Floats) -> Floats:
        """h [T, H] of frames [T, I], from h = c = 0."""
        h, c = np.zeros(self.units), np.zeros(self.units)
        states = np.empty((len(frames), self.units))
        products = frames @ self.weight_x.T + self.bias
        for t, x in enumerate(products):
            i, f, g, o = np.split(x + self.weight_h @ h, 4)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = states[t] = _sigmoid(o) * np.tanh(c)
        return states


def _sigmoid(v: Floats) -> Floats:
    return 1 / (1 + np.exp(-v))


FloatRecurrent = FloatGRU | FloatLSTM


@dataclass(frozen=True)
class FloatLinear:
    """A read-out: ``weight`` float64 [O, I], ``bias`` float64 [O]."""

    weight: Floats
    bias: Floats

    @property
    def inputs(self) -> int:
        return self.weight.shape[1]

    @property
    def units(self) -> int:
        return self.weight.shape[0]

    def run(self, frames: Floats) -> Floats:
        """[T, O] of [T, I]."""
        return frames @ self.weight.T + self.bias


@dataclass(frozen=True)
class FloatNetwork:
    """GRU and LSTM layers, then perhaps a linear layer.

    Raises
    ------
    ValueError
        Where there is no recurrent layer, a linear layer that is not the last, a layer whose inputs
        are not the units of the one before, or a value that is not finite.
    """

    layers: tuple[FloatRecurrent | FloatLinear, ...]

    def __post_init__(self) -> None:
        if not any(isinstance(layer, FloatRecurrent) for layer in self.layers):
            raise refusal("network", "no GRU or LSTM layer", "at least one")
        if any(isinstance(layer, FloatLinear) for layer in self.layers[:-1]):
            raise refusal("network", "a linear layer that is not the last", "one read-out at most")
        for k, (below, layer) in enumerate(zip(self.layers, self.layers[1:], strict=False), 1):
            if layer.inputs != below.units:
                raise refusal(f"layer {k}", f"{layer.inputs} inputs", f"{below.units}, as below it")
        for k, layer in enumerate(self.layers):
            for name, value in vars(layer).items():
                if not np.isfinite(value).all():
                    raise refusal(f"layer {k} {name}", "a value that is not finite", "numbers")

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs

    def run(self, frames: Floats) -> Floats:
        """The last layer's results [T, O] of one sequence [T, I], from reset."""
        for layer in self.layers:
            frames = layer.run(frames)
        return frames

    def scaled(self, scale: ArrayLike) -> "FloatNetwork":
        """The network that takes ``scale * input`` ([I] or one) where this one takes ``input``."""
        first, *rest = self.layers
        assert isinstance(first, FloatRecurrent)
        return FloatNetwork((replace(first, weight_x=first.weight_x / np.asarray(scale)), *rest))


def dequantized(model: Model) -> FloatNetwork:
    """The real numbers that a model's integers stand for."""

    def real(frac: int, w: Weights) -> FloatRecurrent | FloatLinear:
        step = 2.0**-frac
        bias = w.bias * 2.0 ** -model.parameters.formats.accumulator_frac(frac)
        if isinstance(w, LinearWeights):
            return FloatLinear(w.weight_x * step, bias)
        return _RECURRENT[type(w)].with_bias(w.weight_x * step, w.weight_h * step, bias)

    pairs = zip(model.parameters.layers, model.weights, strict=True)
    return FloatNetwork(tuple(real(layer.weight_frac, w) for layer, w in pairs))


_RECURRENT: dict[type, type[FloatRecurrent]] = {GRUWeights: FloatGRU, LSTMWeights: FloatLSTM}


def gates_in_order(rows: Floats, order: Sequence[int]) -> Floats:
    """Rows [gates H, ...] of gates that come in another order.

    ``order`` says where r, u and c are, or i, f, g and o.
    """
    gates = np.split(rows, len(order))
    return np.concatenate([gates[n] for n in order])
