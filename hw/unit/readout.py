"""Turns closed rows of accumulators, P units wide, into a stream of A units a cycle."""

from collections.abc import Callable
from functools import reduce
from itertools import groupby
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

import golden.fixed
from golden.kinds import ROWS
from golden.parameters import CoreParameters
from hw.fixed import clip, sat, shift
from hw.lanes.lanes import closed_row_layout
from hw.pipeline import staged
from hw.target import GENERIC, Target
from hw.walk.layout import CoreLayout
from hw.walk.slot import is_of


def units_layout(core: CoreParameters) -> data.StructLayout:
    """A units of a recurrent layer, side by side: ``group`` * A and those after it.

    ``row_0`` to ``row_3`` of each are what is read out of its rows of accumulators
    (hw.walk.layout): the index into its table, format preactivation, where the row has a table to
    itself, else R(M), format readout. A row that no layer has is of no bits.
    """
    unit = data.StructLayout({f"row_{n}": _row_shape(core, n) for n in range(ROWS)})
    return data.StructLayout(
        {
            "layer": unsigned(ceil_log2(len(core.instances))),
            "group": unsigned(ceil_log2(core.groups)),
            "last": 1,
            "units": data.ArrayLayout(unit, core.activations),
        }
    )


def _row_shape(core: CoreParameters, row: int) -> Shape:
    """That of the wider reading, where one layer's row is an index and another's is R(M)."""
    formats = core.network.formats
    readings = {CoreLayout.reading(layer, row) for layer in core.network.recurrent} - {None}
    widths = [(formats.preactivation if i else formats.readout).width for i in readings]
    return signed(max(widths)) if widths else unsigned(0)


