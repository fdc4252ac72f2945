"""docs/training-core.md in Python's own integers, unit by unit, against golden in every bit."""

import numpy as np
import pytest

from golden.fixed import Q
from golden.formats import Formats
from golden.learn.fixed_point import Masters, Trainee, TrainingFormats
from golden.parameters import LayerParameters
from golden.tables import sigmoid_table, tanh_table
from tests.page import page_rshift, page_sat

H, I, O, T = 5, 4, 3, 14  # noqa: E741
FORMATS = {
    "defaults": (Formats(), TrainingFormats()),
    "wide state, narrow errors": (
        Formats(state=Q(1, 14), cell=Q(2, 9)),
        TrainingFormats(error=Q(0, 9), gradient=Q(0, 10), slope=Q(0, 10), master=Q(3, 12)),
    ),
}
FEEDS = {"gru": ((0, 1, 2), (0, 1, 3)), "lstm": ((0, 1, 2, 3), (0, 1, 2, 3)), "linear": ((0,), ())}


def entry(table, formats, index):
    pre = formats.preactivation
    return int(table(pre, formats.gate)[page_sat(index, pre) - pre.min])


class Page:
    """One layer of the page, and what it remembers of each frame."""

    def __init__(self, trainee, k, deltas_x, deltas_h):
        self.f, self.t = trainee.formats, trainee.training
        self.layer, self.frac = trainee.layers[k], trainee.frac(k)
        self.kind, self.units = self.layer.kind, self.layer.units
        masters = trainee.masters[k]
        n = self.t.master.f - self.frac
        self.w = [
            [[page_sat(page_rshift(int(v), n), Q(0, 7)) for v in row] for row in weights]
            for weights in (masters.weight_x, masters.weight_h)
        ]
        self.bias = [page_rshift(int(b), n - self.f.activation.f) for b in masters.bias]
        self.deltas = [[[int(d) for d in row] for row in each] for each in (deltas_x, deltas_h)]

    def rows(self, side, unit):
        """(accumulator, row of W) of a unit."""
        return [(a, g * self.units + unit) for g, a in enumerate(FEEDS[self.kind][side])]

    def frames(self):
        """Factors of every unit in every frame, from M = W v^ + bias."""
        sums = self.layer.accumulators
        m = [[self.bias[a * self.units + u] for a in range(sums)] for u in range(self.units)]
        state, made = [0] * self.units, []
        for t in range(len(self.deltas[0])):
            for side in (0, 1):
                for j, d in enumerate(self.deltas[side][t]):
                    for u in range(self.units):
                        for a, row in self.rows(side, u):
                            m[u][a] += self.w[side][row][j] * d
            factors = []
            for u in range(self.units):
                state[u], factor = getattr(self, self.kind)(m[u], state[u])
                factors.append(factor)
            made.append(factors)
        return made

    def readout(self, v):
        return page_sat(page_rshift(v, self.f.readout_shift(self.frac)), self.f.readout)

    def gate(self, table, v):
        return entry(table, self.f, page_rshift(self.readout(v), self.f.index_shift))

    def slope(self, v, frac):
        return page_sat(page_rshift(v, frac - self.t.slope.f), self.t.slope)

    def linear(self, m, state):
        return state, ()

    def gru(self, m, h):
        f, one, gate = self.f, self.f.gate.scale, self.f.gate.f
        r, u = (self.gate(sigmoid_table, v) for v in m[:2])
        pre = self.readout(m[2]) * one + r * self.readout(m[3])
        c = entry(tanh_table, f, page_rshift(pre, f.readout.f + gate - f.preactivation.f))
        top = max(gate, f.state.f)
        old, new = h * 2 ** (top - f.state.f), c * 2 ** (top - gate)
        s_c = self.slope((one - u) * (one**2 - c**2), 3 * gate)
        s_u = self.slope((old - new) * u * (one - u), top + 2 * gate)
        s_r = self.slope(self.readout(m[3]) * r * (one - r), f.readout.f + 2 * gate)
        blend = new * one + u * (old - new)
        return page_sat(page_rshift(blend, top + gate - f.state.f), f.state), (s_c, s_u, s_r, r, u)

    def lstm(self, m, c):
        f, one, gate = self.f, self.f.gate.scale, self.f.gate.f
        i, k, o = (self.gate(sigmoid_table, m[n]) for n in (0, 1, 3))
        g = self.gate(tanh_table, m[2])
        top = max(gate, f.cell.f)
        both = k * c * 2 ** (top - f.cell.f) + i * g * 2 ** (top - gate)
        new = page_sat(page_rshift(both, top + gate - f.cell.f), f.cell)
        y = entry(tanh_table, f, page_rshift(new, f.cell.f - f.preactivation.f))
        slopes = (
            self.slope(g * i * (one - i), 3 * gate),
            self.slope(c * k * (one - k), f.cell.f + 2 * gate),
            self.slope(i * (one**2 - g**2), 3 * gate),
            self.slope(y * o * (one - o), 3 * gate),
            self.slope(o * (one**2 - y**2), 3 * gate),
        )
        return new, (*slopes, k)

    def times(self, e, s, frac):
        return page_sat(page_rshift(e * s, frac), self.t.error)

    def own(self, e, of_state, factors):
        """a of each accumulator, and dL/dstate of the frame before."""
        q, s, gate = self.t.error, self.t.slope.f, self.f.gate.f
        if self.kind == "linear":
            return [e], 0
        if self.kind == "gru":
            s_c, s_u, s_r, r, u = factors
            both = page_sat(e + of_state, q)
            a_xc = self.times(both, s_c, s)
            a_u, a_r = self.times(both, s_u, s), self.times(a_xc, s_r, s)
            return [a_r, a_u, a_xc, self.times(a_xc, r, gate)], self.times(both, u, gate)
        *s_ifgo, s_y, k = factors
        both = page_sat(of_state + self.times(e, s_y, s), q)
        a = [
            self.times(each, slope, s) for each, slope in zip([both] * 3 + [e], s_ifgo, strict=True)
        ]
        return a, self.times(both, k, gate)

    def backward(self, errors):
        """dW_x, dW_h, dbias and dL/dx of every frame."""
        q, gradient = self.t.error, self.t.gradient
        made = self.frames()
        of_m = [[0] * self.layer.accumulators for _ in range(self.units)]
        of_state, of_h = [0] * self.units, [0] * self.units
        d_w = [[[0] * len(row) for row in side] for side in self.w]
        held = [[0] * len(each[0]) for each in self.deltas]
        of_x = []
        for t in reversed(range(len(made))):
            for u in range(self.units):
                e = page_sat(errors[t][u] + of_h[u], q)
                a, of_state[u] = self.own(e, of_state[u], made[t][u])
                of_m[u] = [page_sat(g + each, q) for g, each in zip(of_m[u], a, strict=True)]
            of_v = [[0] * len(side) for side in held]
            for side in (0, 1):
                for j, d in enumerate(self.deltas[side][t]):
                    if d == 0:
                        continue
                    total = 0
                    for u in range(self.units):
                        for accumulator, row in self.rows(side, u):
                            g = of_m[u][accumulator]
                            total += self.w[side][row][j] * g
                            step = page_rshift(g * d, q.f + self.f.activation.f - gradient.f)
                            d_w[side][row][j] = page_sat(d_w[side][row][j] + step, gradient)
                    of_delta = page_sat(page_rshift(total, self.frac), q)
                    of_v[side][j] = page_sat(held[side][j] + of_delta, q)
                    held[side][j] = page_sat(-of_delta, q)
            of_x.insert(0, of_v[0])
            if self.kind != "linear":
                of_h = of_v[1]
        d_bias = [
            page_sat(page_rshift(of_m[u][a], q.f - gradient.f), gradient)
            for a in range(self.layer.accumulators)
            for u in range(self.units)
        ]
        return d_w, d_bias, of_x


