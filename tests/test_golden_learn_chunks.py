"""Learning from a sequence in chunks: its opening frames, and what passes their borders."""

from dataclasses import replace

import numpy as np
import pytest

from golden import gru, lstm
from golden.delta import DeltaEncoder
from golden.fixed import rshift
from golden.learn import cells
from golden.learn.bptt import Tape, backward
from golden.learn.carried import Carried
from golden.learn.columns import Events, forward_product
from golden.learn.sequence import LearningNetwork, Settings
from golden.learn.tape import TapeSize, words
from golden.learn.trace import Trace
from golden.network import DeltaNetwork
from golden.recurrent import DeltaRecurrent
from tests.networks import random_frames, random_model
from tests.test_golden_learn import (
    FINE,
    FINE_LEARNING,
    FRAC,
    GATES,
    fine_network,
    in_real_numbers,
    parts,
    same,
    snapshot,
)

KINDS = [("gru",), ("lstm",), ("gru", "lstm"), ("lstm", "gru")]
T = 13
mixed = pytest.mark.parametrize("kinds", KINDS, ids=" ".join)


def network_of(kinds, theta=(4, 3)) -> LearningNetwork:
    sizes = (3, 5, 4)[: len(kinds) + 1]
    return LearningNetwork.of(random_model(sizes, 2, kinds=kinds, theta=theta, scale=127))


def frames_of(length=T, seed=1):
    return random_frames(random_model((3, 5), 2), length, moving=0.5, seed=seed)


def chunks_of(frames, window):
    return [frames[first : first + window] for first in range(0, len(frames), window)]


@pytest.fixture
def accumulators(monkeypatch) -> list[np.ndarray]:
    """M [T, K, H] of every layer and chunk, in the order in which they are computed."""
    seen = []

    def watched(cell):
        class Watched(type(cell)):
            def keep(self, formats, slope, frac, m, states):
                seen.append(m.copy())
                return super().keep(formats, slope, frac, m, states)

        return Watched()

    for kind, cell in cells.CELLS.items():
        monkeypatch.setitem(cells.CELLS, kind, watched(cell))
    return seen


def in_v(network, k, x, h):
    """W v^ + b of layer k, from masters and v^ [columns] with constant columns: [K, H]."""
    layer, masters = network.layers[k], network.masters[k]
    cell = cells.CELLS[layer.kind]
    m = np.zeros((layer.accumulators, layer.units), dtype=np.int64)
    for weight, v, rows in ((masters.x, x, cell.rows_x), (masters.h, h, cell.rows_h)):
        if rows:
            m[list(rows)] += ((weight >> network.learning.below) @ v).reshape(len(rows), -1)
    return m


def values_sent(begin: np.ndarray, v: np.ndarray, theta: int) -> np.ndarray:
    """v^ after a frame, of v^ before it."""
    return np.where(np.abs(v - begin) > theta, v, begin)


# Nothing changes where no master does -------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 3, 5])
@mixed
def test_without_a_rate_chunks_are_the_sequence(kinds, window, accumulators):
    network, frames = network_of(kinds), frames_of()
    whole = network.learn(frames, Settings(0, 2), 1)
    of_whole = accumulators[:]
    accumulators.clear()
    traces = network.learn_in_chunks(frames, window, Settings(0, 2), 1)
    assert [len(trace.results) for trace in traces] == [len(c) for c in chunks_of(frames, window)]
    assert np.array_equal(np.concatenate([trace.results for trace in traces]), whole.results)
    deltas = DeltaNetwork(network.model("the same"))
    for k in range(len(network.layers)):
        cut = np.concatenate(accumulators[k :: len(network.layers)])
        assert np.array_equal(cut, of_whole[k])
    first = 0
    for trace in traces:
        length = len(trace.results)
        run = deltas.run(frames[first : first + length])
        first += length
        for k, (tape, after) in enumerate(zip(trace.tapes, trace.after, strict=True)):
            layer = deltas.layers[k]
            assert np.array_equal(after.x, layer.encoder_x.memory[0])
            assert np.array_equal(tape.x[1:, :-1], run.deltas_x[k][1:])
            if k < len(kinds):
                assert np.array_equal(after.state, run.states[k][-1])
                assert np.array_equal(after.h, layer.encoder_h.memory[0])
                units = network.layers[k].units
                assert np.array_equal(tape.h[1:, :units], run.deltas_h[k][1:])
    for ours, theirs in zip(traces[-1].after, whole.after, strict=True):
        assert all(np.array_equal(v, vars(theirs)[name]) for name, v in vars(ours).items())


