"""golden.learn.sequence compiled, for one GRU layer and a read-out: the same bits, much sooner.

Learning takes one sequence after another, so nothing of it can be made wide. What a network of 32
units learns of a short sequence takes golden some 10 ms, and a course has ten thousand of them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from golden.errors import refusal
from golden.fixed import Integers, Q
from golden.learn.sequence import LearningNetwork
from golden.tables import sigmoid_table, tanh_table

part = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called from compiled code alone


class Numbers(NamedTuple):
    """What the formats come to: shifts, fraction bits and limits."""

    below: int
    frac_gru: int
    frac_readout: int
    act: int
    readout: int
    index: int
    candidate: int
    gate: int
    blend_h: int
    blend_c: int
    update: int
    output: int
    slope: int
    of_c: int
    of_u: int
    of_r: int
    activation_range: tuple[int, int]
    readout_range: tuple[int, int]
    pre_range: tuple[int, int]
    state_range: tuple[int, int]
    slope_range: tuple[int, int]
    error_range: tuple[int, int]
    master_range: tuple[int, int]


class Carried(NamedTuple):
    """What goes on from chunk to chunk, changed in place: v^ of x [I], of h [H] and of the
    read-out's x [H], the state [H], h as others see it [H], and M of x and h [3H] and of the
    read-out [O]."""

    x: Integers
    h: Integers
    above: Integers
    state: Integers
    a: Integers
    m_x: Integers
    m_h: Integers
    m: Integers


class Kept(NamedTuple):
    """A sequence's tape: deltas [T, columns] of x, of h and of the read-out's x, slopes [T, 5, H],
    and the sums of the results [O]."""

    x: Integers
    h: Integers
    above: Integers
    slopes: Integers
    sums: Integers


@part
def _rshift(v, n):
    return (v + (1 << (n - 1))) >> n if n > 0 else v << -n


@part
def _sat(v, q):
    return min(max(v, q[0]), q[1])


@part
def _encode(v, sent, theta, deltas):
    for j in range(len(v)):
        d = v[j] - sent[j]
        if abs(d) > theta:
            deltas[j] = d
            sent[j] = v[j]


@part
def _add(m, weight, deltas, below):
    """m += weight deltas; m [rows], weight [rows, columns] as masters."""
    for j in range(len(deltas)):
        if deltas[j] != 0:
            for row in range(len(m)):
                m[row] += (weight[row, j] >> below) * deltas[j]


@part
def _entry(table, index, q):
    return table[_sat(index, q) - q[0]]


@part
def _gate(table, m, n):
    readout = _sat(_rshift(m, n.readout), n.readout_range)
    return _entry(table, _rshift(readout, n.index), n.pre_range)


@part
def _resend(sent, deltas, m, one):
    """In an opening frame M begins anew: all of v^ is sent, and so is the constant column."""
    m[:] = 0
    deltas[: len(sent)] = sent
    deltas[len(sent)] = one


@njit
def _infer(frames, carried, opens, thetas, n, sigmoid, tanh, x, h, top, kept):
    length, units, one = len(frames), h.shape[0] // 3, 1 << n.gate
    state, a = carried.state, carried.a
    m_x, m_h, m = carried.m_x, carried.m_h, carried.m
    for t in range(length):
        _encode(frames[t], carried.x, thetas[0], kept.x[t])
        _encode(a, carried.h, thetas[1], kept.h[t])
        if opens and t == 0:
            _resend(carried.x, kept.x[0], m_x, 1 << n.act)
            _resend(carried.h, kept.h[0], m_h, 1 << n.act)
        _add(m_x, x, kept.x[t], n.below)
        _add(m_h, h, kept.h[t], n.below)
        for k in range(units):
            r = _gate(sigmoid, m_x[k] + m_h[k], n)
            u = _gate(sigmoid, m_x[units + k] + m_h[units + k], n)
            m_xc = _sat(_rshift(m_x[2 * units + k], n.readout), n.readout_range)
            m_hc = _sat(_rshift(m_h[2 * units + k], n.readout), n.readout_range)
            c = _entry(tanh, _rshift(m_xc * one + r * m_hc, n.candidate), n.pre_range)
            h_c = (state[k] << n.blend_h) - (c << n.blend_c)
            of_c = _rshift((one - u) * (one * one - c * c), n.of_c)
            kept.slopes[t, 0, k] = _sat(of_c, n.slope_range)
            kept.slopes[t, 1, k] = _sat(_rshift(h_c * (u * (one - u)), n.of_u), n.slope_range)
            kept.slopes[t, 2, k] = _sat(_rshift(m_hc * (r * (one - r)), n.of_r), n.slope_range)
            kept.slopes[t, 3, k], kept.slopes[t, 4, k] = r, u
            blend = (c << n.blend_c) * one + u * h_c
            state[k] = _sat(_rshift(blend, n.update), n.state_range)
            a[k] = _sat(_rshift(state[k], n.output), n.activation_range)
        _encode(a, carried.above, thetas[2], kept.above[t])
        if opens and t == 0:
            _resend(carried.above, kept.above[0], m, 1 << n.act)
        _add(m, top, kept.above[t], n.below)
        for o in range(len(m)):
            kept.sums[o] += m[o]


@part
def _sweep(masters, g, deltas, held, of_v, frac, shift, cost, n):
    """A list on its way back: dL/dv of its columns, and the masters' step."""
    for j in range(len(deltas)):
        of_v[j], d = 0, deltas[j]
        if d == 0:
            continue
        total = 0
        for row in range(len(g)):
            old = masters[row, j]
            total += (old >> n.below) * g[row]
            masters[row, j] = _sat(old + _rshift(-g[row] * d, shift), n.master_range)
        of_delta = _sat(_rshift(total, frac) + (cost if d > 0 else -cost), n.error_range)
        of_v[j] = _sat(held[j] + of_delta, n.error_range)
        held[j] = _sat(-of_delta, n.error_range)


