"""P multiply-accumulate lanes and the accumulators M."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.formats import WEIGHT
from golden.parameters import CoreParameters
from hw.pipeline import delayed, staged
from hw.primitive.memory import UNCHECKED
from hw.target import GENERIC, Target
from hw.walk.layout import CoreLayout
from hw.walk.slot import tag_layout


def closed_row_layout(core: CoreParameters) -> data.StructLayout:
    """A row of accumulators as it leaves the lanes: ``m``, P of them, and ``tag``."""
    row = data.ArrayLayout(signed(CoreLayout(core).row_width), core.lanes)
    return data.StructLayout({"m": row, "tag": tag_layout(core)})


def lane_slot_layout(core: CoreParameters) -> data.StructLayout:
    """A slot as the lanes take it.

    ``delta``, 0 where there is no event; ``row``; ``first`` and ``close`` of its group; ``tag`` of
    the row; ``begin``: the row is to start over.
    """
    return data.StructLayout(
        {
            "delta": signed(core.network.formats.activation.width + 1),
            "row": unsigned(ceil_log2(CoreLayout(core).rows)),
            "begin": 1,
            "first": 1,
            "close": 1,
            "tag": tag_layout(core),
        }
    )


def begin_layout(core: CoreParameters) -> data.ArrayLayout:
    """What a row begins with as it is loaded: P accumulators, each in whole bytes."""
    return data.ArrayLayout(signed(8 * CoreLayout(core).begin_bytes), core.lanes)


class Lanes(wiring.Component):
    """M[row] += sum of word * delta over a group of slots, P rows of a gate at a time.

    A group is a run of slots for one row of accumulators: its ``first`` slot loads the row from
    the accumulator memory, its ``close`` slot writes it back, so a row is read once and written
    once however many events it takes. Slots may be apart by any number of cycles. A row must not
    be opened again within ``reopen`` cycles of the slot that closed it.

    The upper half of the memory holds what the rows begin with, from the bitstream on. A slot with
    ``begin`` loads a row from there: without an event, and closed at once, it starts the row over.
    Where the target's accumulators are not there at power-up, these rows are loaded.

    Stage n of the lanes (hw.target.Target.stages) does everything n cycles later than the first.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    bias : sequence of sequences of int
        What the rows begin with, P values each (hw.walk.layout.CoreLayout.bias_rows).
    target : Target
        Whose lanes.

    Members
    -------
    i : In, stream (never waits)
        Slots (lane_slot_layout). Where there is no slot at all delta is 0, too.
    word : In, array of P signed(8)
        The weights of the slot, together with it; those of stage n are wanted n cycles later.
    load : In, stream (never waits)
        Where they are loaded: ``row`` after ``row`` of what the rows begin with, those of the lanes
        one after another, each in whole bytes; after one with ``last`` the next is the first again.
        There is no slot meanwhile.
    o : Out, stream (never waits)
        Closed rows (closed_row_layout), ``latency`` cycles after the slot; not those that begin.
        ``m`` of stage n comes n cycles later.

    Attributes
    ----------
    latency : int
        Cycles from the slot that closes a row to the row.
    reopen, interval : int
        Cycles after which a closed row may be opened again; from a slot to the next one, of which
        it is a multiple.
    """

    def __init__(
        self, core: CoreParameters, bias: Sequence[Sequence[int]], target: Target = GENERIC
    ) -> None:
        lanes = self._lanes = core.lanes
        closed = closed_row_layout(core)
        self._bias, self._target, self._stages = bias, target, target.stages(core)
        self.latency = target.lane.latency
        self.reopen = target.reopen
        self._shift_bits = core.network.shift_bits
        self._delta_width = core.network.formats.activation.width + 1 + self._shift_bits
        self._row = closed["m"].shape
        self.interval, self._loads = target.accumulators.interval, target.accumulators.loads
        more = {}
        if self._loads:
            loaded = data.StructLayout({"row": begin_layout(core), "last": 1})
            more["load"] = In(stream.Signature(loaded, always_ready=True))
        super().__init__(
            {
                **more,
                "i": In(stream.Signature(lane_slot_layout(core), always_ready=True)),
                "word": In(data.ArrayLayout(signed(WEIGHT.width), lanes)),
                "o": Out(stream.Signature(closed, always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        upper, late = 1 << len(self.i.payload.row), self._target.late
        # What goes along with a slot, until the last lanes have its sum.
        along = self.latency + len(self._stages) - 1
        valids, slots = staged(m, self.i.valid, self.i.payload, along, "slot")
        m.d.comb += [self.o.payload.tag.eq(slots[self.latency].tag)]
        in_blocks = {"ram_style": "block"} if self._lanes <= self._target.block_rows else {}

        for n, stage in enumerate(self._stages):
            size = len(stage)
            row = data.ArrayLayout(self._row.elem_shape, size)
            empty = [[0] * size] * (upper - len(self._bias))
            m.submodules[f"accumulators_{n}"] = stored = self._target.accumulators(
                shape=row,
                depth=2 * upper,
                init=[[0] * size] * upper
                + [b[stage.start : stage.stop] for b in self._bias]
                + empty,
                attrs=UNCHECKED | in_blocks,
            )
            read, write = stored.read_port(), stored.write_port()

            # The row's old values are there when its first product is.
            adds = n + self.latency - 1
            fetch = adds - self._target.read_latency
            m.d.comb += [read.addr.eq(Cat(slots[fetch].row, slots[fetch].begin)), read.en.eq(1)]
            old = delayed(m, read.data.as_value(), adds - fetch - 1, f"old_{n}")
            first = Signal(name=f"first_{n}")
            closed = Signal(name=f"closed_{n}")
            m.d.sync += [
                first.eq(valids[adds - 1] & slots[adds - 1].first),
                closed.eq(valids[adds] & slots[adds].close),
            ]
            for lane, m_old in zip(stage, data.View(row, old), strict=True):
                m.submodules[f"lane_{lane}"] = unit = self._target.lane(
                    delta_width=self._delta_width, width=row.elem_shape.width
                )
                m.d.comb += [
                    unit.weight.eq(self.word[lane]),
                    unit.delta.eq(slots[n].delta << self._shift_bits),
                    unit.first.eq(first),
                    unit.m.eq(m_old),
                    self.o.payload.m[lane].eq(unit.total),
                    write.data[lane - stage.start].eq(
                        delayed(m, unit.total, late, f"late_total_{lane}")
                    ),
                ]
            m.d.comb += [
                write.addr.eq(delayed(m, slots[adds + 1].row, late, f"late_row_{n}")),
                write.en.eq(delayed(m, closed, late, f"late_closed_{n}")),
            ]
            if self._loads:
                self._load(m, stored.write_port(), stage)
            if n == 0:
                m.d.comb += self.o.valid.eq(closed & ~slots[self.latency].begin)
        return m

    def _load(self, m: Module, write: wiring.PureInterface, stage: range) -> None:
        """What rows begin with, into the upper half of a memory of the lanes of ``stage``."""
        place = Signal(len(self.i.payload.row), name=f"place_{stage.start}")
        load = self.load
        m.d.comb += [
            write.addr.eq(Cat(place, 1)),
            write.en.eq(load.valid),
            *(write.data[lane - stage.start].eq(load.payload.row[lane]) for lane in stage),
        ]
        with m.If(load.valid):
            m.d.sync += place.eq(Mux(load.payload.last, 0, place + 1))
