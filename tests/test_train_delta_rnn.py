"""The delta network in PyTorch: golden's in every bit, and the gradient that it should have."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from golden.delta import DeltaEncoder  # noqa: E402
from golden.fixed import Q, quantize  # noqa: E402
from golden.formats import Formats  # noqa: E402
from golden.network import run_sequences  # noqa: E402
from golden.tables import sigmoid_table, tanh_table  # noqa: E402
from tests.networks import random_model  # noqa: E402
from train.nets.delta_gru import _Recurrence as GRURecurrence  # noqa: E402
from train.nets.delta_lstm import _Recurrence as LSTMRecurrence  # noqa: E402
from train.nets.delta_rnn import DeltaRNN  # noqa: E402
from train.nets.straight_through import held, rounded, to_grid  # noqa: E402
from train.quantised.float_network import (  # noqa: E402
    FloatGRU,
    FloatLinear,
    FloatLSTM,
    FloatNetwork,
    dequantized,
)
from train.quantised.thresholds import thresholds  # noqa: E402

FORMATS = {
    "defaults": Formats(),
    "wide state": Formats(state=Q(1, 14)),
    "driving": Formats(activation=Q(2, 5), state=Q(2, 5)),
    "driving, wide state": Formats(activation=Q(2, 5), state=Q(1, 14)),
}
LSTM_FORMATS = {
    "defaults": Formats(),
    "coarse cell": Formats(cell=Q(3, 6)),
    "cell coarser than a gate": Formats(cell=Q(4, 4)),
    "driving, narrow cell": Formats(activation=Q(2, 5), cell=Q(1, 14)),
    "fine activation": Formats(activation=Q(0, 7), cell=Q(5, 10)),
}
THRESHOLDS = {"none": (0, 0, 0, 0, 0), "some": (9, 3, 2, 5, 4), "one": (0, 4, 0, 0, 0)}
I, H, O = 6, (12, 7), 3  # noqa: E741


KINDS = {
    "gru": (FloatGRU, FloatGRU),
    "lstm": (FloatLSTM, FloatLSTM),
    "gru, lstm": (FloatGRU, FloatLSTM),
    "lstm, gru": (FloatLSTM, FloatGRU),
}
GATES = {FloatGRU: 3, FloatLSTM: 4}


def network(seed: int, size: float = 0.6, kinds=KINDS["gru"]) -> FloatNetwork:
    rng = np.random.default_rng(seed)

    def layer(kind, inputs: int, units: int):
        rows = GATES[kind] * units
        shapes = ((rows, inputs), (rows, units), (rows,), (rows,))
        return kind(*(rng.normal(size=shape) * size for shape in shapes))

    recurrent = [layer(*each) for each in zip(kinds, (I, H[0]), H, strict=True)]
    readout = FloatLinear(rng.normal(size=(O, H[1])), rng.normal(size=O))
    return FloatNetwork((*recurrent, readout))


def walks(seed: int, count: int = 5, frames: int = 40) -> np.ndarray:
    """int8 [count, T, I] that wander over the whole range."""
    steps = np.random.default_rng(seed).integers(-12, 13, (count, frames, I))
    return np.clip(np.cumsum(steps, axis=1), -128, 127).astype(np.int8)


TRIED = [
    *(("gru", name, formats) for name, formats in FORMATS.items()),
    *(("lstm", name, formats) for name, formats in LSTM_FORMATS.items()),
    ("gru, lstm", "wide state", FORMATS["wide state"]),
    ("lstm, gru", "driving", FORMATS["driving"]),
]


@pytest.mark.parametrize("thresholds", THRESHOLDS.values(), ids=THRESHOLDS)
@pytest.mark.parametrize(("kinds", "name", "formats"), TRIED, ids=lambda v: str(v)[:20])
def test_what_is_exported_computes_the_same_integers(kinds, name, formats, thresholds):
    delta_rnn = DeltaRNN(network(3, kinds=KINDS[kinds]), formats)
    delta_rnn.set_thresholds(thresholds)
    frames = walks(8)
    with torch.no_grad():
        found = delta_rnn(torch.tensor(frames).float() / formats.activation.scale)
    model = delta_rnn.exported("m", None)
    traces = run_sequences(model, list(frames))
    outputs = found.outputs.double().numpy() * 2.0**model.parameters.output_frac
    np.testing.assert_array_equal(outputs, np.stack([trace.outputs for trace in traces]))
    for k, h in enumerate(found.sent[1::2]):
        moved = torch.diff(h, dim=0, prepend=torch.zeros_like(h[:1])) * formats.activation.scale
        deltas = np.stack([trace.deltas_h[k] for trace in traces], axis=1)
        np.testing.assert_array_equal(moved.numpy(), deltas)


@pytest.mark.parametrize("kinds", [("gru",), ("lstm",), ("gru", "lstm")])
def test_a_model_comes_back_from_its_real_numbers(kinds):
    model = random_model((5, 9, 6), 4, kinds=kinds, theta=(0, 0), scale=127)
    again = DeltaRNN(dequantized(model), model.parameters.formats).exported("random", None)
    frames = walks(2)[:, :, :5]
    for a, b in zip(
        run_sequences(again, list(frames)), run_sequences(model, list(frames)), strict=True
    ):
        np.testing.assert_array_equal(
            a.outputs / 2.0**again.parameters.output_frac,
            b.outputs / 2.0**model.parameters.output_frac,
        )


FINE = Formats(activation=Q(3, 9), state=Q(1, 14), gate=Q(1, 10), preactivation=Q(3, 6))
WIDE = {
    "gru": (("gru",), FINE),
    "lstm": (("lstm",), replace(FINE, cell=Q(6, 9))),
    "gru, lstm": (("gru", "lstm"), replace(FINE, activation=Q(0, 12))),
    "lstm, gru, widest": (("lstm", "gru"), replace(FINE, activation=Q(3, 12), gate=Q(1, 14))),
}


@pytest.mark.parametrize("outputs", [None, 4])
@pytest.mark.parametrize("shifts", [0, 1, 3])
@pytest.mark.parametrize(("kinds", "formats"), WIDE.values(), ids=WIDE)
def test_wide_formats_and_row_shifts_are_golden_s_in_every_bit(kinds, formats, shifts, outputs):
    theta = ((40, 3), (7, 21), (5, 0))
    model = random_model(
        (5, 9, 6), outputs, kinds=kinds, formats=formats, theta=theta, scale=127, shifts=shifts
    )
    delta_rnn = DeltaRNN.of(model)
    frames = walks(2, count=3).astype(np.int64)[:, :, :5] << formats.activation.width - 8
    with torch.no_grad():
        found = delta_rnn(torch.tensor(frames) / formats.activation.scale)
    exported = delta_rnn.exported("m", None)
    assert thresholds(exported) == thresholds(model)
    assert most_shift(exported) <= most_shift(model)
    for twin in (model, exported):
        traces = run_sequences(twin, list(frames))
        results = np.stack([trace.outputs for trace in traces]) / 2.0**twin.parameters.output_frac
        np.testing.assert_array_equal(found.outputs.numpy(), results)
        encoders = [d for k in (0, 1) for d in (f"deltas_x.{k}", f"deltas_h.{k}")]
        encoders += [] if outputs is None else ["deltas_x.2"]
        for name, sent in zip(encoders, found.sent, strict=True):
            kind, k = name.split(".")
            deltas = np.stack([getattr(trace, kind)[int(k)] for trace in traces], axis=1)
            moved = torch.diff(sent, dim=0, prepend=torch.zeros_like(sent[:1]))
            np.testing.assert_array_equal(moved.numpy() * formats.activation.scale, deltas)


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
def test_what_was_trained_with_row_shifts_is_exported_with_them(kinds):
    rng = np.random.default_rng(7)

    def of_all_sizes(layer):
        sizes = 2.0 ** -rng.integers(0, 5, (len(layer.weight_x), 1))
        weights = (sizes * w for w in (layer.weight_x, layer.weight_h))
        return type(layer)(*weights, layer.bias_x, layer.bias_h)

    layers = tuple(map(of_all_sizes, network(3, size=0.3, kinds=kinds).layers[:2]))
    delta_rnn = DeltaRNN(FloatNetwork(layers), FINE, shift_max=3, dtype=torch.float64)
    delta_rnn.set_thresholds((9, 3, 2, 5))
    frames = walks(8).astype(np.int64) << 5
    with torch.no_grad():
        found = delta_rnn(torch.tensor(frames) / FINE.activation.scale)
    model = delta_rnn.exported("m", None)
    assert most_shift(model) == 3
    outputs = [trace.outputs for trace in run_sequences(model, list(frames))]
    np.testing.assert_array_equal(
        found.outputs.numpy() * 2.0**model.parameters.output_frac, np.stack(outputs)
    )


def most_shift(model) -> int:
    return max(layer.shift_max for layer in model.parameters.layers)


def test_gradients_pass_row_shifts():
    layers = network(3, size=0.2).layers[:2]
    delta_rnn = DeltaRNN(FloatNetwork(layers), FINE, shift_max=3, dtype=torch.float64)
    frames = torch.tensor(walks(8)).double() / 64
    delta_rnn(frames).outputs.square().mean().backward()
    for parameter in delta_rnn.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


def test_accumulators_that_float32_does_not_hold_are_refused():
    large = DeltaRNN(network(1, size=0.02), Formats(activation=Q(3, 12)))
    with pytest.raises(ValueError, match=r"accumulators: found \d+ bits, expected at most 24"):
        large.exported("m", None)


def test_cells_that_float32_does_not_hold_are_refused():
    with pytest.raises(ValueError, match=r"f c \+ i g: found 25 bits with cell Q4\.14 and gate Q1"):
        DeltaRNN(network(1, kinds=KINDS["lstm"]), Formats(cell=Q(4, 14)))


@pytest.mark.parametrize("formats", FORMATS.values(), ids=FORMATS)
def test_float32_makes_the_tables(formats):
    compare_tables(formats, torch.float32)


@pytest.mark.parametrize("gate", [Q(1, 6), Q(1, 10), Q(1, 14)])
def test_float64_makes_the_tables(gate):
    compare_tables(Formats(preactivation=Q(3, 12), gate=gate), torch.float64)


def compare_tables(formats, dtype):
    pre, gate = formats.preactivation, formats.gate
    entries = torch.arange(pre.min, pre.max + 1, dtype=dtype) / pre.scale
    for table, function in ((sigmoid_table, torch.sigmoid), (tanh_table, torch.tanh)):
        made = to_grid(function(entries), gate) * gate.scale
        np.testing.assert_array_equal(made.numpy(), table(pre, gate))


def straight(v: torch.Tensor, q: Q) -> torch.Tensor:
    return v + (to_grid(v.detach(), q) - v.detach())


def by_autograd(products, weight, bias, theta, formats):
    """The recurrence as PyTorch differentiates it, step by step."""
    size = weight.shape[1]
    h = memory = products.new_zeros(products.shape[1], size)
    a, sent = [], []
    for product in products:
        v = straight(h, formats.activation)
        fires = (v - memory).abs() > theta if theta else torch.ones_like(v, dtype=torch.bool)
        memory = torch.where(fires, v, memory)
        of_h = memory @ weight.t()
        ru = straight(product[:, : 2 * size] + of_h[:, : 2 * size], formats.readout)
        ru = straight(torch.sigmoid(straight(ru, formats.preactivation)), formats.gate)
        r, u = ru[:, :size], ru[:, size:]
        hc = straight(of_h[:, 2 * size :] + bias, formats.readout)
        xc = straight(product[:, 2 * size :], formats.readout)
        c = straight(torch.tanh(straight(xc + r * hc, formats.preactivation)), formats.gate)
        h = straight(c + u * (h - c), formats.state)
        a.append(straight(h, formats.activation))
        sent.append(memory)
    return torch.stack(a), torch.stack(sent)


def lstm_by_autograd(products, weight, theta, formats):
    """The recurrence as PyTorch differentiates it, step by step."""
    size = weight.shape[1]
    a = c = memory = products.new_zeros(products.shape[1], size)
    seen, sent = [], []
    for product in products:
        fires = (a - memory).abs() > theta if theta else torch.ones_like(a, dtype=torch.bool)
        memory = torch.where(fires, a, memory)
        m = straight(product + memory @ weight.t(), formats.readout)
        i, f, g, o = straight(m, formats.preactivation).split(size, dim=1)
        i, f, o = (straight(torch.sigmoid(v), formats.gate) for v in (i, f, o))
        c = straight(f * c + i * straight(torch.tanh(g), formats.gate), formats.cell)
        y = straight(torch.tanh(straight(c, formats.preactivation)), formats.gate)
        a = straight(o * y, formats.activation)
        seen.append(a)
        sent.append(memory)
    return torch.stack(seen), torch.stack(sent)


@pytest.mark.parametrize("theta", [0.0, 0.1])
@pytest.mark.parametrize("formats", FORMATS.values(), ids=FORMATS)
def test_the_gradient_of_a_gru_is_that_of_autograd(formats, theta):
    compare_gradients(
        lambda *given: GRURecurrence.apply(*given, None, theta, formats),
        lambda *given: by_autograd(*given, theta, formats),
        [(12, 3, 24), (24, 8), (8,)],
    )


@pytest.mark.parametrize("theta", [0.0, 0.1])
@pytest.mark.parametrize("formats", LSTM_FORMATS.values(), ids=LSTM_FORMATS)
def test_the_gradient_of_an_lstm_is_that_of_autograd(formats, theta):
    compare_gradients(
        lambda *given: LSTMRecurrence.apply(*given, None, theta, formats),
        lambda *given: lstm_by_autograd(*given, theta, formats),
        [(12, 3, 32), (32, 8)],
    )


def compare_gradients(written_out, recorded, shapes):
    """``shapes`` are of the products and of what else is given."""
    torch.manual_seed(1)
    products, *others = (torch.randn(shape) for shape in shapes)
    given = [products / 2, *(x / 3 for x in others)]
    given = [to_grid(x, Q(3, 8)).double().requires_grad_() for x in given]
    weigh = [torch.randn(12, 3, 8, dtype=torch.float64) for _ in range(2)]

    def gradients(results):
        sum((w * r).sum() for w, r in zip(weigh, results, strict=True)).backward()
        found = [x.grad.clone() for x in given]
        for x in given:
            x.grad = None
        return found

    ours = gradients(written_out(*given))
    theirs = gradients(recorded(*given))
    for a, b in zip(ours, theirs, strict=True):
        # Ours takes a gate's slope from its rounded value, autograd from the exact one.
        assert torch.nn.functional.cosine_similarity(a.ravel(), b.ravel(), dim=0) > 0.999
        assert 0.98 < float(a.norm() / b.norm()) < 1.02


def test_noise_is_for_training_only():
    delta_rnn = DeltaRNN(network(3), Formats())
    delta_rnn.noise = 3.0
    frames = torch.tensor(walks(8)).float() / 16
    with torch.no_grad():
        noisy = [delta_rnn(frames).outputs for _ in range(2)]
        still = [delta_rnn.eval()(frames).outputs for _ in range(2)]
    assert not torch.equal(*noisy)
    assert torch.equal(*still)


def test_the_cost_is_that_of_the_counts():
    delta_rnn = DeltaRNN(network(3), Formats())
    delta_rnn.set_thresholds(THRESHOLDS["some"])
    frames = walks(8)
    mask = torch.ones(frames.shape[:2])
    mask[:, 30:] = 0
    with torch.no_grad():
        found = delta_rnn(torch.tensor(frames).float() / 16)
    traces = run_sequences(delta_rnn.exported("m", None), [x[:30] for x in frames])
    of_x, of_h = (sum(getattr(t, n).sum(axis=0) for t in traces) for n in ("events_x", "events_h"))
    fetched = 3 * H[0] * (of_x[0] + of_h[0]) + 3 * H[1] * (of_x[1] + of_h[1]) + O * of_x[2]
    dense = 3 * H[0] * (I + H[0]) + 3 * H[1] * (H[0] + H[1]) + O * H[1]
    assert found.cost(mask) == (fetched, dense * 30 * len(frames))
    columns_x, columns_h = I + H[0] + H[1], H[0] + H[1]
    assert found.occupancy(mask) == (
        of_x.sum() / (150 * columns_x),
        of_h.sum() / (150 * columns_h),
    )


@pytest.mark.parametrize("q", [Q(3, 4), Q(0, 7), Q(1, 14)])
def test_rounding_is_the_specification_s_and_its_gradient_is_1_inside(q):
    near = np.array([0.0, 1e-9, -1e-9, 1e-3])
    ties = (np.arange(q.min - 2, q.max + 3)[:, None] + 0.5 + near).ravel() / q.scale
    v = torch.tensor(ties, dtype=torch.float64, requires_grad=True)
    result = rounded(v, q)
    np.testing.assert_array_equal(result.detach().numpy() * q.scale, quantize(ties, q))
    result.sum().backward()
    middle = np.abs(ties) < q.max / q.scale
    assert v.grad is not None
    assert (v.grad.numpy()[middle] == 1).all()
    assert v.grad[0] == 0
    assert v.grad[-1] == 0


@pytest.mark.parametrize("theta", [0, 1, 7])
def test_what_is_held_is_the_encoder_s_memory(theta):
    frames = walks(5, count=2).astype(np.int64).transpose(1, 0, 2)
    encoder, expected = DeltaEncoder(I, 2), []
    for frame in frames:
        encoder.encode(frame, theta)
        expected.append(encoder.memory.copy())
    np.testing.assert_array_equal(held(torch.tensor(frames).float(), theta), np.stack(expected))


def test_a_gradient_goes_to_the_frame_that_was_sent():
    v = torch.tensor([0.0, 3.0, 4.0, 9.0, 8.0]).reshape(-1, 1).requires_grad_()
    weigh = torch.tensor([1.0, 10.0, 100.0, 1000.0, 10000.0]).reshape(-1, 1)
    (held(v, 2.0) * weigh).sum().backward()  # 0, 3, 3, 9, 9
    assert v.grad is not None
    assert v.grad.ravel().tolist() == [0, 110, 0, 11000, 0]
