"""What differs from one family of chips to the next: the primitives a core is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from amaranth.hdl import Module, Signal, Value

from hw.lane import Lane
from hw.weights import WeightMemory

# For Yosys, on a memory: nobody uses what is read from an address in the cycle in which it is
# written, so that it need not be what the simulators say, which would take a bypass to keep.
UNCHECKED = {"no_rw_check": 1}


def delayed(m: Module, value: Value, cycles: int, name: str) -> Value:
    """``value``, ``cycles`` later."""
    for n in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{n}", reset_less=True)
        m.d.sync += register.eq(value)
        value = register
    return value


def one_product(m: Module, a: Value, b: Value, name: str) -> list[Value]:
    """a * b a cycle later, as a list of terms to add: here one."""
    return [delayed(m, a * b, 1, name)]


def split_product(m: Module, a: Value, b: Value, name: str) -> list[Value]:
    """a * b a cycle later, for unsigned ``a``: the products of its thirds, to be added."""
    cuts = [n * len(a) // 3 for n in range(4)]
    return [
        delayed(m, a[low:high] * b, 1, f"{name}_{low}") << low
        for low, high in pairwise(cuts)
        if high > low
    ]


@dataclass(frozen=True)
class Target:
    """A family's primitives. The defaults, which are any family's, use no vendor cells.

    Attributes
    ----------
    weights : callable
        Makes the weight memory from its words (hw.weights.WeightMemory).
    lane : type
        A lane (hw.lane.Lane).
    product : callable
        Multiplies in the activation unit.
    settle : int
        Registers between a sum in the activation unit and what clips it.
    read_latency : int
        Cycles from an address to a memory's data: 1, or 2 where the data want a register before
        anything is done with them.
    """

    name: str = "generic"
    weights: Callable[..., WeightMemory] = WeightMemory
    lane: type[Lane] = Lane
    product: Callable[[Module, Value, Value, str], list[Value]] = one_product
    settle: int = 0
    read_latency: int = 1


GENERIC = Target()
