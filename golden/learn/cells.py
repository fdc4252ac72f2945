"""A unit's slopes, and how errors go through them (docs/training-core.md, "Slopes", "Errors")."""

from typing import Protocol

import numpy as np

from golden import gru, lstm
from golden.fixed import Integers, Q, rshift, sat
from golden.formats import Formats
from golden.learn.formats import LearningFormats


class Cell(Protocol):
    """A kind of layer: where its products go, what it keeps of a frame, how errors come back.

    ``rows_x`` and ``rows_h`` name the accumulators of each gate's product with x and with h, and
    ``kept`` what the tape has of each unit, in the order of its axis.
    """

    rows_x: tuple[int, ...]
    rows_h: tuple[int, ...]
    kept: tuple[str, ...]

    def keep(
        self, formats: Formats, slope: Q, frac: int, m: Integers, states: Integers
    ) -> Integers:
        """[T, kept, H] from accumulators [T, K, H] and states [T + 1, H] before and after."""
        ...

    def errors(
        self,
        formats: Formats,
        learning: LearningFormats,
        kept: Integers,
        of_h: Integers,
        of_state: Integers,
    ) -> tuple[Integers, Integers]:
        """This frame's share of dL/dM [K, H], and dL/dstate of the frame before [H]."""
        ...


def _times(error: Integers, factor: Integers, frac: int, q: Q) -> Integers:
    """One multiplication and its rounding: every error is made by this."""
    return sat(rshift(error * factor, frac), q)


class GRU:
    """The state is h. Slopes of c, u and r, and the gates r and u."""

    rows_x: tuple[int, ...] = (0, 1, 2)
    rows_h: tuple[int, ...] = (0, 1, 3)
    kept: tuple[str, ...] = ("s_c", "s_u", "s_r", "r", "u")

    def keep(
        self, formats: Formats, slope: Q, frac: int, m: Integers, states: Integers
    ) -> Integers:
        r, u, c, m_hc = gru.gates(formats, frac, m)
        f, one = formats.gate.f, formats.gate.scale
        h_blend = states[:-1] << (formats.blend_frac - formats.state.f)
        h_c = h_blend - (c << (formats.blend_frac - f))
        slopes = [
            rshift((one - u) * (one * one - c * c), 3 * f - slope.f),
            rshift(h_c * (u * (one - u)), formats.blend_frac + 2 * f - slope.f),
            rshift(m_hc * (r * (one - r)), formats.readout.f + 2 * f - slope.f),
        ]
        return np.stack([*(sat(s, slope) for s in slopes), r, u], axis=1)

    def errors(
        self,
        formats: Formats,
        learning: LearningFormats,
        kept: Integers,
        of_h: Integers,
        of_state: Integers,
    ) -> tuple[Integers, Integers]:
        q, f, frac = learning.error, formats.gate.f, learning.slope.f
        s_c, s_u, s_r, r, u = kept
        error = sat(of_h + of_state, q)
        of_c, of_u = _times(error, np.stack([s_c, s_u]), frac, q)
        of_r, of_hc = _times(of_c, s_r, frac, q), _times(of_c, r, f, q)
        return np.stack([of_r, of_u, of_c, of_hc]), _times(error, u, f, q)


class LSTM:
    """The state is c. Slopes of i, f, g, o and of c as h shows it, and the gate f."""

    rows_x: tuple[int, ...] = (0, 1, 2, 3)
    rows_h: tuple[int, ...] = (0, 1, 2, 3)
    kept: tuple[str, ...] = ("s_i", "s_f", "s_g", "s_o", "s_y", "f")

    def keep(
        self, formats: Formats, slope: Q, frac: int, m: Integers, states: Integers
    ) -> Integers:
        i, f, g, o = lstm.gates(formats, frac, m)
        y = lstm.shown(formats, states[1:])
        fraction, one = formats.gate.f, formats.gate.scale
        n = 3 * fraction - slope.f
        slopes = [
            rshift(g * (i * (one - i)), n),
            rshift(states[:-1] * (f * (one - f)), formats.cell.f + 2 * fraction - slope.f),
            rshift(i * (one * one - g * g), n),
            rshift(y * (o * (one - o)), n),
            rshift(o * (one * one - y * y), n),
        ]
        return np.stack([*(sat(s, slope) for s in slopes), f], axis=1)

    def errors(
        self,
        formats: Formats,
        learning: LearningFormats,
        kept: Integers,
        of_h: Integers,
        of_state: Integers,
    ) -> tuple[Integers, Integers]:
        q, frac = learning.error, learning.slope.f
        of_c = sat(of_state + _times(of_h, kept[4], frac, q), q)
        own = _times(np.stack([of_c, of_c, of_c, of_h]), kept[:4], frac, q)
        return own, _times(of_c, kept[5], formats.gate.f, q)


class Linear:
    """No state and nothing kept: errors are of M itself."""

    rows_x: tuple[int, ...] = (0,)
    rows_h: tuple[int, ...] = ()
    kept: tuple[str, ...] = ()

    def keep(
        self, formats: Formats, slope: Q, frac: int, m: Integers, states: Integers
    ) -> Integers:
        return m[:, :0]

    def errors(
        self,
        formats: Formats,
        learning: LearningFormats,
        kept: Integers,
        of_h: Integers,
        of_state: Integers,
    ) -> tuple[Integers, Integers]:
        return of_h[None], of_state


CELLS: dict[str, Cell] = {"gru": GRU(), "lstm": LSTM(), "linear": Linear()}
