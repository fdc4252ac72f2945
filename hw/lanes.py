"""P multiply-accumulate lanes and the accumulators M."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from golden.parameters import WEIGHT, CoreParameters


def tag_layout(core: CoreParameters) -> data.StructLayout:
    """What a row of accumulators is, for those who receive it.

    ``layer`` and ``gate`` (0 r, 1 u, 2 c of segment 0, 3 c of segment 1; a linear layer's is 3):
    the row with gate 3 is its block's last. ``units`` is the number of lanes that hold a unit,
    less one; ``last`` marks the last block of the layer.
    """
    return data.StructLayout(
        {
            "layer": unsigned(ceil_log2(len(core.network.layers))),
            "gate": unsigned(2),
            "units": unsigned(ceil_log2(core.lanes)),
            "last": 1,
        }
    )


def closed_row_layout(core: CoreParameters) -> data.StructLayout:
    """A row of accumulators as it leaves the lanes: ``m``, P of them, and ``tag``."""
    row = data.ArrayLayout(signed(core.network.accumulator_width), core.lanes)
    return data.StructLayout({"m": row, "tag": tag_layout(core)})


class Lanes(wiring.Component):
    """M[row] += sum of word * delta over a group of slots, P rows of a gate at a time.

    A group is a run of slots for one row of accumulators: its ``first`` slot loads the row from
    the accumulator memory, its ``close`` slot writes it back, so a row is read once and written
    once however many events it takes. Slots may be apart by any number of cycles. A row must not
    be opened again within 3 cycles of the slot that closed it.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    rows : int
        Rows of accumulators (hw.layout.CoreLayout.rows).

    Members
    -------
    i : In, stream (never waits)
        Slots: ``delta``, ``row``, ``first``, ``close``, ``tag``. A slot without an event has
        delta 0.
    word : In, array of P signed(8)
        The weights of the slot, together with it.
    o : Out, stream (never waits)
        Closed rows (closed_row_layout), ``latency`` cycles after the slot.
    fill : In, stream (never waits)
        Sets lane ``lane`` of ``row`` to ``value``; only while nothing else is under way.

    Attributes
    ----------
    latency : int
        Cycles from the slot that closes a row to the row.
    """

    latency = 2

    def __init__(self, core: CoreParameters, *, rows: int) -> None:
        require_int("rows", rows, 1)
        lanes = core.lanes
        closed = closed_row_layout(core)
        self._lanes, self._rows = lanes, rows
        self._delta_width = core.network.formats.activation.width + 1
        self._row = closed["m"].shape
        slot = data.StructLayout(
            {
                "delta": signed(self._delta_width),
                "row": unsigned(ceil_log2(rows)),
                "first": 1,
                "close": 1,
                "tag": closed["tag"].shape,
            }
        )
        fill = data.StructLayout(
            {
                "row": unsigned(ceil_log2(rows)),
                "lane": unsigned(ceil_log2(lanes)),
                "value": signed(core.network.accumulator_width),
            }
        )
        super().__init__(
            {
                "i": In(stream.Signature(slot, always_ready=True)),
                "word": In(data.ArrayLayout(signed(WEIGHT.width), lanes)),
                "o": Out(stream.Signature(closed, always_ready=True)),
                "fill": In(stream.Signature(fill, always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.accumulators = stored = memory.Memory(
            shape=self._row, depth=self._rows, init=[]
        )
        read, write = stored.read_port(), stored.write_port(granularity=1)

        # Multiply, while the row's old values are fetched. Without a slot the product is 0, so
        # that the accumulator needs no enable: that is what a DSP's own accumulator can do.
        slot = Signal.like(self.i.payload, reset_less=True)
        slot_valid = Signal()
        product_shape = signed(WEIGHT.width + self._delta_width)
        delta = Signal(signed(self._delta_width))
        m.d.comb += [
            read.addr.eq(self.i.payload.row),
            read.en.eq(1),
            delta.eq(Mux(self.i.valid, self.i.payload.delta, 0)),
        ]
        m.d.sync += [slot.eq(self.i.payload), slot_valid.eq(self.i.valid)]

        total = Signal(self._row, reset_less=True)
        for n in range(self._lanes):
            product = Signal(product_shape, name=f"product_{n}", reset_less=True)
            m.d.sync += [
                product.eq(self.word[n] * delta),
                total[n].eq(Mux(slot_valid & slot.first, read.data[n], total[n]) + product),
            ]

        closed = Signal.like(slot.tag, reset_less=True)
        closed_row = Signal.like(slot.row, reset_less=True)
        closed_valid = Signal()
        m.d.sync += [
            closed.eq(slot.tag),
            closed_row.eq(slot.row),
            closed_valid.eq(slot_valid & slot.close),
        ]
        m.d.comb += [
            self.o.valid.eq(closed_valid),
            self.o.payload.m.eq(total),
            self.o.payload.tag.eq(closed),
            write.addr.eq(closed_row),
            write.data.eq(total),
            write.en.eq(closed_valid.replicate(self._lanes)),
        ]
        with m.If(self.fill.valid):
            m.d.comb += write.addr.eq(self.fill.payload.row)
            for n in range(self._lanes):
                m.d.comb += [
                    write.data[n].eq(self.fill.payload.value),
                    write.en[n].eq(self.fill.payload.lane == n),
                ]
        return m
