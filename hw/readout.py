"""Turns closed rows of accumulators, P units wide, into a stream of A units a cycle."""

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

import golden.fixed
from golden.parameters import CoreParameters
from hw.fixed import clip, sat, shift
from hw.lanes import closed_row_layout
from hw.layout import CoreLayout


def units_layout(core: CoreParameters) -> data.StructLayout:
    """A units of a GRU layer, side by side: ``group`` * A and those after it.

    For each of them ``r`` and ``u`` are the indices into the sigmoid table, format preactivation;
    ``m_xc`` and ``m_hc`` are R(M), format readout.
    """
    network = core.network
    index = signed(network.formats.preactivation.width)
    m = signed(network.formats.readout.width)
    unit = data.StructLayout({"r": index, "u": index, "m_xc": m, "m_hc": m})
    return data.StructLayout(
        {
            "layer": unsigned(ceil_log2(len(network.layers))),
            "group": unsigned(ceil_log2(groups(core))),
            "last": 1,
            "units": data.ArrayLayout(unit, core.activations),
        }
    )


def groups(core: CoreParameters) -> int:
    """Groups of A units in the longest GRU layer, the last one perhaps partly of empty lanes."""
    return max(-(-layer.units // core.activations) for layer in core.network.recurrent)


class Readout(wiring.Component):
    """Collects a block's rows and sends its units, A a cycle.

    Rows r, u and the first of c are kept as they come; with the last row the whole block moves on
    into a shift register, which sends A units a cycle while the lanes are at the next block. The
    sequencer sees to it that the last row of a block comes no sooner than the block before has
    gone. A unit that does not exist has M = 0 at all times: it stays at 0 and is harmless.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.

    Members
    -------
    i : In, stream (never waits)
        Closed rows (hw.lanes.closed_row_layout).
    o : Out, stream (never waits)
        Units of GRU layers: units_layout; ``last`` of the layer.
    linear : Out, stream (never waits)
        Units of the linear layer, one a cycle: ``m`` as it is, ``last``. Absent without one.

    Both come ``latency`` cycles after the row for the block's first unit, then one a cycle.
    """

    latency = 1

    def __init__(self, core: CoreParameters) -> None:
        network = core.network
        self._core, self._x_last = core, CoreLayout(core).x_last
        self._units = units_layout(core)
        self._has_linear = not network.layers[-1].recurrent
        members = {
            "i": In(stream.Signature(closed_row_layout(core), always_ready=True)),
            "o": Out(stream.Signature(self._units, always_ready=True)),
        }
        if self._has_linear:
            linear = data.StructLayout({"m": signed(network.accumulator_width), "last": 1})
            members["linear"] = Out(stream.Signature(linear, always_ready=True))
        super().__init__(members)

    def _by_layer(self, value: Value, layer: Value, read: Callable) -> Value:
        """``read(value, n)`` with each layer's own n = f_act + f_w - f_readout."""
        formats = self._core.network.formats
        shifts: dict[int, list[int]] = {}
        for k, parameters in enumerate(self._core.network.layers):
            if parameters.recurrent:
                shifts.setdefault(formats.readout_shift(parameters.weight_frac), []).append(k)
        (shift, _), *others = shifts.items()
        result = read(value, shift)
        for other, layers in others:
            chosen = Cat(layer == k for k in layers).any()
            result = Mux(chosen, read(value, other), result)
        return result

    def _candidate(self, value: Value, n: int) -> Value:
        """R(M); the accumulator holds what there is to round with (CoreLayout.rounding)."""
        return sat(shift(value, n), self._core.network.formats.readout)

    def _index(self, value: Value, n: int) -> Value:
        """sat(rshift(R(M), s), preactivation) of r and u.

        Both shifts go up with their argument, so they may come before both clips.
        """
        formats = self._core.network.formats
        readout, pre, s = formats.readout, formats.preactivation, formats.index_shift
        low = max(pre.min, int(golden.fixed.rshift(readout.min, s)))
        high = min(pre.max, int(golden.fixed.rshift(readout.max, s)))
        index = shift(value, n + s) if s > 0 else shift(value, n) << -s
        return clip(index, low, high)

    def elaborate(self, platform) -> Module:
        m = Module()
        lanes, activations = self._core.lanes, self._core.activations
        unit = self._units["units"].shape.elem_shape
        tag = self.i.payload.tag

        index = Signal(data.ArrayLayout(unit["r"].shape, lanes))
        candidate = Signal(data.ArrayLayout(unit["m_xc"].shape, lanes))
        for n in range(lanes):
            value = self.i.payload.m[n]
            m.d.comb += [
                index[n].eq(self._by_layer(value, tag.layer, self._index)),
                candidate[n].eq(self._by_layer(value, tag.layer, self._candidate)),
            ]

        r, u, c = (
            Signal.like(value, name=f"kept_{name}", reset_less=True)
            for name, value in (("r", index), ("u", index), ("c", candidate))
        )
        for gate, (kept, value) in enumerate(((r, index), (u, index), (c, candidate))):
            with m.If(self.i.valid & (tag.gate == gate)):
                m.d.sync += kept.eq(value)

        # The shift register of a block: its head are the units to send.
        block = Signal(data.ArrayLayout(unit, lanes), reset_less=True)
        block_layer = Signal.like(tag.layer, reset_less=True)
        block_last = Signal(reset_less=True)
        left = Signal.like(tag.units)
        valid, linear_valid = Signal(), Signal()
        number = Signal.like(self.o.payload.group)
        ends, last = Signal(), Signal()
        m.d.comb += [ends.eq(left < activations), last.eq(block_last & ends)]

        of_linear = (
            (tag.layer == len(self._core.network.layers) - 1) if self._has_linear else Const(0)
        )
        load = self.i.valid & (tag.gate == 3)
        m.d.sync += [
            valid.eq(valid & ~ends),
            left.eq(left - Mux(linear_valid, 1, activations)),
            Cat(block).eq(Cat(block)[activations * unit.size :]),
        ]
        with m.If(valid):
            m.d.sync += number.eq(Mux(last, 0, number + 1))
        with m.If(load):
            m.d.sync += [
                valid.eq(~of_linear),
                block_layer.eq(tag.layer),
                block_last.eq(tag.last),
                left.eq(tag.units),
            ]
            for n in range(lanes):
                c_first, c_last = c[n], candidate[n]
                m.d.sync += [
                    block[n].r.eq(r[n]),
                    block[n].u.eq(u[n]),
                    block[n].m_xc.eq(c_last if self._x_last else c_first),
                    block[n].m_hc.eq(c_first if self._x_last else c_last),
                ]
        m.d.comb += [
            self.o.valid.eq(valid),
            self.o.payload.layer.eq(block_layer),
            self.o.payload.group.eq(number),
            self.o.payload.last.eq(last),
        ]
        m.d.comb += [self.o.payload.units[a].eq(block[a]) for a in range(activations)]

        if self._has_linear:
            # What waits in the lanes' own width: only the linear layer leaves as it is.
            width = self._core.network.accumulator_width
            results = Signal(data.ArrayLayout(signed(width), lanes), reset_less=True)
            m.d.sync += [
                linear_valid.eq(linear_valid & (left != 0)),
                Cat(results).eq(Cat(results)[width:]),
            ]
            with m.If(load):
                m.d.sync += linear_valid.eq(of_linear)
                m.d.sync += [results[n].eq(self.i.payload.m[n]) for n in range(lanes)]
            m.d.comb += [
                self.linear.valid.eq(linear_valid),
                self.linear.payload.m.eq(results[0]),
                self.linear.payload.last.eq(block_last & (left == 0)),
            ]
        return m
