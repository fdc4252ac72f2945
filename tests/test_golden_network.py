import itertools

import numpy as np
import pytest

from golden.fixed import Q
from golden.formats import Formats
from golden.model import Model
from golden.network import DeltaNetwork, DenseNetwork, Trace, run_sequences
from tests.networks import random_frames, random_model

# Layer sizes and results: one layer, a read-out, and several layers before one.
SHAPES = {
    "one layer": ((4, 5), None),
    "two layers": ((3, 5, 4), None),
    "a read-out": ((4, 6), 3),
    "three layers and a read-out": ((5, 8, 7, 6), 4),
}
SHAPE_CASES = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
FORMATS = {"Q3.4 state": Formats(), "Q1.14 state": Formats(state=Q(1, 14), activation=Q(2, 5))}
FORMAT_CASES = pytest.mark.parametrize("formats", FORMATS.values(), ids=FORMATS.keys())


def arrays(trace: Trace) -> list[np.ndarray]:
    return [trace.outputs, *trace.states, *trace.deltas_x, *trace.deltas_h]


def assert_same(found: Trace, expected: Trace) -> None:
    pairs = list(zip(arrays(found), arrays(expected), strict=True))
    assert all(a.shape == b.shape and (a == b).all() for a, b in pairs)


@SHAPE_CASES
@FORMAT_CASES
@pytest.mark.parametrize("kinds", [("gru",), ("lstm",), ("lstm", "gru")], ids="-".join)
def test_at_threshold_0_it_is_the_dense_network_over_10000_frames(shape, formats, kinds):
    model = random_model(*shape, kinds=kinds, theta=(0, 0), formats=formats, scale=128)
    delta, dense = DeltaNetwork(model, batch=50), DenseNetwork(model, batch=50)
    streams = np.array([random_frames(model, 200, seed=s, moving=0.7) for s in range(50)])
    for t in range(200):
        x = streams[:, t].astype(np.int64)
        assert (delta.step(x) == dense.step(x)).all()


@pytest.mark.slow
def test_at_threshold_0_it_is_the_dense_network_in_one_long_stream():
    model = random_model((4, 6, 5), 3, theta=(0, 0))
    frames = random_frames(model, 10_000, moving=0.5)
    dense = DenseNetwork(model)
    outputs = [dense.step(x[None])[0] for x in frames.astype(np.int64)]
    assert (DeltaNetwork(model).run(frames).outputs == outputs).all()


@SHAPE_CASES
@pytest.mark.parametrize("cuts", [[1], [40, 41, 77], [0, 99, 100]])
def test_a_run_in_chunks_is_the_run_at_once(shape, cuts):
    model = random_model(*shape, theta=(4, 2))
    frames = random_frames(model, 100, moving=0.6)
    network = DeltaNetwork(model)
    parts = [network.run(part) for part in np.split(frames, cuts)]
    assert_same(Trace.joined(parts), DeltaNetwork(model).run(frames))


@SHAPE_CASES
def test_sequences_at_once_are_the_sequences_one_by_one(shape):
    model = random_model(*shape, theta=(3, 1))
    sequences = [
        random_frames(model, length, seed=length, moving=0.5) for length in (30, 1, 57, 0, 30, 12)
    ]
    for found, frames in zip(run_sequences(model, sequences), sequences, strict=True):
        assert_same(found, DeltaNetwork(model).run(frames))


def test_no_sequences_give_no_traces():
    assert run_sequences(random_model((2, 3)), []) == []


def test_a_batch_is_its_sequences():
    model = random_model((3, 5, 4), 2, kinds=("gru", "lstm"), theta=(2, 2))
    batch = np.array([random_frames(model, 40, seed=s) for s in range(4)])
    whole = DeltaNetwork(model, batch=4).run(batch)
    for b, frames in enumerate(batch):
        alone = DeltaNetwork(model).run(frames)
        pairs = zip(arrays(whole), arrays(alone), strict=True)
        assert all((of_batch[b] == single).all() for of_batch, single in pairs)
        assert (whole.events_x[b] == alone.events_x).all()
        assert (whole.events_h[b] == alone.events_h).all()


def test_a_batch_of_one_keeps_its_axis():
    model = random_model((3, 5), 2)
    frames = random_frames(model, 10)
    assert DeltaNetwork(model).run(frames[None]).outputs.shape == (1, 10, 2)
    assert DeltaNetwork(model).run(frames).outputs.shape == (10, 2)


def test_reset_starts_over():
    model = random_model((3, 5, 4), 2)
    frames = random_frames(model, 30)
    network = DeltaNetwork(model)
    first = network.run(frames)
    assert not np.array_equal(network.run(frames).outputs, first.outputs)
    network.reset()
    assert_same(network.run(frames), first)


@pytest.mark.parametrize(
    ("batch", "shape"), [(1, (10, 4)), (1, (2, 10, 3)), (2, (10, 3)), (2, (3, 10, 3))]
)
def test_frames_that_do_not_fit_are_refused(batch, shape):
    network = DeltaNetwork(random_model((3, 5)), batch)
    with pytest.raises(ValueError, match=r"^shape of the frames: found \[.*, expected batch"):
        network.run(np.zeros(shape, dtype=np.int8))


