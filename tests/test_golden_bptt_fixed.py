"""Training in integers: by hand where it is small, against real numbers where it is fine."""

from itertools import pairwise

import numpy as np
import pytest

from golden.fixed import Q
from golden.formats import Formats
from golden.learn.bptt import backward, forward, linear_layer
from golden.learn.fixed_point import Masters, Trainee, TrainingFormats
from golden.learn.gru import gru_layer
from golden.learn.lstm import lstm_layer
from golden.learn.noise import PERIOD, Nearest, Stochastic, states
from golden.network import DeltaNetwork
from golden.parameters import LayerParameters
from tests.networks import random_model

GATES = {"gru": 3, "lstm": 4}
FINE = Formats(
    activation=Q(3, 12),
    state=Q(1, 14),
    gate=Q(1, 14),
    readout=Q(5, 14),
    preactivation=Q(3, 12),
    cell=Q(3, 14),
)
FINE_TRAINING = TrainingFormats(Q(5, 18), Q(5, 18), Q(1, 16), Q(2, 20))


def random_trainee(kind, sizes, outputs, formats, training, thetas=(0, 0), seed=7) -> Trainee:
    """Weights are multiples of 2^-6 up to 1, so that they lose nothing in inference's 8 bits."""
    rng = np.random.default_rng(seed)
    steps = 1 << (training.master.f - 6)

    def draw(*shape):
        return rng.integers(-63, 64, shape) * steps

    layers, masters = [], []
    for inputs, units in pairwise(sizes):
        rows = GATES[kind] * units
        layers.append(LayerParameters(kind, inputs, units, 0, *thetas))
        of_x, of_h = draw(rows, inputs), draw(rows, units)
        of_x[0, 0] = 127 * steps  # which also says that weight_frac is 6
        masters.append(Masters(of_x, of_h, draw(4 * units)))
    layers.append(LayerParameters("linear", sizes[-1], outputs, 0, thetas[1]))
    readout = draw(outputs, sizes[-1])
    readout[0, 0] = 127 * steps
    masters.append(Masters(readout, np.zeros((outputs, 0), dtype=np.int64), draw(outputs)))
    return Trainee(formats, training, tuple(layers), tuple(masters))


def in_real_numbers(trainee: Trainee):
    """The same network for golden.learn.bptt."""
    lsb, step = 2.0**-trainee.formats.activation.f, 2.0**-trainee.training.master.f
    make = {"gru": gru_layer, "lstm": lstm_layer}
    network = []
    for layer, masters in zip(trainee.layers, trainee.masters, strict=True):
        of_x, of_h, bias = (v * step for v in vars(masters).values())
        if layer.theta_h is None:
            network.append(linear_layer(of_x, bias, layer.theta_x * lsb))
        else:
            thetas = layer.theta_x * lsb, layer.theta_h * lsb
            network.append(make[layer.kind](of_x, of_h, bias, *thetas))
    return network


@pytest.mark.parametrize("sizes", [(4, 6), (3, 6, 5)], ids=["one layer", "two layers"])
@pytest.mark.parametrize("thetas", [(400, 60), (3000, 400)], ids=["most fire", "few fire"])
@pytest.mark.parametrize("kind", GATES)
def test_in_fine_formats_it_is_the_gradient(kind, thetas, sizes):
    trainee = random_trainee(kind, sizes, 3, FINE, FINE_TRAINING, thetas)
    rng = np.random.default_rng(2)
    steps = rng.integers(-4000, 4000, (2, 12, sizes[0])) * rng.integers(0, 2, (2, 12, sizes[0]))
    frames = np.clip(np.cumsum(steps, axis=1), -20000, 20000)
    errors = rng.integers(-(1 << 15), 1 << 15, (2, 12, 3))
    _, tapes = trainee.forward(frames)
    found = trainee.backward(tapes, errors)
    network, total = in_real_numbers(trainee), []
    for b in range(2):
        _, real_tapes = forward(network, frames[b] / FINE.activation.scale)
        for tape, real in zip(tapes, real_tapes, strict=True):
            fired = [np.flatnonzero(d).tolist() for d in tape.deltas_x[:, b]]
            assert fired == [e.columns.tolist() for e in real.events_x]
        gradients, _ = backward(network, real_tapes, errors[b] / FINE_TRAINING.error.scale)
        total.append(gradients)
    for ours, *theirs in zip(found, *total, strict=True):
        theirs = theirs[0] + theirs[1]
        of_h = np.zeros((len(ours.weight_x), 0)) if theirs.weight_h is None else theirs.weight_h
        pairs = (
            (ours.weight_x, theirs.weight_x),
            (ours.weight_h, of_h),
            (ours.bias, theirs.bias.ravel()),
        )
        for a, b in pairs:
            a = a / FINE_TRAINING.gradient.scale
            assert np.abs(a - b).max(initial=0) <= 0.01 * np.abs(b).max(initial=0)


