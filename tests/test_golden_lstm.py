import numpy as np
import pytest

from golden.fixed import Q
from golden.formats import Formats
from golden.lstm import DeltaLSTM, DenseLSTM, LSTMWeights, update_cell
from golden.model import Model
from golden.parameters import LayerParameters
from golden.tables import sigmoid_table, tanh_table
from tests.networks import random_frames, random_model
from tests.page import page_rshift, page_sat

FORMATS = {
    "the defaults": Formats(),
    "the driving tasks'": Formats(activation=Q(2, 5)),
    "a narrow cell": Formats(cell=Q(1, 3)),
    "a cell as coarse as an activation": Formats(cell=Q(3, 4)),
    "a gate finer than the cell": Formats(gate=Q(1, 12), cell=Q(4, 7)),
    "a readout coarser than the index": Formats(readout=Q(7, 2), preactivation=Q(3, 6)),
    "an index finer than the cell": Formats(preactivation=Q(3, 10), cell=Q(3, 6)),
    "an activation finer than a product": Formats(activation=Q(1, 14), gate=Q(1, 5)),
}
FORMATS_CASES = pytest.mark.parametrize("formats", FORMATS.values(), ids=FORMATS.keys())


def lstm(formats: Formats, model: Model, kind: type = DeltaLSTM, **more):
    return kind(formats, model.parameters.layers[0], model.weights[0], **more)


def random_lstm(sizes: tuple[int, ...], **more) -> Model:
    return random_model(sizes, kinds=("lstm",), **more)


def page_update(f: Formats, fracs: list[int], m: list[int], c: int) -> tuple[int, int]:
    """Step 3 of the page for one unit: M (i, f, g, o), f_w + s of each, and c_(t-1) to c_t, a_t."""
    sigmoid, tanh = (table(f.preactivation, f.gate) for table in (sigmoid_table, tanh_table))

    def looked_up(table: np.ndarray, v: int, n: int) -> int:
        return int(table[page_sat(page_rshift(v, n), f.preactivation) - f.preactivation.min])

    read = [
        page_sat(page_rshift(v, f.activation.f + frac - f.readout.f), f.readout)
        for v, frac in zip(m, fracs, strict=True)
    ]
    index = f.readout.f - f.preactivation.f
    i, forget, o = (looked_up(sigmoid, read[n], index) for n in (0, 1, 3))
    g = looked_up(tanh, read[2], index)
    top = max(f.gate.f, f.cell.f)
    exact = forget * c * 2 ** (top - f.cell.f) + i * g * 2 ** (top - f.gate.f)
    c = page_sat(page_rshift(exact, top + f.gate.f - f.cell.f), f.cell)
    y = looked_up(tanh, c, f.cell.f - f.preactivation.f)
    return c, page_sat(page_rshift(o * y, 2 * f.gate.f - f.activation.f), f.activation)


class PageLSTM:
    """The whole layer from the page; events change M one column at a time."""

    def __init__(self, formats: Formats, layer: LayerParameters, weights: LSTMWeights) -> None:
        self.formats, self.layer = formats, layer
        self.w_x, self.w_h = weights.weight_x.tolist(), weights.weight_h.tolist()
        units = layer.units
        bias = weights.bias.tolist()
        self.m = [[bias[k * units + n] for k in range(4)] for n in range(units)]
        shift = [0] * len(bias) if weights.shift is None else weights.shift.tolist()
        frac = layer.weight_frac
        self.fracs = [[frac + shift[k * units + n] for k in range(4)] for n in range(units)]
        self.c, self.a = [0] * units, [0] * units
        self.memory_x, self.memory_h = [0] * layer.inputs, [0] * units

    def step(self, x: list[int]) -> list[int]:
        units = self.layer.units
        for v, memory, theta, w in (
            (x, self.memory_x, self.layer.theta_x, self.w_x),
            (self.a, self.memory_h, self.layer.theta_h, self.w_h),
        ):
            for j, value in enumerate(v):
                d = value - memory[j]
                if abs(d) > theta:
                    memory[j] = value
                    for n in range(units):
                        for k in range(4):
                            self.m[n][k] += w[k * units + n][j] * d
        of_units = zip(self.fracs, self.m, self.c, strict=True)
        made = [page_update(self.formats, fracs, m, c) for fracs, m, c in of_units]
        self.c, self.a = [c for c, _ in made], [a for _, a in made]
        return self.a