@pytest.mark.parametrize("formats", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_golden_is_the_page(kind, formats):
    formats, training = formats
    rng = np.random.default_rng(8)
    large = training.master.scale

    def draw(*shape):
        return rng.integers(-large, large, shape)

    gates = {"gru": 3, "lstm": 4}[kind]
    layers = (LayerParameters(kind, I, H, 0, 5, 2), LayerParameters("linear", H, O, 0, 1))
    masters = (
        Masters(draw(gates * H, I), draw(gates * H, H), draw(4 * H)),
        Masters(draw(O, H), draw(O, 0), draw(O)),
    )
    trainee = Trainee(formats, training, layers, masters)
    frames = np.clip(np.cumsum(rng.integers(-9, 10, (1, T, I)), axis=1), -128, 127)
    _, tapes = trainee.forward(frames)
    limit = training.error.max // 6
    errors = rng.integers(-limit, limit, (1, T, O))
    found = trainee.backward(tapes, errors)
    of_outputs = errors[0].tolist()
    for k in (1, 0):
        page = Page(trainee, k, tapes[k].deltas_x[:, 0], tapes[k].deltas_h[:, 0])
        (of_x, of_h), of_bias, of_outputs = page.backward(of_outputs)
        assert found[k].weight_x.tolist() == of_x
        assert found[k].weight_h.tolist() == of_h
        assert found[k].bias.tolist() == of_bias
    assert np.count_nonzero(found[0].weight_h) > found[0].weight_h.size // 2