@pytest.mark.parametrize("window", [T, T + 1, 300])
@pytest.mark.parametrize("readout_only", [False, True])
@mixed
def test_a_window_of_all_frames_is_the_sequence(kinds, readout_only, window):
    once, other = network_of(kinds), network_of(kinds)
    settings, frames = Settings(8, 2, 5, readout_only), frames_of()
    whole = once.learn(frames, settings, 1)
    (trace,) = other.learn_in_chunks(frames, window, settings, 1)
    assert list(trace.writes()) == list(whole.writes())
    assert any(write.old != write.new for write in trace.writes())
    assert np.array_equal(trace.results, whole.results)
    assert np.array_equal(trace.e, whole.e)
    assert same(snapshot(once), other)


# The opening frame --------------------------------------------------------------------------------


@mixed
def test_an_opening_frame_mends_m(kinds, accumulators):
    """M = W v^ + b of the masters as they are: every v^ that is not 0 fires, and constants do."""
    network, one = network_of(kinds), network_of(kinds).formats.activation.scale
    before, began = None, [Carried.reset(layer) for layer in network.layers]
    for frames in chunks_of(frames_of(), 4):
        accumulators.clear()
        as_they_are = [each.copy() for each in network.masters]
        trace = network.learn(frames, Settings(8, 2), 1, before)
        assert not same([v for each in as_they_are for v in (each.x, each.h)], network)
        was = LearningNetwork(network.formats, network.layers, as_they_are)
        v = frames[0].astype(np.int64)
        for k, layer in enumerate(network.layers):
            tape, begin = trace.tapes[k], began[k]
            x = np.append(values_sent(begin.x, v, layer.theta_x), one)
            h = values_sent(begin.h, begin.a, layer.theta_h or 0)
            if layer.kind == "gru":
                h = np.append(h, one)
            assert np.array_equal(tape.x[0], x)
            assert np.array_equal(tape.h[0], h)
            assert np.array_equal(accumulators[k][0], in_v(was, k, x, h))
            v = above(was, k, accumulators[k][0], begin)
        before, began = trace.after, list(trace.after)


def above(network, k, m, begin):
    """What layer k shows in a frame, of its M [K, H]."""
    layer = network.layers[k]
    if not layer.recurrent:
        return m[0]
    if layer.kind == "gru":
        h = gru.update_state(network.formats, layer.weight_frac, m[None], begin.state[None])
        return gru.visible(network.formats, h)[0]
    return lstm.update_cell(network.formats, layer.weight_frac, m[None], begin.state[None])[1][0]


@mixed
def test_a_chunk_that_keeps_its_m_is_wrong_once_masters_changed(kinds):
    """Cut naively, M is W v^ + b of the old W, and W delta of the new one."""
    frames = frames_of()

    def cut(network, rate):
        """Results of the second half, cut naively and with an opening frame; then M of the
        read-out, cut naively, and W v^ + b."""
        old = DeltaNetwork(network.model("old"))
        old.run(frames[:6])
        first = network.learn(frames[:6], Settings(rate, 2), 1)
        new = DeltaNetwork(network.model("new"))
        for ours, theirs in zip(new.layers, old.layers, strict=True):
            ours.m, ours.encoder_x = theirs.m, theirs.encoder_x
            if isinstance(ours, DeltaRecurrent) and isinstance(theirs, DeltaRecurrent):
                ours.state, ours.a, ours.encoder_h = theirs.state, theirs.a, theirs.encoder_h
        naive = new.run(frames[6:]).outputs
        opened = network.learn(frames[6:], Settings(0, 2), 1, first.after).results
        x = np.append(new.layers[-1].encoder_x.memory[0], network.formats.activation.scale)
        made = in_v(network, len(kinds), x, np.zeros(0, dtype=np.int64))[0]
        return naive, opened, new.layers[-1].m[0], made

    naive, opened, kept, made = cut(network_of(kinds), 0)
    assert np.array_equal(naive, opened)
    assert np.array_equal(kept, made)
    naive, opened, kept, made = cut(network_of(kinds), 8)
    assert (naive != opened).any(axis=1).all()
    assert (kept != made).all()


