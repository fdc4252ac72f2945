"""Counts blocks, rows of accumulators and weight addresses beside the slots."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.walk.layout import CoreLayout


def by_layer(values: list[int], layer: Value) -> Value:
    """values[layer], as logic; a constant where they are all alike."""
    return Array(values)[layer] if len(set(values)) > 1 else Const(values[0])


class RowBlock(wiring.Component):
    """Where the rows and weight words of the walk's slots lie.

    It is told what ends in the cycle in which the walk decides a slot, and counts in the next one,
    beside that slot on its way out, so that no sum stands before a decision.

    Parameters
    ----------
    layout : CoreLayout
        The core's.

    Members
    -------
    layer : In
        The layer under way.
    leave, finish, skip : In
        The layer is left in this cycle; with it the frame; it is skipped.
    ends_block, ends_sweep, ends_group : In
        What ends with the slot that is decided in this cycle: the block, a gate's sweep over the
        lists, the group of a row.
    segment : In
        That of the slot that was decided in the cycle before.
    base, row : Out
        Where that slot's row is: the address of the weight word of its segment's column 0; the row.
    last_block : Out
        The block under way is its layer's last one.
    restart : In
        Back to the first block of the first layer.
    """

    def __init__(self, layout: CoreLayout) -> None:
        self._layout = layout
        super().__init__(
            {
                "layer": In(ceil_log2(len(layout.layers))),
                "leave": In(1),
                "finish": In(1),
                "skip": In(1),
                "ends_block": In(1),
                "ends_sweep": In(1),
                "ends_group": In(1),
                "segment": In(1),
                "base": Out(range(layout.words)),
                "row": Out(range(layout.rows)),
                "last_block": Out(1, init=layout.layers[0].blocks == 1),
                "restart": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        layers = self._layout.layers

        was_layer = Signal.like(self.layer)
        was = {
            name: Signal(name=f"was_{name}")
            for name in ("leave", "finish", "ends_block", "ends_sweep", "ends_group", "skip")
        }
        m.d.sync += [was_layer.eq(self.layer)]
        m.d.sync += [signal.eq(getattr(self, name)) for name, signal in was.items()]

        def of_slot(attribute: str) -> Value:
            return by_layer([int(getattr(layer, attribute)) for layer in layers], was_layer)

        block = Signal(range(max(layer.blocks for layer in layers)))
        base = Signal(range(self._layout.words + 1))
        first_columns = by_layer([layer.segment_columns[0] for layer in layers], was_layer)
        m.d.comb += self.base.eq(base + Mux(self.segment, first_columns, 0))
        with m.If(was["ends_block"] & ~was["leave"]):
            m.d.sync += [
                block.eq(block + 1),
                self.last_block.eq(block + 2 == of_slot("blocks")),
            ]
        with m.If(was["ends_group"] | was["skip"]):
            m.d.sync += self.row.eq(self.row + Mux(was["skip"], of_slot("rows"), 1))
        with m.If(was["ends_sweep"] | was["skip"]):
            m.d.sync += base.eq(base + Mux(was["skip"], of_slot("words"), of_slot("columns")))
        with m.If(was["leave"]):
            m.d.sync += block.eq(0)
        with m.If(was["finish"]):
            m.d.sync += [base.eq(0), self.row.eq(0)]
        single = [layer.blocks == 1 for layer in layers]
        with m.If(self.leave):
            m.d.sync += self.last_block.eq(
                by_layer([int(s) for s in [*single[1:], single[0]]], self.layer)
            )
        with m.If(self.restart):
            m.d.sync += [
                block.eq(0),
                base.eq(0),
                self.row.eq(0),
                self.last_block.eq(self.last_block.init),
                Cat(was.values()).eq(0),
            ]
        return m
