"""What a kind of recurrent layer does with a unit's accumulators, as a pipeline in gates."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

from amaranth.hdl import Module, Shape, Value

from golden.fixed import Integers, Q
from golden.formats import Formats
from golden.tables import sigmoid_table, tanh_table
from hw.pipeline import delayed
from hw.target import Target
from hw.unit.table import Table


@dataclass(frozen=True)
class Made:
    """A unit as it is made.

    ``kept``: what is stored for the next frame; ``state``: what the neuron keeps, h or c; ``a``: h
    as other neurons see it; ``moved``: one of the two is not what it was. ``seen``: what learning
    wants of it (``Cell.seen``), each with the cycles from the accumulators to it.
    """

    kept: Value
    state: Value
    a: Value
    moved: Value
    seen: Mapping[str, tuple[Value, int]]


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

    @property
    @abstractmethod
    def seen(self) -> Mapping[str, Shape]:
        """What learning makes a unit's slopes of (hw.learn.cell)."""

    @abstractmethod
    def unit(self, m: Module, name: str, gates: Sequence[Value], before: Value) -> Made:
        """Makes a unit of what was read out of its accumulators, in the order of the
        specification, and, ``latency - ahead`` cycles later, of what was kept of it.
        """

    @cached_property
    def sigmoid(self) -> Table:
        """That of i, f, o, r and u."""
        return self._table(sigmoid_table)

    @cached_property
    def tanh(self) -> Table:
        """That of c and g."""
        return self._table(tanh_table)

    def _table(self, of: Callable[[Q, Q], Integers]) -> Table:
        f = self.formats
        return Table(of(f.preactivation, f.gate), f.gate.scale, self.target)

    @property
    def looks_up(self) -> int:
        """Cycles from the index to the value of either table."""
        return max(self.sigmoid.latency, self.tanh.latency)

    def look_up(self, m: Module, name: str, table: Table, index: Value) -> Value:
        """What ``table`` has at a preactivation, ``looks_up`` cycles later."""
        value = table.look_up(m, name, index)
        return delayed(m, value, self.looks_up - table.latency, f"{name}_wait")


def cell_of(kind: str) -> type[Cell]:
    """The ``Cell`` of a kind of recurrent layer, from the module of its name (golden.kinds)."""
    return import_module(f"hw.unit.{kind}").Cell