@pytest.mark.parametrize("kind", GATES)
def test_what_learns_computes_what_inference_does(kind):
    model = random_model((3, 5), 2, theta=(4, 3), kinds=(kind,), scale=127)
    formats, training = model.parameters.formats, TrainingFormats()
    masters = []
    for layer, weights in zip(model.parameters.layers, model.weights, strict=True):
        finer = training.master.f - layer.weight_frac
        of_h = getattr(weights, "weight_h", np.zeros((layer.units, 0)))
        of_x, of_h, bias = (v.astype(np.int64) for v in (weights.weight_x, of_h, weights.bias))
        bias = bias << (finer - formats.activation.f)
        masters.append(Masters(of_x << finer, of_h << finer, bias))
    trainee = Trainee(formats, training, model.parameters.layers, tuple(masters))
    frames = np.random.default_rng(1).integers(-60, 60, (20, 3)).astype(np.int8)
    outputs, tapes = trainee.forward(frames[None])
    trace = DeltaNetwork(model).run(frames)
    np.testing.assert_array_equal(outputs[0], trace.outputs)
    np.testing.assert_array_equal(tapes[0].deltas_h[:, 0], trace.deltas_h[0])


def readout(weight, bias, training, theta=0) -> Trainee:
    """A read-out alone, of masters."""
    weight = np.array(weight)
    masters = Masters(weight, np.zeros((len(weight), 0), dtype=np.int64), np.array(bias))
    layer = LayerParameters("linear", weight.shape[1], len(weight), 0, theta)
    return Trainee(Formats(), training, (layer,), (masters,))


def test_two_frames_of_a_read_out_by_hand():
    """Deltas (16, 0) and (0, -8) in LSBs of 2^-4; errors 100 and 30 in LSBs of 2^-8.

    dL/dM is 30 in the last frame and 130 in the first. Gradients with 6 fraction bits: shifts of
    8 + 4 - 6: 30 * -8 / 64 = -3.75, which is -4, and 130 * 16 / 64 = 32.5, which is 33.
    """
    training = TrainingFormats(error=Q(3, 8), gradient=Q(5, 6), master=Q(2, 10))
    trainee = readout([[512, -256]], [0], training)
    outputs, tapes = trainee.forward(np.array([[[16, 0], [16, -8]]]))
    assert trainee.frac(0) == 7  # 0.5 is 64 of 2^-7; one bit more would be 128
    assert outputs.ravel().tolist() == [16 * 64, 16 * 64 + 8 * 32]
    (gradient,) = trainee.backward(tapes, np.array([[[100], [30]]]))
    assert gradient.weight_x.tolist() == [[33, -4]]
    assert gradient.bias.tolist() == [33]  # 130 / 4 = 32.5
    # The rate is 2^-2: from 6 fraction bits to 10, less 2: times 4.
    (new,) = trainee.updated([gradient], 2, Nearest()).masters
    assert new.weight_x.tolist() == [[512 - 132, -256 + 16]]
    assert new.bias.tolist() == [-132]


def test_an_error_of_a_column_that_fires_later_comes_back_to_where_it_was_sent():
    """With weight 0.5 and dL/dM 130, 30: dL/ddelta is 65 and 15 where they fire. v[0] sends both
    16 (and 16 stays), so it gets 65; v[1] is of the other column and gets its 15 * -1/2 / 1/2.
    """
    training = TrainingFormats(error=Q(3, 8), gradient=Q(5, 6), master=Q(2, 10))
    trainee = readout([[512, -256]], [0], training)
    _, (tape,) = trainee.forward(np.array([[[16, 0], [24, -8]]]))
    _, errors = trainee._backward(0, tape, np.array([[[100]], [[30]]]))
    # Column 0 fires twice: 65 - 15, then 15. Column 1 once: round(-7.5) = -7.
    assert errors[:, 0].tolist() == [[50, 0], [15, -7]]


