"""How an LSTM learns (docs/training-core.md; in NumPy golden.learn.cells.LSTM)."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Module, Value

from hw.learn import cell
from hw.learn.cell import SLOPES, TIMES, sat_added, unsigned_gate
from hw.pipeline import delayed


class LSTMLearning(cell.LearningCell):
    """Slopes of i, f, g and o, and of c as h shows it; the gate f is kept as it is.

    s_i = g i (1 - i)   s_f = c_(t-1) f (1 - f)   s_g = i (1 - g^2)   s_o = y o (1 - o)
    s_y = o (1 - y^2)   with y = tanh(c_t)
    """

    kind = "lstm"

    def slopes(self, m: Module, name: str, seen: Mapping[str, Value]) -> Mapping[str, Value]:
        one, frac = self.formats.gate.scale, self.formats.gate.f
        now = {key: delayed(m, seen[key], 1, f"{name}_{key}_now") for key in "igocy"}

        def moves(gate: str) -> Value:
            value = seen[gate]
            left = unsigned_gate(m, f"{name}_{gate}_left", one - value)
            return delayed(m, value * left, 1, f"{name}_{gate}_moves")

        def rest(key: str) -> Value:
            value = seen[key]
            left = unsigned_gate(m, f"{name}_{key}_rest", one * one - value * value)
            return delayed(m, left, 1, f"{name}_{key}_left_of_one")

        def slope(of: str, a: Value, b: Value, fraction: int = 3 * frac) -> Value:
            return self.slope(m, f"{name}_s_{of}", a, b, fraction)

        return {
            "s_i": slope("i", now["g"], moves("i")),
            "s_f": slope("f", now["c"], moves("f"), self.formats.cell.f + 2 * frac),
            "s_g": slope("g", now["i"], rest("g")),
            "s_o": slope("o", now["y"], moves("o")),
            "s_y": slope("y", now["o"], rest("y")),
            "f": delayed(m, seen["f"], SLOPES, f"{name}_f"),
        }

    def errors(
        self, m: Module, name: str, kept: Mapping[str, Value], of_h: Value, of_state: Value
    ) -> tuple[Sequence[Value], Value]:
        slope, gate = self.learning.slope.f, self.formats.gate.f
        shown = self.times(m, f"{name}_shown", of_h, kept["s_y"], slope)
        of_state = delayed(m, of_state, TIMES, f"{name}_of_state")
        of_c = sat_added(m, f"{name}_of_c", of_state, shown, self.learning.error)
        of_h = delayed(m, of_h, TIMES + 1, f"{name}_of_h")
        own = []
        for of, error in (("i", of_c), ("f", of_c), ("g", of_c), ("o", of_h)):
            factor = delayed(m, kept[f"s_{of}"], TIMES + 1, f"{name}_s_{of}")
            own.append(self.times(m, f"{name}_of_{of}", error, factor, slope))
        forget = delayed(m, kept["f"], TIMES + 1, f"{name}_forget")
        return own, self.times(m, f"{name}_before", of_c, forget, gate)


Cell = LSTMLearning  # by this name for hw.learn.cell.learning_cell