def test_a_column_that_returns_to_0_sends_nothing():
    """v^ 40 becomes 0: M begins without it. 50 stays, and 30 becomes 33, which is too near."""
    network = network_of(("gru",), theta=(4, 3))
    first = network.learn(np.array([[40, 50, 30]]), Settings(0, 2), 1)
    second = network.learn(np.array([[0, 50, 33]]), Settings(0, 2), 1, first.after)
    assert second.tapes[0].x[0].tolist() == [0, 50, 30, 16]
    assert second.after[0].x.tolist() == [0, 50, 30]


def test_an_encoder_resends_once():
    encoder = DeltaEncoder(3)
    encoder.encode(np.array([[5, 0, 9]]), 2)
    encoder.resend()
    assert encoder.encode(np.array([[6, 0, 1]]), 2).tolist() == [[5, 0, 1]]
    assert encoder.encode(np.array([[6, 4, 1]]), 2).tolist() == [[0, 4, 0]]
    encoder.resend()
    encoder.reset()
    assert encoder.encode(np.array([[6, 2, 1]]), 2).tolist() == [[6, 0, 0]]


@mixed
def test_an_opening_frame_fits_the_tape(kinds):
    """All columns of all frames: a tape of full lists holds every chunk, and one word less none."""
    network = network_of(kinds, theta=(0, 0))
    frames = np.array([[20, -20, 30], [-20, 20, -30]] * 6)
    network.tape = size = TapeSize.of(network.layers, 4)
    traces = network.learn_in_chunks(frames, 4, Settings(8, 2), 1)
    assert [trace.dropped for trace in traces] == ["", "", ""]
    for trace in traces:
        need = words(trace.tapes)
        assert need["input"] == size.input == 4 * 4 + 1
        assert need["h"] <= size.h
        assert need["above"] <= size.above
    network.tape = replace(size, input=size.input - 1)
    traces = network.learn_in_chunks(frames, 4, Settings(8, 2), 1)
    assert [trace.dropped for trace in traces] == ["tape full"] * 3


# What is judged, and what is dropped --------------------------------------------------------------


def test_each_chunk_is_judged_by_itself():
    network, frames = network_of(("gru",)), frames_of()
    traces = network.learn_in_chunks(frames, 5, Settings(8, 2), 1)
    assert [trace.verdict.halvings for trace in traces] == [3, 3, 2]
    for trace in traces:
        assert np.array_equal(trace.verdict.sums, trace.results.sum(axis=0))
        assert trace.verdict.decided == trace.results.sum(axis=0).argmax()


def test_a_chunk_that_is_dropped_changes_nothing_and_the_next_goes_on():
    network, frames = network_of(("gru",)), frames_of()
    before = snapshot(network)
    first = network.learn(frames[:5], Settings(8, 1), 1)
    assert first.dropped == "unknown label"
    assert same(before, network)
    second = network.learn(frames[5:], Settings(8, 2), 1, first.after)
    assert second.dropped == ""
    whole = network_of(("gru",)).learn(frames, Settings(0, 2), 1)
    assert np.array_equal(second.results, whole.results[5:])
    assert not same(before, network)


