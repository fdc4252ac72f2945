import pytest

from golden.errors import refusal, require_int


def test_a_refusal_names_the_thing_what_was_found_and_what_was_expected():
    assert str(refusal("lanes", 0, "8")) == "lanes: found 0, expected 8"


@pytest.mark.parametrize(("low", "high"), [(3, None), (3, 5), (3, 3)])
def test_an_integer_in_range_is_given_back(low, high):
    assert require_int("n", 3, low, high) == 3


@pytest.mark.parametrize("value", [2, 6, -3, True, False, None, 4.0, 2.5, "4", [4], float("nan")])
def test_anything_else_is_refused(value):
    with pytest.raises(ValueError, match=r"^n: found ") as caught:
        require_int("n", value, 3, 5)
    assert str(caught.value) == f"n: found {value!r}, expected an integer from 3 to 5"


def test_a_range_without_an_end_says_so():
    with pytest.raises(ValueError, match=r"^n: found 2, expected an integer >= 3$"):
        require_int("n", 2, 3)
