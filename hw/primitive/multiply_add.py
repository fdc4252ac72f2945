"""addend + a * b of the activation unit, in the ways that families do it best."""

from amaranth.hdl import Module, Value

from hw.fixed import added
from hw.pipeline import delayed


class MultiplyAdd:
    """addend + a * b, for unsigned ``a``; ``latency`` cycles later.

    In any family: a multiplier with a register behind it, and an adder.
    """

    latency = 1

    def __call__(self, m: Module, a: Value, b: Value, addend: Value, name: str) -> Value:
        return delayed(m, addend, 1, f"{name}_addend") + delayed(m, a * b, 1, f"{name}_product")


class RegisteredMultiplyAdd(MultiplyAdd):
    """With a register behind the adder, too."""

    latency = 2

    def __call__(self, m: Module, a: Value, b: Value, addend: Value, name: str) -> Value:
        return delayed(m, super().__call__(m, a, b, addend, name), 1, name)


class SplitMultiplyAdd(MultiplyAdd):
    """Without a multiplier: the rows of two bits of ``a`` each, then a tree of adders.

    For ``a`` of up to 8 bits no register has more than one adder before it; for wider ones the last
    of them has, but what comes behind it still has none.
    """

    latency = 3

    def __call__(self, m: Module, a: Value, b: Value, addend: Value, name: str) -> Value:
        # The top bits, of which there may be just one, go with the addend.
        *low, top = [(a[n : n + 2] * b) << n for n in range(0, len(a), 2)]
        terms = [*low, top + addend]
        for level, joined in enumerate((1, 2, len(low) + 1)):
            terms = [added(terms[n : n + joined]) for n in range(0, len(terms), joined)]
            terms = [delayed(m, t, 1, f"{name}_{level}_{n}") for n, t in enumerate(terms)]
        (product,) = terms
        return product