def test_a_recording_longer_than_any_tape_is_learned():
    network, frames = network_of(("lstm",)), frames_of(300)
    assert network.learn(frames, Settings(8, 2), 1).dropped == "too many frames"
    traces = network.learn_in_chunks(frames, 100, Settings(8, 2), 1)
    assert [trace.dropped for trace in traces] == ["", "", ""]


def test_errors_of_the_host_are_a_chunk_s_own():
    network, frames = network_of(("gru",)), frames_of()
    first = network.learn(frames[:8], Settings(8, 2), np.array([900, -900]))
    second = network.learn(frames[8:9], Settings(8, 2), np.array([-400, 70]), first.after)
    assert first.of_result.tolist() == [113, -112]
    assert second.of_result.tolist() == [-400, 70]


def test_the_read_out_alone_takes_a_chunk_s_mean_of_what_was_sent():
    """Nothing below it changes, so v^ is that of the sequence uncut."""
    frames, settings = frames_of(), Settings(8, 2, 0, readout_only=True)
    whole = network_of(("gru",)).learn(frames, settings, 1)
    sent = whole.tapes[-1].x.cumsum(axis=0)
    network = network_of(("gru",))
    for n, trace in enumerate(network.learn_in_chunks(frames, 5, settings, 1)):
        of_chunk = sent[5 * n : 5 * n + 5]
        means = rshift(of_chunk.sum(axis=0), (len(of_chunk) - 1).bit_length())
        (only,) = trace.passes
        assert only.x.columns.tolist() == np.flatnonzero(means).tolist()
        assert only.x.deltas.tolist() == means[means != 0].tolist()
    assert not np.array_equal(network.masters[1].x, network_of(("gru",)).masters[1].x)


@pytest.mark.parametrize("window", [0, -3])
def test_a_window_without_frames_is_refused(window):
    with pytest.raises(ValueError, match=f"window: found {window}, expected"):
        network_of(("gru",)).learn_in_chunks(frames_of(), window, Settings(8, 2), 1)


def test_a_sequence_without_frames_is_refused_in_chunks_too():
    with pytest.raises(ValueError, match="frames: found 0, expected at least one"):
        network_of(("gru",)).learn_in_chunks(frames_of()[:0], 4, Settings(8, 2), 1)


def test_what_another_network_carries_is_refused():
    after = network_of(("lstm", "gru")).learn(frames_of(), Settings(0, 2), 1).after
    for carried in (after, after[:1], after[1:]):
        with pytest.raises(ValueError, match="sizes of what is carried: found"):
            network_of(("gru",)).learn(frames_of(), Settings(0, 2), 1, carried)


# Real numbers -------------------------------------------------------------------------------------


def in_reals(layer, frames, begin: Carried):
    """Outputs and tape of a chunk, from what the chunk before it left, in real numbers."""
    one = FINE.activation.scale
    outputs, tape = np.zeros((len(frames), layer.units)), Tape()
    sent = [begin.x / one, begin.h / one]
    h, state = begin.a / one, begin.state / FINE.state.scale
    m = layer.bias.copy()
    if not len(state):
        state = np.zeros(layer.units)
    for t, x in enumerate(frames):
        for side, (projection, v) in enumerate(((layer.of_x, x), (layer.of_h, h))):
            if projection is None:
                continue
            d = v - sent[side]
            d[np.abs(d) <= projection.theta] = 0
            sent[side] = sent[side] + d
            if t == 0:
                d = sent[side]
            columns = np.flatnonzero(d)
            events = Events(columns, d[columns])
            m.reshape(-1)[projection.rows] += forward_product(projection.weight, events)
            (tape.events_h if side else tape.events_x).append(events)
        h, state, gates = layer.cell.forward(m, state)
        tape.gates.append(gates)
        outputs[t] = h
    return outputs, tape


