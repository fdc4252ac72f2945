"""What a kind of recurrent layer does with a unit's accumulators, as a pipeline in gates."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from amaranth.hdl import Module, Shape, Value, signed, unsigned
from amaranth.lib import memory
from amaranth.utils import bits_for

from golden.fixed import Integers
from golden.formats import Formats
from hw.pipeline import delayed
from hw.target import Target


@dataclass(frozen=True)
class Made:
    """A unit as it is made.

    ``kept``: what is stored for the next frame; ``state``: what the neuron keeps, h or c; ``a``: h
    as other neurons see it; ``moved``: one of the two is not what it was.
    """

    kept: Value
    state: Value
    a: Value
    moved: Value


@dataclass(frozen=True)
class Cell(ABC):
    """Steps 3 and 4 of a kind of layer (docs/numerics.md), a unit a cycle.

    Parameters
    ----------
    formats : Formats
        The network's.
    target : Target
        Whose multipliers and memories.
    """

    formats: Formats
    target: Target

    @property
    @abstractmethod
    def latency(self) -> int:
        """Cycles from the accumulators to what is made of them."""

    @property
    @abstractmethod
    def ahead(self) -> int:
        """Cycles from what was kept to what is made of it."""

    @property
    @abstractmethod
    def kept(self) -> Shape:
        """The shape of what is stored of a unit; 0 at reset."""

    @abstractmethod
    def unit(self, m: Module, name: str, gates: Sequence[Value], before: Value) -> Made:
        """Makes a unit of what was read out of its accumulators, in the order of the
        specification, and, ``latency - ahead`` cycles later, of what was kept of it.
        """

    def table(self, m: Module, name: str, values: Integers, index: Value) -> Value:
        """values[index], by the two's-complement preactivation, ``read_latency`` cycles later."""
        middle = len(values) // 2
        init = [int(v) for v in [*values[middle:], *values[:middle]]]
        sign = min(init) < 0  # a sigmoid has none
        width = max(bits_for(v, require_sign_bit=sign) for v in init)
        shape = signed(width) if sign else unsigned(width)
        rom = memory.Memory(shape=shape, depth=len(init), init=init)
        m.submodules[name] = rom
        port = rom.read_port()
        m.d.comb += [port.en.eq(1), port.addr.eq(index)]
        return delayed(m, port.data, self.target.read_latency - 1, f"{name}_read")


def cell_of(kind: str) -> type[Cell]:
    """The ``Cell`` of a kind of recurrent layer, from the module of its name (golden.kinds)."""
    return import_module(f"hw.unit.{kind}").Cell
