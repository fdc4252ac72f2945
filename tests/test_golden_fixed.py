import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.fixed import Q, quantize, rshift, sat

HALF = Fraction(1, 2)
SMALL = [Q(m, f) for m in range(4) for f in range(5)]


def clipped(n: int, q: Q) -> int:
    return max(-(2 ** (q.m + q.f)), min(2 ** (q.m + q.f) - 1, n))


def quantized(real: float, q: Q) -> int:
    """quantize() as docs/numerics.md writes it, on exact numbers."""
    return clipped(math.floor(Fraction(real) * 2**q.f + HALF), q)


@pytest.mark.parametrize("n", range(-6, 14))
def test_rshift_is_the_page_for_every_small_value(n):
    values = range(-2048, 2049)
    expected = [math.floor(Fraction(v) / 2**n + (HALF if n > 0 else 0)) for v in values]
    assert rshift(values, n).tolist() == expected


@settings(deadline=None)  # a busy machine is not a failure
@given(st.integers(-(2**62), 2**62 - 1), st.integers(1, 61))
def test_rshift_is_exact_far_beyond_float(v, n):
    assert int(rshift(v, n)) == math.floor(Fraction(v, 2**n) + HALF)


@pytest.mark.parametrize(
    ("v", "n", "expected"),
    [(1, 1, 1), (-1, 1, 0), (3, 1, 2), (-3, 1, -1), (2, 2, 1), (-2, 2, 0), (-6, 2, -1), (24, 4, 2)],
)
def test_ties_go_up_on_both_sides_of_zero(v, n, expected):
    assert int(rshift(v, n)) == expected


def test_a_negative_shift_multiplies():
    assert rshift([-3, 0, 5], -4).tolist() == [-48, 0, 80]


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_results_are_int64_of_the_same_shape(shape):
    for result in (rshift(np.ones(shape), 1), sat(np.ones(shape), Q(1, 1)), quantize(1, Q(1, 1))):
        assert result.dtype == np.int64
    assert rshift(np.ones(shape, dtype=np.int8), 1).shape == shape


@pytest.mark.parametrize("q", SMALL, ids=str)
def test_sat_clips_every_small_value(q):
    values = range(-300, 301)
    assert sat(values, q).tolist() == [clipped(v, q) for v in values]


@pytest.mark.parametrize("q", SMALL, ids=str)
def test_quantize_is_the_page_on_every_eighth_of_an_lsb(q):
    """Over twice the range, with the float neighbours of each value: ties and what is beside."""
    end = 2 << q.m
    grid = np.arange(-end * q.scale * 8, end * q.scale * 8 + 1) / (8 * q.scale)
    reals = np.concatenate([grid, np.nextafter(grid, -np.inf), np.nextafter(grid, np.inf)])
    assert quantize(reals, q).tolist() == [quantized(real, q) for real in reals.tolist()]


@settings(deadline=None)  # a busy machine is not a failure
@given(
    st.floats(allow_nan=False, allow_infinity=False), st.builds(Q, st.integers(0, 30), st.just(30))
)
def test_quantize_is_the_page_for_any_float_and_the_widest_formats(real, q):
    assert int(quantize(real, q)) == quantized(real, q)


def test_quantize_does_not_round_up_just_below_a_tie():
    """0.5 - 2^-54 plus 0.5 is 1 in float64: adding first would round it the wrong way."""
    assert int(quantize(np.nextafter(0.5, 0), Q(3, 0))) == 0
    assert int(quantize(0.5, Q(3, 0))) == 1
    assert int(quantize(-0.5, Q(3, 0))) == 0


def test_quantize_saturates_at_infinity():
    assert quantize([np.inf, -np.inf], Q(3, 4)).tolist() == [127, -128]


@pytest.mark.parametrize("real", [np.nan, [0.0, np.nan], np.float32("nan")])
def test_quantize_refuses_nan(real):
    with pytest.raises(ValueError, match=r"^a value to quantise: found NaN, expected a number$"):
        quantize(real, Q(3, 4))


@pytest.mark.parametrize("q", SMALL, ids=str)
def test_a_format_is_twos_complement(q):
    assert q.width == 1 + q.m + q.f
    assert (q.min, q.max) == (-(2 ** (q.width - 1)), 2 ** (q.width - 1) - 1)
    assert q.scale == 2**q.f
    assert Q.parse("format", [q.m, q.f]) == q
    assert str(q) == f"Q{q.m}.{q.f}"


@pytest.mark.parametrize(
    ("m", "f", "found"), [(-1, 4, "m .* -1"), (3, -1, "f .* -1"), (31, 0, "m .* 31"), (3, 2.0, "f")]
)
def test_a_format_out_of_range_is_refused(m, f, found):
    with pytest.raises(ValueError, match=f"bits {found}.*, expected an integer from 0 to 30"):
        Q(m, f)


@pytest.mark.parametrize(
    "value", [None, 7, "Q3.4", [3], [3, 4, 5], [3, -1], [31, 0], [3, 4.0], [True, 4], {"m": 3}]
)
def test_a_written_format_of_another_shape_is_refused(value):
    with pytest.raises(ValueError, match=r"^here: found .*, expected \[m, f\], two integers"):
        Q.parse("here", value)
