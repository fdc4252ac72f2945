"""Training in integers: docs/training-core.md, every bit of it.

The forward pass is docs/numerics.md. What comes back has the formats below. Sequences of a batch go
in lock step: what one frame adds to a gradient is summed over them before it is rounded. Columns
that did not fire have delta 0: they add nothing, and no error of theirs is ever used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from golden.errors import require_int
from golden.fixed import Integers, Q, rshift, sat
from golden.formats import WEIGHT, WEIGHT_FRAC_MAX, Formats
from golden.gru import DeltaGRU, GRUWeights
from golden.linear import DeltaLinear, LinearWeights
from golden.lstm import DeltaLSTM, LSTMWeights
from golden.parameters import LayerParameters
from golden.tables import sigmoid_table, tanh_table


@dataclass(frozen=True)
class TrainingFormats:
    """The formats of training, beside those of inference.

    Attributes
    ----------
    error
        dL/dM, dL/dh, dL/dv^: whatever comes back.
    gradient
        dL/dW and dL/dbias, summed over a sequence or a batch.
    slope
        What errors are multiplied with, made of a frame's gates.
    master
        A weight or a bias while it learns; inference rounds it.
    """

    error: Q = Q(1, 14)
    gradient: Q = Q(3, 12)
    slope: Q = Q(1, 14)
    master: Q = Q(2, 13)

    def __post_init__(self) -> None:
        require_int("width of format error", self.error.width, 2, 24)
        require_int("width of format gradient", self.gradient.width, 2, 24)
        require_int("width of format slope", self.slope.width, 2, 18)
        require_int("width of format master", self.master.width, WEIGHT.width, 32)


@dataclass(frozen=True)
class Masters:
    """What a layer learns, int64 in format master.

    ``weight_x`` [rows, I], ``weight_h`` [rows, H] (of a read-out [O, 0]), ``bias`` [accumulators].
    """

    weight_x: Integers
    weight_h: Integers
    bias: Integers


@dataclass(frozen=True)
class Slopes:
    """The factors of a layer's errors, [T, batch, n, H] in format slope or gate."""

    slopes: Integers
    gates: Integers


class FixedCell(Protocol):
    """A kind of layer: where its products go, and how its errors come back.

    ``rows_x`` and ``rows_h`` name the accumulators of each gate's product with x and with h.
    """

    rows_x: tuple[int, ...]
    rows_h: tuple[int, ...]

    def layer(
        self, formats: Formats, parameters: LayerParameters, masters: Masters, batch: int
    ) -> Any:
        """Inference's layer, of weights and biases that it takes as they are."""
        ...

    def slopes(
        self, formats: Formats, slope: Q, frac: int, m: Integers, states: Integers
    ) -> Slopes:
        """From the accumulators [T, batch, 4, H], states [T + 1, batch, H] before and after."""
        ...

    def own(
        self,
        formats: Formats,
        training: TrainingFormats,
        at: Slopes,
        of_h: Integers,
        of_s: Integers,
    ) -> tuple[Integers, Integers]:
        """This frame's share of dL/dM [batch, accumulators, H] and dL/dstate[t-1] [batch, H]."""
        ...


def _within(v: Integers, q: Q) -> bool:
    return bool((sat(v, q) == v).all())


def _times(error: Integers, factor: Integers, frac: int, q: Q) -> Integers:
    """One multiplication and its rounding: every error is made by this."""
    return sat(rshift(error * factor, frac), q)


def _gates(formats: Formats, index: Integers, tables: Sequence[Any]) -> list[Integers]:
    """Table entries of readouts or candidates that are already table indices."""
    pre = formats.preactivation
    return [
        table(pre, formats.gate)[sat(index[:, :, n], pre) - pre.min]
        for n, table in enumerate(tables)
    ]


