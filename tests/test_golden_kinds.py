"""What an entry of the registry of kinds may say."""

import pytest

from golden.kinds import Kind


@pytest.mark.parametrize(
    ("gates", "accumulators", "state", "expected"),
    [
        (("a", "b"), ("a", "b", "x", "h"), "state", "found 4, expected 2 or one more"),
        (("a", "b"), ("a",), "state", "found 1, expected 2 or one more"),
        (("a",), ("a",), "state", "found 1, expected 2 to 4"),
        (("c",), ("xc", "hc"), "state", "found 2, expected 3 to 4"),
        (tuple("abcd"), ("a", "b", "c", "xd", "hd"), "state", "found 5, expected 3 to 4"),
        (tuple("abcde"), tuple("abcde"), None, "found 5, expected 1 to 4"),
    ],
)
def test_gates_and_accumulators_must_go_together(gates, accumulators, state, expected):
    with pytest.raises(ValueError, match=f"accumulators: {expected}"):
        Kind(gates, accumulators, state)


def test_rows_of_a_block_are_its_last_ones():
    kind = Kind(("f", "c"), ("f", "xc", "hc"), "state")
    assert (kind.first_row, kind.splits, kind.indexes) == (1, True, (True, False, False))
    kind = Kind(("u", "c"), ("u", "c"), "state")
    assert (kind.first_row, kind.splits, kind.indexes) == (2, False, (True, True))
