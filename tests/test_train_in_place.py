"""Learning compiled: golden in every bit, sequence after sequence."""

import numpy as np
import pytest

pytest.importorskip("numba")

from golden.fixed import Q
from golden.formats import Formats
from golden.learn.formats import LearningFormats
from golden.learn.sequence import LearningNetwork, Settings
from tests.networks import random_model
from train.nets.in_place import InPlace

FORMATS = {
    "defaults": (Formats(), LearningFormats()),
    "others": (
        Formats(activation=Q(2, 5), state=Q(1, 14), gate=Q(1, 8), preactivation=Q(3, 6)),
        LearningFormats(Q(0, 12), Q(1, 9), 14),
    ),
}


def assert_kept(kept, trace):
    first, second = trace.tapes
    for found, wanted in (
        (kept.x, first.x),
        (kept.h, first.h),
        (kept.above, second.x),
        (kept.slopes, first.kept),
        (kept.sums, trace.verdict.sums),
    ):
        np.testing.assert_array_equal(found, wanted)


def assert_learned(network, golden):
    for found, wanted in zip(network.masters, golden.masters, strict=True):
        np.testing.assert_array_equal(found.x, wanted.x)
        np.testing.assert_array_equal(found.h, wanted.h)


@pytest.mark.parametrize("formats", FORMATS.values(), ids=FORMATS)
def test_compiled_it_learns_the_same(formats):
    formats, learning = formats
    model = random_model((4, 6), 3, formats=formats, theta=(5, 3), scale=90)
    golden, other = (LearningNetwork.of(model, learning) for _ in range(2))
    compiled, rng = InPlace(other), np.random.default_rng(2)
    for n in range(40):
        frames = np.clip(np.cumsum(rng.integers(-25, 26, (1 + n % 17, 4)), axis=0), -128, 127)
        rate, cost = 1 + n % 8, 10 * (n % 3)
        trace = golden.learn(frames, Settings(rate, 3, cost), n % 3)
        kept = compiled.infer(frames)
        assert_kept(kept, trace)
        compiled.learn(kept, trace.of_result, rate, cost)
        assert_learned(other, golden)
    assert any(
        not np.array_equal(v.weight_x, w.weight_x)
        for v, w in zip(model.weights, golden.model("after").weights, strict=True)
    )


def test_compiled_chunks_are_golden_s():
    """Also what goes on: the state, v^, and h as others see it."""
    model = random_model((4, 6), 3, theta=(5, 3), scale=90)
    golden, other = (LearningNetwork.of(model) for _ in range(2))
    compiled, rng = InPlace(other), np.random.default_rng(3)
    for n in range(10):
        frames = np.clip(np.cumsum(rng.integers(-25, 26, (20, 4)), axis=0), -128, 127)
        carried, window = compiled.reset(), 1 + n % 7
        traces = golden.learn_in_chunks(frames, window, Settings(8, 3), n % 3)
        for trace in traces:
            kept, frames = compiled.infer(frames[:window], carried), frames[window:]
            assert_kept(kept, trace)
            np.testing.assert_array_equal(carried.above, trace.after[1].x)
            for name, wanted in vars(trace.after[0]).items():
                np.testing.assert_array_equal(getattr(carried, name), wanted)
            compiled.learn(kept, trace.of_result, 8, 0)
        assert_learned(other, golden)


def test_a_naive_cut_is_right_until_masters_change():
    """Then M is still that of the weights before."""
    network, rng = LearningNetwork.of(random_model((4, 6), 3)), np.random.default_rng(3)
    compiled, frames = InPlace(network), rng.integers(-99, 99, (12, 4))
    whole, rest = compiled.infer(frames), []
    for opens in (True, False):
        carried = compiled.reset()
        first = compiled.infer(frames[:5], carried)
        rest.append(compiled.infer(frames[5:], carried, opens))
        np.testing.assert_array_equal(first.sums + rest[-1].sums, whole.sums)
    assert np.count_nonzero(rest[0].x[0]) > np.count_nonzero(rest[1].x[0])
    carried = compiled.reset()
    compiled.learn(compiled.infer(frames[:5], carried), np.array([900, -900, 900]), 8, 0)
    again = [v.copy() for v in carried]
    opened, naive = (
        compiled.infer(frames[5:], type(carried)(*copy), opens)
        for copy, opens in (([v.copy() for v in again], True), (again, False))
    )
    assert (opened.sums != naive.sums).all()


def test_another_network_is_refused():
    network = LearningNetwork.of(random_model((3, 4), 2, kinds=("lstm",)))
    with pytest.raises(ValueError, match=r"layers: found \['lstm', 'linear'\], expected"):
        InPlace(network)
