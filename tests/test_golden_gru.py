import numpy as np
import pytest

from golden.fixed import Q
from golden.formats import Formats
from golden.gru import DeltaGRU, DenseGRU, GRUWeights, update_state, visible
from golden.model import Model
from golden.parameters import LayerParameters
from golden.tables import sigmoid_table, tanh_table
from tests.networks import random_frames, random_model
from tests.page import page_rshift, page_sat

FORMATS = {
    "the defaults": Formats(),
    "a wide state": Formats(state=Q(1, 14)),
    "the driving tasks'": Formats(activation=Q(2, 5)),
    "a narrow state": Formats(state=Q(1, 2)),
    "a readout coarser than the index": Formats(readout=Q(7, 2), preactivation=Q(3, 6)),
    "a fine gate and a state wider still": Formats(gate=Q(1, 12), state=Q(2, 13)),
    "a readout finer than the accumulator": Formats(readout=Q(3, 14)),
    "a state with less fraction than a": Formats(activation=Q(1, 6), state=Q(4, 2)),
}
FORMATS_CASES = pytest.mark.parametrize("formats", FORMATS.values(), ids=FORMATS.keys())


def gru(formats: Formats, model: Model, kind: type = DeltaGRU, **more):
    return kind(formats, model.parameters.layers[0], model.weights[0], **more)


# The page in Python's own integers and fractions, one unit at a time: slow, and plain to read.


def page_update(f: Formats, fracs: list[int], m: list[int], h: int) -> int:
    """Step 3 of the page for one unit: M (r, u, xc, hc), f_w + s of each, and h_(t-1) to h_t."""
    sigmoid, tanh = (table(f.preactivation, f.gate) for table in (sigmoid_table, tanh_table))

    def looked_up(table: np.ndarray, v: int, n: int) -> int:
        return int(table[page_sat(page_rshift(v, n), f.preactivation) - f.preactivation.min])

    f_act, f_gate, f_state = f.activation.f, f.gate.f, f.state.f
    r_m, u_m, xc_m, hc_m = (
        page_sat(page_rshift(value, f_act + frac - f.readout.f), f.readout)
        for value, frac in zip(m, fracs, strict=True)
    )
    r = looked_up(sigmoid, r_m, f.readout.f - f.preactivation.f)
    u = looked_up(sigmoid, u_m, f.readout.f - f.preactivation.f)
    pre = xc_m * 2**f_gate + r * hc_m
    c = looked_up(tanh, pre, f.readout.f + f_gate - f.preactivation.f)
    top = max(f_gate, f_state)
    c, h = c * 2 ** (top - f_gate), h * 2 ** (top - f_state)
    return page_sat(page_rshift(c * 2**f_gate + u * (h - c), top + f_gate - f_state), f.state)


class PageGRU:
    """The whole layer from the page; events change M one column at a time."""

    def __init__(self, formats: Formats, layer: LayerParameters, weights: GRUWeights) -> None:
        self.formats, self.layer = formats, layer
        self.w_x, self.w_h = weights.weight_x.tolist(), weights.weight_h.tolist()
        units = layer.units
        bias = weights.bias.tolist()
        self.m = [[bias[g * units + i] for g in range(4)] for i in range(units)]
        shift = [0] * len(bias) if weights.shift is None else weights.shift.tolist()
        frac = layer.weight_frac
        self.fracs = [[frac + shift[g * units + i] for g in range(4)] for i in range(units)]
        self.h = [0] * units
        self.memory_x, self.memory_h = [0] * layer.inputs, [0] * units

    def a(self) -> list[int]:
        f = self.formats
        return [page_sat(page_rshift(h, f.state.f - f.activation.f), f.activation) for h in self.h]

    def step(self, x: list[int]) -> list[int]:
        units = self.layer.units
        for v, memory, theta, w, third in (
            (x, self.memory_x, self.layer.theta_x, self.w_x, 2),
            (self.a(), self.memory_h, self.layer.theta_h, self.w_h, 3),
        ):
            for j, value in enumerate(v):
                d = value - memory[j]
                if abs(d) > theta:
                    memory[j] = value
                    for i in range(units):
                        for gate, row in ((0, i), (1, units + i), (third, 2 * units + i)):
                            self.m[i][gate] += w[row][j] * d
        self.h = [
            page_update(self.formats, fracs, m, h)
            for fracs, m, h in zip(self.fracs, self.m, self.h, strict=True)
        ]
        return self.a()


