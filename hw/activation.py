"""The activation unit: from accumulators to the new state, one unit a cycle."""

from amaranth.hdl import Cat, Module, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.fixed import Integers, Q
from golden.parameters import Formats, NetworkParameters
from golden.tables import sigmoid_table, tanh_table
from hw.fixed import rshift, sat
from hw.readout import unit_layout


def _rom(m: Module, name: str, table: Integers, gate: Q) -> memory.ReadPort:
    """A read port on ``table``, addressed by the two's-complement preactivation."""
    half = len(table) // 2
    init = [int(v) for v in table[half:]] + [int(v) for v in table[:half]]
    m.submodules[name] = rom = memory.Memory(shape=signed(gate.width), depth=len(init), init=init)
    port = rom.read_port()
    m.d.comb += port.en.eq(1)
    return port


class ActivationUnit(wiring.Component):
    """Step 3 and 4 of a GRU layer (docs/numerics.md) as a pipeline of one unit a cycle.

        r = sigmoid[R(M_r)]   u = sigmoid[R(M_u)]   c = tanh[R(M_xc) + r * R(M_hc)]
        h_t = c + u * (h_(t-1) - c)

    It holds h of all layers. The same unit must not come again within ``latency`` cycles.

    Parameters
    ----------
    network : NetworkParameters
        Layers and formats.

    Members
    -------
    i : In, stream (never waits)
        A unit (hw.readout.unit_layout); ``last`` of the layer.
    o : Out, stream (never waits)
        ``latency`` cycles later: ``layer``, ``unit``, ``last``; ``h``, format state; ``a``, format
        activation; ``moved``, h is not what it was.
    clear : In, stream (never waits)
        Sets h at an address to 0; only while nothing else is under way.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``.
    depth : int
        Addresses of the state memory; an address is unit and layer side by side.
    """

    latency = 6

    def __init__(self, network: NetworkParameters) -> None:
        self._formats: Formats = network.formats
        formats = network.formats
        unit = unit_layout(network)
        place = {key: unit[key].shape for key in ("layer", "unit", "last")}
        self._place = data.StructLayout(place)
        self.depth = len(network.recurrent) << unit["unit"].width
        outputs = data.StructLayout(
            {
                **place,
                "h": signed(formats.state.width),
                "a": signed(formats.activation.width),
                "moved": 1,
            }
        )
        super().__init__(
            {
                "i": In(stream.Signature(unit, always_ready=True)),
                "o": Out(stream.Signature(outputs, always_ready=True)),
                "clear": In(stream.Signature(unsigned(ceil_log2(self.depth)), always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        f = self._formats
        pre, gate = f.preactivation, f.gate
        sigmoid_r = _rom(m, "sigmoid_r", sigmoid_table(pre, gate), gate)
        sigmoid_u = _rom(m, "sigmoid_u", sigmoid_table(pre, gate), gate)
        tanh = _rom(m, "tanh", tanh_table(pre, gate), gate)
        m.submodules.state = state = memory.Memory(
            shape=signed(f.state.width), depth=self.depth, init=[]
        )
        state_read, state_write = state.read_port(), state.write_port()
        m.d.comb += state_read.en.eq(1)

        # What goes along with a unit, one register a stage.
        place = self._place
        keys = ("layer", "unit", "last")
        now = Signal(place)
        m.d.comb += [now[key].eq(self.i.payload[key]) for key in keys]
        valids, places = [self.i.valid], [now]
        for n in range(1, self.latency + 1):
            valid, along = (
                Signal(name=f"valid_{n}"),
                Signal(place, name=f"place_{n}", reset_less=True),
            )
            m.d.sync += [valid.eq(valids[-1]), along.eq(places[-1])]
            valids.append(valid)
            places.append(along)

        def registered(value: Value, name: str) -> Signal:
            register = Signal(value.shape(), name=name, reset_less=True)
            m.d.sync += register.eq(value)
            return register

        def address(n: int) -> Value:
            # A linear layer has no state; its number never comes here, so its bit may be cut off.
            return Cat(places[n].unit, places[n].layer)[: ceil_log2(self.depth)]

        # 0: look up r and u.
        unit = self.i.payload.m
        m.d.comb += [
            sigmoid_r.addr.eq(sat(rshift(unit.m_r, f.index_shift), pre)),
            sigmoid_u.addr.eq(sat(rshift(unit.m_u, f.index_shift), pre)),
        ]
        m_xc_1, m_hc_1 = registered(unit.m_xc, "m_xc_1"), registered(unit.m_hc, "m_hc_1")

        # 1: r * R(M_hc). The rounding of the candidate goes in here, beside the shifted R(M_xc).
        rounding = 1 << (f.candidate_shift - 1) if f.candidate_shift > 0 else 0
        product_2 = registered(sigmoid_r.data * m_hc_1, "product_2")
        addend_2 = registered((m_xc_1 << gate.f) + rounding, "addend_2")
        u_2 = registered(sigmoid_u.data, "u_2")

        # 2: look up c, fetch h.
        candidate = addend_2 + product_2
        if f.candidate_shift > 0:
            index = candidate >> f.candidate_shift
        else:
            index = candidate << -f.candidate_shift
        m.d.comb += [tanh.addr.eq(sat(index, pre)), state_read.addr.eq(address(2))]
        u_3 = registered(u_2, "u_3")

        # 3: h' - c', in the finer of the two formats.
        c = tanh.data << (f.blend_frac - gate.f)
        h = state_read.data << (f.blend_frac - f.state.f)
        difference_4 = registered(h - c, "difference_4")
        c_4 = registered(c, "c_4")
        u_4 = registered(u_3, "u_4")
        before_4 = registered(state_read.data, "before_4")

        # 4: u * (h' - c'), and the rounding of h.
        rounding = 1 << (f.update_shift - 1) if f.update_shift > 0 else 0
        product_5 = registered(u_4 * difference_4, "product_5")
        addend_5 = registered((c_4 << gate.f) + rounding, "addend_5")
        before_5 = registered(before_4, "before_5")

        # 5: the one rounding of h_t.
        blend = addend_5 + product_5
        shifted = blend >> f.update_shift if f.update_shift > 0 else blend << -f.update_shift
        h_6 = registered(sat(shifted, f.state), "h_6")
        before_6 = registered(before_5, "before_6")

        # 6: write h, show a.
        m.d.comb += [
            state_write.addr.eq(address(6)),
            state_write.data.eq(h_6),
            state_write.en.eq(valids[6]),
            self.o.valid.eq(valids[6]),
            self.o.payload.h.eq(h_6),
            self.o.payload.moved.eq(h_6 != before_6),
            self.o.payload.a.eq(sat(rshift(h_6, f.output_shift), f.activation)),
        ]
        m.d.comb += [self.o.payload[key].eq(places[6][key]) for key in keys]
        with m.If(self.clear.valid):
            m.d.comb += [
                state_write.addr.eq(self.clear.payload),
                state_write.data.eq(0),
                state_write.en.eq(1),
            ]
        return m
