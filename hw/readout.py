"""Turns closed rows of accumulators, P units wide, into a stream of single units."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.parameters import CoreParameters, NetworkParameters
from hw.fixed import rshift, sat
from hw.lanes import closed_row_layout


def unit_layout(network: NetworkParameters) -> data.StructLayout:
    """R(M) of one unit of a GRU layer: ``m_r``, ``m_u``, ``m_xc``, ``m_hc`` in format readout."""
    m = signed(network.formats.readout.width)
    return data.StructLayout(
        {
            "layer": unsigned(ceil_log2(len(network.layers))),
            "unit": unsigned(ceil_log2(max(layer.units for layer in network.recurrent))),
            "last": 1,
            "m": data.StructLayout({"m_r": m, "m_u": m, "m_xc": m, "m_hc": m}),
        }
    )


class Readout(wiring.Component):
    """Collects a block's rows and sends its units one a cycle.

    Rows r, u and the first of c are kept as they come; with the last row the whole block moves on
    into a shift register, which sends a unit a cycle while the lanes are at the next block. The
    sequencer sees to it that the last row of a block comes no sooner than ``units`` cycles after
    that of the block before.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    x_last : bool
        Segment 1 is x: the last row of a block is xc (else hc).

    Members
    -------
    i : In, stream (never waits)
        Closed rows (hw.lanes.closed_row_layout).
    o : Out, stream (never waits)
        Units of GRU layers: unit_layout; ``last`` of the layer.
    linear : Out, stream (never waits)
        Units of the linear layer: ``m`` as it is, ``last``. Absent without a linear layer.

    Both come ``latency`` cycles after the row for the block's first unit, then one a cycle.
    """

    latency = 1

    def __init__(self, core: CoreParameters, *, x_last: bool) -> None:
        network = core.network
        self._core, self._x_last = core, x_last
        self._unit = unit_layout(network)
        self._has_linear = not network.layers[-1].recurrent
        members = {
            "i": In(stream.Signature(closed_row_layout(core), always_ready=True)),
            "o": Out(stream.Signature(self._unit, always_ready=True)),
        }
        if self._has_linear:
            linear = data.StructLayout({"m": signed(network.accumulator_width), "last": 1})
            members["linear"] = Out(stream.Signature(linear, always_ready=True))
        super().__init__(members)

    def _read_out(self, value: Value, layer: Value) -> Value:
        """R(M) = sat(rshift(M, f_act + f_w - f_readout), readout); f_w is the layer's own."""
        formats = self._core.network.formats
        shifts: dict[int, list[int]] = {}
        for k, parameters in enumerate(self._core.network.layers):
            if parameters.recurrent:
                shifts.setdefault(formats.readout_shift(parameters.weight_frac), []).append(k)
        (shift, _), *others = shifts.items()
        result = sat(rshift(value, shift), formats.readout)
        for other, layers in others:
            chosen = Cat(layer == k for k in layers).any()
            result = Mux(chosen, sat(rshift(value, other), formats.readout), result)
        return result

    def elaborate(self, platform) -> Module:
        m = Module()
        lanes = self._core.lanes
        readout = self._unit["m"].shape
        tag = self.i.payload.tag

        read_out = Signal(data.ArrayLayout(signed(self._core.network.formats.readout.width), lanes))
        for n in range(lanes):
            m.d.comb += read_out[n].eq(self._read_out(self.i.payload.m[n], tag.layer))

        kept = Signal(data.ArrayLayout(read_out.shape(), 3), reset_less=True)
        for gate in range(3):
            with m.If(self.i.valid & (tag.gate == gate)):
                m.d.sync += kept[gate].eq(read_out)

        # The shift register of a block: its head is the unit to send.
        block = Signal(data.ArrayLayout(readout, lanes), reset_less=True)
        block_layer = Signal.like(tag.layer, reset_less=True)
        block_last = Signal(reset_less=True)
        left = Signal.like(tag.units)
        valid = Signal()
        unit = Signal.like(self.o.payload.unit)
        last = Signal()
        m.d.comb += last.eq(block_last & (left == 0))

        linear_layer = len(self._core.network.layers) - 1
        of_linear = (tag.layer == linear_layer) if self._has_linear else Const(0)
        load = self.i.valid & (tag.gate == 3)
        linear_valid = Signal()
        m.d.sync += [
            valid.eq(valid & (left != 0)),
            left.eq(left - 1),
            Cat(block[n] for n in range(lanes)).eq(Cat([block[n] for n in range(1, lanes)])),
        ]
        with m.If(valid):
            m.d.sync += unit.eq(Mux(last, 0, unit + 1))
        with m.If(load):
            m.d.sync += [
                valid.eq(~of_linear),
                block_layer.eq(tag.layer),
                block_last.eq(tag.last),
                left.eq(tag.units),
            ]
            for n in range(lanes):
                c_first, c_last = kept[2][n], read_out[n]
                m.d.sync += [
                    block[n].m_r.eq(kept[0][n]),
                    block[n].m_u.eq(kept[1][n]),
                    block[n].m_xc.eq(c_last if self._x_last else c_first),
                    block[n].m_hc.eq(c_first if self._x_last else c_last),
                ]
        m.d.comb += [
            self.o.valid.eq(valid),
            self.o.payload.layer.eq(block_layer),
            self.o.payload.unit.eq(unit),
            self.o.payload.m.eq(block[0]),
            self.o.payload.last.eq(last),
        ]

        if self._has_linear:
            results = Signal.like(self.i.payload.m, reset_less=True)
            m.d.sync += [
                linear_valid.eq(linear_valid & (left != 0)),
                Cat(results[n] for n in range(lanes)).eq(
                    Cat([results[n] for n in range(1, lanes)])
                ),
            ]
            with m.If(load):
                m.d.sync += [linear_valid.eq(of_linear), results.eq(self.i.payload.m)]
            m.d.comb += [
                self.linear.valid.eq(linear_valid),
                self.linear.payload.m.eq(results[0]),
                self.linear.payload.last.eq(last),
            ]
        return m