@part
def _times(error, factor, frac, n):
    return _sat(_rshift(error * factor, frac), n.error_range)


@njit
def _back(kept, of_result, n, shifts, cost, x, h, top):
    length, _, units = kept.slopes.shape
    g = np.zeros(len(of_result), np.int64)
    g_x, g_h = np.zeros(3 * units, np.int64), np.zeros(3 * units, np.int64)
    of_state = np.zeros(units, np.int64)
    held_x, of_x = np.zeros(x.shape[1], np.int64), np.zeros(x.shape[1], np.int64)
    held_h, of_h = np.zeros(units + 1, np.int64), np.zeros(units + 1, np.int64)
    held, of_above = np.zeros(units + 1, np.int64), np.zeros(units + 1, np.int64)
    for t in range(length - 1, -1, -1):
        for o in range(len(g)):
            g[o] = _sat(g[o] + of_result[o], n.error_range)
        above = kept.above[t]
        _sweep(top, g, above, held, of_above, n.frac_readout, shifts[1], cost, n)
        for k in range(units):
            s_c, s_u, s_r = kept.slopes[t, 0, k], kept.slopes[t, 1, k], kept.slopes[t, 2, k]
            r, u = kept.slopes[t, 3, k], kept.slopes[t, 4, k]
            e = _sat(_sat(of_above[k] + of_h[k], n.error_range) + of_state[k], n.error_range)
            of_c = _times(e, s_c, n.slope, n)
            of_r = _times(of_c, s_r, n.slope, n)
            of_u = _times(e, s_u, n.slope, n)
            of_hc = _times(of_c, r, n.gate, n)
            of_state[k] = _times(e, u, n.gate, n)
            g_x[k] = g_h[k] = _sat(g_x[k] + of_r, n.error_range)
            g_x[units + k] = g_h[units + k] = _sat(g_x[units + k] + of_u, n.error_range)
            g_x[2 * units + k] = _sat(g_x[2 * units + k] + of_c, n.error_range)
            g_h[2 * units + k] = _sat(g_h[2 * units + k] + of_hc, n.error_range)
        _sweep(x, g_x, kept.x[t], held_x, of_x, n.frac_gru, shifts[0], 0, n)
        _sweep(h, g_h, kept.h[t], held_h, of_h, n.frac_gru, shifts[0], cost, n)


