"""What a kind of recurrent layer needs to learn: its slopes on the way forward, its errors back.

The twin of golden.learn.cells, a unit a cycle.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from amaranth.hdl import Module, Shape, Signal, Value, signed, unsigned

from golden.fixed import Q
from golden.formats import Formats
from golden.learn.cells import CELLS
from golden.learn.formats import LearningFormats
from hw.fixed import rshift, sat
from hw.pipeline import delayed
from hw.target import GENERIC
from hw.unit.cell import cell_of

TIMES = 2  # cycles of ``times``
SLOPES = 3  # cycles of ``slopes``
ERRORS = 1 + 2 * TIMES  # cycles of ``errors``


@dataclass(frozen=True)
class LearningCell(ABC):
    """Slopes and errors of a kind of layer (docs/training-core.md, "Forward", "Backward").

    Parameters
    ----------
    formats : Formats
        The network's.
    learning : LearningFormats
        What learning has beside.
    """

    formats: Formats
    learning: LearningFormats

    kind = ""  # as golden.learn.cells.CELLS has it

    @property
    def seen(self) -> Mapping[str, Shape]:
        """What slopes are made of: gates, and what else a unit's update knows."""
        return cell_of(self.kind)(self.formats, GENERIC).seen

    @property
    def kept(self) -> Mapping[str, Shape]:
        """What the tape keeps of a unit: slopes, and gates by their names."""
        slope, gate = signed(self.learning.slope.width), unsigned(self.formats.gate.f + 1)
        return {name: slope if name.startswith("s_") else gate for name in CELLS[self.kind].kept}

    @abstractmethod
    def slopes(self, m: Module, name: str, seen: Mapping[str, Value]) -> Mapping[str, Value]:
        """What the tape keeps, ``SLOPES`` cycles after what was ``seen``."""

    @abstractmethod
    def errors(
        self, m: Module, name: str, kept: Mapping[str, Value], of_h: Value, of_state: Value
    ) -> tuple[Sequence[Value], Value]:
        """A frame's share of dL/dM, in the order of the accumulators, and dL/dstate of the frame
        before; ``ERRORS`` cycles later.
        """

    def times(self, m: Module, name: str, error: Value, factor: Value, frac: int) -> Value:
        """error * factor, of which ``frac`` fraction bits are rounded away, in format error.

        Every error is made by this, in ``TIMES`` cycles.
        """
        product = delayed(m, error * factor, 1, f"{name}_product")
        return delayed(m, sat(rshift(product, frac), self.learning.error), 1, name)

    def slope(self, m: Module, name: str, a: Value, b: Value, frac: int) -> Value:
        """a * b, which has ``frac`` fraction bits, as a slope: in two cycles."""
        product = delayed(m, a * b, 1, f"{name}_product")
        q = self.learning.slope
        return delayed(m, sat(rshift(product, frac - q.f), q), 1, name)


def sat_added(m: Module, name: str, a: Value, b: Value, q: Q) -> Value:
    """sat(a + b), a cycle later."""
    return delayed(m, sat(a + b, q), 1, name)


def unsigned_gate(m: Module, name: str, value: Value) -> Value:
    """``value``, which is known not to be negative, without its sign."""
    result = Signal(len(value) - 1, name=name)
    m.d.comb += result.eq(value)
    return result


def learning_cell(kind: str) -> type[LearningCell]:
    """The ``Cell`` of a kind of recurrent layer, from the module of its name."""
    return import_module(f"hw.learn.{kind}").Cell
