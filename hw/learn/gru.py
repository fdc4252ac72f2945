"""How a GRU learns (docs/training-core.md; in NumPy golden.learn.cells.GRU)."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Module, Value

from hw.learn import cell
from hw.learn.cell import SLOPES, TIMES, sat_added, unsigned_gate
from hw.pipeline import delayed


class GRULearning(cell.LearningCell):
    """Slopes of c, u and r; the gates r and u are kept as they are.

    s_c = (1 - u)(1 - c^2)   s_u = (h_(t-1) - c) u (1 - u)   s_r = R(M_hc) r (1 - r)
    """

    kind = "gru"

    def slopes(self, m: Module, name: str, seen: Mapping[str, Value]) -> Mapping[str, Value]:
        f = self.formats
        one, frac = f.gate.scale, f.gate.f
        r, u, c, m_hc, h = (seen[key] for key in self.seen)

        def first(what: str, value: Value) -> Value:
            return delayed(m, value, 1, f"{name}_{what}")

        def moves(gate: str, value: Value) -> Value:
            return first(
                f"{gate}_moves", value * unsigned_gate(m, f"{name}_{gate}_left", one - value)
            )

        left_u = first("left_u", unsigned_gate(m, f"{name}_u_rest", one - u))
        left_c = first("left_c", unsigned_gate(m, f"{name}_c_rest", one * one - c * c))
        distance = (h << (f.blend_frac - f.state.f)) - (c << (f.blend_frac - frac))
        return {
            "s_c": self.slope(m, f"{name}_s_c", left_u, left_c, 3 * frac),
            "s_u": self.slope(
                m,
                f"{name}_s_u",
                first("distance", distance),
                moves("u", u),
                f.blend_frac + 2 * frac,
            ),
            "s_r": self.slope(
                m, f"{name}_s_r", first("m_hc", m_hc), moves("r", r), f.readout.f + 2 * frac
            ),
            "r": delayed(m, r, SLOPES, f"{name}_r"),
            "u": delayed(m, u, SLOPES, f"{name}_u"),
        }

    def errors(
        self, m: Module, name: str, kept: Mapping[str, Value], of_h: Value, of_state: Value
    ) -> tuple[Sequence[Value], Value]:
        slope, gate = self.learning.slope.f, self.formats.gate.f
        now = {key: delayed(m, value, 1, f"{name}_{key}") for key, value in kept.items()}
        later = {key: delayed(m, now[key], TIMES, f"{name}_{key}_later") for key in ("s_r", "r")}
        error = sat_added(m, f"{name}_of_h", of_h, of_state, self.learning.error)
        of_c = self.times(m, f"{name}_of_c", error, now["s_c"], slope)
        of_u = self.times(m, f"{name}_of_u", error, now["s_u"], slope)
        before = self.times(m, f"{name}_before", error, now["u"], gate)
        of_r = self.times(m, f"{name}_of_r", of_c, later["s_r"], slope)
        of_hc = self.times(m, f"{name}_of_hc", of_c, later["r"], gate)

        def waits(value: Value, what: str) -> Value:
            return delayed(m, value, TIMES, f"{name}_{what}_waits")

        return [of_r, waits(of_u, "u"), waits(of_c, "c"), of_hc], waits(before, "before")


Cell = GRULearning  # by this name for hw.learn.cell.learning_cell
