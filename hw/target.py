"""What differs from one family of chips to the next: the primitives a core is made of."""

from dataclasses import dataclass

from amaranth.hdl import Module, Value

from golden.parameters import CoreParameters
from hw.fixed import added
from hw.lane import Lane
from hw.pipeline import delayed
from hw.serializer import Serializer, ShiftSerializer
from hw.weights import WeightMemory

# For Yosys, on a memory: nobody uses what is read from an address in the cycle in which it is
# written, so that it need not be what the simulators say, which would take a bypass to keep.
UNCHECKED = {"no_rw_check": 1}


class MultiplyAdd:
    """addend + a * b of the activation unit, for unsigned ``a``; ``latency`` cycles later.

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

    For ``a`` of up to 8 bits no register has more than one adder before it.
    """

    latency = 3

    def __call__(self, m: Module, a: Value, b: Value, addend: Value, name: str) -> Value:
        # The top bits, of which there may be just one, go with the addend.
        *low, top = [(a[n : n + 2] * b) << n for n in range(0, len(a), 2)]
        terms = [*low, top + addend]
        for level in range(self.latency):
            if level:
                terms = [added(terms[n : n + 2]) for n in range(0, len(terms), 2)]
            terms = [delayed(m, t, 1, f"{name}_{level}_{n}") for n, t in enumerate(terms)]
        return added(terms)


@dataclass(frozen=True)
class Target:
    """A family's primitives. The defaults, which are any family's, use no vendor cells.

    Attributes
    ----------
    weights : type
        The weight memory (hw.weights.WeightMemory).
    lane : type
        A lane (hw.lane.Lane).
    multiply_add : MultiplyAdd
        What the activation unit multiplies with.
    read_latency : int
        Cycles from an address to a memory's data: 1, or 2 where the data want a register before
        anything is done with them.
    stage_lanes : int or None
        Lanes that do the same in the same cycle. The next ones do it a cycle later, so that what
        all lanes need reaches them by way of each other and no register has to drive them all.
        None: one stage, however many lanes.
    serializer : type
        What a block's units leave through (hw.serializer.Serializer).
    """

    name: str = "generic"
    weights: type[WeightMemory] = WeightMemory
    lane: type[Lane] = Lane
    multiply_add: MultiplyAdd = MultiplyAdd()  # noqa: RUF009  # it has no state
    read_latency: int = 1
    stage_lanes: int | None = None
    serializer: type[Serializer] = ShiftSerializer

    @property
    def loads(self) -> bool:
        """Weights come at run time."""
        return self.weights.loads

    def stages(self, core: CoreParameters) -> list[range]:
        """The lanes of each stage; whole groups of those that are activated together."""
        lanes, together = core.lanes, core.activations
        size = -(-(self.stage_lanes or lanes) // together) * together
        return [range(low, min(low + size, lanes)) for low in range(0, lanes, size)]


GENERIC = Target()
