"""Fixed point in gates: the only two lossy operations (docs/numerics.md, "Formats")."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Mux, Value, signed
from amaranth.utils import bits_for

from golden.fixed import Q


def shift(v: Value, n: int) -> Value:
    """floor(v / 2^n) for n > 0, v * 2^-n for n <= 0: what is left of rshift once its half is in."""
    return v >> n if n > 0 else v << -n


def half(n: int) -> int:
    """2^(n-1), what rshift by ``n`` adds before it shifts; 0 where it adds nothing."""
    return 1 << (n - 1) if n > 0 else 0


def rshift(v: Value, n: int) -> Value:
    """floor((v + 2^(n-1)) / 2^n) for n > 0 (round half up), v * 2^-n for n <= 0.

    ``v`` is signed; the result is wide enough for every value of it. One adder for n > 0.
    """
    return shift(v + half(n), n) if n > 0 else shift(v, n)


def twice_shifted(v: Value, n: Value) -> Value:
    """floor(2 v / 2^n), signed: of what rshift by ``n`` gives the double, not yet rounded."""
    return Cat(Const(0, 1), v).as_signed() >> n


def rshift_by(v: Value, n: Value) -> Value:
    """rshift by a number that is not known before: one shifter, and one adder behind it."""
    twice = twice_shifted(v, n)
    return twice[1:].as_signed() + twice[0]


def clip(v: Value, low: int, high: int) -> Value:
    """Signed ``v`` held between two bounds."""
    width = max(bits_for(low, require_sign_bit=True), bits_for(high, require_sign_bit=True))
    if (low, high) != (-1 << (width - 1), (1 << (width - 1)) - 1):
        return Mux(v < low, Const(low, signed(width)), Mux(v > high, high, v))[:width].as_signed()
    # The whole range of a width takes no comparison: ``v`` fits exactly when all its bits from the
    # sign bit of the result upwards are equal; here four at a time, which is what a LUT takes.
    if len(v) <= width:
        return v
    top = v[width - 1 :]
    fits = Cat(top[n : n + 4].all() | ~top[n : n + 4].any() for n in range(0, len(top), 3)).all()
    limit = Cat((~v[-1]).replicate(width - 1), v[-1])
    return Mux(fits, v[:width], limit).as_signed()


def sat(v: Value, q: Q) -> Value:
    """Signed ``v`` clipped to the range of ``q``."""
    return clip(v, q.min, q.max)


def added(values: Sequence[Value]) -> Value:
    """The sum of all, as a tree that is as flat as can be."""
    if len(values) == 1:
        return values[0]
    middle = len(values) // 2
    return added(values[:middle]) + added(values[middle:])
