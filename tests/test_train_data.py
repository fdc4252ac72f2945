"""Sequences: splits, scaling, shifted copies, and the archive of recordings."""

import numpy as np
import pytest

from golden.fixed import Q
from train.data.recordings import Sequences, load_recordings, save_recordings


def sequences(n: int = 12) -> Sequences:
    rng = np.random.default_rng(2)
    frames = tuple(rng.normal(size=(3 + k % 4, 2)) for k in range(n))
    return Sequences(frames, np.arange(n, dtype=np.int64) % 3)


def test_a_split_is_stratified_disjoint_and_seeded():
    whole = sequences()
    rest, apart = whole.split(per_class=2, seed=0)
    assert np.bincount(apart.labels).tolist() == [2, 2, 2]
    assert np.bincount(rest.labels).tolist() == [2, 2, 2]
    taken = {id(x) for x in rest.frames} | {id(x) for x in apart.frames}
    assert taken == {id(x) for x in whole.frames}
    again = whole.split(per_class=2, seed=0)[1]
    assert all(a is b for a, b in zip(again.frames, apart.frames, strict=True))


def test_a_split_that_leaves_a_class_empty_is_refused():
    with pytest.raises(ValueError, match="class 0: found 4 sequences, expected over 4"):
        sequences().split(per_class=4, seed=0)


def test_labels_must_be_as_many_as_sequences():
    with pytest.raises(ValueError, match="labels: found 1, expected 2, one a sequence"):
        Sequences((np.zeros((1, 1)), np.zeros((1, 1))), np.zeros(1, dtype=np.int64))


def test_standardised_frames_have_mean_0_and_deviation_1():
    whole = sequences()
    mean, std = whole.standardized(*whole.moments()).moments()
    np.testing.assert_allclose(mean, 0, atol=1e-12)
    np.testing.assert_allclose(std, 1)


def test_shifted_copies_move_whole_recordings():
    whole = sequences()
    more = whole.with_shifted_copies(2, np.array([0.5, 0.0]), seed=1)
    assert more.labels.tolist() == whole.labels.tolist() * 3
    for k, frames in enumerate(more.frames):
        shift = frames - whole.frames[k % len(whole)]
        np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-12)
        assert shift[0, 1] == 0
        assert (shift[0, 0] != 0) == (k >= len(whole))


def test_quantised_frames_are_saturated_int8():
    data = Sequences((np.array([[0.25, 9.0], [-0.03125, -9.0]]),), np.zeros(1, dtype=np.int64))
    frames = data.quantized([1.0, 2.0], Q(3, 4)).frames[0]
    assert frames.dtype == np.int8
    assert frames.tolist() == [[4, 127], [0, -128]]
    with pytest.raises(ValueError, match=r"format activation: found Q3\.12, expected at most 8"):
        data.quantized(1.0, Q(3, 12))


def test_recordings_come_back_as_they_were(tmp_path):
    data = sequences().quantized(3.0, Q(3, 4))
    path = tmp_path / "some.frames.npz"
    save_recordings(data, path)
    again = load_recordings(path)
    assert again.labels.tolist() == data.labels.tolist()
    assert all(np.array_equal(a, b) for a, b in zip(again.frames, data.frames, strict=True))
    before = path.read_bytes()
    save_recordings(data, path)
    assert path.read_bytes() == before