@FORMATS_CASES
@pytest.mark.parametrize(("theta", "shifts"), [((0, 0), 0), ((2, 1), 3), ((9, 5), 1)])
def test_a_layer_is_the_page_in_plain_python(formats, theta, shifts):
    model = random_model((3, 4), formats=formats, theta=theta, seed=sum(theta), shifts=shifts)
    layer = gru(formats, model)
    page = gru(formats, model, PageGRU)
    for x in random_frames(model, 60, moving=0.7).tolist():
        assert layer.step(np.array([x]))[0].tolist() == page.step(x)
        assert layer.state[0].tolist() == page.h
        assert layer.m[0].T.tolist() == page.m


def test_one_unit_by_hand():
    """Three frames of one unit with one input, worked out on paper from docs/numerics.md.

    Default formats and f_w = 6: M has 10 fraction bits, R(M) is M / 4, a table index R / 16 or
    pre / 1024, and h is the blend / 256, each to the nearest, ties up. Thresholds: 2 of x, 1 of h.
    """
    layer = LayerParameters("gru", inputs=1, units=1, weight_frac=6, theta_x=2, theta_h=1)
    weights = GRUWeights(
        weight_x=np.array([[32], [-64], [96]], dtype=np.int8),  # 0.5, -1, 1.5
        weight_h=np.array([[16], [32], [-48]], dtype=np.int8),  # 0.25, 0.5, -0.75
        bias=np.array([512, 0, -256, 1024], dtype=np.int32),  # 0.5, 0, -0.25, 1
    )
    unit = DeltaGRU(Formats(), layer, weights)

    def frame(x: int) -> tuple[int, int, list[int], int]:
        a = unit.step(np.array([[x]]))
        assert a.tolist() == unit.state.tolist()  # the formats of a and h are the same here
        return int(unit.deltas_x[0, 0]), int(unit.deltas_h[0, 0]), unit.m[0, :, 0].tolist(), a[0, 0]

    # x = 1.0 is new and fires, h = 0 is not. R = 256, -256, 320, 256.
    # r = 64 sigmoid(16/16) = 46.8 -> 47, u = 64 sigmoid(-16/16) = 17.2 -> 17.
    # pre = 320 * 64 + 47 * 256 = 32512 -> 31.75 -> 32, c = 64 tanh(32/16) = 61.7 -> 62.
    # h = (62 * 64 + 17 * (0 - 62)) / 256 = 2914 / 256 = 11.4 -> 11.
    assert frame(16) == (16, 0, [1024, -1024, 1280, 1024], 11)

    # x moves by 2, which is not more than 2: nothing. h moved by 11.
    # R = 300, -168, 320, 124 (-672 / 4 is exact). Indices 18.75 -> 19 and -10.5 -> -10 (tie, up).
    # r = 64 sigmoid(19/16) = 49.04 -> 49, u = 64 sigmoid(-10/16) = 22.3 -> 22.
    # pre = 320 * 64 + 49 * 124 = 26556 -> 25.9 -> 26, c = 64 tanh(26/16) = 59.2 -> 59.
    # h = (59 * 64 + 22 * (11 * 4 - 59)) / 256 = 3446 / 256 = 13.5 -> 13.
    assert frame(18) == (0, 11, [1200, -672, 1280, 496], 13)

    # x is 3 below the 16 that was sent last: fires. h moved by 2: fires.
    # R = 284, -104, 248, 100. Indices 17.75 -> 18 and -6.5 -> -6 (tie, up).
    # r = 64 sigmoid(18/16) = 48.3 -> 48, u = 64 sigmoid(-6/16) = 26.07 -> 26.
    # pre = 248 * 64 + 48 * 100 = 20672 -> 20.2 -> 20, c = 64 tanh(20/16) = 54.3 -> 54.
    # h = (54 * 64 + 26 * (13 * 4 - 54)) / 256 = 3404 / 256 = 13.3 -> 13.
    assert frame(13) == (-3, 2, [1136, -416, 992, 400], 13)


def held(layer: DeltaGRU, weights: GRUWeights) -> np.ndarray:
    """W v^ + bias, [batch, 4, H], in integers."""
    w_x, w_h = weights.weight_x.astype(np.int64), weights.weight_h.astype(np.int64)
    x, h = layer.encoder_x.memory @ w_x.T, layer.encoder_h.memory @ w_h.T
    units = w_h.shape[1]
    r_and_u = x[:, : 2 * units] + h[:, : 2 * units]
    rows = np.concatenate([r_and_u, x[:, 2 * units :], h[:, 2 * units :]], axis=1)
    return (rows + weights.bias).reshape(len(x), 4, units)


