"""The LSTM's pipeline (docs/numerics.md, "LSTM layer")."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Cat, Module, Shape, Value, signed, unsigned

from hw.fixed import half, rshift, sat, shift
from hw.pipeline import delayed
from hw.unit import cell
from hw.unit.cell import Made


class LSTMCell(cell.Cell):
    """Takes i, f, g and o as indices.

    i, f, o = sigmoid[R(M)]   g = tanh[R(M_g)]   c_t = f * c_(t-1) + i * g   a_t = o * tanh[c_t]

    It keeps a beside c: where c stands still, o may still move.
    """

    @property
    def latency(self) -> int:
        return 2 * self.looks_up + 3 * self.target.multiply_add.latency + 2

    @property
    def ahead(self) -> int:
        return self.looks_up + 2 * self.target.multiply_add.latency + 2

    @property
    def kept(self) -> Shape:
        return unsigned(self.formats.cell.width + self.formats.activation.width)

    @property
    def seen(self) -> Mapping[str, Shape]:
        f = self.formats
        gate, tanh = unsigned(f.gate.f + 1), signed(f.gate.f + 2)
        cell_before = signed(f.cell.width)
        return {"i": gate, "f": gate, "g": tanh, "o": gate, "c": cell_before, "y": tanh}

    def unit(self, m: Module, name: str, gates: Sequence[Value], before: Value) -> Made:
        f, looks_up, multiply_add = self.formats, self.looks_up, self.target.multiply_add
        multiplies = multiply_add.latency
        c_before = before[: f.cell.width].as_signed()
        a_before = before[f.cell.width :][: f.activation.width].as_signed()

        def after(value: Value, cycles: int, what: str) -> Value:
            return delayed(m, value, cycles, f"{name}_{what}")

        # Look up all gates.
        tables = zip(
            "ifgo", (self.sigmoid, self.sigmoid, self.tanh, self.sigmoid), gates, strict=True
        )
        i, forget, g, o = (
            self.look_up(m, f"{name}_{gate}", table, index) for gate, table, index in tables
        )

        seen = {key: (v, looks_up) for key, v in zip("ifgo", (i, forget, g, o), strict=True)}
        seen |= {"c": (c_before, looks_up + multiplies)}

        # i * g, while c comes. The rounding of c goes in here, and its bits below i * g behind it.
        finer = f.cell_frac - f.gate.f
        rounding = half(f.cell_shift)
        new = multiply_add(m, i, g, Value.cast(rounding >> finer), f"{name}_new")
        new = (new << finer) + rounding % (1 << finer)

        # f * c.
        forget = after(forget, multiplies, "forget")
        total = multiply_add(m, forget, c_before << (f.cell_frac - f.cell.f), new, f"{name}_total")
        c = after(sat(shift(total, f.cell_shift), f.cell), 1, "c")

        # Look up tanh(c), and o * tanh(c) with the rounding of a.
        index = sat(rshift(c, f.cell_index_shift), f.preactivation)
        y = self.look_up(m, f"{name}_tanh", self.tanh, index)
        seen |= {"y": (y, 2 * (looks_up + multiplies) + 1)}
        o = after(o, 2 * multiplies + 1 + looks_up, "o")
        rounding = Value.cast(half(f.product_shift))
        a = multiply_add(m, o, y, rounding, f"{name}_output")
        a = after(sat(shift(a, f.product_shift), f.activation), 1, "a")

        lasting = looks_up + multiplies + 1
        c_now, c_was = after(c, lasting, "c_now"), after(c_before, self.ahead, "c_was")
        a_was = after(a_before, self.ahead, "a_was")
        return Made(Cat(c_now, a), c_now, a, (c_now != c_was) | (a != a_was), seen)


Cell = LSTMCell  # by this name for hw.unit.cell.cell_of
