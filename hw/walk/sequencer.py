"""Walks layers, blocks, gates and events: one slot for the lanes a cycle."""

from amaranth.hdl import Array, Cat, Const, Elaboratable, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from golden.parameters import CoreParameters
from hw.walk.layout import CoreLayout
from hw.walk.place import head_of, place, place_layout
from hw.walk.row_block import RowBlock, by_layer
from hw.walk.slot import layer_status, list_status, slot_layout


class Sequencer(wiring.Component):
    """Decides in every cycle which event the lanes take next.

    For each layer, for each block of P units, for each gate it walks the layer's two event lists,
    *segment* 0 and then segment 1 (hw.walk.layout). A *group* is what goes into one row of
    accumulators: both segments, or each segment its own where the kind splits its last gate. A list
    may still be growing; the walk then waits at its end. Most groups end on an event. One that does
    not, because its list is empty or because its end was known too late, costs one slot without an
    event. Nothing else costs a slot, so a frame with events in both vectors takes exactly its
    ideal cycles.

    Behind the first of several layers the walk is *early* for a while. The layer above has to wait
    for the last of its x. Meanwhile x of the next frame, if it has come, is walked over rows of the
    first layer that take both lists. Such a row is not read out, and takes only h when its turn
    comes. The first sweep is left whole, so that each event is first seen in its own frame.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    reopen : int
        Cycles from the slot that closes a row to the first one that may open it again. Only a core
        with fewer rows in all ever has to wait for that. (Where a linear layer comes again sooner,
        because all others were skipped, its row has not changed.)

    Members
    -------
    now, next : In, layer_status
        What is known of ``layer`` in this frame, and of the one after it, which may be the first
        one of the next frame. What is seen here counts from the next cycle on.
    coming : In, list_status
        x of the first layer, in the frame after this one. Absent where the walk is never early.
    start : In, array of 2
        The frame of this parity may begin: its x has begun to come, and there is room for its
        results. Counts from the next cycle on.
    layer, next_layer : Out
        The layer under way, and the one after it.
    parity : Out
        Which half of the h lists, and of the first layer's x lists, is being read. It changes with
        every frame, and while the walk is early. The other half is being written.
    next_parity : Out
        The same for ``next``.
    index : Out
        The event to read in this cycle.
    o : Out, stream
        The slot of the cycle before (hw.walk.slot.slot_layout). While it has to wait the walk
        stands still, and strobes nothing.
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

    def __init__(self, core: CoreParameters, reopen: int = 1) -> None:
        layout = CoreLayout(core)
        self._layout, self._activations, self._reopen = layout, core.activations, reopen
        layers = layout.layers
        columns = max(max(layer.segment_columns) for layer in layers)
        coming = {"coming": In(list_status(columns))} if layout.early else {}
        super().__init__(
            {
                **coming,
                "now": In(layer_status(columns)),
                "next": In(layer_status(columns)),
                "start": In(1).array(2),
                "layer": Out(ceil_log2(len(layers))),
                "next_layer": Out(ceil_log2(len(layers))),
                "parity": Out(1),
                "next_parity": Out(1),
                "index": Out(ceil_log2(columns)),
                "o": Out(stream.Signature(slot_layout(core))),
                "leave": Out(1),
                "skip": Out(1),
                "begin": Out(1),
                "finish": Out(1),
                "active": Out(1),
                "restart": In(1),
            }
        )

    def elaborate(self, platform) -> Elaboratable:
        m = Module()
        layout = self._layout
        layers = layout.layers
        lanes = layout.core.lanes
        slot = self.o.payload

        def of_layer(attribute: str) -> Value:
            return by_layer([int(getattr(layer, attribute)) for layer in layers], self.layer)

        def of_next_layer(values: list[int]) -> Value:
            return by_layer([*values[1:], values[0]], self.layer)

        recurrent = of_layer("recurrent")
        m.submodules.rows = rows = RowBlock(layout)
        last_block = rows.last_block

        # Where the walk is.
        first_row = [layer.first_row for layer in layers]
        gate = Signal(2, init=first_row[0])
        segment = Signal()
        columns = max(max(layer.segment_columns) for layer in layers)
        index = Signal(range(columns))
        ahead = Signal(range(columns + 1), init=1)  # index + 1, kept so that nobody has to add
        beyond = Signal(range(columns + 2), init=2)  # index + 2
        first = Signal(init=1)
        counts = Signal(init=1)  # the first walk over the layer's lists
        at_start = Signal(init=1)  # no slot of this layer yet

        # ``leaves``: the layer's lists are not needed any more. ``advances``: to the next layer.
        leaves, advances, finishes = Signal(), Signal(), Signal()
        if_leaves, if_advances = Signal(), Signal()

        # ``turns``, ``returns``: the walk begins and ceases to be early. ``gone``: x of the sweep
        # under way was walked early; ``next_gone``: that of the next one was.
        early, turns, returns = Signal(), Signal(), Signal()
        gone, next_gone = Signal(), Signal()
        first_layer = layers[0]
        last_whole = gate == first_layer.first_row + first_layer.whole_gates - 1

        # What is known of the layer's lists, a register away from them, and what follows from it
        # for their first elements; also of the next layer's, for when this one is left.
        known = Signal.like(self.now, reset_less=True)
        heads = [Signal(place_layout, name=f"head_{n}") for n in range(2)]
        next_heads = [Signal(place_layout, name=f"next_head_{n}") for n in range(2)]
        next_still = Signal()

        def lists(status: data.View) -> list[data.View]:
            return [status.h, status.x] if layout.x_last else [status.x, status.h]

        m.d.sync += [known.eq(Mux(advances, self.next, self.now)), next_still.eq(self.next.still)]
        for n in range(2):
            now, following = head_of(lists(self.now)[n]), head_of(lists(self.next)[n])
            m.d.sync += [
                heads[n].eq(Mux(advances, following, now)),
                next_heads[n].eq(following),
            ]

        # The element the walk is at, if it stays there and if it goes on.
        here = Signal(place_layout)
        current = data.View(self.now.x.shape(), Mux(segment, lists(known)[1], lists(known)[0]))
        none = Const(place_layout.const({"ends": 1, "end": 1}).as_value().value, place_layout.size)
        stays = Mux(gone & segment, none, place(current, index, ahead))
        steps = place(current, ahead, beyond)

        # ``split``: c, whose segments have a group each. ``closing``: a group that ends here is
        # closed. ``final``: it is the block's last.
        split = Signal()
        closing = Signal()
        final = Signal()
        last_layer = Signal()
        m.d.comb += [
            last_layer.eq(self.layer == len(layers) - 1),
            self.next_layer.eq(Mux(last_layer, 0, self.layer + 1)),
            self.next_parity.eq(self.parity ^ last_layer ^ early),
        ]

        # Reasons to go and to wait, all of them registers. ``holds`` a block's last slot, until the
        # units of the block before have left. ``works``: a frame is under way and the layer is not
        # to be skipped. ``skips``: it is.
        frame = Signal()
        started = Signal()
        works = Signal()
        skips = Signal()
        holds = Signal()
        busy = Signal(range(lanes))

        closes = Signal()
        jumps = Signal()
        go = Signal()
        ends_block = Signal()
        m.d.comb += [
            closes.eq(here.ends & closing),
            ends_block.eq(works & closes & final & ~holds),
            jumps.eq((works & here.ends & ~(final & holds)) | skips),
            go.eq(works & (here.have | closes) & ~(closes & final & holds)),
            leaves.eq(jumps & if_leaves),
            advances.eq(jumps & if_advances),
            finishes.eq(leaves & last_layer),
            self.begin.eq(frame & ~started & ~self.restart & self.o.ready),
            self.active.eq(started),
            self.skip.eq(skips & self.o.ready),
            self.leave.eq(leaves & self.o.ready),
            self.finish.eq(finishes & self.o.ready),
        ]
        units = Mux(last_block, of_layer("last_units") - 1, lanes - 1)
        m.d.comb += self.index.eq(index)
        # An early row is none that ends a block: what is kept of it, the next block's rows replace.
        row = gate if first_layer.splits else Mux(early, 0, gate)
        m.d.sync += [
            self.o.valid.eq(go),
            slot.event.eq(here.have),
            slot.segment.eq(segment),
            slot.first.eq(first),
            slot.close.eq(closes),
            slot.count_it.eq(counts),
            slot.tag.layer.eq(self.layer),
            slot.tag.row.eq(Mux(final, 3, row)),
            slot.tag.units.eq(units),
            slot.tag.last.eq(last_block),
        ]

        # The next position: the same, the next element, or the first of a list. Which list that is
        # hangs on registers alone (``if_``: if it jumps), beside what decides whether it jumps.
        if_block_ends, if_turns, if_returns = Signal(), Signal(), Signal()
        m.d.comb += [
            if_block_ends.eq(closing & final),
            if_leaves.eq((if_block_ends & last_block) | skips),
            if_advances.eq((if_leaves & ~if_turns) | if_returns),
            turns.eq(jumps & if_turns),
            returns.eq(jumps & if_returns),
        ]
        begins_with_last = heads[0].end | ~recurrent  # r, u: nothing in segment 0
        head_last = data.View(place_layout, Mux(next_gone, none, heads[1]))
        linear = of_next_layer([int(not layer.recurrent) for layer in layers])
        next_begins_with_last = next_heads[0].end | linear
        # Segment 0 is over and its group is not, or c has its own group for segment 1.
        to_other = ~segment & (split | ~closing)
        # What follows a gate: c of a GRU, with a group for each segment; the next gate; the next
        # block. In an LSTM the last of four gates ends the block as soon as its group closes.
        if_splits, next_final = (gate == 1) & ~early, ~recurrent
        ends_whole = final | (early & last_whole)
        next_gate = Mux(ends_whole, of_layer("first_row"), 1)
        other_final = split
        m.d.sync += [here.eq(stays), closing.eq(closing | heads[1].end)]
        whole = [int(layer.recurrent and not layer.splits) for layer in layers]
        if any(whole):
            even = by_layer(whole, self.layer)
            at_last = even & (gate == 3)
            if_splits &= ~even
            next_gate = Mux(ends_whole, of_layer("first_row"), gate + 1)
            next_final = Mux(even, (gate == 2) & (begins_with_last | head_last.end), ~recurrent)
            other_final = split | at_last
            m.d.sync += final.eq(final | (at_last & heads[1].end))
        position = {"here": here, "segment": segment, "closing": closing, "final": final}
        position |= {"gate": gate, "split": split}
        if_jumps = {name: Signal.like(of, name=f"if_{name}") for name, of in position.items()}

        def to(**where: Value | int) -> None:
            m.d.comb += [if_jumps[name].eq(value) for name, value in where.items()]

        to(split=0, gate=next_gate)
        with m.If(if_advances):
            to(
                here=Mux(next_begins_with_last, next_heads[1], next_heads[0]),
                segment=next_begins_with_last,
                closing=next_begins_with_last | next_heads[1].end,
                final=linear,
                gate=of_next_layer(first_row),
            )
        with m.Elif(to_other):
            to(here=heads[1], segment=1, closing=1, final=other_final, gate=gate, split=split)
        with m.Elif(if_splits):
            to(here=heads[0], segment=0, closing=1, final=0, gate=2, split=1)
        with m.Else():
            to(
                here=Mux(begins_with_last, head_last, heads[0]),
                segment=begins_with_last,
                closing=begins_with_last | head_last.end,
                final=next_final,
            )
        with m.If(works & here.have & ~here.ends):
            m.d.sync += [
                here.eq(steps),
                index.eq(ahead),
                ahead.eq(beyond),
                beyond.eq(beyond + 1),
            ]
        with m.Elif(jumps):
            m.d.sync += [index.eq(0), ahead.eq(1), beyond.eq(2)]
            m.d.sync += [of.eq(if_jumps[name]) for name, of in position.items()]

        with m.If(go):
            m.d.sync += [first.eq(closes), at_start.eq(0)]
        with m.If(jumps & closing):
            m.d.sync += counts.eq(0)
        with m.If(advances):
            m.d.sync += [self.layer.eq(self.next_layer), at_start.eq(1), counts.eq(1)]
        with m.If(finishes):
            m.d.sync += self.parity.eq(~self.parity)

        if layout.early:
            # What is known of the next frame's x, which stays while it is walked; ``due``: the
            # layer above has all its x. ``taken``: sweeps whose x was walked early.
            has_come, has_one, due = Signal(), Signal(), Signal()
            with m.If(~early):
                m.d.sync += [
                    has_come.eq(self.coming.complete & (self.coming.count != 0)),
                    has_one.eq(self.coming.count == 1),
                ]
            taken = Signal(range(first_layer.blocks * first_layer.whole_gates))
            if_goes_on = ~(if_leaves | if_returns | to_other | if_splits)  # to another whole gate
            m.d.comb += [
                if_turns.eq(works & if_block_ends & last_block & (self.layer == 0) & has_come),
                if_returns.eq(early & (due | (last_block & last_whole))),
                next_gone.eq((self.layer == 0) & ~early & (taken != 0)),
                rows.turns.eq(turns),
                rows.returns.eq(returns),
                rows.early.eq(early),
            ]
            m.d.sync += due.eq(self.next.x.complete)
            with m.If(jumps):
                m.d.sync += [
                    gone.eq(if_goes_on & next_gone),
                    taken.eq(taken + early - (if_goes_on & next_gone)),
                ]
            with m.If(turns | returns):
                m.d.sync += [early.eq(turns), self.parity.eq(~self.parity)]
            with m.If(turns):
                m.d.sync += known.x.eq(self.coming)
            with m.If(if_turns):
                to(gate=first_layer.first_row + 1)
            with m.If(if_turns | (early & if_goes_on)):
                head = Cat(Const(1, 1), has_one, Const(0, 1))
                to(here=head, segment=1, closing=1, final=0, split=0)

        m.d.comb += [
            rows.layer.eq(self.layer),
            rows.leave.eq(leaves | returns),
            rows.finish.eq(finishes),
            rows.skip.eq(skips),
            rows.ends_block.eq(ends_block | (early & jumps & last_whole)),
            rows.ends_sweep.eq(jumps & ~to_other),
            rows.ends_group.eq(jumps & closing),
            rows.segment.eq(slot.segment),
            rows.restart.eq(self.restart),
            slot.base.eq(rows.base),
            slot.row.eq(rows.row),
        ]

        may_begin = Array(self.start)[self.parity ^ finishes] & ~self.begin
        next_frame = Signal()
        next_rests = Signal()
        m.d.comb += [
            next_frame.eq(may_begin | (frame & ~finishes)),
            next_rests.eq(at_start & ~go & known.still & begins_with_last & heads[1].end),
        ]
        with m.If(advances):
            m.d.comb += next_rests.eq(next_still & next_begins_with_last & next_heads[1].end)
        next_works = next_frame & ~next_rests
        if layout.rows < self._reopen:
            # If every row is closed in these cycles, so is the one to open next.
            before = Signal(self._reopen - 2)
            closed = Cat(go & closes, before)
            m.d.sync += before.eq(closed)
            next_works &= sum(closed) < layout.rows
        if layout.early:
            # A row that is walked early, or was, is to be opened sooner than in a plain walk.
            if first_layer.rows - 1 < self._reopen:
                next_works &= ~turns
            if layers[1].rows + 2 < self._reopen:
                next_works &= ~returns
        m.d.sync += [
            frame.eq(next_frame),
            started.eq(frame & ~finishes),
            works.eq(next_works),
            skips.eq(next_frame & next_rests & ~advances),
        ]

        sends = Mux(recurrent, units >> exact_log2(self._activations), units)
        m.d.sync += holds.eq(busy > 1)
        with m.If(busy != 0):
            m.d.sync += busy.eq(busy - 1)
        with m.If(ends_block):
            # At least for the cycle in which it is found out whether the next block is the last.
            m.d.sync += [busy.eq(sends), holds.eq(1)]
        single = of_next_layer([int(layer.blocks == 1) for layer in layers])
        with m.If(advances & single):
            m.d.sync += holds.eq(1)
        with m.If(self.restart):
            m.d.sync += [
                Cat(frame, started, works, skips).eq(0),
                self.parity.eq(0),
                self.layer.eq(0),
                gate.eq(gate.init),
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
            ]
            if layout.early:
                m.d.sync += Cat(early, gone, taken).eq(0)
        return EnableInserter(self.o.ready)(m)
