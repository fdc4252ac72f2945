"""The activation unit: from accumulators to the new state, A units a cycle."""

from amaranth.hdl import Cat, Module, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.fixed import Integers
from golden.parameters import CoreParameters
from golden.tables import sigmoid_table, tanh_table
from hw.fixed import rshift, sat, shift
from hw.layout import half
from hw.pipeline import delayed, staged
from hw.readout import groups, units_layout
from hw.target import GENERIC, UNCHECKED, Target


class ActivationUnit(wiring.Component):
    """Step 3 and 4 of a GRU layer (docs/numerics.md) as a pipeline of A units a cycle.

        r = sigmoid[R(M_r)]   u = sigmoid[R(M_u)]   c = tanh[R(M_xc) + r * R(M_hc)]
        h_t = c + u * (h_(t-1) - c)

    It holds h of all layers. The same unit must not come again within ``latency`` cycles.

    Parameters
    ----------
    core : CoreParameters
        Layers, formats and A.
    target : Target
        Whose multipliers and memories.

    Members
    -------
    i : In, stream (never waits)
        A units (hw.readout.units_layout); ``last`` of the layer.
    o : Out, stream (never waits)
        ``latency`` cycles later: ``layer``, ``group``, ``last``; ``h``, A of format state; ``a``, A
        of format activation; ``moved``, some h is not what it was.
    clear : In, stream (never waits)
        Sets h at an address to 0; only while nothing else is under way.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``.
    depth : int
        Addresses of the state memory; an address is group and layer side by side.
    """

    def __init__(self, core: CoreParameters, target: Target = GENERIC) -> None:
        self._core, self._target = core, target
        formats = core.network.formats
        units = units_layout(core)
        place = {key: units[key].shape for key in ("layer", "group", "last")}
        self._place = data.StructLayout(place)
        self.latency = 2 * (target.read_latency + target.multiply_add.latency) + 2
        self.depth = len(core.network.recurrent) << ceil_log2(groups(core))
        self._states = data.ArrayLayout(signed(formats.state.width), core.activations)
        outputs = data.StructLayout(
            {
                **place,
                "h": self._states,
                "a": data.ArrayLayout(signed(formats.activation.width), core.activations),
                "moved": 1,
            }
        )
        super().__init__(
            {
                "i": In(stream.Signature(units, always_ready=True)),
                "o": Out(stream.Signature(outputs, always_ready=True)),
                "clear": In(stream.Signature(unsigned(ceil_log2(self.depth)), always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        read = self._target.read_latency
        m.submodules.state = state = memory.Memory(
            shape=self._states, depth=self.depth, init=[], attrs=UNCHECKED
        )
        state_read, state_write = state.read_port(), state.write_port()

        # What goes along with the units, one register a stage.
        keys = ("layer", "group", "last")
        now = Signal(self._place)
        m.d.comb += [now[key].eq(self.i.payload[key]) for key in keys]
        valids, places = staged(m, self.i.valid, now, self.latency, "place")

        def address(place: data.View) -> Value:
            # A linear layer has no state; its number never comes here, so its bit may be cut off.
            return Cat(place.group, place.layer)[: ceil_log2(self.depth)]

        looks_up = read + self._target.multiply_add.latency  # c, and h beside it
        m.d.comb += [state_read.en.eq(1), state_read.addr.eq(address(places[looks_up]))]
        before = data.View(
            self._states, delayed(m, state_read.data.as_value(), read - 1, "state_read")
        )

        moved = []
        for a in range(self._core.activations):
            h, was = self._unit(m, f"unit_{a}", self.i.payload.units[a], before[a])
            moved.append(h != was)
            formats = self._core.network.formats
            m.d.comb += [
                state_write.data[a].eq(h),
                self.o.payload.h[a].eq(h),
                self.o.payload.a[a].eq(sat(rshift(h, formats.output_shift), formats.activation)),
            ]
        m.d.comb += [
            state_write.addr.eq(address(places[-1])),
            state_write.en.eq(valids[-1]),
            self.o.valid.eq(valids[-1]),
            self.o.payload.moved.eq(Cat(moved).any()),
        ]
        m.d.comb += [self.o.payload[key].eq(places[-1][key]) for key in keys]
        with m.If(self.clear.valid):
            m.d.comb += [
                state_write.addr.eq(self.clear.payload),
                state_write.data.eq(0),
                state_write.en.eq(1),
            ]
        return m

    def _unit(self, m: Module, name: str, unit: data.View, before: Value) -> tuple[Value, Value]:
        """h of a unit ``latency`` cycles after it, and what it was.

        ``before`` comes as many cycles earlier as a multiplication takes, and 2.
        """
        f, read, multiply_add = (
            self._core.network.formats,
            self._target.read_latency,
            self._target.multiply_add,
        )

        def after(value: Value, cycles: int, what: str) -> Value:
            return delayed(m, value, cycles, f"{name}_{what}")

        def table(what: str, values: Integers, index: Value) -> Value:
            """values[index], by the two's-complement preactivation, ``read`` cycles later."""
            middle = len(values) // 2
            init = [int(v) for v in [*values[middle:], *values[:middle]]]
            sign = min(init) < 0  # a sigmoid has none
            width = max(bits_for(v, require_sign_bit=sign) for v in init)
            shape = signed(width) if sign else unsigned(width)
            rom = memory.Memory(shape=shape, depth=len(init), init=init)
            m.submodules[f"{name}_{what}"] = rom
            port = rom.read_port()
            m.d.comb += [port.en.eq(1), port.addr.eq(index)]
            return after(port.data, read - 1, f"{what}_read")

        sigmoid, tanh = (fn(f.preactivation, f.gate) for fn in (sigmoid_table, tanh_table))

        # Look up r and u.
        r = table("sigmoid_r", sigmoid, unit.r)
        u = table("sigmoid_u", sigmoid, unit.u)
        m_xc, m_hc = after(unit.m_xc, read, "m_xc"), after(unit.m_hc, read, "m_hc")

        # r * R(M_hc). The rounding of the candidate goes in here, beside the shifted R(M_xc).
        addend = (m_xc << f.gate.f) + half(f.candidate_shift)
        candidate = multiply_add(m, r, m_hc, addend, f"{name}_reset")

        # Look up c, while h comes.
        index = sat(shift(candidate, f.candidate_shift), f.preactivation)
        c = table("tanh", tanh, index)

        # h' - c', in the finer of the two formats.
        c = c << (f.blend_frac - f.gate.f)
        difference = after((before << (f.blend_frac - f.state.f)) - c, 1, "difference")

        # u * (h' - c'), and the rounding of h.
        u = after(u, 1 + read + multiply_add.latency, "u")
        addend = (after(c, 1, "c") << f.gate.f) + half(f.update_shift)
        blend = multiply_add(m, u, difference, addend, f"{name}_update")
        h = after(sat(shift(blend, f.update_shift), f.state), 1, "h")
        return h, after(before, 2 + multiply_add.latency, "before")
