"""Walks layers, blocks, gates and events: one slot for the lanes a cycle."""

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2, exact_log2

from golden.parameters import CoreParameters
from hw.lanes import tag_layout
from hw.layout import CoreLayout


def layer_status(size: int) -> data.StructLayout:
    """What the walk over a layer needs to know of it.

    ``x``, ``h``: of each of its event lists how many events it has by now (``count``) and whether
    that is all (``complete``). ``still``: the last update of the layer left every result as it
    was. Without an event its next update would do the same, so the layer is skipped: it takes a
    cycle or two and no slot.
    """
    status = data.StructLayout({"count": unsigned(bits_for(size)), "complete": 1})
    return data.StructLayout({"x": status, "h": status, "still": 1})


class Sequencer(wiring.Component):
    """Decides in every cycle which event the lanes take next.

    For each layer, for each block of P units, for each gate r, u, c it walks the layer's two
    event lists, *segment* 0 and then segment 1 (hw.layout). A *group* is what goes into one row of
    accumulators: both segments for r and u, each segment its own for c. A list may still be
    growing; the walk then waits at its end. A group that ends without an event to end on (an empty
    list, or one whose end was known too late) costs one slot without an event; nothing else does,
    so a frame with events in both vectors takes exactly its ideal cycles.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.

    Members
    -------
    now, next : In, layer_status
        Of ``layer`` in this frame, and of the layer that comes after it, which may be the first
        one of the next frame. What is seen here counts from the next cycle on.
    start : In, array of 2
        The frame of this parity may begin: its x has begun to come, and there is room for its
        results. Counts from the next cycle on.
    layer, next_layer : Out
        The layer under way, and the one after it.
    parity : Out
        Changes with every frame: which half of the h lists, and of the first layer's x lists, is
        being read. The other half is being written.
    index : Out
        The event to read in this cycle.
    o : Out, stream (never waits)
        The slot of this cycle: ``event`` (else it has none and its delta is 0), ``segment``,
        ``base`` (address of the weight word of column 0), ``row``, ``first``, ``close``, ``tag``,
        ``count_it`` (this is the first walk over the lists, so each event is seen once).
    leave : Out
        The lists of ``layer`` are not needed any more.
    skip : Out
        The layer that is left was skipped: nobody will make its states, which stay as they are.
    begin, finish : Out
        The frame's first cycle (it may be spent waiting for events), and its last slot.
    active : Out
        A frame has begun and not finished.
    restart : In
        Back to the first frame.
    """

    def __init__(self, core: CoreParameters) -> None:
        layout = CoreLayout(core)
        self._layout, self._activations = layout, core.activations
        layers = layout.layers
        columns = max(max(layer.segment_columns) for layer in layers)
        slot = data.StructLayout(
            {
                "event": 1,
                "segment": 1,
                "base": range(layout.words),
                "row": range(layout.rows),
                "first": 1,
                "close": 1,
                "count_it": 1,
                "tag": tag_layout(core),
            }
        )
        super().__init__(
            {
                "now": In(layer_status(columns)),
                "next": In(layer_status(columns)),
                "start": In(1).array(2),
                "layer": Out(ceil_log2(len(layers))),
                "next_layer": Out(ceil_log2(len(layers))),
                "parity": Out(1),
                "index": Out(ceil_log2(columns)),
                "o": Out(stream.Signature(slot, always_ready=True)),
                "leave": Out(1),
                "skip": Out(1),
                "begin": Out(1),
                "finish": Out(1),
                "active": Out(1),
                "restart": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        layout = self._layout
        layers = layout.layers
        lanes = layout.core.lanes
        slot = self.o.payload

        def constant(values: list[int], layer: Value) -> Value:
            """values[layer], as logic."""
            return Array(values)[layer] if len(set(values)) > 1 else Const(values[0])

        def of_layer(attribute: str) -> Value:
            return constant([int(getattr(layer, attribute)) for layer in layers], self.layer)

        recurrent = of_layer("recurrent")
        first_columns = constant([layer.segment_columns[0] for layer in layers], self.layer)

        # Where the walk is.
        started = Signal()
        block = Signal(range(max(layer.blocks for layer in layers)))
        gate = Signal(2)
        segment = Signal()
        index = Signal(range(max(max(layer.segment_columns) for layer in layers)))
        first = Signal(init=1)
        base = Signal(range(layout.words + 1))
        row = Signal(range(layout.rows))
        busy = Signal(range(lanes))

        # What is known of the layer: a register away, so that nothing long hangs on the lists.
        known = Signal.like(self.now, reset_less=True)
        coming = Signal.like(self.now)
        may_start = Signal()
        m.d.comb += coming.eq(Mux(self.leave, self.next, self.now))
        m.d.sync += [
            known.eq(coming),
            may_start.eq(
                Mux(self.parity ^ self.finish, self.start[1], self.start[0]) & ~self.begin
            ),
        ]

        def lists(status: data.View) -> list[data.View]:
            return [status.h, status.x] if layout.x_last else [status.x, status.h]

        def empty(status: data.View) -> Value:
            return status.complete & (status.count == 0)

        # The list it is in.
        both = lists(known)
        current = Signal.like(known.x)
        first_empty, last_empty = Signal(), Signal()
        m.d.comb += [
            current.eq(Mux(segment, both[1], both[0])),
            first_empty.eq(empty(both[0])),
            last_empty.eq(empty(both[1])),
        ]
        have, last_event, at_end = Signal(), Signal(), Signal()
        m.d.comb += [
            have.eq(index != current.count),
            last_event.eq(current.complete & (index + 1 == current.count)),
            at_end.eq(current.complete & ~have),
        ]

        # What this slot ends.
        split, closes, last_of_block, last_block, last_layer = (Signal() for _ in range(5))
        m.d.comb += [
            split.eq(recurrent & (gate == 2)),
            closes.eq((last_event | at_end) & (segment | split | last_empty)),
            last_of_block.eq(closes & (~recurrent | (split & segment))),
            last_block.eq(block == of_layer("blocks") - 1),
            last_layer.eq(self.layer == len(layers) - 1),
            self.next_layer.eq(Mux(last_layer, 0, self.layer + 1)),
        ]
        frame, go = Signal(), Signal()
        m.d.comb += [
            frame.eq(started | may_start),
            # Only where a layer begins, which is where its first group has no slot yet.
            self.skip.eq(
                frame & known.still & first_empty & last_empty & (block == 0) & (gate == 0) & first
            ),
            go.eq(frame & (have | (at_end & closes)) & ~(last_of_block & (busy != 0)) & ~self.skip),
            self.begin.eq(may_start & ~started & ~self.restart),
            self.active.eq(started),
            self.leave.eq((go & last_of_block & last_block) | self.skip),
            self.finish.eq(self.leave & last_layer),
        ]
        units = Mux(last_block, of_layer("last_units") - 1, lanes - 1)
        m.d.comb += [
            self.index.eq(index),
            self.o.valid.eq(go),
            slot.event.eq(have),
            slot.segment.eq(segment),
            slot.base.eq(base + Mux(segment, first_columns, 0)),
            slot.row.eq(row),
            slot.first.eq(first),
            slot.close.eq(closes),
            slot.count_it.eq((block == 0) & (gate == 0)),
            slot.tag.layer.eq(self.layer),
            slot.tag.gate.eq(Mux(last_of_block, 3, gate)),
            slot.tag.units.eq(units),
            slot.tag.last.eq(last_block),
        ]

        m.d.sync += started.eq((frame & ~self.finish) & ~self.restart)
        with m.If(busy != 0):
            m.d.sync += busy.eq(busy - 1)
        skip_first = first_empty | ~recurrent
        with m.If(go):
            m.d.sync += [first.eq(closes), index.eq(index + 1)]
            with m.If(closes):
                m.d.sync += [index.eq(0), row.eq(row + 1)]
                with m.If(split & ~segment):
                    m.d.sync += segment.eq(1)
                with m.Else():
                    m.d.sync += base.eq(base + of_layer("columns"))
                    with m.If(last_of_block):
                        m.d.sync += [
                            gate.eq(0),
                            segment.eq(skip_first),
                            block.eq(block + 1),
                            busy.eq(Mux(recurrent, units >> exact_log2(self._activations), units)),
                        ]
                    with m.Else():
                        m.d.sync += [
                            gate.eq(gate + 1),
                            segment.eq((gate == 0) & skip_first),
                        ]
            with m.Elif(last_event):
                m.d.sync += [index.eq(0), segment.eq(1)]
        with m.Elif(self.skip):
            m.d.sync += [
                base.eq(base + of_layer("words")),
                row.eq(row + of_layer("rows")),
                index.eq(0),
            ]
        with m.Elif(frame & at_end & ~closes):
            # Segment 0 of r or u ended before it was known to: on to segment 1.
            m.d.sync += [index.eq(0), segment.eq(1)]
        with m.If(self.leave):
            # A linear layer has no segment 0, and an empty one is not worth a cycle.
            linear = [int(not layer.recurrent) for layer in [*layers[1:], layers[0]]]
            m.d.sync += [
                block.eq(0),
                segment.eq(constant(linear, self.layer) | empty(lists(self.next)[0])),
                self.layer.eq(self.next_layer),
            ]
        with m.If(self.finish):
            m.d.sync += [base.eq(0), row.eq(0), self.parity.eq(~self.parity)]
        with m.If(self.restart):
            m.d.sync += [
                may_start.eq(0),
                self.parity.eq(0),
                self.layer.eq(0),
                block.eq(0),
                gate.eq(0),
                segment.eq(0),
                index.eq(0),
                first.eq(1),
                base.eq(0),
                row.eq(0),
            ]
        return m