def test_a_trace_counts_its_events():
    model = random_model((3, 5, 4), 2, theta=(6, 3))
    trace = DeltaNetwork(model).run(random_frames(model, 50, moving=0.5))
    assert trace.events_x.shape == trace.events_h.shape == (50, 3)
    assert trace.state is trace.states[-1]
    for k in range(3):
        counted = [int((frame != 0).sum()) for frame in trace.deltas_x[k]]
        assert trace.events_x[:, k].tolist() == counted
    for k in range(2):
        counted = [int((frame != 0).sum()) for frame in trace.deltas_h[k]]
        assert trace.events_h[:, k].tolist() == counted
    assert not trace.events_h[:, 2].any()  # a read-out has no h
    assert 0 < trace.events_h.sum() < 50 * 9


# The width of the accumulators: every partial sum of every order of events fits, and none is spare.


def fits(values: np.ndarray, width: int) -> bool:
    return bool((values >= -(1 << (width - 1))).all() and (values < (1 << (width - 1))).all())


def rows(model: Model, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Layer ``k`` as one matrix [accumulators, columns] with its bias, all int64.

    A GRU layer's columns are x then h; its xc rows have no h and its hc rows no x.
    """
    w = model.weights[k]
    x, bias = w.weight_x.astype(np.int64), w.bias.astype(np.int64)
    if not model.parameters.layers[k].recurrent:
        return x, bias
    h = w.weight_h.astype(np.int64)
    n = h.shape[1]
    r_and_u = np.hstack([x[: 2 * n], h[: 2 * n]])
    xc = np.hstack([x[2 * n :], np.zeros_like(h[2 * n :])])
    hc = np.hstack([np.zeros_like(x[2 * n :]), h[2 * n :]])
    return np.vstack([r_and_u, xc, hc]), bias


@pytest.mark.parametrize("seed", range(12))
def test_every_vector_that_could_have_been_sent_fits(seed):
    """Exhaustive: after any event M = bias + W v, v being any vector of activations."""
    formats = Formats(activation=Q(0, 1))
    model = random_model((2, 2), 2, seed=seed, formats=formats, scale=128 if seed % 2 else 3)
    width = model.parameters.accumulator_width
    values = range(formats.activation.min, formats.activation.max + 1)
    for k in range(2):
        matrix, bias = rows(model, k)
        for v in itertools.product(values, repeat=matrix.shape[1]):
            assert fits(matrix @ np.array(v) + bias, width)


@SHAPE_CASES
@pytest.mark.parametrize("seed", range(3))
def test_partial_sums_fit_in_any_order_of_events(shape, seed):
    """Inputs jump between the ends of the format; each frame's events come in a random order."""
    model = random_model(*shape, seed=seed, theta=(0, 0), scale=128)
    width = model.parameters.accumulator_width
    trace = DeltaNetwork(model).run(random_frames(model, 60, seed=seed, saturating=True))
    rng = np.random.default_rng(seed)
    for k, layer in enumerate(model.parameters.layers):
        matrix, m = rows(model, k)
        deltas = [trace.deltas_x[k]] + ([trace.deltas_h[k]] if layer.recurrent else [])
        for frame in np.hstack(deltas):
            order = rng.permutation(len(frame))
            partial = m + np.cumsum(matrix[:, order] * frame[order], axis=1).T
            assert fits(partial, width)
            m = partial[-1]


@pytest.mark.parametrize("seed", range(4))
def test_the_worst_vector_for_each_row_fits(seed):
    model = random_model((7, 6, 5), 4, seed=seed, scale=128)
    activation = model.parameters.formats.activation
    for k in range(3):
        matrix, bias = rows(model, k)
        for row, b in zip(matrix, bias, strict=True):
            for up in (row > 0, row < 0):
                worst = b + row @ np.where(up, activation.max, activation.min)
                assert fits(worst, model.parameters.accumulator_width)


@pytest.mark.parametrize("inputs", [1, 2, 3, 16, 100])
@pytest.mark.parametrize("recurrent", [True, False])
def test_the_width_is_tight(inputs, recurrent):
    """Lowest weights, lowest inputs and a positive bias reach the bound, to the last bit."""
    model = random_model((inputs, inputs), None if recurrent else 1, theta=(0, 0), scale=1)
    k = 0 if recurrent else 1
    weights = model.weights[k]
    weights.weight_x[:] = -128
    weights.bias[:] = 300
    model = Model.of("tight", model.parameters.formats, model.parameters.layers, model.weights)
    layer = DeltaNetwork(model).layers[k]
    layer.step(np.full((1, inputs), -128))
    bound = 300 + inputs * 128 * 128
    assert layer.m.max() == bound
    assert model.parameters.accumulator_width == bound.bit_length() + 1
    assert fits(layer.m, model.parameters.accumulator_width)
    assert not fits(layer.m, model.parameters.accumulator_width - 1)