@FORMATS_CASES
@pytest.mark.parametrize("theta", [(0, 0), (1, 3), (40, 2), (0, 255)])
def test_accumulators_hold_w_times_the_memory_plus_bias_in_every_frame(formats, theta):
    model = random_model((5, 7), formats=formats, theta=theta)
    layer = gru(formats, model, batch=3)
    streams = np.array([random_frames(model, 300, seed=s, moving=0.6) for s in range(3)])
    for t in range(streams.shape[1]):
        layer.step(streams[:, t].astype(np.int64))
        assert (layer.m == held(layer, model.weights[0])).all()


@pytest.mark.parametrize("saturating", [False, True])
def test_nothing_drifts_in_a_long_stream_with_thresholds_that_change(saturating):
    model = random_model((6, 8), theta=(3, 2), scale=128)
    layer = gru(Formats(), model)
    rng = np.random.default_rng(5)
    frames = random_frames(model, 10_000, moving=0.5, saturating=saturating)
    for t, x in enumerate(frames.astype(np.int64)):
        if t % 100 == 0:
            layer.theta_x, layer.theta_h = rng.integers(0, 30, 2).tolist()
        layer.step(x[None])
        assert (layer.m == held(layer, model.weights[0])).all()


@FORMATS_CASES
def test_at_threshold_0_it_is_the_dense_layer_bit_for_bit(formats):
    model = random_model((6, 9), formats=formats, theta=(0, 0))
    delta, dense = (gru(formats, model, kind, batch=50) for kind in (DeltaGRU, DenseGRU))
    streams = np.array([random_frames(model, 200, seed=s, moving=0.8) for s in range(50)])
    for t in range(200):
        x = streams[:, t].astype(np.int64)
        assert (delta.step(x) == dense.step(x)).all()
        assert (delta.state == dense.state).all()
        assert (delta.m == dense.m).all()


def test_at_threshold_0_it_is_the_dense_layer_in_one_stream_of_10000_frames():
    model = random_model((4, 6), theta=(0, 0), scale=128)
    delta, dense = (gru(Formats(), model, kind) for kind in (DeltaGRU, DenseGRU))
    for x in random_frames(model, 10_000, moving=0.5).astype(np.int64):
        assert (delta.step(x[None]) == dense.step(x[None])).all()
        assert (delta.state == dense.state).all()


# The widest of what the formats may be, together: whatever wraps, wraps here.
WIDEST = {
    "all fractions": Formats(
        state=Q(0, 23), readout=Q(0, 23), gate=Q(1, 16), preactivation=Q(0, 15)
    ),
    "all integers": Formats(
        state=Q(23, 0), readout=Q(23, 0), gate=Q(1, 16), preactivation=Q(15, 0)
    ),
    "a wide gate": Formats(state=Q(23, 0), readout=Q(0, 23), gate=Q(17, 0)),
    "an activation of 16 bits": Formats(activation=Q(0, 15), state=Q(23, 0), readout=Q(0, 23)),
}


@pytest.mark.parametrize("formats", WIDEST.values(), ids=WIDEST.keys())
@pytest.mark.parametrize("weight_frac", [0, 15])
def test_nothing_wraps_at_the_ends_of_the_widest_formats(formats, weight_frac):
    ends = [-(2**39), -(2**20), -1, 0, 1, 2**20, 2**39 - 1]
    for h in (formats.state.min, -1, 0, formats.state.max):
        for m in np.array(np.meshgrid(ends, ends, ends, ends)).reshape(4, -1).T[::7]:
            found = update_state(formats, weight_frac, m.reshape(1, 4, 1), np.array([[h]]))
            assert int(found[0, 0]) == page_update(formats, [weight_frac] * 4, m.tolist(), h)
        shift = formats.state.f - formats.activation.f
        expected = page_sat(page_rshift(h, shift), formats.activation)
        assert int(visible(formats, np.array([[h]]))[0, 0]) == expected


def test_reset_starts_over():
    model = random_model((3, 5))
    layer = gru(Formats(), model, batch=2)
    frames = np.stack([random_frames(model, 20, seed=s) for s in (1, 2)]).astype(np.int64)
    runs = []
    for _ in range(2):
        runs.append([layer.step(frames[:, t]).tolist() for t in range(20)])
        layer.reset()
        assert (layer.m == model.weights[0].bias.reshape(4, 5)).all()
        for zero in (layer.state, layer.encoder_x.memory, layer.encoder_h.memory):
            assert not zero.any()
    assert runs[0] == runs[1]