class FixedGRU:
    """The state is h; slopes are of c, of u and of r; gates are r and u."""

    rows_x: tuple[int, ...] = (0, 1, 2)
    rows_h: tuple[int, ...] = (0, 1, 3)

    def layer(
        self, formats: Formats, parameters: LayerParameters, masters: Masters, batch: int
    ) -> DeltaGRU:
        return DeltaGRU(formats, parameters, GRUWeights(*vars(masters).values()), batch)

    def slopes(
        self, formats: Formats, slope: Q, frac: int, m: Integers, states: Integers
    ) -> Slopes:
        readout = sat(rshift(m, formats.readout_shift(frac)), formats.readout)
        index = rshift(readout[:, :, :2], formats.index_shift)
        r, u = _gates(formats, index, (sigmoid_table, sigmoid_table))
        m_xc, m_hc = readout[:, :, 2], readout[:, :, 3]
        candidate = rshift((m_xc << formats.gate.f) + r * m_hc, formats.candidate_shift)
        (c,) = _gates(formats, candidate[:, :, None], (tanh_table,))
        f, one = formats.gate.f, formats.gate.scale
        h_c = (states[:-1] << (formats.blend_frac - formats.state.f)) - (
            c << (formats.blend_frac - f)
        )
        of_c = rshift((one - u) * (one * one - c * c), 3 * f - slope.f)
        of_u = rshift(h_c * u * (one - u), formats.blend_frac + 2 * f - slope.f)
        of_r = rshift(m_hc * r * (one - r), formats.readout.f + 2 * f - slope.f)
        slopes = sat(np.stack([of_c, of_u, of_r], axis=2), slope)
        return Slopes(slopes, np.stack([r, u], axis=2))

    def own(
        self,
        formats: Formats,
        training: TrainingFormats,
        at: Slopes,
        of_h: Integers,
        of_s: Integers,
    ) -> tuple[Integers, Integers]:
        q, f, frac = training.error, formats.gate.f, training.slope.f
        error = sat(of_h + of_s, q)
        of_c = _times(error, at.slopes[:, 0], frac, q)
        of_u = _times(error, at.slopes[:, 1], frac, q)
        of_r = _times(of_c, at.slopes[:, 2], frac, q)
        of_hc = _times(of_c, at.gates[:, 0], f, q)
        own = np.stack([of_r, of_u, of_c, of_hc], axis=1)
        return own, _times(error, at.gates[:, 1], f, q)


class FixedLSTM:
    """The state is c; slopes are of i, f, g, o and of c as h shows it; the gate is f."""

    rows_x: tuple[int, ...] = (0, 1, 2, 3)
    rows_h: tuple[int, ...] = (0, 1, 2, 3)

    def layer(
        self, formats: Formats, parameters: LayerParameters, masters: Masters, batch: int
    ) -> DeltaLSTM:
        return DeltaLSTM(formats, parameters, LSTMWeights(*vars(masters).values()), batch)

    def slopes(
        self, formats: Formats, slope: Q, frac: int, m: Integers, states: Integers
    ) -> Slopes:
        readout = sat(rshift(m, formats.readout_shift(frac)), formats.readout)
        index = rshift(readout, formats.index_shift)
        i, f, g, o = _gates(
            formats, index, (sigmoid_table, sigmoid_table, tanh_table, sigmoid_table)
        )
        shown = rshift(states[1:], formats.cell_index_shift)
        (y,) = _gates(formats, shown[:, :, None], (tanh_table,))
        fraction, one = formats.gate.f, formats.gate.scale
        n = 3 * fraction - slope.f
        of_f = states[:-1] * f * (one - f)
        slopes = [
            rshift(g * i * (one - i), n),
            rshift(of_f, formats.cell.f + 2 * fraction - slope.f),
            rshift(i * (one * one - g * g), n),
            rshift(y * o * (one - o), n),
            rshift(o * (one * one - y * y), n),
        ]
        return Slopes(sat(np.stack(slopes, axis=2), slope), f[:, :, None])

    def own(
        self,
        formats: Formats,
        training: TrainingFormats,
        at: Slopes,
        of_h: Integers,
        of_s: Integers,
    ) -> tuple[Integers, Integers]:
        q, frac = training.error, training.slope.f
        of_c = sat(of_s + _times(of_h, at.slopes[:, 4], frac, q), q)
        of_gates = np.stack([of_c, of_c, of_c, of_h], axis=1)
        own = _times(of_gates, at.slopes[:, :4], frac, q)
        return own, _times(of_c, at.gates[:, 0], formats.gate.f, q)


