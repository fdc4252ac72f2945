"""The GRU's pipeline (docs/numerics.md, "GRU layer")."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Module, Shape, Value, signed, unsigned

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
        return 2 * (self.looks_up + self.target.multiply_add.latency) + 2

    @property
    def ahead(self) -> int:
        return self.target.multiply_add.latency + 2

    @property
    def kept(self) -> Shape:
        return signed(self.formats.state.width)

    @property
    def seen(self) -> Mapping[str, Shape]:
        f = self.formats
        gate = unsigned(f.gate.f + 1)
        return {
            "r": gate,
            "u": gate,
            "c": signed(f.gate.f + 2),
            "m_hc": signed(f.readout.width),
            "h": signed(f.state.width),  # of the frame before
        }

    def unit(self, m: Module, name: str, gates: Sequence[Value], before: Value) -> Made:
        f, looks_up, multiply_add = self.formats, self.looks_up, self.target.multiply_add
        index_r, index_u, m_xc, m_hc = gates
        before = before[: f.state.width].as_signed()

        def after(value: Value, cycles: int, what: str) -> Value:
            return delayed(m, value, cycles, f"{name}_{what}")

        # Look up r and u.
        r = self.look_up(m, f"{name}_sigmoid_r", self.sigmoid, index_r)
        u = self.look_up(m, f"{name}_sigmoid_u", self.sigmoid, index_u)
        m_xc, m_hc = after(m_xc, looks_up, "m_xc"), after(m_hc, looks_up, "m_hc")
        seen = {key: (v, looks_up) for key, v in {"r": r, "u": u, "m_hc": m_hc}.items()}

        # r * R(M_hc). The rounding of the candidate goes in here, beside the shifted R(M_xc).
        addend = (m_xc << f.gate.f) + half(f.candidate_shift)
        candidate = multiply_add(m, r, m_hc, addend, f"{name}_reset")

        # Look up c, while h comes.
        index = sat(shift(candidate, f.candidate_shift), f.preactivation)
        c = self.look_up(m, f"{name}_tanh", self.tanh, index)
        seen |= {"c": (c, self.latency - self.ahead)}

        # h' - c', in the finer of the two formats.
        c = c << (f.blend_frac - f.gate.f)
        difference = after((before << (f.blend_frac - f.state.f)) - c, 1, "difference")

        # u * (h' - c'), and the rounding of h.
        u = after(u, 1 + looks_up + multiply_add.latency, "u")
        addend = (after(c, 1, "c") << f.gate.f) + half(f.update_shift)
        blend = multiply_add(m, u, difference, addend, f"{name}_update")
        h = after(sat(shift(blend, f.update_shift), f.state), 1, "h")
        was = after(before, 2 + multiply_add.latency, "before")
        seen |= {"h": (before, self.latency - self.ahead)}
        return Made(h, h, sat(rshift(h, f.output_shift), f.activation), h != was, seen)


Cell = GRUCell  # by this name for hw.unit.cell.cell_of
