"""Weights rounded with what they are multiplied by in view."""

import numpy as np
import pytest

from train.quantised.rounding import LayerVectors, Vectors


def walks(seed: int, frames: int = 400, n: int = 12) -> np.ndarray:
    """Vectors [frames, n] of four sources and a little noise, with a mean: they move together."""
    rng = np.random.default_rng(seed)
    sources = rng.normal(0, 1, (frames, 4)) @ rng.normal(0, 1, (4, n))
    return 3 + sources + 0.05 * rng.normal(0, 1, (frames, n))


def weights(seed: int, rows: int = 30, n: int = 12) -> np.ndarray:
    """In LSBs."""
    return np.random.default_rng(seed).uniform(-90, 90, (rows, n))


def sizes_of(vectors: np.ndarray) -> np.ndarray:
    """As large as each element has been."""
    largest = np.abs(vectors).max(axis=0)
    return np.where(largest > 0, largest, 1.0)


def errors(codes: np.ndarray, lacking: np.ndarray | float, wanted, vectors) -> np.ndarray:
    """Of each row: RMS of the error of its products over all vectors, its bias corrected."""
    products = vectors @ (wanted - codes).T - lacking
    return np.sqrt((products**2).mean(axis=0))


@pytest.mark.parametrize("seed", range(4))
def test_products_are_nearer_than_those_of_the_nearest_codes(seed):
    vectors, wanted = walks(seed), weights(seed)
    codes, lacking = Vectors.of(vectors, sizes_of(vectors)).rounded(wanted)
    nearest = np.floor(wanted + 0.5)
    mean = (vectors @ (wanted - nearest).T).mean(axis=0)
    found, plain = errors(codes, lacking, wanted, vectors), errors(nearest, mean, wanted, vectors)
    assert np.median(found / plain) < 0.5


def test_vectors_that_do_not_move_together_leave_the_nearest_codes():
    """One element at a time, each as far as the others: there is nothing to make up for."""
    vectors = np.concatenate([np.eye(5), -np.eye(5)])
    wanted = weights(1, n=5)
    codes, lacking = Vectors.of(vectors, sizes_of(vectors)).rounded(wanted)
    assert codes.tolist() == np.floor(wanted + 0.5).tolist()
    assert lacking == pytest.approx(np.zeros(len(wanted)))


def test_two_columns_that_always_move_together_are_rounded_as_one():
    """0.4 + 0.4 of the same value is 0.8: one of the codes has to be 1."""
    x = np.linspace(-1, 1, 21)
    codes, _ = Vectors.of(np.stack([x, x], axis=1), np.ones(2)).rounded(
        np.array([[0.4, 0.4], [2.3, -0.9]])
    )
    assert codes.sum(axis=1).tolist() == [1, 1]


def test_the_bias_takes_what_is_lacking_on_the_mean():
    vectors, wanted = walks(7), weights(7)
    codes, lacking = Vectors.of(vectors, sizes_of(vectors)).rounded(wanted)
    left = (vectors @ (wanted - codes).T).mean(axis=0) - lacking
    assert np.abs(left).max() < 0.02 * np.abs(lacking).max()


def test_codes_stay_within_8_bits():
    vectors = walks(3)
    codes, _ = Vectors.of(vectors, sizes_of(vectors)).rounded(np.full((2, 12), [[127.0], [-128.0]]))
    assert codes.dtype == np.int8
    assert (codes[0] > 100).all()
    assert (codes[1] < -100).all()


def test_the_factor_is_that_of_the_covariance_and_of_what_may_move():
    """n of N + n frames more, in which each element moves by a quarter of its size."""
    vectors = walks(5)
    sizes = sizes_of(vectors)
    found = Vectors.of(vectors, sizes)
    covariance = np.cov(vectors.T, bias=True) + np.diag(sizes / 4) ** 2 * 12 / 400
    units = np.outer(found.steps, found.steps)
    expected = (covariance / units)[np.ix_(found.order, found.order)]
    assert found.factor.T @ found.factor == pytest.approx(expected, rel=1e-3, abs=1e-3 * 4096**2)
    assert (np.tril(found.factor, -1) == 0).all()


@pytest.mark.parametrize("frames", [16, 2000])
def test_an_element_that_rests_is_not_used_to_make_up_for_others(frames):
    """It moves by a thousandth of what it may; later it moves, and its weight must be its own."""
    vectors = walks(6, frames=frames)
    vectors[:, 5] = 1e-3 * vectors[:, 4]
    wanted = weights(6)
    codes, _ = Vectors.of(vectors, sizes_of(walks(6))).rounded(wanted)
    assert np.abs(codes[:, 5] - wanted[:, 5]).max() < 1.5


def test_inputs_in_other_units_give_the_same_codes():
    x, h = walks(1, n=3), walks(2, n=4)
    scale = np.array([0.5, 4.0, 16.0])
    of_layer = LayerVectors.of(x, h, np.ones(3))
    wanted = weights(2, n=7)
    there = LayerVectors.of(x * scale, h, scale)
    for found, other in ((of_layer.scaled(scale).both, there.both), (of_layer.h, there.h)):
        assert found is not None
        assert other is not None
        columns = wanted[:, : len(found.steps)]
        assert (found.rounded(columns)[0] == other.rounded(columns)[0]).all()


def test_an_element_that_is_always_0_harms_nothing():
    vectors = walks(4)
    vectors[:, 5] = 0
    wanted = weights(4)
    codes, lacking = Vectors.of(vectors, sizes_of(vectors)).rounded(wanted)
    assert np.isfinite(lacking).all()
    assert (codes[:, 5] == np.floor(wanted[:, 5] + 0.5)).all()
