import math
import warnings
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from golden.fixed import Q
from golden.tables import sigmoid_table, tanh_table

# The default, the driving tasks', finer and coarser ones, and the ends of what formats may be.
FORMATS = [
    (Q(3, 4), Q(1, 6)),
    (Q(2, 5), Q(1, 6)),
    (Q(3, 4), Q(1, 14)),
    (Q(4, 6), Q(1, 10)),
    (Q(0, 1), Q(1, 0)),
    (Q(0, 7), Q(2, 5)),
    (Q(11, 0), Q(1, 6)),
    (Q(2, 8), Q(1, 16)),
]
BOTH = pytest.mark.parametrize(("pre", "gate"), FORMATS, ids=lambda q: str(q))


def sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def tanh(x: Decimal) -> Decimal:
    return 2 * sigmoid(2 * x) - 1


@BOTH
@pytest.mark.parametrize(("table", "fn"), [(sigmoid_table, sigmoid), (tanh_table, tanh)])
def test_every_entry_is_the_rounded_exact_value(table, fn, pre, gate):
    """Against 60 digits; beside 0, where both are exact, no value of either lies on a tie."""
    with localcontext() as context:
        context.prec = 60
        exact = [Fraction(fn(Decimal(n) / pre.scale)) for n in range(pre.min, pre.max + 1)]
    expected = [math.floor(value * gate.scale + Fraction(1, 2)) for value in exact]
    assert table(pre, gate).tolist() == [min(max(n, gate.min), gate.max) for n in expected]


@BOTH
def test_both_never_fall_and_stay_in_their_range(pre, gate):
    for table, low in ((sigmoid_table(pre, gate), 0), (tanh_table(pre, gate), -gate.scale)):
        assert len(table) == 1 << pre.width
        assert (np.diff(table) >= 0).all()
        assert table.min() >= low
        assert table.max() <= gate.scale


@BOTH
def test_tanh_is_odd(pre, gate):
    inner = tanh_table(pre, gate)[1:]  # the lowest input has no opposite
    assert (inner == -inner[::-1]).all()


@pytest.mark.parametrize(("pre", "gate"), [(p, g) for p, g in FORMATS if g.f > 0], ids=str)
def test_sigmoid_and_its_opposite_make_one(pre, gate):
    inner = sigmoid_table(pre, gate)[1:]
    assert (inner + inner[::-1] == gate.scale).all()


def test_known_entries_of_the_default_tables():
    pre, gate = Q(3, 4), Q(1, 6)
    assert sigmoid_table(pre, gate)[[0, 128, 255]].tolist() == [0, 32, 64]
    assert tanh_table(pre, gate)[[0, 128, 129, 255]].tolist() == [-64, 0, 4, 64]


def test_inputs_far_out_raise_no_warning():
    for table in (sigmoid_table, tanh_table):
        table.cache_clear()
        with warnings.catch_warnings(action="error"):
            entries = table(Q(15, 0), Q(1, 6))
        assert (entries[0], entries[-1]) == (0 if table is sigmoid_table else -64, 64)


def test_a_table_is_shared_and_cannot_be_changed():
    table = sigmoid_table(Q(3, 4), Q(1, 6))
    assert table is sigmoid_table(Q(3, 4), Q(1, 6))
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 1


def sigmoid_otherwise(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def tanh_otherwise(x: np.ndarray) -> np.ndarray:
    return -np.expm1(-2 * x) / (1 + np.exp(-2 * x))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "fn", "otherwise"),
    [(sigmoid_table, sigmoid, sigmoid_otherwise), (tanh_table, tanh, tanh_otherwise)],
)
def test_every_format_has_the_exact_values_and_their_mirror(table, fn, otherwise):
    """sigmoid(-n) = 1 - sigmoid(n) and tanh(-n) = -tanh(n) in LSBs: one half says all.

    At x = 0 both are exact but for the tie of sigmoid(0) without a fraction bit; elsewhere they are
    transcendental, so no value lies on a tie. What floats cannot tell from one is computed with 60
    digits. A preactivation of f fraction bits is a middle part of the widest one of f; integer bits
    of a gate change nothing.
    """
    for pre in (Q(15 - f, f) for f in range(16)):
        x = np.arange(1, pre.max + 2) / pre.scale
        real = otherwise(x)
        for gate in (Q(1, f) for f in range(31)):
            scaled = real * gate.scale
            expected = np.floor(scaled + 0.5).astype(np.int64)
            off = 2.0 ** (gate.f - 49)  # eight times what a float of 1.0 is off by
            for n in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < off):
                with localcontext() as context:
                    context.prec = 60
                    exact = Fraction(fn(Decimal(x[n]))) * gate.scale
                expected[n] = math.floor(exact + Fraction(1, 2))
            entries = table.__wrapped__(pre, gate)  # too many to be kept
            middle = 1 << (pre.width - 1)
            whole, zero = (gate.scale, (gate.scale + 1) // 2) if fn is sigmoid else (0, 0)
            assert (entries[middle + 1 :] == expected[:-1]).all(), (pre, gate)
            assert (entries[middle - 1 :: -1] == whole - expected).all(), (pre, gate)
            assert entries[middle] == zero
