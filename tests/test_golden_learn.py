"""Learning in integers: against real numbers where it is fine, its corners, and inference."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from golden.fixed import Q
from golden.formats import Formats
from golden.learn.bptt import backward, forward, linear_layer
from golden.learn.formats import LearningFormats
from golden.learn.gru import gru_layer
from golden.learn.loss import hinge, of_each_frame, verdict
from golden.learn.lstm import lstm_layer
from golden.learn.masters import Masters, learned, of_model
from golden.learn.sequence import LearningNetwork, Settings
from golden.learn.tape import TapeSize, words
from golden.linear import LinearWeights
from golden.model import Model
from golden.network import DeltaNetwork
from golden.parameters import LayerParameters
from tests.networks import random_frames, random_model

GATES = {"gru": 3, "lstm": 4}
FINE = Formats(
    activation=Q(3, 12),
    state=Q(1, 14),
    gate=Q(1, 14),
    readout=Q(5, 14),
    preactivation=Q(3, 12),
    cell=Q(3, 14),
)
# Masters so fine that a step loses nothing, and so slow that no weight moves.
FINE_LEARNING = LearningFormats(Q(3, 20), Q(1, 16), 31)
FRAC = 6


def fine_network(kind, sizes, outputs, thetas, seed=7) -> LearningNetwork:
    rng, layers, made = np.random.default_rng(seed), [], []

    def draw(*shape):
        return (rng.integers(-63, 64, shape) << FINE_LEARNING.below) + FINE_LEARNING.half

    for inputs, units in pairwise(sizes):
        rows = GATES[kind] * units
        layers.append(LayerParameters(kind, inputs, units, FRAC, *thetas))
        made.append(Masters(draw(rows, inputs + 1), draw(rows, units + (kind == "gru"))))
    layers.append(LayerParameters("linear", sizes[-1], outputs, FRAC, thetas[1]))
    made.append(Masters(draw(outputs, sizes[-1] + 1), np.zeros((outputs, 0), dtype=np.int64)))
    return LearningNetwork(FINE, layers, made, FINE_LEARNING)


def in_real_numbers(network: LearningNetwork):
    """The same network for golden.learn.bptt."""
    make, found = {"gru": gru_layer, "lstm": lstm_layer}, []
    model = network.model("fine")
    for layer, weights in zip(model.parameters.layers, model.weights, strict=True):
        theta_x = layer.theta_x / FINE.activation.scale
        of_x, bias = weights.weight_x / 2.0**FRAC, weights.bias / 2.0 ** (FRAC + 12)
        if isinstance(weights, LinearWeights):
            found.append(linear_layer(of_x, bias, theta_x))
        else:
            theta_h = (layer.theta_h or 0) / FINE.activation.scale
            of_h = weights.weight_h / 2.0**FRAC
            found.append(make[layer.kind](of_x, of_h, bias, theta_x, theta_h))
    return found


def parts(layer: LayerParameters, of_x, of_h):
    """Gradients by inference's parameters: a constant column's rows are those of the bias."""
    bias = of_x[:, -1]
    if layer.has.splits:  # a GRU's r and u have a bias in either column
        assert np.array_equal(bias[: 2 * layer.units], of_h[: 2 * layer.units, -1])
        bias = np.concatenate([bias, of_h[2 * layer.units :, -1]])
    return of_x[:, :-1], of_h[:, : layer.columns - layer.inputs], bias


@pytest.mark.parametrize("cost", [0, 2000], ids=["", "with L1"])
@pytest.mark.parametrize("thetas", [(400, 60), (3000, 400)], ids=["most fire", "few fire"])
@pytest.mark.parametrize("sizes", [(4, 6), (3, 6, 5)], ids=["one layer", "two layers"])
@pytest.mark.parametrize("kind", GATES)
def test_in_fine_formats_it_is_the_gradient(kind, sizes, thetas, cost):
    network = fine_network(kind, sizes, 3, thetas)
    rng = np.random.default_rng(2)
    steps = rng.integers(-4000, 4000, (12, sizes[0])) * rng.integers(0, 2, (12, sizes[0]))
    frames = np.clip(np.cumsum(steps, axis=0), -20000, 20000)
    errors = rng.integers(-(1 << 21), 1 << 21, 3)
    before = [each.copy() for each in network.masters]
    trace = network.learn(frames, Settings(2, 3, cost), errors)
    real = in_real_numbers(network)
    results, tapes = forward(real, frames / FINE.activation.scale)
    for ours, theirs in zip(trace.tapes, tapes, strict=True):
        fired = [np.flatnonzero(d).tolist() for d in ours.x[:, :-1]]
        assert fired == [e.columns.tolist() for e in theirs.events_x]
        for d, e in zip(ours.h[:, : ours.kept.shape[2]], theirs.events_h, strict=False):
            assert np.flatnonzero(d).tolist() == e.columns.tolist()
    of_results = np.tile(errors / FINE_LEARNING.error.scale / 16, (12, 1))  # 2^3 < 12 <= 2^4
    wanted, _ = backward(real, tapes, of_results, cost / FINE_LEARNING.error.scale)
    lsb = 2.0 ** -(FINE_LEARNING.master_frac(FRAC) - 9)  # of a gradient, with a rate of 2^-9
    for layer, was, is_, gradient in zip(
        network.layers, before, network.masters, wanted, strict=True
    ):
        assert np.array_equal(was.x >> FINE_LEARNING.below, is_.x >> FINE_LEARNING.below)
        assert np.array_equal(was.h >> FINE_LEARNING.below, is_.h >> FINE_LEARNING.below)
        ours = parts(layer, (was.x - is_.x) * lsb, (was.h - is_.h) * lsb)
        none = np.zeros((len(is_.h), 0))
        of_h = none if gradient.weight_h is None else gradient.weight_h
        for a, b in zip(ours, (gradient.weight_x, of_h, gradient.bias.ravel()), strict=True):
            assert a.shape == b.shape
            assert np.abs(a - b).max(initial=0) <= 0.01 * np.abs(b).max(initial=0)
    assert np.abs(results - trace.results / 2.0 ** (FRAC + 12)).max() < 1e-3


@pytest.mark.parametrize("kinds", [("gru",), ("lstm",), ("gru", "lstm")], ids=" ".join)
def test_what_learns_computes_what_inference_does(kinds):
    """Of a model whose biases a weight can hold, and of what that model has become."""
    model = random_model((3, 5, 4), 2, theta=(4, 3), kinds=kinds, scale=127)
    network = LearningNetwork.of(model)
    made = network.model(model.name)
    for weights, again in zip(model.weights, made.weights, strict=True):
        assert np.array_equal(weights.weight_x, again.weight_x)
        assert np.abs(weights.bias - again.bias).max() <= 8  # half of 2^f_act
    frames = random_frames(model, 20, moving=0.5)
    for _ in range(3):
        made = network.model(model.name)
        trace = network.learn(frames, Settings(8, 2), 1)
        wanted = DeltaNetwork(made).run(frames)
        assert np.array_equal(trace.results, wanted.outputs)
        for k, tape in enumerate(trace.tapes):
            assert np.array_equal(tape.x[:, :-1], wanted.deltas_x[k])
        for k, deltas in enumerate(wanted.deltas_h):
            assert np.array_equal(trace.tapes[k].h[:, : deltas.shape[1]], deltas)
        again = of_model(network.model(model.name), network.learning)
        for layer, masters in zip(again, network.masters, strict=True):
            assert np.array_equal(layer.x[:, :-1] >> 8, masters.x[:, :-1] >> 8)
    assert not np.array_equal(made.weights[0].weight_x, model.weights[0].weight_x)


def test_a_label_of_numpy_is_a_label():
    frames = random_frames(random_model((3, 5), 2), 6, moving=0.5)
    traces = [small().learn(frames, Settings(8, 2), said) for said in (1, np.int64(1), np.uint8(1))]
    assert len({tuple(trace.e.tolist()) for trace in traces}) == 1
    assert traces[0].e.any()


# Corners ----------------------------------------------------------------------------------------


def readout_network(weight, tape=None, theta=0) -> LearningNetwork:
    """A GRU of one unit that nothing moves, and a read-out [O, 1] of its h."""
    layers = (
        LayerParameters("gru", 1, 1, 6, 0, 0),
        LayerParameters("linear", 1, len(weight), 6, theta),
    )
    gru = Masters(np.full((3, 2), 128), np.full((3, 2), 128))
    readout = Masters(np.array(weight), np.zeros((len(weight), 0), dtype=np.int64))
    return LearningNetwork(Formats(), layers, [gru, readout], tape=tape)


def test_one_frame_by_hand():
    """Bias 64 + half, which is 1.0: the result is 1 * 2^10 in the one frame, S = 1024, K = 0.

    The target is -1, so e = 1 (2 clipped): 16384. G d = 16384 * 16, shift 14 + 4 - 14 + 3 = 7:
    2048. The master 16512 becomes 14464, whose upper byte is 56.
    """
    network = readout_network([[128, (64 << 8) + 128], [128, 128]])
    trace = network.learn(np.array([[0]]), Settings(8, 2), 1)
    assert trace.results.tolist() == [[1024, 0]]
    assert (trace.verdict.halvings, trace.verdict.decided) == (0, 0)
    assert trace.e.tolist() == trace.of_result.tolist() == [16384, -16384]
    top, bottom = trace.passes
    assert top.g.tolist() == [[16384, -16384]]
    assert (top.x.columns.tolist(), top.x.deltas.tolist()) == ([1], [16])
    assert top.x.old[:, 0].tolist() == [16512, 128]
    assert top.x.new[:, 0].tolist() == [14464, 2176]
    assert network.masters[1].x.tolist() == [[128, 14464], [128, 2176]]
    assert top.x.of_deltas is not None
    assert top.x.of_deltas.tolist() == [16384]  # of the constant column: nobody's, but made
    assert bottom.of_output.tolist() == [0]  # h never fired
    assert [(w.column, w.row, w.old, w.new) for w in trace.writes()][:2] == [
        (1, 0, 16512, 14464),
        (1, 1, 128, 2176),
    ]


def small(kind="gru", *, theta=(4, 3), seed=3) -> LearningNetwork:
    return LearningNetwork.of(random_model((3, 5), 2, kinds=(kind,), theta=theta, seed=seed))


def snapshot(network: LearningNetwork) -> list[np.ndarray]:
    return [v.copy() for each in network.masters for v in (each.x, each.h)]


def same(before: list[np.ndarray], network: LearningNetwork) -> bool:
    return all(map(np.array_equal, before, snapshot(network)))


@pytest.mark.parametrize("kind", GATES)
def test_no_event_changes_the_read_out_s_biases_alone(kind):
    """What fires nothing sends nothing, so no error comes back to it."""
    network = small(kind, theta=(255, 255))
    before = snapshot(network)
    trace = network.learn(np.full((6, 3), 90), Settings(8, 2), 1)
    assert words(trace.tapes) == {"input": 6 + 1, "h": 6 + (kind == "gru"), "above": 6 + 1}
    for each in trace.passes:
        assert each.x.columns.size == (each.frame == 0)
    before[2][:, -1] = network.masters[1].x[:, -1]
    assert same(before, network)
    assert trace.passes[0].x.new.size == 0
    assert trace.passes[-2].x.new.tolist() != trace.passes[-2].x.old.tolist()


@pytest.mark.parametrize("kind", GATES)
def test_one_event(kind):
    network = small(kind, theta=((40, 255), (0, 0)))
    before = snapshot(network)
    frames = np.zeros((4, 3), dtype=np.int64)
    frames[2:, 1] = 50
    trace = network.learn(frames, Settings(8, 2), 1)
    fired = [(p.frame, p.x.columns.tolist()) for p in trace.passes if p.layer == 0]
    assert fired == [(3, []), (2, [1]), (1, []), (0, [3])]
    changed = (before[0] != network.masters[0].x).any(axis=0)
    assert changed.tolist() == [False, True, False, True]


@pytest.mark.parametrize("kind", GATES)
def test_all_columns_fire(kind):
    network = small(kind, theta=(0, 0))
    frames = np.array([[20, -20, 30], [-20, 20, -30]] * 8)
    trace = network.learn(frames, Settings(8, 2), 0)
    assert all(p.x.columns.size >= 3 for p in trace.passes if p.layer == 0)
    assert (trace.tapes[0].h[1:] != 0).any()
    size = TapeSize.of(network.layers, 16)
    assert words(trace.tapes)["input"] == size.input == 16 * 4 + 1


def test_errors_saturate_and_keep_their_sign():
    """G of 16 frames of +-2 without end, and D of many rows."""
    network = small()
    frames = np.array([[100, -100, 100], [-100, 100, -100]] * 8)
    host = np.array([network.learning.error.max, network.learning.error.min])
    network.masters[1].x[0], network.masters[1].x[1] = 32767, -32768
    trace = network.learn(frames, Settings(8, 2), host)
    q = network.learning.error
    top = [p for p in trace.passes if p.layer == 1]
    assert trace.of_result.tolist() == [2048, -2048]
    assert top[-1].g.tolist() == [[32767, -32768]]  # 16 * 2048, once saturated
    assert top[0].g.tolist() == [[2048, -2048]]
    most = [p.x.of_deltas.max(initial=0) for p in top if p.x.of_deltas is not None]
    assert max(most) == q.max


def test_a_master_saturates_and_says_so():
    network = readout_network([[128, 32700], [128, -32700]])
    trace = network.learn(np.array([[0]]), Settings(8, 2), np.array([-32768, 32767]))
    assert network.masters[1].x[:, -1].tolist() == [32767, -32768]
    assert trace.saturated
    trace = network.learn(np.array([[0]]), Settings(8, 2), np.array([-32768, 32767]))
    assert network.masters[1].x[:, -1].tolist() == [32767, -32768]
    assert not trace.saturated  # it was there before


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("readout_only", [False, True])
def test_without_a_rate_or_an_error_no_master_changes(kind, readout_only):
    network = small(kind)
    before, frames = snapshot(network), random_frames(random_model((3, 5), 2), 9)
    settings = Settings(0, 2, 7, readout_only)
    trace = network.learn(frames, settings, 1)
    assert same(before, network)
    assert all(write.old == write.new for write in trace.writes())
    assert any(each.g.any() for each in trace.passes)
    trace = network.learn(frames, replace(settings, rate=8, cost=0), np.zeros(2, dtype=np.int64))
    assert same(before, network)
    assert list(trace.writes())
    network.learn(frames, replace(settings, rate=8), 1)
    assert not same(before, network)


def test_the_cost_of_deltas_alone_moves_what_makes_them():
    network = small()
    before, frames = snapshot(network), random_frames(random_model((3, 5), 2), 9)
    trace = network.learn(frames, Settings(8, 2, 64), np.zeros(2, dtype=np.int64))
    assert not trace.e.any()
    assert np.array_equal(before[2], network.masters[1].x)
    assert not np.array_equal(before[0], network.masters[0].x)


def test_a_full_tape_drops_the_sequence():
    network, frames = small(), random_frames(random_model((3, 5), 2), 9)
    before = snapshot(network)
    need = words(network.learn(frames, Settings(0, 2), 1).tapes)
    enough = TapeSize(9, **need)
    for name in ("frames", *need):
        network.tape = replace(enough, **{name: getattr(enough, name) - 1})
        trace = network.learn(frames, Settings(8, 2), 1)
        assert trace.dropped == "tape full"
        assert (trace.passes, trace.e.tolist()) == ((), [0, 0])
        assert same(before, network)
    readout = replace(network.tape, frames=1)  # which needs no tape
    network.tape = readout
    assert network.learn(frames, Settings(0, 2, 0, True), 1).dropped == ""
    network.tape = enough
    assert network.learn(frames, Settings(8, 2), 1).dropped == ""
    assert not same(before, network)


@pytest.mark.parametrize("readout_only", [False, True])
def test_a_sequence_of_more_than_256_frames_is_dropped(readout_only):
    """Also where there is no tape: S and the sums of v^ have bits for no more."""
    frames = random_frames(random_model((3, 5), 2), 257)
    for length, dropped in ((256, ""), (257, "too many frames")):
        network = small()
        before = snapshot(network)
        trace = network.learn(frames[:length], Settings(8, 2, 0, readout_only), 1)
        assert trace.dropped == dropped
        assert same(before, network) == bool(dropped)


@pytest.mark.parametrize("label", [-1, 1, 2])
def test_a_label_of_an_unknown_class_drops_the_sequence(label):
    network, frames = small(), random_frames(random_model((3, 5), 2), 9)
    before = snapshot(network)
    trace = network.learn(frames, Settings(8, 1), label)
    assert trace.dropped == "unknown label"
    assert trace.verdict.decided == 0
    assert same(before, network)


def test_a_class_that_is_not_known_gets_no_error():
    network, frames = small(), random_frames(random_model((3, 5), 2), 9)
    before = network.masters[1].x.copy()
    for said in (0, np.array([900, 900])):
        assert network.learn(frames, Settings(8, 1), said).e[1] == 0
    assert np.array_equal(network.masters[1].x[1], before[1])
    assert not np.array_equal(network.masters[1].x[0], before[0])


@pytest.mark.parametrize(
    ("frames", "halvings"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (16, 4), (17, 5), (256, 8)]
)
def test_the_mean_is_by_a_power_of_two(frames, halvings):
    assert verdict(np.zeros((frames, 2), dtype=np.int64), 2).halvings == halvings


def test_the_hinge_by_hand():
    """Means of 2^-10: 1.5, 0.5, -0.25, -1.5, 3; K = 1. Nothing beyond a target, 1 at the most."""
    learning = LearningFormats()
    found = verdict(np.array([[1536, 512, -256, -1536, 3072]] * 2), 5)
    one = learning.error.scale
    e = hinge(found, 10, learning, 0, 5)
    assert e.tolist() == [0, one, one * 3 // 4, 0, one]
    assert hinge(found, 10, learning, 3, 4).tolist() == [one, one, one * 3 // 4, -one, 0]
    assert of_each_frame(e, found).tolist() == [0, one // 2, one * 3 // 8, 0, one // 2]
    assert (found.decided, verdict(np.array([[1, 7, 7, 9]]), 3).decided) == (4, 1)


def test_what_cannot_learn_is_refused():
    model = random_model((3, 5), None)
    with pytest.raises(ValueError, match="last layer: found 'gru', expected a linear layer"):
        LearningNetwork.of(model)
    with pytest.raises(ValueError, match="row shifts: found some, expected none"):
        LearningNetwork.of(random_model((3, 5), 2, shifts=2))
    network = small()
    frames = np.zeros((2, 3), dtype=np.int64)
    with pytest.raises(ValueError, match="frames: found 0, expected at least one"):
        network.learn(frames[:0], Settings(1, 2), 0)
    with pytest.raises(ValueError, match="known: found 3, expected an integer from 1 to 2"):
        network.learn(frames, Settings(1, 3), 0)
    for shape in (2, 4), (6,):
        with pytest.raises(ValueError, match=r"frames: found .*, expected \[T, 3\]"):
            network.learn(np.zeros(shape, dtype=np.int64), Settings(1, 2), 0)
    for errors, message in (
        (np.array([0]), r"errors: found \[1\], expected \[2\]"),
        (np.array([0, 32768]), r"errors: found \[0, 32768\], expected integers in format Q1.14"),
        (np.array([0, 0.5]), r"errors: found \[0.0, 0.5\], expected integers in format Q1.14"),
    ):
        with pytest.raises(ValueError, match=message):
            network.learn(frames, Settings(1, 2), errors)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LearningFormats(error=Q(10, 14)), "width of format error: found 25, expected"),
        (lambda: LearningFormats(slope=Q(4, 14)), "width of format slope: found 19, expected"),
        (lambda: LearningFormats(master=8), "width of a master: found 8, expected an integer"),
        (lambda: Settings(9, 1), "rate: found 9, expected an integer from 0 to 8"),
        (lambda: Settings(1, 1, 4096), "cost of deltas: found 4096, expected an integer from 0"),
        (lambda: TapeSize(257, 1, 1, 1), "frames of the tape: found 257, expected an integer"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_masters_come_from_a_model_in_every_bit_that_they_can_hold():
    model = random_model((3, 5), 2, scale=127)
    masters = of_model(model, LearningFormats())
    assert np.array_equal(masters[0].x[:, :-1], (model.weights[0].weight_x.astype(int) << 8) + 128)
    # A bias of 10 fraction bits is a weight of 6 and 4 more, of 8 in a master.
    assert np.array_equal(masters[0].x[:, -1], (model.weights[0].bias[:15].astype(int) << 4) + 128)
    assert np.array_equal(
        masters[0].h[10:, -1], (model.weights[0].bias[15:].astype(int) << 4) + 128
    )
    assert (masters[0].h[:10, -1] == 128).all()
    wide = replace(model.weights[1], bias=np.array([40000, -40000], dtype=np.int32))
    both = (model.weights[0], wide)
    model = Model.of("wide", model.parameters.formats, model.parameters.layers, both)
    assert of_model(model, LearningFormats())[1].x[:, -1].tolist() == [32767, -32768]


def test_a_tape_takes_the_room_that_its_block_ram_has():
    """The half of all lists: less than a block, more, and as many as there can be."""
    layers = random_model((12, 40), 9).parameters.layers
    whole, half = (TapeSize.of(layers, 100, share) for share in (1.0, 0.5))
    assert (whole.input, half.input) == (1301, 701)
    assert (whole.h, half.h) == (4101, 2101)
    tape = whole.in_blocks(half)
    assert (tape.frames, tape.input, tape.h) == (100, 1024, 3072)
    assert TapeSize.of(layers, 3).in_blocks(TapeSize.of(layers, 3, 0.5)) == TapeSize.of(layers, 3)


@pytest.mark.parametrize("width", [9, 16, 31])
@pytest.mark.parametrize("kinds", [("gru", "gru"), ("lstm", "gru"), ("lstm",)])
def test_what_was_learned_is_where_learning_begins_again(kinds, width):
    """Masters of any value: the biases of r and u are then up to two weights."""
    model = random_model((3, *range(4, 4 + len(kinds))), 3, kinds=kinds)
    learning = LearningFormats(master=width)
    rng, q = np.random.default_rng(width), learning.range

    def drawn(masters):
        x, h = (rng.integers(q.min, q.max + 1, each.shape) for each in (masters.x, masters.h))
        return Masters(x, h)

    masters = [drawn(each) for each in of_model(model, learning)]
    once = learned(model, masters, learning)
    again = learned(once, of_model(once, learning), learning)
    for one, other in zip(once.weights, again.weights, strict=True):
        assert all(np.array_equal(a, vars(other)[name]) for name, a in vars(one).items())


def test_a_bias_beyond_a_weight_is_that_of_two_columns():
    model = random_model((2, 3), 2)
    gru, readout = model.weights
    frac = model.parameters.formats.activation.f
    tops = np.array([300, -300, 5, 254, -256, 127, 200, -200, 128, -129, 0, 127])  # r, u, xc, hc
    gru = replace(gru, bias=(tops << frac).astype(np.int32))
    model, learning = replace(model, weights=(gru, readout)), LearningFormats()
    found = learned(model, of_model(model, learning), learning)
    expected = [254, -256, 5, 254, -256, 127, 127, -128, 127, -128, 0, 127]
    assert (found.weights[0].bias >> frac).tolist() == expected