def test_a_gradient_saturates_and_so_does_a_master():
    training = TrainingFormats(error=Q(3, 8), gradient=Q(0, 6), master=Q(0, 10))
    trainee = readout([[1000]], [-1000], training)
    _, tapes = trainee.forward(np.array([[[127]]]))
    (gradient,) = trainee.backward(tapes, np.array([[[-2000]]]))
    assert (gradient.weight_x.item(), gradient.bias.item()) == (-64, -64)
    (new,) = trainee.updated([gradient], 0, Nearest()).masters
    assert (new.weight_x.item(), new.bias.item()) == (1023, 24)


@pytest.mark.parametrize("kind", GATES)
def test_a_sequence_without_errors_adds_nothing_to_a_batch(kind):
    trainee = random_trainee(kind, (3, 5), 2, Formats(), TrainingFormats(), (4, 2))
    rng = np.random.default_rng(3)
    frames, errors = rng.integers(-80, 80, (2, 9, 3)), rng.integers(-2000, 2000, (2, 9, 2))
    errors[1] = 0
    _, tapes = trainee.forward(frames)
    _, alone = trainee.forward(frames[:1])
    for both, one in zip(
        trainee.backward(tapes, errors), trainee.backward(alone, errors[:1]), strict=True
    ):
        assert any(v.any() for v in vars(both).values())
        for a, b in zip(vars(both).values(), vars(one).values(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_columns_that_never_fire_get_no_gradient():
    trainee = random_trainee("gru", (3, 5), 2, Formats(), TrainingFormats(), (4, 200))
    frames = np.random.default_rng(3).integers(-80, 80, (1, 9, 3))
    frames[..., 1] = 4
    _, tapes = trainee.forward(frames)
    gru, last = trainee.backward(tapes, np.full((1, 9, 2), 900))
    assert not gru.weight_x[:, 1].any()
    assert not gru.weight_h.any()
    assert not last.weight_x.any()
    assert last.bias.tolist() == [2025, 2025]  # 9 * 900, from 14 fraction bits to 12


def test_the_register_takes_every_value_but_0():
    assert len(set(states().tolist())) == PERIOD == 65535
    assert states().min() == 1
    assert states()[:2].tolist() == [1, _stepped(1, 16)]


def _stepped(state: int, steps: int) -> int:
    """By the polynomial's feedback, bit by bit, as a string of bits."""
    bits = [int(bit) for bit in f"{state:016b}"]
    for _ in range(steps):
        bits = [bits[15] ^ bits[13] ^ bits[12] ^ bits[10], *bits[:15]]
    return int("".join(map(str, bits)), 2)


@pytest.mark.parametrize("v", [-37, -1, 0, 5, 64, 1000])
def test_stochastic_rounding_is_right_in_the_mean(v):
    rounded = Stochastic().shift(np.full(PERIOD, v), 6)
    assert set(rounded.tolist()) <= {v >> 6, -(-v >> 6)}
    assert rounded.mean() == pytest.approx(v / 64, abs=2e-5)


def test_noise_goes_on_where_it_was_and_exact_shifts_use_none():
    once, twice = Stochastic(), Stochastic()
    v = np.arange(100).reshape(4, 25)
    whole = once.shift(v, 5)
    parts = [twice.shift(v[:2], 5), twice.shift(v[2:], 5)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(twice.shift(v, -2), v * 4)
    assert twice.words == once.words == 100


@pytest.mark.parametrize(
    ("formats", "message"),
    [
        ({"error": Q(10, 14)}, "width of format error: found 25, expected an integer from 2 to 24"),
        ({"gradient": Q(0, 0)}, "width of format gradient: found 1, expected"),
        ({"slope": Q(4, 14)}, "width of format slope: found 19, expected"),
        ({"master": Q(0, 6)}, "width of format master: found 7, expected an integer from 8 to 32"),
    ],
)
def test_formats_out_of_range_are_refused(formats, message):
    with pytest.raises(ValueError, match=message):
        TrainingFormats(**formats)
