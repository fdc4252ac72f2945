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
    early, turns, returns : In
        The walk is early (hw.walk.sequencer.Sequencer), begins to be, and ceases to be. Absent
        where it never is.
    restart : In
        Back to the first block of the first layer.
    """

    def __init__(self, layout: CoreLayout) -> None:
        self._layout = layout
        early = ("early", "turns", "returns") if layout.early else ()
        super().__init__(
            {
                **{name: In(1) for name in early},
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
        if self._layout.early:
            was |= {name: Signal(name=f"was_{name}") for name in ("early", "turns", "returns")}
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
        rows, words = Const(1), of_slot("columns")
        first, *others = layers
        if self._layout.early and first.splits:  # early, the gate that is split is left out
            over = was["early"] & was["ends_block"]
            rows = Mux(over, first.accumulators - first.whole_gates + 1, rows)
            words = Mux(over, 2 * first.columns, words)
        with m.If(was["ends_group"] | was["skip"]):
            m.d.sync += self.row.eq(self.row + Mux(was["skip"], of_slot("rows"), rows))
        with m.If(was["ends_sweep"] | was["skip"]):
            m.d.sync += base.eq(base + Mux(was["skip"], of_slot("words"), words))
        with m.If(was["leave"]):
            m.d.sync += block.eq(0)
            if self._layout.core.streams > 1:  # the next stream takes the same words
                following = [layer.base for layer in (*others, first)]
                m.d.sync += base.eq(by_layer(following, was_layer))
        with m.If(was["finish"]):
            m.d.sync += [base.eq(0), self.row.eq(0)]
        single = [int(layer.blocks == 1) for layer in layers]
        with m.If(self.leave):
            m.d.sync += self.last_block.eq(by_layer([*single[1:], single[0]], self.layer))
        if self._layout.early:
            with m.If(was["turns"]):
                m.d.sync += [base.eq(first.columns), self.row.eq(1)]
            with m.If(was["returns"]):
                m.d.sync += [base.eq(others[0].base), self.row.eq(others[0].row)]
            with m.If(self.turns):
                m.d.sync += self.last_block.eq(single[0])
        with m.If(self.restart):
            m.d.sync += [
                block.eq(0),
                base.eq(0),
                self.row.eq(0),
                self.last_block.eq(self.last_block.init),
                Cat(was.values()).eq(0),
            ]
        return m