@pytest.mark.parametrize("thetas", [(400, 60), (3000, 400)], ids=["most fire", "few fire"])
@pytest.mark.parametrize("sizes", [(4, 6), (3, 6, 5)], ids=["one layer", "two layers"])
@pytest.mark.parametrize("kind", GATES)
def test_in_fine_formats_it_is_truncated_bptt(kind, sizes, thetas):
    """What goes into a chunk is a constant; what is resent is an event like any other."""
    network = fine_network(kind, sizes, 3, thetas)
    rng = np.random.default_rng(9)  # no |v - v^| so near to a threshold that roundings decide
    steps = rng.integers(-4000, 4000, (18, sizes[0])) * rng.integers(0, 2, (18, sizes[0]))
    frames = np.clip(np.cumsum(steps, axis=0), -20000, 20000)
    real, before = in_real_numbers(network), None
    for first in (0, 6, 12):
        chunk, errors = frames[first : first + 6], rng.integers(-(1 << 21), 1 << 21, 3)
        was = [each.copy() for each in network.masters]
        begins = before or [Carried.reset(layer) for layer in network.layers]
        trace: Trace = network.learn(chunk, Settings(2, 3), errors, before)
        before = trace.after
        v, tapes = chunk / FINE.activation.scale, []
        for layer, begin in zip(real, begins, strict=True):
            v, tape = in_reals(layer, v, begin)
            tapes.append(tape)
        for ours, theirs in zip(trace.tapes, tapes, strict=True):
            fired = [np.flatnonzero(d).tolist() for d in ours.x[:, :-1]]
            assert fired == [e.columns.tolist() for e in theirs.events_x]
        of_results = np.tile(errors / FINE_LEARNING.error.scale / 8, (6, 1))  # 2^2 < 6 <= 2^3
        wanted, _ = backward(real, tapes, of_results)
        lsb = 2.0 ** -(FINE_LEARNING.master_frac(FRAC) - 9)
        for layer, old, new, gradient in zip(
            network.layers, was, network.masters, wanted, strict=True
        ):
            ours = parts(layer, (old.x - new.x) * lsb, (old.h - new.h) * lsb)
            none = np.zeros((len(new.h), 0))
            of_h = none if gradient.weight_h is None else gradient.weight_h
            for a, b in zip(ours, (gradient.weight_x, of_h, gradient.bias.ravel()), strict=True):
                assert np.abs(a - b).max(initial=0) <= 0.01 * np.abs(b).max(initial=0)
        assert np.abs(v - trace.results / 2.0 ** (FRAC + 12)).max() < 1e-3


@pytest.mark.parametrize("kind", GATES)
def test_at_thresholds_of_0_it_is_the_derivative_from_a_state_that_is_given(kind):
    """By differences, of single weights of the chunk's network in real numbers."""
    real, rng = in_real_numbers(fine_network(kind, (3, 5, 4), 2, (0, 0))), np.random.default_rng(1)
    begins = []
    for layer in real:
        x, h = layer.of_x.weight.shape[1], 0 if layer.of_h is None else layer.units
        begins.append(Carried(*(rng.integers(-4000, 4000, n) for n in (x, h, h, h))))
    frames, of_results = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))

    def run():
        v, tapes = frames, []
        for layer, begin in zip(real, begins, strict=True):
            v, tape = in_reals(layer, v, begin)
            tapes.append(tape)
        return float((v * of_results).sum()), tapes

    gradients, _ = backward(real, run()[1], of_results)
    for layer, gradient in zip(real, gradients, strict=True):
        for projection, of_weight in (
            (layer.of_x, gradient.weight_x),
            (layer.of_h, gradient.weight_h),
        ):
            if projection is None or of_weight is None:
                continue
            for at in zip(*(rng.integers(0, n, 6) for n in of_weight.shape), strict=True):
                value, ends = projection.weight[at], []
                for step in (1e-5, -1e-5):
                    projection.weight[at] = value + step
                    ends.append(run()[0])
                projection.weight[at] = value
                slope = (ends[0] - ends[1]) / 2e-5
                assert slope == pytest.approx(of_weight[at], rel=1e-4, abs=1e-8)
