"""Fixed point in gates: the only two lossy operations (docs/numerics.md, "Formats")."""

from amaranth.hdl import Cat, Mux, Value

from golden.fixed import Q


def rshift(v: Value, n: int) -> Value:
    """floor((v + 2^(n-1)) / 2^n) for n > 0 (round half up), v * 2^-n for n <= 0.

    ``v`` is signed; the result is wide enough for every value of it. One adder for n > 0.
    """
    return (v + (1 << (n - 1))) >> n if n > 0 else v << -n


def sat(v: Value, q: Q) -> Value:
    """Signed ``v`` clipped to the range of ``q``, ``q.width`` bits. No comparison, one multiplexer.

    ``v`` fits exactly when all bits from the sign bit of ``q`` upwards are equal.
    """
    width = q.width
    if len(v) <= width:
        return v
    top = v[width - 1 :]
    fits = top.all() | ~top.any()
    limit = Cat((~v[-1]).replicate(width - 1), v[-1])
    return Mux(fits, v[:width], limit).as_signed()
