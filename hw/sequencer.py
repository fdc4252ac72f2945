"""Walks layers, blocks, gates and events: one slot for the lanes a cycle."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, unsigned
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
    was. Without an event its next update would do the same, so the layer is skipped: it takes two
    cycles and no slot.
    """
    status = data.StructLayout({"count": unsigned(bits_for(size)), "complete": 1})
    return data.StructLayout({"x": status, "h": status, "still": 1})


class Sequencer(wiring.Component):
    """Decides in every cycle which event the lanes take next.

    For each layer, for each block of P units, for each gate it walks the layer's two
    event lists, *segment* 0 and then segment 1 (hw.layout). A *group* is what goes into one row of
    accumulators: both segments, but for c of a GRU each segment its own. A list may still be
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
        The slot of the cycle before: ``event`` (else it has none and its delta is 0), ``segment``,
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

        # Where the walk is.
        gate = Signal(2)
        segment = Signal()
        columns = max(max(layer.segment_columns) for layer in layers)
        index = Signal(range(columns))
        ahead = Signal(range(columns + 1), init=1)  # index + 1, kept so that nobody has to add
        beyond = Signal(range(columns + 2), init=2)  # index + 2
        first = Signal(init=1)
        counts = Signal(init=1)  # the first walk over the layer's lists
        at_start = Signal(init=1)  # no slot of this layer yet

        # What is known of the layer's lists, a register away from them, and what follows from it
        # for their first elements; also of the next layer's, for when this one is left.
        known = Signal.like(self.now, reset_less=True)
        heads = [Signal(place_layout, name=f"head_{n}") for n in range(2)]
        next_heads = [Signal(place_layout, name=f"next_head_{n}") for n in range(2)]
        next_still = Signal()

        def lists(status: data.View) -> list[data.View]:
            return [status.h, status.x] if layout.x_last else [status.x, status.h]

        m.d.sync += [known.eq(Mux(self.leave, self.next, self.now)), next_still.eq(self.next.still)]
        for n in range(2):
            now, following = head_of(lists(self.now)[n]), head_of(lists(self.next)[n])
            m.d.sync += [
                heads[n].eq(Mux(self.leave, following, now)),
                next_heads[n].eq(following),
            ]

        # The element the walk is at, if it stays there and if it goes on.
        here = Signal(place_layout)
        current = data.View(self.now.x.shape(), Mux(segment, lists(known)[1], lists(known)[0]))
        stays = place(current, index, ahead)
        steps = place(current, ahead, beyond)

        # ``split``: c, whose segments have a group each. ``closing``: a group that ends here is
        # closed. ``final``: it is the block's last.
        split = Signal()
        closing = Signal()
        final = Signal()
        blocks = [layer.blocks for layer in layers]
        next_single = constant([n == 1 for n in [*blocks[1:], blocks[0]]], self.layer)
        last_block = Signal(init=blocks[0] == 1)
        last_layer = Signal()
        m.d.comb += [
            last_layer.eq(self.layer == len(layers) - 1),
            self.next_layer.eq(Mux(last_layer, 0, self.layer + 1)),
        ]

        # Reasons to go and to wait, all of them registers. ``holds`` a block's last slot, until the
        # units of the block before have left. In a layer's first cycle (``fresh``) what is known of
        # the next layer is of this one, so that it cannot be left yet. ``rests``: the layer is to
        # be skipped. ``works``: a frame is under way and the layer does not rest.
        frame = Signal()
        started = Signal()
        works = Signal()
        rests = Signal()
        holds = Signal()
        fresh = Signal()
        busy = Signal(range(lanes))

        closes = Signal()
        jumps = Signal()
        go = Signal()
        ends_block = Signal()
        m.d.comb += [
            closes.eq(here.ends & closing),
            ends_block.eq(works & closes & final & ~holds),
            jumps.eq((works & here.ends & ~(final & holds)) | self.skip),
            go.eq(works & (here.have | closes) & ~(closes & final & holds)),
            self.begin.eq(frame & ~started & ~self.restart),
            self.active.eq(started),
            self.leave.eq((ends_block & last_block) | self.skip),
            self.finish.eq(self.leave & last_layer),
        ]
        units = Mux(last_block, of_layer("last_units") - 1, lanes - 1)
        m.d.comb += self.index.eq(index)
        m.d.sync += [
            self.o.valid.eq(go),
            slot.event.eq(here.have),
            slot.segment.eq(segment),
            slot.first.eq(first),
            slot.close.eq(closes),
            slot.count_it.eq(counts),
            slot.tag.layer.eq(self.layer),
            slot.tag.row.eq(Mux(final, 3, gate)),
            slot.tag.units.eq(units),
            slot.tag.last.eq(last_block),
        ]

        # The next position: the same, the next element, or the first of a list.
        begins_with_last = heads[0].end | ~recurrent  # r, u: nothing in segment 0
        linear = constant(
            [int(not layer.recurrent) for layer in [*layers[1:], layers[0]]], self.layer
        )
        next_begins_with_last = next_heads[0].end | linear
        # Segment 0 is over and its group is not, or c has its own group for segment 1.
        to_other = ~segment & (split | ~closing)
        # What follows a gate: c of a GRU, with a group for each segment; the next gate; the next
        # block. Of an LSTM the last of four gates ends the block as soon as its group closes.
        splits_next, next_gate, next_final = gate == 1, ~final, ~recurrent
        other_final = split
        m.d.sync += [here.eq(stays), closing.eq(closing | heads[1].end)]
        whole = [int(layer.recurrent and not layer.splits) for layer in layers]
        if any(whole):
            even = constant(whole, self.layer)
            at_last = even & (gate == 3)
            splits_next &= ~even
            next_gate = Mux(final, 0, gate + 1)
            next_final = Mux(even, (gate == 2) & (begins_with_last | heads[1].end), ~recurrent)
            other_final = split | at_last
            m.d.sync += final.eq(final | (at_last & heads[1].end))
        with m.If(works & here.have & ~here.ends):
            m.d.sync += [
                here.eq(steps),
                index.eq(ahead),
                ahead.eq(beyond),
                beyond.eq(beyond + 1),
            ]
        with m.Elif(jumps):
            m.d.sync += [index.eq(0), ahead.eq(1), beyond.eq(2)]
            with m.If(self.leave):
                m.d.sync += [
                    here.eq(Mux(next_begins_with_last, next_heads[1], next_heads[0])),
                    segment.eq(next_begins_with_last),
                    closing.eq(next_begins_with_last | next_heads[1].end),
                    final.eq(linear),
                    Cat(gate, split).eq(0),
                ]
            with m.Elif(to_other):
                m.d.sync += [
                    here.eq(heads[1]),
                    segment.eq(1),
                    closing.eq(1),
                    final.eq(other_final),
                ]
            with m.Elif(splits_next):
                m.d.sync += [
                    here.eq(heads[0]),
                    segment.eq(0),
                    closing.eq(1),
                    final.eq(0),
                    gate.eq(2),
                    split.eq(1),
                ]
            with m.Else():
                m.d.sync += [
                    here.eq(Mux(begins_with_last, heads[1], heads[0])),
                    segment.eq(begins_with_last),
                    closing.eq(begins_with_last | heads[1].end),
                    final.eq(next_final),
                    gate.eq(next_gate),
                    split.eq(0),
                ]

        with m.If(go):
            m.d.sync += [first.eq(closes), at_start.eq(0)]
        with m.If(jumps & closing):
            m.d.sync += counts.eq(0)
        with m.If(self.leave):
            m.d.sync += [
                self.layer.eq(self.next_layer),
                at_start.eq(1),
                counts.eq(1),
                last_block.eq(next_single),
            ]
        with m.If(self.finish):
            m.d.sync += self.parity.eq(~self.parity)

        # Block, row and address are counted a cycle later, beside the slot on its way out.
        block = Signal(range(max(layer.blocks for layer in layers)))
        base = Signal(range(layout.words + 1))
        row = Signal(range(layout.rows))
        was_layer = Signal.like(self.layer)
        was_left = Signal()
        ended_frame = Signal()
        ended_block = Signal()
        ended_sweep = Signal()
        ended_group = Signal()
        skipped = Signal()
        m.d.sync += [
            was_layer.eq(self.layer),
            was_left.eq(self.leave),
            ended_frame.eq(self.finish),
            ended_block.eq(ends_block),
            ended_sweep.eq(jumps & ~to_other),
            ended_group.eq(jumps & closing),
            skipped.eq(self.skip),
        ]

        def of_slot(attribute: str) -> Value:
            return constant([int(getattr(layer, attribute)) for layer in layers], was_layer)

        first_columns = constant([layer.segment_columns[0] for layer in layers], was_layer)
        m.d.comb += [
            slot.base.eq(base + Mux(slot.segment, first_columns, 0)),
            slot.row.eq(row),
        ]
        with m.If(ended_block & ~was_left):
            m.d.sync += [block.eq(block + 1), last_block.eq(block + 2 == of_slot("blocks"))]
        with m.If(ended_group | skipped):
            m.d.sync += row.eq(row + Mux(skipped, of_slot("rows"), 1))
        with m.If(ended_sweep | skipped):
            m.d.sync += base.eq(base + Mux(skipped, of_slot("words"), of_slot("columns")))
        with m.If(was_left):
            m.d.sync += block.eq(0)
        with m.If(ended_frame):
            m.d.sync += [base.eq(0), row.eq(0)]

        may_begin = Array(self.start)[self.parity ^ self.finish] & ~self.begin
        next_frame = Signal()
        next_rests = Signal()
        m.d.comb += [
            next_frame.eq(may_begin | (frame & ~self.finish)),
            next_rests.eq(at_start & ~go & known.still & begins_with_last & heads[1].end),
        ]
        with m.If(self.leave):
            m.d.comb += next_rests.eq(next_still & next_begins_with_last & next_heads[1].end)
        m.d.sync += [
            frame.eq(next_frame),
            started.eq(frame & ~self.finish),
            works.eq(next_frame & ~next_rests),
            rests.eq(next_rests),
            self.skip.eq(next_frame & next_rests & ~self.leave),
            fresh.eq(self.leave),
        ]

        sends = Mux(recurrent, units >> exact_log2(self._activations), units)
        m.d.sync += holds.eq(busy > 1)
        with m.If(busy != 0):
            m.d.sync += busy.eq(busy - 1)
        with m.If(ends_block):
            # At least for the cycle in which it is found out whether the next block is the last.
            m.d.sync += [busy.eq(sends), holds.eq(1)]
        with m.If(self.leave & next_single):
            m.d.sync += holds.eq(1)
        with m.If(self.restart):
            m.d.sync += [
                Cat(frame, started, works, rests, self.skip).eq(0),
                self.parity.eq(0),
                self.layer.eq(0),
                block.eq(0),
                last_block.eq(last_block.init),
                gate.eq(0),
                segment.eq(0),
                here.eq(0),
                index.eq(0),
                ahead.eq(1),
                beyond.eq(2),
                first.eq(1),
                at_start.eq(1),
                split.eq(0),
                closing.eq(0),
                final.eq(0),
                counts.eq(1),
                fresh.eq(1),
                base.eq(0),
                row.eq(0),
                Cat(was_left, ended_frame, ended_block, ended_sweep, ended_group, skipped).eq(0),
            ]
        return m


# Of a place in a list: it has an element; the list ends, with it or, if there is none, before it;
# the list ends before it.
place_layout = data.StructLayout({"have": 1, "ends": 1, "end": 1})


def place(status: data.View, index: Value, ahead: Value) -> Value:
    """place_layout at ``index``; ``ahead`` is index + 1."""
    behind, last = index == status.count, ahead == status.count
    return Cat(~behind, status.complete & (behind | last), status.complete & behind)


def head_of(status: data.View) -> Value:
    """place_layout of a list's first element."""
    return place(status, Const(0), Const(1))
