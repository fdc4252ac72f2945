"""docs/training-core.md in Python's own integers, unit by unit, against golden in every bit."""

from collections import defaultdict

import numpy as np
import pytest

from golden.fixed import Q
from golden.formats import Formats
from golden.learn.formats import LearningFormats
from golden.learn.masters import Masters
from golden.learn.sequence import LearningNetwork, Settings
from golden.parameters import LayerParameters
from golden.tables import sigmoid_table, tanh_table
from tests.page import page_rshift, page_sat

H, I, O, T = 5, 4, 3, 11  # noqa: E741
FORMATS = {
    "defaults": (Formats(), LearningFormats()),
    "wide state, narrow errors": (
        Formats(state=Q(1, 14), cell=Q(2, 9)),
        LearningFormats(Q(0, 9), Q(0, 8), 20),
    ),
}
GATES = {"gru": 3, "lstm": 4, "linear": 1}
FEEDS = {"gru": ((0, 1, 2), (0, 1, 3)), "lstm": ((0, 1, 2, 3), (0, 1, 2, 3)), "linear": ((0,), ())}
SUMS = {"gru": 4, "lstm": 4, "linear": 1}


class Layer:
    """One layer of the page. Lists of events are dicts: a delta for each column that fired."""

    def __init__(self, network, k, rate, cost):
        self.f, self.l, self.rate, self.cost = network.formats, network.learning, rate, cost
        self.of, self.first = network.layers[k], k == 0
        self.units, self.kind = self.of.units, self.of.kind
        self.masters = [network.masters[k].x.tolist(), network.masters[k].h.tolist()]
        self.width = [len(side[0]) for side in self.masters]
        self.state, self.a = [0] * self.units, [0] * self.units
        self.sent = [[0] * self.of.inputs, [0] * self.units]

    def weight(self, side, row, column):
        return self.masters[side][row][column] // 2 ** (self.l.master - 8)

    def rows(self, side):
        """(unit, accumulator, row of W)."""
        feeds = enumerate(FEEDS[self.kind][side])
        return [(u, a, g * self.units + u) for g, a in feeds for u in range(self.units)]

    # Forward ------------------------------------------------------------------------------------

    def forward(self, frames):
        """A sequence, or its next chunk: M begins anew, the state and v^ go on."""
        self.events, self.kept, out = ([], []), [], []
        m = [[0] * SUMS[self.kind] for _ in range(self.units)]
        state, a, sent = self.state, self.a, self.sent
        thetas = self.of.theta_x, self.of.theta_h
        for t, x in enumerate(frames):
            for side, v in ((0, x), (1, a)):
                fired = {}
                if self.width[side]:
                    for j, value in enumerate(v):
                        if abs(value - sent[side][j]) > thetas[side]:
                            fired[j], sent[side][j] = value - sent[side][j], value
                    if t == 0:
                        fired = {j: value for j, value in enumerate(sent[side]) if value}
                        if self.width[side] > len(v):
                            fired[len(v)] = 2**self.f.activation.f
                self.events[side].append(fired)
                for u, sum_, row in self.rows(side):
                    for j, d in fired.items():
                        m[u][sum_] += self.weight(side, row, j) * d
            kept = []
            for u in range(self.units):
                state[u], a[u], factors = getattr(self, self.kind)(m[u], state[u])
                kept.append(factors)
            self.kept.append(kept)
            out.append(list(a))
        return out

    def readout(self, v):
        return page_sat(page_rshift(v, self.f.readout_shift(self.of.weight_frac)), self.f.readout)

    def entry(self, table, index):
        pre = self.f.preactivation
        return int(table(pre, self.f.gate)[page_sat(index, pre) - pre.min])

    def gate(self, table, v):
        return self.entry(table, page_rshift(self.readout(v), self.f.index_shift))

    def slope(self, v, frac):
        return page_sat(page_rshift(v, frac - self.l.slope.f), self.l.slope)

    def linear(self, m, state):
        return 0, m[0], ()

    def gru(self, m, h):
        f, one, gate = self.f, self.f.gate.scale, self.f.gate.f
        r, u = (self.gate(sigmoid_table, v) for v in m[:2])
        pre = self.readout(m[2]) * one + r * self.readout(m[3])
        c = self.entry(tanh_table, page_rshift(pre, f.readout.f + gate - f.preactivation.f))
        top = max(gate, f.state.f)
        old, new = h * 2 ** (top - f.state.f), c * 2 ** (top - gate)
        s_c = self.slope((one - u) * (one**2 - c**2), 3 * gate)
        s_u = self.slope((old - new) * u * (one - u), top + 2 * gate)
        s_r = self.slope(self.readout(m[3]) * r * (one - r), f.readout.f + 2 * gate)
        blend = new * one + u * (old - new)
        h = page_sat(page_rshift(blend, top + gate - f.state.f), f.state)
        a = page_sat(page_rshift(h, f.state.f - f.activation.f), f.activation)
        return h, a, (s_c, s_u, s_r, r, u)

    def lstm(self, m, c):
        f, one, gate = self.f, self.f.gate.scale, self.f.gate.f
        i, k, o = (self.gate(sigmoid_table, m[n]) for n in (0, 1, 3))
        g = self.gate(tanh_table, m[2])
        top = max(gate, f.cell.f)
        both = k * c * 2 ** (top - f.cell.f) + i * g * 2 ** (top - gate)
        new = page_sat(page_rshift(both, top + gate - f.cell.f), f.cell)
        y = self.entry(tanh_table, page_rshift(new, f.cell.f - f.preactivation.f))
        slopes = (
            self.slope(g * i * (one - i), 3 * gate),
            self.slope(c * k * (one - k), f.cell.f + 2 * gate),
            self.slope(i * (one**2 - g**2), 3 * gate),
            self.slope(y * o * (one - o), 3 * gate),
            self.slope(o * (one**2 - y**2), 3 * gate),
        )
        a = page_sat(page_rshift(o * y, 2 * gate - f.activation.f), f.activation)
        return new, a, (*slopes, k)

    # Backward -----------------------------------------------------------------------------------

    def begin(self):
        self.g = [[0] * SUMS[self.kind] for _ in range(self.units)]
        self.of_state, self.of_h = [0] * self.units, [0] * self.units
        self.held = [[0] * width for width in self.width]

    def times(self, e, s, frac):
        return page_sat(page_rshift(e * s, frac), self.l.error)

    def own(self, e, of_state, kept):
        q, s, gate = self.l.error, self.l.slope.f, self.f.gate.f
        if self.kind == "linear":
            return [e], 0
        if self.kind == "gru":
            s_c, s_u, s_r, r, u = kept
            both = page_sat(e + of_state, q)
            a_xc = self.times(both, s_c, s)
            a_u, a_r = self.times(both, s_u, s), self.times(a_xc, s_r, s)
            return [a_r, a_u, a_xc, self.times(a_xc, r, gate)], self.times(both, u, gate)
        *s_ifgo, s_y, k = kept
        both = page_sat(of_state + self.times(e, s_y, s), q)
        a = [
            self.times(each, slope, s) for each, slope in zip([both] * 3 + [e], s_ifgo, strict=True)
        ]
        return a, self.times(both, k, gate)

    def frame(self, t, of_output):
        """What a trace says of it, and dL/dx."""
        q, masters = self.l.error, Q(0, self.l.master - 1)
        e, own = [], []
        for u in range(self.units):
            e.append(page_sat(of_output[u] + self.of_h[u], q))
            a, self.of_state[u] = self.own(e[u], self.of_state[u], self.kept[t][u])
            self.g[u] = [page_sat(g + each, q) for g, each in zip(self.g[u], a, strict=True)]
            own.append(a)
        of_v, of_deltas, writes = [[0] * n for n in self.width], [[], []], []
        frac = self.of.weight_frac
        shift = q.f + self.f.activation.f - (frac + self.l.master - 8) + 11 - self.rate
        for side in (0, 1):
            rows = self.rows(side)
            for j, d in sorted(self.events[side][t].items()):
                total = sum(self.weight(side, row, j) * self.g[u][a] for u, a, row in rows)
                if side == 1 or not self.first:
                    sign = 1 if d > 0 else -1
                    of_delta = page_sat(page_rshift(total, frac) + self.cost * sign, q)
                    of_deltas[side].append(of_delta)
                    of_v[side][j] = page_sat(self.held[side][j] + of_delta, q)
                    self.held[side][j] = page_sat(-of_delta, q)
                for u, a, row in rows:
                    old = self.masters[side][row][j]
                    step = page_rshift(-self.g[u][a] * d, shift) if self.rate else 0
                    new = self.masters[side][row][j] = page_sat(old + step, masters)
                    writes.append(("xh"[side], j, row, old, new))
        self.of_h = of_v[1][: self.units] if self.width[1] else self.of_h
        return (e, own, self.g, self.of_state, of_deltas, writes), of_v[0][:-1]


