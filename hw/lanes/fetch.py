"""Where an event meets its weight word: from slots to what the lanes take."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.formats import WEIGHT
from golden.parameters import CoreParameters
from hw.events.encoder import event_layout
from hw.lanes.lanes import lane_slot_layout
from hw.pipeline import delayed, staged
from hw.primitive.weights import store_signature
from hw.target import GENERIC, Target
from hw.walk.layout import CoreLayout
from hw.walk.slot import is_of, slot_layout


def seen_layout(core: CoreParameters) -> data.StructLayout:
    """A slot whose event is known: ``event`` says there is one, of h or of x of ``layer``, an
    instance;
    ``count_it`` that it is seen for the first time in its frame; ``close``, where the core trains,
    that it ends its group.
    """
    tag = slot_layout(core)["tag"].shape
    return data.StructLayout(
        {
            "event": 1,
            "layer": tag["layer"].shape,
            "h": 1,
            "count_it": 1,
            **({"close": 1} if core.trains else {}),
            **any_event_layout(core).members,
        }
    )


def any_event_layout(core: CoreParameters) -> data.StructLayout:
    """An event of any vector of any layer."""
    columns = max(core.network.inputs, core.groups * core.activations) + core.trains
    return event_layout(columns, core.network.formats.activation.width)


class Fetch(wiring.Component):
    """Finds a slot's event in its list, asks the store for the event's word, and waits for it.

    Slots, events and words keep step: where the store lets one of them wait, all wait, the walk
    and its lists too, so that slots reach the lanes no closer to each other than the walk sent
    them. A store that never waits costs nothing here.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    target : Target
        Whose store, stages and latencies.

    Members
    -------
    i : In, stream
        Slots (hw.walk.slot.slot_layout), ready in the cycles that are a step.
    event_x, event_h, event_above : In
        What the lists say (hw.events.encoder.event_layout), ``read_latency`` steps after the walk
        asked: x of the first layer, h of the slot's layer, x of a layer above the first.
    store_0, store_1, ... : Out
        The stores of each stage of lanes (hw.primitive.weights.store_signature). That of stage n is
        asked n cycles later.
    word : Out, array of P signed(8)
        For the lanes: the weights of ``o``, those of stage n n cycles late.
    o : Out, stream (never waits)
        Slots for the lanes (hw.lanes.lanes.lane_slot_layout).
    seen : Out, stream (never waits)
        seen_layout: every slot once, for those who watch.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o`` where nothing waits.
    """

    def __init__(self, core: CoreParameters, target: Target = GENERIC) -> None:
        self._core, self._target = core, target
        network = core.network
        width = network.formats.activation.width
        stages = target.stages(core)
        words = CoreLayout(core).words
        of_x, _ = core.columns(network.layers[0])
        units = core.groups * core.activations + core.trains
        self.latency = 2 * target.read_latency - 1 + target.weights.latency
        lanes = lane_slot_layout(core)
        self._stores = [f"store_{n}" for n in range(len(stages))]
        stores = {
            name: Out(store_signature(words, len(stage)))
            for name, stage in zip(self._stores, stages, strict=True)
        }
        super().__init__(
            {
                "i": In(stream.Signature(slot_layout(core))),
                "event_x": In(event_layout(of_x, width)),
                "event_h": In(event_layout(units, width)),
                "event_above": In(event_layout(units, width)),
                **stores,
                "word": Out(data.ArrayLayout(signed(WEIGHT.width), core.lanes)),
                "o": Out(stream.Signature(lanes, always_ready=True)),
                "seen": Out(stream.Signature(seen_layout(core), always_ready=True)),
            }
        )

    @property
    def stores(self) -> list[wiring.PureInterface]:
        """The ports of the stores, by stage."""
        return [getattr(self, name) for name in self._stores]

    def elaborate(self, platform) -> Module:
        m = Module()
        core, target = self._core, self._target
        layout = CoreLayout(core)
        store, *others = self.stores
        step = self.i.ready

        # The slot waits for its event. Where a memory's data want a register, so does what comes
        # of them.
        more = target.read_latency - 1
        valids, slots = staged(m, self.i.valid, self.i.payload, more, "slot", step)
        valid, slot = valids[-1], slots[-1]
        seen = self.seen.payload
        of_h = slot.segment ^ layout.x_last
        finds_event(m, self, seen, of_h, is_of(0, slot.tag.layer, core.streams))
        m.d.comb += [
            seen.event.eq(slot.event),
            seen.layer.eq(slot.tag.layer),
            seen.h.eq(of_h),
            seen.count_it.eq(slot.count_it),
            self.seen.valid.eq(valid & step),
        ]

        if core.trains:
            m.d.comb += seen.close.eq(slot.close)

        # Then for its word. Without an event the delta is 0, and so it is where all wait.
        chosen = Signal(any_event_layout(core))
        with m.If(valid & slot.event):
            m.d.comb += same_event(chosen, seen)
        asks = more + 1  # the stage in which the word's address is there
        waits = asks + target.weights.latency
        valids, slots = staged(m, valid, slot, waits, "fetch", step)
        _, events = staged(m, valid, chosen, waits, "event", step)
        address = Signal(range(layout.words), reset_less=True)
        with m.If(step):
            m.d.sync += address.eq(slots[more].base + events[more].column)
        may_ask, may_go = Signal(), Signal()
        m.d.comb += [
            may_ask.eq(~valids[asks] | store.request.ready),
            may_go.eq(~valids[-1] | store.word.valid),
            step.eq(may_ask & may_go),
            store.request.valid.eq(valids[asks] & may_go),
            store.request.payload.eq(address),
            store.word.ready.eq(valids[-1] & may_ask),
        ]
        words = [store.word.payload]
        for n, other in enumerate(others, 1):  # a target's check: none of them ever waits
            address = delayed(m, address, 1, f"address_{n}")
            m.d.comb += [
                other.request.valid.eq(1),
                other.request.payload.eq(address),
                other.word.ready.eq(1),
            ]
            words.append(other.word.payload)
        out = self.o.payload
        m.d.comb += [
            self.word.as_value().eq(Cat(words)),
            self.o.valid.eq(valids[-1] & step),
            out.delta.eq(Mux(step, events[-1].delta, 0)),
            out.row.eq(slots[-1].row),
            out.first.eq(slots[-1].first),
            out.close.eq(slots[-1].close),
            out.tag.eq(slots[-1].tag),
        ]
        return m


def finds_event(m: Module, fetch, seen: data.View, of_h: Value, of_first: Value) -> None:
    """Shows in ``seen`` what the list says that a slot takes its event from: ``of_h``, that of h,
    else of x, of the first layer or of one above. ``fetch`` has the lists' ``event_h``, ``event_x``
    and ``event_above``.
    """
    # By their fields: the column numbers of two lists may differ in width.
    with m.If(of_h):
        m.d.comb += same_event(seen, fetch.event_h)
    with m.Elif(of_first):
        m.d.comb += same_event(seen, fetch.event_x)
    with m.Else():
        m.d.comb += same_event(seen, fetch.event_above)


def same_event(target: data.View, source: data.View) -> list:
    """An event, of which the column may have more bits than it had."""
    return [target.column.eq(source.column), target.delta.eq(source.delta)]
