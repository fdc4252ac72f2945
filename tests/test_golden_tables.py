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
