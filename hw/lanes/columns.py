"""From visits to slots, where weights come by the column: asks for columns, and adds them."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from golden.formats import WEIGHT
from golden.kinds import ROWS
from golden.parameters import CoreParameters
from hw.events.encoder import event_layout
from hw.lanes.fetch import any_event_layout, finds_event, same_event, seen_layout
from hw.lanes.lanes import lane_slot_layout
from hw.pipeline import delayed, staged
from hw.primitive.columns import columns_signature
from hw.primitive.weights import word_layout
from hw.target import GENERIC, Target
from hw.walk.columns import visit_layout
from hw.walk.layout import CoreLayout
from hw.walk.row_block import by_layer
from hw.walk.slot import is_of

# Visits that may have been asked for and not been begun: in a block RAM, or in registers where the
# memory is so slow that a visit takes longer than asking for the next one.
AHEAD, AHEAD_OF_SLOW = 8, 2


def sweep_layout(core: CoreParameters) -> data.StructLayout:
    """A visit and what its column is multiplied with: ``delta``, 0 without an event."""
    delta = signed(core.network.formats.activation.width + 1)
    return data.StructLayout({**visit_layout(core).members, "delta": delta})


class ColumnSweep(wiring.Component):
    """Turns a visit into slots, one for each row of accumulators that it is about.

    With an event these are the rows that take its column, in the order of its words; each is
    opened and closed by its slot. Without one they are all rows of the layer, in order, and what
    closes is read out; the last row of a block waits until the units of the block before have left.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    reopen, interval : int
        Cycles from the slot that closes a row to the first one that may open it again, and from a
        slot to the next one, of which it is a multiple: a power of two.

    Members
    -------
    i : In, stream
        Visits (sweep_layout), taken with their last slot.
    words : In, stream
        The words of their columns (hw.primitive.weights.word_layout).
    word : Out, array of P signed(8)
        For the lanes: the weights of ``o``.
    o : Out, stream (never waits)
        Slots for the lanes (hw.lanes.lanes.lane_slot_layout), 2 cycles after the word.
    busy : Out
        A slot is on its way.
    """

    latency = 2

    def __init__(self, core: CoreParameters, reopen: int = 1, interval: int = 1) -> None:
        self._core, self._reopen, self._interval = core, reopen, interval
        super().__init__(
            {
                "i": In(stream.Signature(sweep_layout(core))),
                "words": In(stream.Signature(word_layout(core.lanes))),
                "word": Out(data.ArrayLayout(signed(WEIGHT.width), core.lanes)),
                "o": Out(stream.Signature(lane_slot_layout(core), always_ready=True)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        core, visit = self._core, self.i.payload
        layers, lanes = CoreLayout(core).layers, core.lanes

        def of_layer(attribute: str):
            return by_layer([int(getattr(layer, attribute)) for layer in layers], visit.layer)

        # Which of the block's rows, and which block; the row's number within its layer.
        n, block = Signal(2), Signal(range(max(layer.blocks for layer in layers)))
        row = Signal(range(max(layer.rows for layer in layers)))
        last_row, ends_block, last_block = Signal(), Signal(), Signal()
        # A column's row of the gate that is split is the segment's own.
        splits, whole = of_layer("splits"), of_layer("whole_gates")
        own, other = Signal(), Signal()
        is_own = splits & visit.event & ~visit.segment & (n == whole)
        is_last = n == of_layer("accumulators") - 1
        # Where slots are cycles apart there is one for this.
        slow = self._interval > 1
        domain = m.d.sync if slow else m.d.comb
        domain += [
            own.eq(is_own),
            other.eq(splits & visit.event & visit.segment & (n == whole - 1)),
            last_row.eq(is_last),
            ends_block.eq(is_last | is_own),
            last_block.eq(block == of_layer("blocks") - 1),
        ]

        # A row may not be opened too soon again: so it might where a layer has few of them, and
        # where they have just been read out.
        few_rows = [int(layer.gates * layer.blocks < self._reopen) for layer in layers]
        few = by_layer(few_rows, visit.layer)
        rests, busy = Signal(range(self._reopen)), Signal(range(lanes))
        units = Mux(last_block, of_layer("last_units") - 1, lanes - 1)
        goes, ends, may_go = Signal(), Signal(), rests == 0
        if slow:  # slots keep time, and a visit has been there for a cycle
            cycle, there = Signal(range(self._interval)), Signal()
            m.d.sync += [cycle.eq(cycle + 1), there.eq(self.i.valid & ~ends)]
            may_go &= (cycle == 0) & there
        may = Mux(visit.event, self.words.valid, ~(last_row & (busy != 0)))
        m.d.comb += [
            goes.eq(self.i.valid & may_go & may),
            ends.eq(goes & ends_block & last_block),
            self.words.ready.eq(self.i.valid & may_go & visit.event),
            self.i.ready.eq(ends),
        ]
        with m.If(rests != 0):
            m.d.sync += rests.eq(rests - 1)
        with m.If(busy != 0):
            m.d.sync += busy.eq(busy - 1)
        with m.If(goes):
            step = Mux(own | other, 2, 1)
            m.d.sync += [n.eq(n + step), row.eq(row + step)]
            with m.If(ends_block):
                m.d.sync += [n.eq(0), block.eq(block + 1)]
                with m.If(~visit.event):
                    recurrent = of_layer("recurrent")
                    together = exact_log2(core.activations)
                    m.d.sync += busy.eq(Mux(recurrent, units >> together, units))
            with m.If(ends):
                m.d.sync += [block.eq(0), row.eq(0)]
                with m.If(few | ~visit.event):
                    m.d.sync += rests.eq(self._reopen - 1)

        # The slot a cycle later, and where its row lies one more.
        slot = lane_slot_layout(core)
        first_row = unsigned(len(self.o.payload.row))
        made = Signal(data.StructLayout({**slot.members, "first_row": first_row}))
        tag = made.tag
        m.d.comb += [
            made.delta.eq(Mux(goes, visit.delta, 0)),
            made.row.eq(row),
            made.first_row.eq(of_layer("row")),
            made.first.eq(1),
            made.close.eq(1),
            tag.layer.eq(visit.layer),
            # A row that is not read out is none that ends a block.
            tag.row.eq(Mux(visit.event, 0, Mux(last_row, ROWS - 1, n))),
            tag.units.eq(units),
            tag.last.eq(last_block),
        ]
        valids, slots = staged(m, goes, made, self.latency, "slot")
        # A word that nobody has offered is not looked at, not even to be multiplied by 0.
        word = delayed(m, self.words.payload.as_value(), 1, "word", goes & visit.event)
        word = delayed(m, word, self.latency - 1, "late_word")
        m.d.sync += slots[-1].row.eq(slots[-2].row + slots[-2].first_row)
        m.d.comb += [
            self.word.eq(word),
            self.o.valid.eq(valids[-1]),
            self.busy.eq(Cat(valids).any()),
            *(self.o.payload[key].eq(slots[-1][key]) for key in slot.members),
        ]
        return m


class ColumnFetch(wiring.Component):
    """Finds the event of each visit, asks for its column, and adds the column when it is there.

        i -> event -> address --+-> request of the store
                                +-> queue -> ColumnSweep -> o
                                words of the store -^

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    target : Target
        Whose latencies.

    Members
    -------
    i : In, stream
        Visits (hw.walk.columns.visit_layout), ready in the cycles that are a step.
    event_x, event_h, event_above : In
        As those of hw.lanes.fetch.Fetch.
    store : Out
        hw.primitive.columns.columns_signature.
    word, o
        As those of ColumnSweep.
    seen : Out, stream (never waits)
        Every visit once, for those who watch (hw.lanes.fetch.seen_layout).
    busy : Out
        A visit has been taken of which not all slots are out.

    Attributes
    ----------
    latency : int
        Cycles from the last slot that is on its way to when it is out.
    """

    def __init__(self, core: CoreParameters, target: Target = GENERIC) -> None:
        self._core, self._target = core, target
        self._layout = layout = target.column_layout(core)
        interval = target.accumulators.interval
        self._ahead = AHEAD if interval == 1 else AHEAD_OF_SLOW
        self._sweep = ColumnSweep(core, target.reopen, interval)
        self.latency = self._sweep.latency
        network = core.network
        width = network.formats.activation.width
        of_x, _ = core.columns(network.layers[0])
        units = core.groups * core.activations
        super().__init__(
            {
                "i": In(stream.Signature(visit_layout(core))),
                "event_x": In(event_layout(of_x, width)),
                "event_h": In(event_layout(units, width)),
                "event_above": In(event_layout(units, width)),
                "store": Out(columns_signature(layout.words, layout.longest, core.lanes)),
                "word": Out(self._sweep.word.shape()),
                "o": Out(self._sweep.o.signature),
                "seen": Out(stream.Signature(seen_layout(core), always_ready=True)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        core, layout, step = self._core, self._layout, self.i.ready
        m.submodules.sweep = sweep = self._sweep
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(
            width=len(sweep.i.payload.as_value()), depth=self._ahead
        )
        connect(m, flipped(self.store.word), sweep.words)
        connect(m, sweep.o, flipped(self.o))
        x_last = CoreLayout(core).x_last

        # The visit waits for its event.
        more = self._target.read_latency - 1
        valids, visits = staged(m, self.i.valid, self.i.payload, more, "visit", step)
        valid, visit, seen = valids[-1], visits[-1], self.seen.payload
        of_h = visit.segment ^ x_last
        finds_event(m, self, seen, of_h, is_of(0, visit.layer, core.streams))
        m.d.comb += [
            seen.event.eq(visit.event),
            seen.layer.eq(visit.layer),
            seen.h.eq(of_h),
            seen.count_it.eq(1),
            self.seen.valid.eq(valid & step),
        ]

        # Where its column lies: a product and a sum, each with a register behind it.
        chosen = Signal(any_event_layout(core))
        with m.If(valid & visit.event):
            m.d.comb += same_event(chosen, seen)
        valids, visits = staged(m, valid, visit, 3, "asked", step)
        _, events = staged(m, valid, chosen, 3, "event", step)
        layers = [layer for layer in layout.layers for _ in range(core.streams)]
        product = Signal(range(layout.words), reset_less=True)
        address = Signal.like(product)
        stride = by_layer([layer.stride for layer in layers], visits[1].layer)
        base_x, base_h = (
            by_layer([getattr(layer, name) for layer in layers], visits[2].layer)
            for name in ("base_x", "base_h")
        )
        with m.If(step):
            m.d.sync += [
                product.eq(events[1].column * stride),
                address.eq(product + Mux(visits[2].segment ^ x_last, base_h, base_x)),
            ]

        # Both the store and the queue take it, in the same cycle.
        valid, visit, request = valids[-1], visits[-1], self.store.request
        taken = queue.w_rdy & (request.ready | ~visit.event)
        entry = sweep.i.payload
        put = Signal.like(entry)
        m.d.comb += [
            step.eq(~valid | taken),
            request.valid.eq(valid & visit.event & queue.w_rdy),
            request.payload.address.eq(address),
            request.payload.words.eq(by_layer([layer.words for layer in layers], visit.layer)),
            *(put[key].eq(visit[key]) for key in visit.shape().members),
            put.delta.eq(events[-1].delta),
            queue.w_data.eq(put),
            queue.w_en.eq(valid & taken),
            sweep.i.valid.eq(queue.r_rdy),
            entry.eq(queue.r_data),
            queue.r_en.eq(sweep.i.ready),
            self.word.eq(sweep.word),
            self.busy.eq(Cat(valids).any() | (queue.level != 0) | sweep.busy),
        ]
        return m
