"""How a read-out learns: its errors are those of M itself (golden.learn.cells.Linear)."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Module, Shape, Value

from hw.learn.cell import ERRORS, LearningCell
from hw.pipeline import delayed


class LinearLearning(LearningCell):
    """Keeps nothing, and has no state."""

    kind = "linear"

    @property
    def seen(self) -> Mapping[str, Shape]:
        return {}

    def slopes(self, m: Module, name: str, seen: Mapping[str, Value]) -> Mapping[str, Value]:
        return {}

    def errors(
        self, m: Module, name: str, kept: Mapping[str, Value], of_h: Value, of_state: Value
    ) -> tuple[Sequence[Value], Value]:
        own = delayed(m, of_h, ERRORS, f"{name}_own")
        return [own], delayed(m, of_state, ERRORS, f"{name}_before")


Cell = LinearLearning  # by this name for hw.learn.cell.learning_cell