def layers(kind):
    return (
        LayerParameters(kind, I, H, 6, 5, 2),
        LayerParameters(kind, H, H, 5, 1, 3),
        LayerParameters("linear", H, O, 6, 1),
    )


def network(kind, formats, learning, seed=8):
    rng, made = np.random.default_rng(seed), []
    for layer in layers(kind):
        rows, of_h = GATES[layer.kind] * layer.units, 0 if layer.kind == "linear" else layer.units
        of_h += layer.kind == "gru"
        size = learning.range.max

        def draw(*shape, size=size):
            return rng.integers(-size, size, shape)

        made.append(Masters(draw(rows, layer.inputs + 1), draw(rows, of_h)))
    return LearningNetwork(formats, layers(kind), made, learning)


def frames_of(seed=8, length=T):
    steps = np.random.default_rng(seed).integers(-9, 10, (length, I))
    return np.clip(np.cumsum(steps, axis=0), -128, 127)


@pytest.mark.parametrize("formats", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("kind", ["gru", "lstm"])
@pytest.mark.parametrize("said", ["label", "errors"])
def test_golden_is_the_page(said, kind, formats):
    net = network(kind, *formats)
    pages = [Layer(net, k, 7, 3) for k in range(3)]
    compare(net, pages, frames_of(), said)


@pytest.mark.parametrize("formats", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("kind", ["gru", "lstm"])
@pytest.mark.parametrize("said", ["label", "errors"])
def test_golden_is_the_page_in_chunks(said, kind, formats):
    net, frames, before = network(kind, *formats), frames_of(length=19), None
    pages = [Layer(net, k, 7, 3) for k in range(3)]
    for first, length in ((0, 7), (7, 11), (18, 1)):
        before = compare(net, pages, frames[first : first + length], said, before)
        for page, carried in zip(pages, before, strict=True):
            assert carried.x.tolist() == page.sent[0]
            if page.width[1]:
                assert carried.h.tolist() == page.sent[1]
                assert (carried.state.tolist(), carried.a.tolist()) == (page.state, page.a)


def compare(net, pages, frames, said, before=None):
    """Learns from frames in both, and gives what golden carries on."""
    length, learning = len(frames), net.learning
    one, q = learning.error.scale, learning.error
    host = np.array([q.max, -one // 3, 0])
    trace = net.learn(frames, Settings(7, O, 3), 1 if said == "label" else host, before)

    results = frames.tolist()
    for page in pages:
        results = page.forward(results)
    assert trace.results.tolist() == results
    sums = [sum(each) for each in zip(*results, strict=True)]
    assert trace.verdict.sums.tolist() == sums
    assert trace.verdict.decided == sums.index(max(sums))
    halvings = {7: 3, 11: 4, 1: 0}[length]  # 2^3 < 11 <= 2^4
    errors = host.tolist()
    if said == "label":
        for o, total in enumerate(sums):
            mean = page_rshift(total, halvings + 4 + 6 - q.f)
            target = one if o == 1 else -one
            met = mean >= one if o == 1 else mean <= -one
            errors[o] = page_sat(0 if met else max(-one, min(one, mean - target)), q)
    assert trace.e.tolist() == errors
    of_result = [page_rshift(e, halvings) for e in errors]
    assert trace.of_result.tolist() == of_result

    for page in pages:
        page.begin()
    passes, written = iter(trace.passes), defaultdict(list)
    for frame, layer, *write in trace.writes():
        written[frame, layer].append(tuple(write))
    moved = 0
    for t in reversed(range(length)):
        of_output = of_result
        for k in reversed(range(3)):
            (e, own, g, of_state, of_deltas, writes), of_output = pages[k].frame(t, of_output)
            found = next(passes)
            assert (found.frame, found.layer) == (t, k)
            assert found.of_output.tolist() == e
            assert found.own.T.tolist() == own
            assert found.g.T.tolist() == g
            assert found.of_state.tolist() == of_state
            for sweep, wanted in zip((found.x, found.h), of_deltas, strict=True):
                asked = None if sweep is None else sweep.of_deltas
                assert ([] if asked is None else asked.tolist()) == wanted
            assert sorted(written[t, k]) == sorted(writes)
            moved += sum(old != new for *_, old, new in writes)
    assert next(passes, None) is None
    assert moved > 100 * (length > 1)
    for page, masters, tape in zip(pages, net.masters, trace.tapes, strict=True):
        assert page.masters == [masters.x.tolist(), masters.h.tolist()]
        kept = [[list(unit) for unit in frame] for frame in page.kept]
        assert np.array_equal(
            tape.kept.swapaxes(1, 2), np.array(kept).reshape(length, page.units, -1)
        )
        for deltas, events in ((tape.x, page.events[0]), (tape.h, page.events[1])):
            assert [{int(j): int(row[j]) for j in np.flatnonzero(row)} for row in deltas] == events
    return trace.after


def test_the_read_out_alone_is_the_page():
    """One step of e times the mean of v^, in each column whose mean is not 0."""
    net = network("gru", *FORMATS["defaults"])
    page = Layer(net, 2, 8, 0)
    before = [each.copy() for each in net.masters]
    trace = net.learn(frames_of(), Settings(8, O, 5, readout_only=True), 2)
    values = [[0] * (H + 1)]
    for deltas in trace.tapes[2].x.tolist():
        values.append([v + d for v, d in zip(values[-1], deltas, strict=True)])
    means = [page_rshift(sum(each), 4) for each in zip(*values[1:], strict=True)]
    for row in range(O):
        for column, mean in enumerate(means):
            old = page.masters[0][row][column]
            new = page_sat(old + page_rshift(-int(trace.e[row]) * mean, 7), Q(0, 15))
            assert net.masters[2].x[row, column] == new
    assert not np.array_equal(net.masters[2].x, before[2].x)
    for k in (0, 1):
        assert np.array_equal(net.masters[k].x, before[k].x)
        assert np.array_equal(net.masters[k].h, before[k].h)
    (only,) = trace.passes
    assert (only.frame, only.layer, only.x.of_deltas, only.h) == (0, 2, None, None)
    assert only.x.deltas.tolist() == [mean for mean in means if mean]
