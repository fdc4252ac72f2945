"""Turns closed rows of accumulators, P units wide, into a stream of A units a cycle."""

from collections.abc import Callable

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

import golden.fixed
from golden.parameters import CoreParameters
from hw.fixed import clip, sat, shift
from hw.lanes import closed_row_layout
from hw.layout import CoreLayout
from hw.pipeline import staged
from hw.target import GENERIC, Target


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
    into the serializer, which sends A units a cycle while the lanes are at the next block. The
    sequencer sees to it that the last row of a block comes no sooner than the block before has
    gone. A unit that does not exist has M = 0 at all times: it stays at 0 and is harmless.

    R(M) and the indices are made before the serializer, where they are narrower than M. But where a
    linear layer sends M as it is, c goes the same way, and R(M) is made behind it.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    target : Target
        Whose serializer, and stages of lanes.

    Members
    -------
    i : In, stream (never waits)
        Closed rows (hw.lanes.Lanes), ``m`` of stage n n cycles late.
    o : Out, stream (never waits)
        Units of GRU layers: units_layout; ``last`` of the layer.
    linear : Out, stream (never waits)
        Units of the linear layer, one a cycle: ``m`` as it is, ``last``. Absent without one.

    Both come as many cycles after the row as the serializer takes for the block's first unit, then
    A or one a cycle.
    """

    def __init__(self, core: CoreParameters, target: Target = GENERIC) -> None:
        network = core.network
        self._core, self._x_last = core, CoreLayout(core).x_last
        self._units = units_layout(core)
        self._has_linear = not network.layers[-1].recurrent
        closed = closed_row_layout(core)
        unit = self._units["units"].shape.elem_shape
        c = closed["m"].shape.elem_shape if self._has_linear else unit["m_xc"].shape
        self._word = data.StructLayout(
            {"r": unit["r"].shape, "u": unit["u"].shape, "c_first": c, "c_last": c}
        )
        self._stages = target.stages(core)
        self._serializer = target.serializer(
            word=self._word, stages=self._stages, ways=core.activations
        )
        members = {
            "i": In(stream.Signature(closed, always_ready=True)),
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
        core, stages = self._core, self._stages
        lanes, ways = core.lanes, core.activations
        layers = len(core.network.layers)
        m.submodules.serializer = serializer = self._serializer

        def as_it_is(value: Value, layer: Value) -> Value:
            return value

        def candidate(value: Value, layer: Value) -> Value:
            return self._by_layer(value, layer, self._candidate)

        before, behind = (as_it_is, candidate) if self._has_linear else (candidate, as_it_is)

        # Rows r, u and the first of c wait for the last one.
        tag = self.i.payload.tag
        of_linear = (tag.layer == layers - 1) if self._has_linear else Const(0)
        of_gates = Cat(self.i.valid & (tag.gate == gate) for gate in range(4))
        strobes, tags = staged(m, of_gates, tag, len(stages) - 1, "row")
        waiting = Signal(data.ArrayLayout(self._word, lanes), reset_less=True)
        for n, stage in enumerate(stages):
            m.d.comb += serializer.load[n].eq(strobes[n][3])
            for lane in stage:
                m_lane, word = self.i.payload.m[lane], serializer.i[lane]
                layer = tags[n].layer
                index, c = Signal.like(word.r), Signal.like(word.c_last)
                m.d.comb += [
                    index.eq(self._by_layer(m_lane, layer, self._index)),
                    c.eq(before(m_lane, layer)),
                ]
                # Through u to r, so that what makes the index feeds but one register.
                kept = waiting[lane]
                with m.If(strobes[n][0] | strobes[n][1]):
                    m.d.sync += [kept.u.eq(index), kept.r.eq(kept.u)]
                with m.If(strobes[n][2]):
                    m.d.sync += kept.c_first.eq(c)
                m.d.comb += [word[key].eq(kept[key]) for key in ("r", "u", "c_first")]
                m.d.comb += word.c_last.eq(c)
        m.d.comb += serializer.single.eq(of_linear)

        # What is being sent: counted with the first stage, and then in step with the words.
        sent = data.StructLayout(
            {
                "linear": 1,
                "layer": tag.layer.shape(),
                "group": self.o.payload.group.shape(),
                "way": range(ways),
                "last": 1,
            }
        )
        now = Signal(sent)
        valid, last, ends = Signal(), Signal(), Signal()
        left = Signal.like(tag.units)
        m.d.comb += [
            ends.eq(Mux(now.linear, left == 0, left < ways)),
            now.last.eq(last & ends),
        ]
        m.d.sync += [
            valid.eq(valid & ~ends),
            left.eq(left - Mux(now.linear, 1, ways)),
            now.way.eq(now.way + now.linear),
        ]
        with m.If(valid):
            m.d.sync += now.group.eq(Mux(now.last, 0, now.group + 1))
        with m.If(serializer.load[0]):
            m.d.sync += [
                valid.eq(1),
                now.linear.eq(of_linear),
                now.layer.eq(tag.layer),
                now.way.eq(0),
                last.eq(tag.last),
                left.eq(tag.units),
            ]
        valids, places = staged(m, valid, now, serializer.latency - 1, "sent")
        valid, place = valids[-1], places[-1]

        m.d.comb += [
            self.o.valid.eq(valid & ~place.linear),
            self.o.payload.layer.eq(place.layer),
            self.o.payload.group.eq(place.group),
            self.o.payload.last.eq(place.last),
        ]
        c_first, c_last = ("m_hc", "m_xc") if self._x_last else ("m_xc", "m_hc")
        for unit, word in zip(self.o.payload.units, serializer.o, strict=True):
            m.d.comb += [
                unit.r.eq(word.r),
                unit.u.eq(word.u),
                unit[c_first].eq(behind(word.c_first, place.layer)),
                unit[c_last].eq(behind(word.c_last, place.layer)),
            ]
        if self._has_linear:
            word = Array(serializer.o)[place.way]
            m.d.comb += [
                self.linear.valid.eq(valid & place.linear),
                self.linear.payload.m.eq(word.c_last),
                self.linear.payload.last.eq(place.last),
            ]
        return m
