"""A float network of recurrent layers and an optional linear read-out, whoever trained it.

What it computes decides formats and thresholds of an imported model. So that these are the same
everywhere, it takes nothing but operations that IEEE 754 fixes to the bit, in one order: no BLAS,
and no exponential function of the CPU's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from golden.errors import refusal
from golden.fixed import Integers
from golden.linear import LinearWeights
from golden.model import Model, Weights
from train.data.recordings import Floats


@dataclass(frozen=True)
class FloatGRU:
    """A GRU layer; gates in the order r, u, c, reset gate after the product (docs/numerics.md).

    Attributes
    ----------
    weight_x, weight_h : float64 [3H, I], [3H, H]
    bias_x, bias_h : float64 [3H]
        What is added to each product.
    """

    kind: ClassVar[str] = "gru"  # golden.kinds

    weight_x: Floats
    weight_h: Floats
    bias_x: Floats
    bias_h: Floats

    @classmethod
    def with_bias(cls, weight_x: Floats, weight_h: Floats, bias: Floats) -> "FloatGRU":
        """A layer with one bias [4H], rows r, u, xc, hc: all but hc goes with x."""
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
        for t, frame in enumerate(frames):
            x = _product(self.weight_x, frame) + self.bias_x
            p = _product(self.weight_h, h) + self.bias_h
            r, u = np.split(_sigmoid(x[: 2 * size] + p[: 2 * size]), 2)
            h = (1 - u) * _tanh(x[2 * size :] + r * p[2 * size :]) + u * h
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

    kind: ClassVar[str] = "lstm"  # golden.kinds

    weight_x: Floats
    weight_h: Floats
    bias_x: Floats
    bias_h: Floats

    @classmethod
    def with_bias(cls, weight_x: Floats, weight_h: Floats, bias: Floats) -> "FloatLSTM":
        """A layer with one bias [4H]: all of it goes with x."""
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
        for t, frame in enumerate(frames):
            x = _product(self.weight_x, frame) + self.bias
            i, f, g, o = np.split(x + _product(self.weight_h, h), 4)
            c = _sigmoid(f) * c + _sigmoid(i) * _tanh(g)
            h = states[t] = _sigmoid(o) * _tanh(c)
        return states


def _product(weight: Floats, v: Floats) -> Floats:
    """``weight @ v``, summed in NumPy's own order, which no CPU changes."""
    return np.add.reduce(weight * v, axis=1)


def _sigmoid(v: Floats) -> Floats:
    return 1 / (1 + _exp(-v))


def _tanh(v: Floats) -> Floats:
    return 1 - 2 / (1 + _exp(2 * v))


def _exp(v: Floats) -> Floats:
    """e^v to a few units of the last place; beyond 2^-1000 and 2^1000 it stays at them."""
    v = np.clip(v, -1000 * _LN2, 1000 * _LN2)
    twos = np.rint(v / _LN2)
    rest = v - twos * _LN2_HIGH - twos * _LN2_LOW
    series = np.ones_like(rest)
    for n in range(_TERMS, 0, -1):
        series = 1 + rest * series / n
    return np.ldexp(series, twos.astype(np.int32))


_LN2 = 0.6931471805599453
_LN2_HIGH = 762123384785 * 2.0**-40  # its first 40 bits: times 1000 it is still exact
_LN2_LOW = 7.371002565167799e-13  # the rest of it
_TERMS = 14  # of |rest| <= ln2 / 2: what follows is below 2^-63


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
        results = np.empty((len(frames), self.units))
        for t, frame in enumerate(frames):
            results[t] = _product(self.weight, frame) + self.bias
        return results


@dataclass(frozen=True)
class FloatNetwork:
    """GRU and LSTM layers, then perhaps a linear layer.

    Attributes
    ----------
    layers
        From the frames on.
    offset : float64 [I]
        What is subtracted from the inputs before the first layer; None: nothing.

    Raises
    ------
    ValueError
        Where there is no recurrent layer, a linear layer that is not the last, a layer whose inputs
        are not the units of the one before, an offset of another size, or a value that is not
        finite.
    """

    layers: tuple[FloatRecurrent | FloatLinear, ...]
    offset: Floats | None = None

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
        if self.offset is not None:
            if self.offset.shape != (self.inputs,):
                raise refusal("offset", f"shape {list(self.offset.shape)}", f"[{self.inputs}]")
            if not np.isfinite(self.offset).all():
                raise refusal("offset", "a value that is not finite", "numbers")

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs

    def centred(self, frames: Floats) -> Floats:
        """Frames [T, I] as the first layer takes them."""
        return frames if self.offset is None else frames - self.offset

    def run(self, frames: Floats) -> Floats:
        """The last layer's results [T, O] of one sequence [T, I], from reset."""
        frames = self.centred(frames)
        for layer in self.layers:
            frames = layer.run(frames)
        return frames

    def scaled(self, scale: ArrayLike) -> "FloatNetwork":
        """The network that takes ``scale * input`` ([I] or one) where this one takes ``input``."""
        first, *rest = self.layers
        assert isinstance(first, FloatRecurrent)
        scale = np.asarray(scale, np.float64)
        weight_x = first.weight_x / scale
        offset = None if self.offset is None else self.offset * scale
        return FloatNetwork((replace(first, weight_x=weight_x), *rest), offset)


def dequantized(model: Model) -> FloatNetwork:
    """The real numbers that a model's integers stand for."""

    def real(kind: str, frac: int, w: Weights) -> FloatRecurrent | FloatLinear:
        steps = power_of_2(-(frac + w.shifts))
        bias: Floats = w.bias * (steps * 2.0**-model.parameters.formats.activation.f)
        of_x, of_h = rows_of(steps, len(w.weight_x))
        if isinstance(w, LinearWeights):
            return FloatLinear(w.weight_x * of_x, bias)
        return _RECURRENT[kind].with_bias(w.weight_x * of_x, w.weight_h * of_h, bias)

    pairs = zip(model.parameters.layers, model.weights, strict=True)
    return FloatNetwork(tuple(real(layer.kind, layer.weight_frac, w) for layer, w in pairs))


def power_of_2(exponents: Integers) -> Floats:
    """float64, exact: an exponential function of the CPU's own need not be."""
    return np.ldexp(1.0, exponents.astype(np.int32))


def rows_of(values: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of accumulators [K H] as those of the weight rows of x and of h, [G H, 1] each.

    Where there is one accumulator more than gates, the last two are those of the last gate
    (golden.kinds.Kind.splits).
    """
    more = len(values) - rows
    of_h = np.concatenate([values[: rows - more], values[rows:]])
    return values[:rows, None], of_h[:, None]


_RECURRENT: dict[str, type[FloatRecurrent]] = {kind.kind: kind for kind in (FloatGRU, FloatLSTM)}


def gates_in_order(rows: Floats, order: Sequence[int]) -> Floats:
    """Rows [gates H, ...] of gates that come in another order.

    ``order`` says where r, u and c are, or i, f, g and o.
    """
    gates = np.split(rows, len(order))
    return np.concatenate([gates[n] for n in order])