@FORMATS_CASES
@pytest.mark.parametrize(("theta", "shifts"), [((0, 0), 0), ((2, 1), 3), ((9, 5), 1)])
def test_a_layer_is_the_page_in_plain_python(formats, theta, shifts):
    model = random_lstm((3, 4), formats=formats, theta=theta, seed=sum(theta), shifts=shifts)
    layer = lstm(formats, model)
    page = lstm(formats, model, PageLSTM)
    for x in random_frames(model, 60, moving=0.7).tolist():
        assert layer.step(np.array([x]))[0].tolist() == page.step(x)
        assert layer.state[0].tolist() == page.c
        assert layer.m[0].T.tolist() == page.m


def test_one_unit_by_hand():
    """Two frames of one unit with one input, worked out on paper from docs/numerics.md.

    Default formats and f_w = 6: M has 10 fraction bits, R(M) is M / 4, a table index R / 16. c has
    12 fraction bits: f * c is of 18 and i * g of 12, so c is (f c + 64 i g) / 64, the index of its
    tanh c / 256 and a is o y / 256, each to the nearest, ties up. Thresholds: 2 of x, 1 of h.
    """
    layer = LayerParameters("lstm", inputs=1, units=1, weight_frac=6, theta_x=2, theta_h=1)
    weights = LSTMWeights(
        weight_x=np.array([[32], [-64], [96], [64]], dtype=np.int8),  # 0.5, -1, 1.5, 1
        weight_h=np.array([[16], [32], [-48], [8]], dtype=np.int8),  # 0.25, 0.5, -0.75, 0.125
        bias=np.array([512, 1024, -256, 0], dtype=np.int32),  # 0.5, 1, -0.25, 0
    )
    unit = DeltaLSTM(Formats(), layer, weights)

    def frame(x: int) -> tuple[int, int, list[int], int, int]:
        a = unit.step(np.array([[x]]))
        deltas = int(unit.deltas_x[0, 0]), int(unit.deltas_h[0, 0])
        return *deltas, unit.m[0, :, 0].tolist(), int(unit.state[0, 0]), int(a[0, 0])

    # x = 1.0 is new and fires. R = 256, 0, 320, 256; indices 16, 0, 20, 16.
    # i = o = 64 sigmoid(1) = 46.8 -> 47, f = 32, g = 64 tanh(1.25) = 54.3 -> 54.
    # c = (0 + 64 * 47 * 54) / 64 = 2538; 2538 / 256 = 9.9 -> 10, y = 64 tanh(10 / 16) = 35.5 -> 35.
    # a = 47 * 35 / 256 = 6.4 -> 6.
    assert frame(16) == (16, 0, [1024, 0, 1280, 1024], 2538, 6)

    # x moves by 2: nothing. h moved by 6. R = 280, 48, 248, 268; indices 17.5 -> 18, 3, 15.5 -> 16,
    # 16.75 -> 17. i = 64 sigmoid(18/16) = 48.3 -> 48, f = 64 sigmoid(3/16) = 34.99 -> 35,
    # g = 64 tanh(1) = 48.7 -> 49, o = 64 sigmoid(17/16) = 47.6 -> 48.
    # c = (35 * 2538 + 64 * 48 * 49) / 64 = 239358 / 64 = 3739.97 -> 3740; / 256 = 14.6 -> 15,
    # y = 64 tanh(15/16) = 46.97 -> 47. a = 48 * 47 / 256 = 8.8 -> 9.
    assert frame(18) == (0, 6, [1120, 192, 992, 1072], 3740, 9)


def held(layer: DeltaLSTM, weights: LSTMWeights) -> np.ndarray:
    """W v^ + bias, [batch, 4, H], in integers."""
    w_x, w_h = weights.weight_x.astype(np.int64), weights.weight_h.astype(np.int64)
    rows = layer.encoder_x.memory @ w_x.T + layer.encoder_h.memory @ w_h.T + weights.bias
    return rows.reshape(len(rows), 4, w_h.shape[1])