class InPlace:
    """A golden network's masters, learned in place by compiled code.

    Raises ValueError where the network is not one GRU layer and a read-out.
    """

    def __init__(self, network: LearningNetwork) -> None:
        kinds = [layer.kind for layer in network.layers]
        if kinds != ["gru", "linear"]:
            raise refusal("layers", str(kinds), "['gru', 'linear']")
        self.network = network
        formats, learning = network.formats, network.learning
        gru, readout = network.layers
        gate, slope, frac = formats.gate.f, learning.slope.f, formats.blend_frac

        def ends(q: Q) -> tuple[int, int]:
            return q.min, q.max

        self.numbers = Numbers(
            learning.below,
            gru.weight_frac,
            readout.weight_frac,
            formats.activation.f,
            formats.readout_shift(gru.weight_frac),
            formats.index_shift,
            formats.candidate_shift,
            gate,
            frac - formats.state.f,
            frac - gate,
            formats.update_shift,
            formats.output_shift,
            slope,
            3 * gate - slope,
            frac + 2 * gate - slope,
            formats.readout.f + 2 * gate - slope,
            ends(formats.activation),
            ends(formats.readout),
            ends(formats.preactivation),
            ends(formats.state),
            ends(learning.slope),
            ends(learning.error),
            ends(learning.range),
        )
        pre = formats.preactivation
        self.tables = sigmoid_table(pre, formats.gate).copy(), tanh_table(pre, formats.gate).copy()
        self.thetas = gru.theta_x, gru.theta_h or 0, readout.theta_x

    @property
    def _masters(self) -> tuple[Integers, Integers, Integers]:
        gru, readout = self.network.masters
        return gru.x, gru.h, readout.x

    def reset(self) -> Carried:
        """What a sequence begins with."""
        gru, readout = self.network.layers
        units = gru.units
        sizes = (gru.inputs, units, units, units, units, 3 * units, 3 * units, readout.units)
        return Carried(*(np.zeros(size, np.int64) for size in sizes))

    def infer(self, frames: Integers, carried: Carried | None = None, opens: bool = True) -> Kept:
        """The tape and the sums of frames [T, I] in activation LSBs, a sequence or a chunk of one.

        A chunk goes on from ``carried``, and changes it. Without ``opens`` its first frame is like
        any other: M stays that of the weights before the last step. That is not golden's: it is
        for comparison.
        """
        frames = np.ascontiguousarray(frames, dtype=np.int64)
        x, h, top = self._masters
        units = top.shape[1] - 1
        of_x, of_h, above = (np.zeros((len(frames), v.shape[1]), np.int64) for v in (x, h, top))
        slopes, sums = np.zeros((len(frames), 5, units), np.int64), np.zeros(len(top), np.int64)
        kept = Kept(of_x, of_h, above, slopes, sums)
        numbers, begins = self.numbers, carried or self.reset()
        _infer(frames, begins, opens, self.thetas, numbers, *self.tables, x, h, top, kept)
        return kept

    def learn(self, kept: Kept, of_result: Integers, rate: int, cost: int) -> None:
        """Learns what ``infer`` kept, from dL/dresult [O], with register RATE at 1 or more."""
        shifts = tuple(
            self.network.learning.step_shift(self.network.formats, layer.weight_frac, rate)
            for layer in self.network.layers
        )
        _back(kept, of_result, self.numbers, shifts, cost, *self._masters)