class FixedLinear:
    """No state, no slopes: errors are of M itself."""

    rows_x: tuple[int, ...] = (0,)
    rows_h: tuple[int, ...] = ()

    def layer(
        self, formats: Formats, parameters: LayerParameters, masters: Masters, batch: int
    ) -> DeltaLinear:
        weights = LinearWeights(masters.weight_x, masters.bias)
        return DeltaLinear(formats, parameters, weights, batch)

    def slopes(
        self, formats: Formats, slope: Q, frac: int, m: Integers, states: Integers
    ) -> Slopes:
        return Slopes(m[:, :, :0], m[:, :, :0])

    def own(
        self,
        formats: Formats,
        training: TrainingFormats,
        at: Slopes,
        of_h: Integers,
        of_s: Integers,
    ) -> tuple[Integers, Integers]:
        return of_h[:, None], of_s


CELLS: dict[str, FixedCell] = {"gru": FixedGRU(), "lstm": FixedLSTM(), "linear": FixedLinear()}


@dataclass(frozen=True)
class FixedTape:
    """What the backward pass of a layer needs, frame by frame.

    ``deltas_x`` [T, batch, I] and ``deltas_h`` [T, batch, H] in activation LSBs, 0 where nothing
    fired; a core keeps lists of the others.
    """

    deltas_x: Integers
    deltas_h: Integers
    slopes: Slopes


class Rounding(Protocol):
    """How a weight update loses its lowest bits (golden.learn.noise)."""

    def shift(self, v: Integers, n: int) -> Integers: ...


