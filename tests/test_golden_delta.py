import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from golden.delta import DeltaEncoder

STREAMS = arrays(
    np.int64, st.tuples(st.integers(1, 30), st.integers(1, 5)), elements=st.integers(-128, 127)
)


def play(stream: np.ndarray, theta: int) -> tuple[np.ndarray, np.ndarray]:
    """Deltas and memory of one sequence, both [T, size]."""
    encoder = DeltaEncoder(stream.shape[1])
    deltas, memory = [], []
    for v in stream:
        deltas.append(encoder.encode(v[None], theta)[0])
        memory.append(encoder.memory[0].copy())
    return np.array(deltas), np.array(memory)


@pytest.mark.parametrize("theta", [0, 1, 2, 7, 254])
def test_the_threshold_is_strict(theta):
    encoder = DeltaEncoder(4)
    d = encoder.encode(np.array([[theta, -theta, theta + 1, -theta - 1]]), theta)
    assert d.tolist() == [[0, 0, theta + 1, -theta - 1]]
    assert encoder.memory.tolist() == [[0, 0, theta + 1, -theta - 1]]


def test_small_steps_add_up_until_they_fire():
    """What is compared is the value last sent, not the value last seen."""
    deltas, memory = play(np.arange(1, 9)[:, None], 2)
    assert deltas[:, 0].tolist() == [0, 0, 3, 0, 0, 3, 0, 0]
    assert memory[:, 0].tolist() == [0, 0, 3, 3, 3, 6, 6, 6]


@settings(deadline=None)  # a busy machine is not a failure
@given(STREAMS)
def test_at_threshold_0_every_change_is_sent(stream):
    deltas, memory = play(stream, 0)
    assert (deltas == np.diff(stream, axis=0, prepend=0)).all()
    assert (memory == stream).all()


@settings(deadline=None)  # a busy machine is not a failure
@given(STREAMS, st.sampled_from([255, 2**40, 10**30]))
def test_a_threshold_beyond_every_delta_sends_nothing(stream, theta):
    deltas, memory = play(stream // 2, theta)
    assert not deltas.any()
    assert not memory.any()


@settings(deadline=None)  # a busy machine is not a failure
@given(STREAMS, st.integers(0, 260))
def test_the_memory_is_what_was_sent_and_never_further_off_than_the_threshold(stream, theta):
    deltas, memory = play(stream, theta)
    assert (memory == deltas.cumsum(axis=0)).all()
    assert (np.abs(stream - memory) <= theta).all()
    fired = deltas != 0
    assert (memory[fired] == stream[fired]).all()
    assert (np.abs(deltas[fired]) > theta).all()


@settings(deadline=None)  # a busy machine is not a failure
@given(st.lists(st.integers(-128, 127), min_size=2, max_size=40), st.integers(0, 40))
def test_a_threshold_may_change_at_any_time(values, theta):
    encoder = DeltaEncoder(1)
    for t, value in enumerate(values):
        now = theta if t % 2 else 0
        encoder.encode(np.array([[value]]), now)
        assert abs(value - encoder.memory[0, 0]) <= now


@pytest.mark.parametrize("theta", [0, 3, 20])
def test_sequences_of_a_batch_do_not_touch_each_other(theta):
    streams = np.random.default_rng(theta).integers(-30, 31, (5, 60, 4))
    encoder = DeltaEncoder(4, batch=5)
    found = np.array([encoder.encode(streams[:, t], theta) for t in range(60)])
    for b, stream in enumerate(streams):
        assert (found[:, b] == play(stream, theta)[0]).all()


def test_encoding_leaves_its_input_alone():
    v = np.array([[5, 1]])
    DeltaEncoder(2).encode(v, 2)
    assert v.tolist() == [[5, 1]]


def test_reset_forgets():
    encoder = DeltaEncoder(2)
    encoder.encode(np.array([[5, -5]]), 0)
    encoder.reset()
    assert encoder.memory.tolist() == [[0, 0]]
