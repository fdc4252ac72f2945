import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.accumulate import ExactMatrix


def in_python(weights: np.ndarray, d: np.ndarray) -> list[list[int]]:
    """The product in Python's own integers."""
    return (d.astype(object) @ weights.T.astype(object)).tolist()


@settings(deadline=None)  # a busy machine is not a failure
@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 12),
    batch=st.integers(1, 4),
    delta_bits=st.integers(2, 17),
    firing=st.floats(0, 1),  # few columns and many take different paths
    seed=st.integers(0, 2**32),
)
def test_the_product_is_that_of_pythons_integers(rows, columns, batch, delta_bits, firing, seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(-128, 128, (rows, columns)).astype(np.int8)
    end = 1 << (delta_bits - 1)
    d = rng.integers(-end, end, (batch, columns)) * (rng.random(columns) < firing)
    product = ExactMatrix(weights, delta_bits)(d)
    assert product.dtype == np.int64
    assert product.tolist() == in_python(weights, d)


@pytest.mark.parametrize("weight", [-128, 127])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("fired", [1, 300, 1000])
def test_the_ends_of_weights_and_deltas(weight, sign, fired):
    """A thousand columns of the widest activation, at the greatest delta that 17 bits hold."""
    weights = np.full((2, 1000), weight, dtype=np.int8)
    weights[1, ::2] = 127
    d = np.zeros((1, 1000), dtype=np.int64)
    d[:, :fired] = sign * (2**16 - 1)
    assert ExactMatrix(weights, 17)(d).tolist() == in_python(weights, d)


def test_nothing_fired_gives_zeros():
    product = ExactMatrix(np.ones((3, 4), dtype=np.int8), 9)(np.zeros((2, 4), dtype=np.int64))
    assert product.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_what_just_fits_into_53_bits_is_exact():
    weights = np.array([[127], [-127]], dtype=np.int8)
    d = np.array([[2**46 - 1]])  # the greatest delta of 47 bits
    assert ExactMatrix(weights, 47)(d).tolist() == in_python(weights, d)


def test_what_may_not_be_exact_is_refused():
    expected = rf"^largest sum of a row: found {2**53}, expected below 2\^53 = {2**53}$"
    with pytest.raises(ValueError, match=expected):
        ExactMatrix(np.array([[1], [-128]], dtype=np.int8), 47)