@FORMATS_CASES
@pytest.mark.parametrize("theta", [(0, 0), (1, 3), (40, 2), (0, 255)])
def test_accumulators_hold_w_times_the_memory_plus_bias_in_every_frame(formats, theta):
    model = random_lstm((5, 7), formats=formats, theta=theta)
    layer = lstm(formats, model, batch=3)
    streams = np.array([random_frames(model, 300, seed=s, moving=0.6) for s in range(3)])
    for t in range(streams.shape[1]):
        layer.step(streams[:, t].astype(np.int64))
        assert (layer.m == held(layer, model.weights[0])).all()


@FORMATS_CASES
def test_at_threshold_0_it_is_the_dense_layer_bit_for_bit(formats):
    model = random_lstm((6, 9), formats=formats, theta=(0, 0))
    delta, dense = (lstm(formats, model, kind, batch=50) for kind in (DeltaLSTM, DenseLSTM))
    streams = np.array([random_frames(model, 200, seed=s, moving=0.8) for s in range(50)])
    for t in range(200):
        x = streams[:, t].astype(np.int64)
        assert (delta.step(x) == dense.step(x)).all()
        assert (delta.state == dense.state).all()
        assert (delta.m == dense.m).all()


def test_a_cell_that_is_full_stays_at_the_end_of_its_range():
    model = random_lstm((2, 3), formats=Formats(cell=Q(1, 6)), theta=(0, 0), scale=0)
    model.weights[0].bias[:] = 10_000  # all gates open
    layer = lstm(model.parameters.formats, model)
    for _ in range(5):
        layer.step(np.zeros((1, 2), dtype=np.int64))
    assert (layer.state == 127).all()


# The widest of what the formats may be, together: whatever wraps, wraps here.
WIDEST = {
    "all fractions": Formats(
        cell=Q(0, 23), readout=Q(0, 23), gate=Q(1, 16), preactivation=Q(0, 15)
    ),
    "all integers": Formats(cell=Q(23, 0), readout=Q(23, 0), gate=Q(1, 16), preactivation=Q(15, 0)),
    "a cell of 53 bits": Formats(cell=Q(22, 30)),
    "a wide gate": Formats(cell=Q(23, 0), readout=Q(0, 23), gate=Q(17, 0)),
    "an activation of 16 bits": Formats(activation=Q(0, 15), cell=Q(23, 0), readout=Q(0, 23)),
}


@pytest.mark.parametrize("formats", WIDEST.values(), ids=WIDEST.keys())
@pytest.mark.parametrize("weight_frac", [0, 15])
def test_nothing_wraps_at_the_ends_of_the_widest_formats(formats, weight_frac):
    ends = [-(2**39), -(2**20), -1, 0, 1, 2**20, 2**39 - 1]
    for before in (formats.cell.min, -1, 0, formats.cell.max):
        for m in np.array(np.meshgrid(ends, ends, ends, ends)).reshape(4, -1).T[::7]:
            c, a = update_cell(formats, weight_frac, m.reshape(1, 4, 1), np.array([[before]]))
            expected = page_update(formats, [weight_frac] * 4, m.tolist(), before)
            assert (int(c[0, 0]), int(a[0, 0])) == expected


def test_reset_starts_over():
    model = random_lstm((3, 5))
    layer = lstm(Formats(), model, batch=2)
    frames = np.stack([random_frames(model, 20, seed=s) for s in (1, 2)]).astype(np.int64)
    runs = []
    for _ in range(2):
        runs.append([layer.step(frames[:, t]).tolist() for t in range(20)])
        layer.reset()
        assert (layer.m == model.weights[0].bias.reshape(4, 5)).all()
        for zero in (layer.state, layer.a, layer.encoder_x.memory, layer.encoder_h.memory):
            assert not zero.any()
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("weights", "largest", "expected"),
    [
        # |bias| + (2 inputs and 1 unit) * |weight| * largest
        (([[1, -2]] * 4, [[3]] * 4, [-5, 0, 7, 1]), 10, [65, 60, 67, 61]),
        (([[0, 0]] * 4, [[-128]] * 4, [0, 0, 0, 0]), 128, [16384] * 4),
    ],
)
def test_how_far_an_accumulator_reaches(weights, largest, expected):
    x, h, bias = weights
    found = LSTMWeights(np.int8(x), np.int8(h), np.int32(bias)).reach(largest)
    assert found.tolist() == expected
