"""Coefficients as the digits that the bank's multiplier takes: 0, 1, 2 and -1, to the base 4."""

from golden.errors import refusal

DIGIT_BITS = 2
MINUS = 3  # the code of -1; the others are their own


def recoded(value: int, digits: int) -> int:
    """``value`` as a word of ``digits`` codes, the lowest first.

    Raises ValueError where it is none of -(4^digits - 1) / 3 to 2 (4^digits - 1) / 3.
    """
    word, left = 0, value
    for n in range(digits):
        code = left & 3
        word |= code << (DIGIT_BITS * n)
        left = (left + (code == MINUS)) >> 2
    if left:
        most = (4**digits - 1) // 3
        raise refusal("coefficient", value, f"from {-most} to {2 * most}")
    return word
