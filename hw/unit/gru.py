"""The GRU's pipeline (docs/numerics.md, "GRU layer")."""

from collections.abc import Sequence

from amaranth.hdl import Module, Shape, Value, signed

from golden.tables import sigmoid_table, tanh_table
from hw.fixed import half, rshift, sat, shift
from hw.pipeline import delayed
from hw.unit import cell
from hw.unit.cell import Made


class GRUCell(cell.Cell):
    """Takes r and u as indices, and R(M_xc) and R(M_hc).

    r = sigmoid[R(M_r)]   u = sigmoid[R(M_u)]   c = tanh[R(M_xc) + r * R(M_hc)]
    h_t = c + u * (h_(t-1) - c)
    """

    @property
    def latency(self) -> int:
        return 2 * (self.target.read_latency + self.target.multiply_add.latency) + 2

    @property
    def ahead(self) -> int:
        return self.target.multiply_add.latency + 2

    @property
    def kept(self) -> Shape:
        return signed(self.formats.state.width)

    def unit(self, m: Module, name: str, gates: Sequence[Value], before: Value) -> Made:
        f, read, multiply_add = self.formats, self.target.read_latency, self.target.multiply_add
        index_r, index_u, m_xc, m_hc = gates
        before = before[: f.state.width].as_signed()

        def after(value: Value, cycles: int, what: str) -> Value:
            return delayed(m, value, cycles, f"{name}_{what}")

        sigmoid, tanh = (fn(f.preactivation, f.gate) for fn in (sigmoid_table, tanh_table))

        # Look up r and u.
        r = self.table(m, f"{name}_sigmoid_r", sigmoid, index_r)
        u = self.table(m, f"{name}_sigmoid_u", sigmoid, index_u)
        m_xc, m_hc = after(m_xc, read, "m_xc"), after(m_hc, read, "m_hc")

        # r * R(M_hc). The rounding of the candidate goes in here, beside the shifted R(M_xc).
        addend = (m_xc << f.gate.f) + half(f.candidate_shift)
        candidate = multiply_add(m, r, m_hc, addend, f"{name}_reset")

        # Look up c, while h comes.
        index = sat(shift(candidate, f.candidate_shift), f.preactivation)
        c = self.table(m, f"{name}_tanh", tanh, index)

        # h' - c', in the finer of the two formats.
        c = c << (f.blend_frac - f.gate.f)
        difference = after((before << (f.blend_frac - f.state.f)) - c, 1, "difference")

        # u * (h' - c'), and the rounding of h.
        u = after(u, 1 + read + multiply_add.latency, "u")
        addend = (after(c, 1, "c") << f.gate.f) + half(f.update_shift)
        blend = multiply_add(m, u, difference, addend, f"{name}_update")
        h = after(sat(shift(blend, f.update_shift), f.state), 1, "h")
        was = after(before, 2 + multiply_add.latency, "before")
        return Made(h, h, sat(rshift(h, f.output_shift), f.activation), h != was)


Cell = GRUCell  # by this name for hw.unit.cell.cell_of