class Readout(wiring.Component):
    """Collects a block's rows and sends its units, A a cycle.

    Rows 0 to 2 are kept as they come; with the last row the whole block moves on
    into the serializer, which sends A units a cycle while the lanes are at the next block. The
    sequencer sees to it that the last row of a block comes no sooner than the block before has
    gone. A unit that does not exist has M = 0 at all times: it stays at 0 and is harmless.

    R(M) and the indices are made before the serializer, where they are narrower than M. But where a
    linear layer sends M as it is, the last row goes the same way (and so does the first one of a
    GRU's c), and what it is read as is made behind it.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    target : Target
        Whose serializer, and stages of lanes.

    Members
    -------
    i : In, stream (never waits)
        Closed rows (hw.lanes.lanes.Lanes), ``m`` of stage n n cycles late.
    o : Out, stream (never waits)
        Units of recurrent layers: units_layout; ``last`` of the layer.
    linear : Out, stream (never waits)
        Units of the linear layer, one a cycle: ``layer``, which instance of it; ``m`` as it is;
        ``last``. Absent without one.

    Both come as many cycles after the row as the serializer takes for the block's first unit, then
    A or one a cycle.
    """

    def __init__(self, core: CoreParameters, target: Target = GENERIC) -> None:
        network = core.network
        self._core = core
        self._units = units_layout(core)
        self._has_linear = not network.layers[-1].recurrent
        # A reading finer than the accumulator sees what a row shift moves below M.
        finer = (-network.formats.readout_shift(k.weight_frac) for k in network.recurrent)
        self._kept_below = max(0, *finer) if network.shift_bits else 0
        closed = closed_row_layout(core)
        unit = self._units["units"].shape.elem_shape
        whole = signed(closed["m"].shape.elem_shape.width - network.shift_bits + self._kept_below)
        used = [row for row in range(ROWS) if unit[f"row_{row}"].shape.width]
        self._raw = [row for row in used if self._has_linear and self._stays_whole(row)]
        self._alike = [list(rows) for _, rows in groupby(used, self._reading)]
        self._word = data.StructLayout(
            {f"row_{n}": whole if n in self._raw else unit[f"row_{n}"].shape for n in range(4)}
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
            linear = data.StructLayout(
                {
                    "layer": self._units["layer"].shape,
                    "m": signed(network.accumulator_width),
                    "last": 1,
                }
            )
            members["linear"] = Out(stream.Signature(linear, always_ready=True))
        super().__init__(members)

    def _stays_whole(self, row: int) -> bool:
        """The row of a linear layer, and in a GRU's network that of c which is read alike."""
        recurrent = self._core.network.recurrent
        return row == 3 or not any(CoreLayout.reading(layer, row) for layer in recurrent)

    def _reading(self, row: int) -> object:
        """The same for rows that are read alike before the serializer."""
        if row in self._raw:
            return None
        return tuple(CoreLayout.reading(layer, row) for layer in self._core.recurrent)

    def _before(self, value: Value, layer: Value, row: int) -> Value:
        return value if row in self._raw else self._read(value, layer, row)

    def _behind(self, value: Value, layer: Value, row: int) -> Value:
        return self._read(value, layer, row) if row in self._raw else value

    def _read(self, value: Value, layer: Value, row: int) -> Value:
        """What is read out of row ``row`` of a layer, with its own n = f_act + f_w - f_readout."""
        formats = self._core.network.formats
        ways: dict[tuple[Callable, int], list[int]] = {}
        for k, parameters in enumerate(self._core.instances):
            reading = CoreLayout.reading(parameters, row)
            if parameters.recurrent and reading is not None:
                way = self._index if reading else self._candidate
                n = formats.readout_shift(parameters.weight_frac) + self._kept_below
                ways.setdefault((way, n), []).append(k)
        ((read, n), _), *others = ways.items()
        result = read(value, n)
        for (read, n), layers in others:
            chosen = Cat(layer == k for k in layers).any()
            result = Mux(chosen, read(value, n), result)
        return result

    def _aligned(self, value: Value) -> Value:
        """M, with as many fraction bits as a row of its layer has that is not shifted, and with
        ``_kept_below`` more.

        What leaves at its low end is of no account: floor(floor(M / 2^s) / 2^n) is one floor.
        """
        bits = self._core.network.shift_bits
        if not bits:
            return value
        return (value[bits:].as_signed() << self._kept_below) >> value[:bits]

    def _candidate(self, value: Value, n: int) -> Value:
        """R(M); the accumulator holds what there is to round with (CoreLayout.rounding)."""
        return sat(shift(value, n), self._core.network.formats.readout)

    def _index(self, value: Value, n: int) -> Value:
        """sat(rshift(R(M), s), preactivation): the index of a gate.

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
        last_layer = len(core.network.layers) - 1
        m.submodules.serializer = serializer = self._serializer

        # Rows 0 to 2 wait for the last one.
        tag = self.i.payload.tag
        of_linear = Const(0)
        if self._has_linear:
            of_linear = is_of(last_layer, tag.layer, core.streams)
        of_rows = Cat(self.i.valid & (tag.row == row) for row in range(4))
        strobes, tags = staged(m, of_rows, tag, len(stages) - 1, "row")
        waiting = Signal(data.ArrayLayout(self._word, lanes), reset_less=True)
        for n, stage in enumerate(stages):
            m.d.comb += serializer.load[n].eq(strobes[n][3])
            for lane in stage:
                m_lane, word = self._aligned(self.i.payload.m[lane]), serializer.i[lane]
                kept, layer = waiting[lane], tags[n].layer
                for rows in self._alike:
                    # Through each other, so that what makes the value feeds but one register.
                    names = [f"row_{row}" for row in rows]
                    value = Signal.like(word[names[-1]], name=f"{names[-1]}_of_{lane}")
                    waits = [kept[name] for name in names if name != "row_3"]
                    m.d.comb += value.eq(self._before(m_lane, layer, rows[0]))
                    if waits:
                        with m.If(reduce(or_, (strobes[n][row] for row in rows if row != 3))):
                            m.d.sync += [
                                to.eq(come)
                                for to, come in zip(waits, [*waits[1:], value], strict=True)
                            ]
                    come = [*waits, value] if "row_3" in names else waits
                    m.d.comb += [word[name].eq(v) for name, v in zip(names, come, strict=True)]
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
        for unit, word in zip(self.o.payload.units, serializer.o, strict=True):
            m.d.comb += [
                unit[f"row_{n}"].eq(self._behind(word[f"row_{n}"], place.layer, n))
                for n in range(4)
            ]
        if self._has_linear:
            word = Array(serializer.o)[place.way]
            m.d.comb += [
                self.linear.valid.eq(valid & place.linear),
                self.linear.payload.m.eq(word.row_3[self._kept_below :]),
                self.linear.payload.layer.eq(place.layer),
                self.linear.payload.last.eq(place.last),
            ]
        return m