@dataclass(frozen=True)
class Trainee:
    """A network that learns: formats, layers and their masters.

    A layer's ``weight_frac`` is of no use here: it follows from its masters.
    """

    formats: Formats
    training: TrainingFormats
    layers: tuple[LayerParameters, ...]
    masters: tuple[Masters, ...]

    def frac(self, k: int) -> int:
        """f_w of layer k: the largest for which no weight saturates, as docs/numerics.md has it."""
        masters, f = self.masters[k], self.training.master.f
        both = np.concatenate([masters.weight_x.ravel(), masters.weight_h.ravel()])
        ends = np.array([both.min(), both.max()])
        fits = (n for n in range(WEIGHT_FRAC_MAX, 0, -1) if _within(rshift(ends, f - n), WEIGHT))
        return next(fits, 0)

    def weights(self, k: int) -> Masters:
        """Layer k's as inference has them: 8 bits, and biases with f_act + f_w fraction bits."""
        masters, n = self.masters[k], self.training.master.f - self.frac(k)
        of_x, of_h = (sat(rshift(w, n), WEIGHT) for w in (masters.weight_x, masters.weight_h))
        return Masters(of_x, of_h, rshift(masters.bias, n - self.formats.activation.f))

    def forward(self, frames: Integers) -> tuple[Integers, list[FixedTape]]:
        """Outputs [batch, T, O] of frames [batch, T, I] in activation LSBs, and the tapes."""
        v, tapes = frames.swapaxes(0, 1).astype(np.int64), []
        for k, parameters in enumerate(self.layers):
            v, tape = self._forward(k, parameters, v)
            tapes.append(tape)
        return v.swapaxes(0, 1), tapes

    def _forward(
        self, k: int, parameters: LayerParameters, v: Integers
    ) -> tuple[Integers, FixedTape]:
        cell, batch = CELLS[parameters.kind], v.shape[1]
        parameters = replace(parameters, weight_frac=self.frac(k))
        layer = cell.layer(self.formats, parameters, self.weights(k), batch)
        nothing = np.zeros((batch, 0), dtype=np.int64)
        outputs, deltas_x, deltas_h, m = [], [], [], []
        states = [getattr(layer, "state", nothing)]
        for x in v:
            outputs.append(layer.step(x))
            deltas_x.append(layer.deltas_x)
            deltas_h.append(getattr(layer, "deltas_h", nothing))
            m.append(layer.m.reshape(batch, -1, parameters.units).copy())
            states.append(getattr(layer, "state", nothing))
        frac, slope = parameters.weight_frac, self.training.slope
        slopes = cell.slopes(self.formats, slope, frac, np.stack(m), np.stack(states))
        return np.stack(outputs), FixedTape(np.stack(deltas_x), np.stack(deltas_h), slopes)

    def backward(self, tapes: Sequence[FixedTape], of_outputs: Integers) -> list[Masters]:
        """Every layer's gradient, in gradient LSBs, from dL/doutputs [batch, T, O] in error LSBs.

        For a read-out, dL/doutput is by M as a real number.
        """
        errors, gradients = of_outputs.swapaxes(0, 1), []
        for k in reversed(range(len(self.layers))):
            gradient, errors = self._backward(k, tapes[k], errors)
            gradients.insert(0, gradient)
        return gradients

    def _backward(self, k: int, tape: FixedTape, errors: Integers) -> tuple[Masters, Integers]:
        parameters = replace(self.layers[k], weight_frac=self.frac(k))
        q = self.training.error
        cell, weights = CELLS[parameters.kind], self.weights(k)
        frames, batch = tape.deltas_x.shape[:2]
        of_x = _Columns(self, parameters, weights.weight_x, batch)
        of_h = _Columns(self, parameters, weights.weight_h, batch)
        of_m = np.zeros((batch, parameters.accumulators, parameters.units), dtype=np.int64)
        of_s, carried = np.zeros((2, batch, parameters.units), dtype=np.int64)
        of_frames = np.zeros_like(tape.deltas_x)
        for t in reversed(range(frames)):
            at = Slopes(tape.slopes.slopes[t], tape.slopes.gates[t])
            of_output = sat(errors[t] + carried, q)
            own, of_s = cell.own(self.formats, self.training, at, of_output, of_s)
            of_m = sat(of_m + own, q)
            of_frames[t] = of_x.step(of_m[:, cell.rows_x], tape.deltas_x[t])
            if parameters.recurrent:
                carried = of_h.step(of_m[:, cell.rows_h], tape.deltas_h[t])
        gradient = self.training.gradient
        of_bias = sat(rshift(of_m.sum(axis=0), q.f - gradient.f), gradient)
        return Masters(of_x.gradient, of_h.gradient, of_bias.ravel()), of_frames

    def updated(self, gradients: Sequence[Masters], rate: int, rounding: Rounding) -> "Trainee":
        """After a step of gradient descent with learning rate 2^-``rate``."""
        new = []
        n, master = self.training.gradient.f + rate - self.training.master.f, self.training.master
        for masters, gradient in zip(self.masters, gradients, strict=True):
            parts = zip(vars(masters).values(), vars(gradient).values(), strict=True)
            new.append(Masters(*(sat(w - rounding.shift(g, n), master) for w, g in parts)))
        return replace(self, masters=tuple(new))


class _Columns:
    """The two products of the backward pass for one encoder, and what becomes of dL/dv^."""

    def __init__(
        self, trainee: Trainee, parameters: LayerParameters, weight: Integers, batch: int
    ) -> None:
        self.training, self.frac = trainee.training, parameters.weight_frac
        self.product_shift = (
            self.training.error.f + trainee.formats.activation.f - self.training.gradient.f
        )
        self.weight = weight.astype(np.float64)  # exact below 2^53, and fast
        self.gradient = np.zeros_like(weight)
        self.held = np.zeros((batch, weight.shape[1]), dtype=np.int64)

    def step(self, of_m: Integers, deltas: Integers) -> Integers:
        """dL/dv [batch, columns] from dL/dM [batch, gates, units] and the frame's deltas."""
        error, q = of_m.reshape(len(of_m), -1), self.training.error
        real = error.astype(np.float64)
        products = rshift((real.T @ deltas).astype(np.int64), self.product_shift)
        self.gradient = sat(self.gradient + products, self.training.gradient)
        of_deltas = sat(rshift((real @ self.weight).astype(np.int64), self.frac), q)
        fired = deltas != 0
        of_v = np.where(fired, sat(self.held + of_deltas, q), 0)
        self.held = np.where(fired, sat(-of_deltas, q), self.held)
        return of_v
