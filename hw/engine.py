"""The delta engine: frames in, results out, at one event a cycle and P rows an event."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import ceil_log2

from golden.errors import require_int
from golden.model import Model
from golden.parameters import CoreParameters
from hw.activation import ActivationUnit
from hw.delta import DeltaEncoder, event_layout
from hw.events import EventBuffer
from hw.lanes import Lanes
from hw.layout import CoreLayout
from hw.merge import EventMerge
from hw.output import OutputBuffer
from hw.pipeline import delayed, staged
from hw.reader import FrameReader
from hw.readout import Readout, groups
from hw.reset import StateReset
from hw.sequencer import Sequencer
from hw.target import GENERIC, Target


def monitor_signature(core: CoreParameters) -> wiring.Signature:
    """What a bench or a logic analyser may look at; left open it costs nothing.

    ``event`` (valid, layer, ``h`` or x, column, delta): every event once, in the order in which
    the lanes first take it. ``state`` (valid, layer, unit, value): every new h of a GRU, c of an
    LSTM. ``skip`` (valid,
    layer): a layer that stands still in this frame, so that its states stay as they are.
    ``finish``: the frame's last event is on its way; two of them lie one frame interval apart.
    """
    network = core.network
    columns = max(max(layer.inputs, layer.units) for layer in network.layers)
    event = event_layout(columns, network.formats.activation.width)

    def number(of: int) -> Shape:
        return unsigned(max(1, ceil_log2(of)))  # a port of no bits would puzzle other tools

    layer = number(len(network.layers))
    return wiring.Signature(
        {
            "event_valid": Out(1),
            "event_layer": Out(layer),
            "event_h": Out(1),
            "event_column": Out(number(columns)),
            "event_delta": Out(event["delta"].shape),
            "state_valid": Out(1),
            "state_layer": Out(layer),
            "state_unit": Out(number(groups(core) * core.activations)),
            "state_value": Out(network.state_width * core.activations),
            "skip_valid": Out(1),
            "skip_layer": Out(layer),
            "finish": Out(1),
        }
    )


class Engine(wiring.Component):
    """All layers of a network on P shared lanes (docs/architecture.md).

        i -> FrameReader -> DeltaEncoder -> EventBuffer --+
                                                          v
             Sequencer -> events -> WeightMemory -> Lanes -> Readout -> ActivationUnit --+-> o
                            ^                                             |              |
                            +-- EventBuffer <- DeltaEncoder (h; x of the next layer) <---+

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    model : Model
        Where weights and biases come from; its network is ``core.network``.
    target : Target
        Whose primitives it is made of.

    Members
    -------
    i : In, stream
        Frames: ``value`` (format activation), ``last``.
    o : Out, stream
        Results: ``value`` (format activation, A a beat; or M of a read-out, one a beat), ``last``.
    load : In, stream
        The weights, where the target's memory must be loaded (hw.weights.LoadedWeights): no frame
        is taken before that. A load waits for the frames that have begun, and resets the state.
    loaded, load_broken : Out
        Beside ``load``: the weights are there; a strobe: a load had another length.
    theta_x, theta_h : In, arrays
        Thresholds by layer, in activation LSBs; the greatest value lets nothing fire. A frame's x
        of the first layer is compared as it comes in, h as it is made, at the end of the frame
        before.
    theta_changes : In
        In the cycle in which a threshold gets a new value: no layer counts as still until it has
        been encoded with it.
    reset_request : In
        Resets the state once all frames that have begun are done. Also done after power-up.
    resetting : Out
        A reset is asked for or under way.
    active : Out
        A frame is under way.
    begin, finish : Out
        Strobes: a frame begins; its last event is on its way.
    short, long : Out
        Strobes: a frame came that was too short, or too long (hw.reader.FrameReader).
    monitor : Out
        See ``monitor_signature``.
    """

    def __init__(self, core: CoreParameters, model: Model, target: Target = GENERIC) -> None:
        if model.parameters != core.network:
            raise ValueError("model: its parameters are not those of the core")
        self._core, self._model, self._target = core, model, target
        network = core.network
        layers = len(network.layers)
        activation = network.formats.activation.width
        theta = Out(activation).array(layers)
        words = CoreLayout(core).weight_words(model)
        stages = target.stages(core)
        self._weights = [target.weights(words[:, stage].tolist()) for stage in stages]
        self.loads = self._weights[0].loads
        load = {}
        if self.loads:
            require_int("stages of loaded weights", len(stages), 1, 1)
            load = {
                "load": In(self._weights[0].load.signature.flip()),
                "loaded": Out(1),
                "load_broken": Out(1),
            }
        super().__init__(
            {
                **load,
                "i": In(
                    stream.Signature(data.StructLayout({"value": signed(activation), "last": 1}))
                ),
                "o": Out(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "value": data.ArrayLayout(
                                    signed(network.output_width), core.results_per_beat
                                ),
                                "last": 1,
                            }
                        )
                    )
                ),
                "theta_x": theta.flip(),
                "theta_h": theta.flip(),
                "theta_changes": In(1),
                "reset_request": In(1),
                "resetting": Out(1),
                "active": Out(1),
                "begin": Out(1),
                "finish": Out(1),
                "short": Out(1),
                "long": Out(1),
                "monitor": Out(monitor_signature(core)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        core, target = self._core, self._target
        network = core.network
        layout = CoreLayout(core)
        width = network.formats.activation.width
        recurrent, layers = len(network.recurrent), len(network.layers)
        ways, longest = core.activations, groups(core)
        latency = target.read_latency

        m.submodules.encoder_i = encoder_i = DeltaEncoder(
            vectors=1, groups=network.inputs, width=width, read_latency=latency
        )
        m.submodules.reader = reader = FrameReader(
            columns=network.inputs, width=width, latency=encoder_i.latency
        )
        m.submodules.merge_i = merge_i = EventMerge(
            vectors=1, groups=network.inputs, width=width, ways=1
        )
        m.submodules.events_i = events_i = EventBuffer(
            lists=2, size=network.inputs, width=width, read_latency=latency
        )
        m.submodules.encoder_h = encoder_h = DeltaEncoder(
            vectors=recurrent, groups=longest, width=width, ways=ways, read_latency=latency
        )
        m.submodules.merge_h = merge_h = EventMerge(
            vectors=recurrent, groups=longest, width=width, ways=ways
        )
        # A layer's list of h for this frame is read while that for the next one grows.
        m.submodules.events_h = events_h = EventBuffer(
            lists=2 * recurrent,
            size=longest * ways,
            width=width,
            read_latency=latency,
            complete_at_reset=tuple(2 * k for k in range(recurrent)),
        )
        m.submodules.sequencer = sequencer = Sequencer(core)
        weights, *others = self._weights
        m.submodules.weights = weights
        m.submodules.lanes = lanes = Lanes(core, layout.bias_rows(self._model).tolist(), target)
        m.submodules.readout = readout = Readout(core, target)
        m.submodules.activation = activation = ActivationUnit(core, target)
        m.submodules.output = output = OutputBuffer(
            beats=core.result_beats, shape=self.o.payload.value.shape(), read_latency=latency
        )
        m.submodules.reset = reset = StateReset(layout)

        connect(m, wiring.flipped(self.i), reader.i)
        connect(m, output.o, wiring.flipped(self.o))
        connect(m, lanes.o, readout.i)
        connect(m, readout.o, activation.i)
        connect(m, encoder_i.o, merge_i.i)
        connect(m, encoder_h.o, merge_h.i)

        # Input: elements to events, into the half that is not being read.
        opened = Signal(2)
        half = Signal()  # of the element at the encoder's end
        m.d.comb += [
            encoder_i.i.valid.eq(reader.o.valid),
            encoder_i.i.payload.group.eq(reader.o.payload.column),
            encoder_i.i.payload.value[0].eq(reader.o.payload.value),
            encoder_i.i.payload.last.eq(reader.o.payload.last),
            encoder_i.theta[0].eq(self.theta_x[0]),
            reader.free.eq(~events_i.complete),
            *append(events_i.i, merge_i.o, half),
        ]
        with m.If(merge_i.o.valid & merge_i.o.payload.last):
            m.d.sync += half.eq(~half)
        with m.If(sequencer.leave & (sequencer.layer == 0)):
            m.d.sync += opened.bit_select(sequencer.parity, 1).eq(0)
        with m.If(reader.begins):
            m.d.sync += opened.bit_select(reader.o.payload.vector, 1).eq(1)

        # New states: to events of h, and to x of the layer above. Which half is written is each
        # layer's own: a layer may be skipped while events of the one below still wait in merge_h.
        made = activation.o
        write_half = Signal(recurrent, init=-1)
        m.d.comb += [
            encoder_h.i.valid.eq(made.valid),
            encoder_h.i.payload.vector.eq(made.payload.layer),
            encoder_h.i.payload.group.eq(made.payload.group),
            encoder_h.i.payload.value.eq(made.payload.a),
            encoder_h.i.payload.last.eq(made.payload.last),
            *(encoder_h.theta[k].eq(self.theta_h[k]) for k in range(recurrent)),
            *append(
                events_h.i,
                merge_h.o,
                Cat(
                    write_half.bit_select(merge_h.o.payload.vector, 1),
                    merge_h.o.payload.vector,
                ),
            ),
        ]
        for k in range(recurrent):
            ends = merge_h.o.valid & merge_h.o.payload.last & (merge_h.o.payload.vector == k)
            with m.If(ends | (sequencer.skip & (sequencer.layer == k))):
                m.d.sync += write_half[k].eq(~write_half[k])

        # Fetch: the event, then its weight word, then the lanes.
        # Where a memory's data want a register, so does what comes of them.
        more = latency - 1
        valids, slots = staged(m, sequencer.o.valid, sequencer.o.payload, more, "slot")
        slot_valid, slot = valids[-1], slots[-1]
        is_h = Signal()
        m.d.comb += is_h.eq(slot.segment ^ layout.x_last)
        event = Signal(event_layout(max(longest * ways, network.inputs), width))
        with m.If(is_h):
            m.d.comb += same_event(event, events_h.event)
        with m.Else():
            m.d.comb += same_event(event, events_i.event)

        # The lists, as the sequencer sees those of its layer and of the next one.
        m.d.comb += [
            events_i.read_list.eq(sequencer.parity),
            events_i.read_index.eq(sequencer.index),
            events_i.clear.valid.eq(sequencer.leave & (sequencer.layer == 0)),
            events_i.clear.payload.eq(sequencer.parity),
            events_h.read_list.eq(Cat(sequencer.parity, sequencer.layer)),
            events_h.read_index.eq(sequencer.index),
            events_h.clear.valid.eq(sequencer.leave & (sequencer.layer < recurrent)),
            events_h.clear.payload.eq(Cat(sequencer.parity, sequencer.layer)),
            events_h.finish.valid.eq(sequencer.skip & (sequencer.layer < recurrent)),
            events_h.finish.payload.eq(Cat(~sequencer.parity, sequencer.layer)),
        ]
        x_counts, x_complete = [], []
        if layers > 1:
            m.submodules.encoder_x = encoder_x = DeltaEncoder(
                vectors=layers - 1, groups=longest, width=width, ways=ways, read_latency=latency
            )
            m.submodules.merge_x = merge_x = EventMerge(
                vectors=layers - 1, groups=longest, width=width, ways=ways
            )
            m.submodules.events_x = events_x = EventBuffer(
                lists=layers - 1, size=longest * ways, width=width, read_latency=latency
            )
            connect(m, encoder_x.o, merge_x.i)
            connect_clear(m, reset, encoder_x)
            below = Signal(range(layers - 1))
            m.d.comb += [
                encoder_x.i.valid.eq(made.valid & (made.payload.layer != layers - 1)),
                encoder_x.i.payload.vector.eq(made.payload.layer),
                encoder_x.i.payload.group.eq(made.payload.group),
                encoder_x.i.payload.value.eq(made.payload.a),
                encoder_x.i.payload.last.eq(made.payload.last),
                *(encoder_x.theta[k].eq(self.theta_x[k + 1]) for k in range(layers - 1)),
                *append(events_x.i, merge_x.o, merge_x.o.payload.vector),
                events_x.restart.eq(reset.active),
                below.eq(sequencer.layer - 1),
                events_x.read_list.eq(below),
                events_x.read_index.eq(sequencer.index),
                events_x.clear.valid.eq(sequencer.leave & (sequencer.layer != 0)),
                events_x.clear.payload.eq(below),
                events_x.finish.valid.eq(sequencer.skip & (sequencer.layer != layers - 1)),
                events_x.finish.payload.eq(sequencer.layer),
            ]
            with m.If(~is_h & (slot.tag.layer != 0)):
                m.d.comb += same_event(event, events_x.event)
            x_counts, x_complete = list(events_x.count), list(events_x.complete)

        still, steady = Signal(layers), Signal(layers)
        m.d.comb += steady.eq(Mux(self.theta_changes, 0, still))
        next_parity = sequencer.parity ^ (sequencer.layer == layers - 1)
        for status, layer, parity in (
            (sequencer.now, sequencer.layer, sequencer.parity),
            (sequencer.next, sequencer.next_layer, next_parity),
        ):
            h_list = Cat(parity, layer)
            m.d.comb += [
                status.x.count.eq(Array([Array(events_i.count)[parity], *x_counts])[layer]),
                status.x.complete.eq(
                    Array([events_i.complete.bit_select(parity, 1), *x_complete])[layer]
                ),
                status.h.count.eq(Array(events_h.count)[h_list]),
                status.h.complete.eq(events_h.complete.bit_select(h_list, 1)),
                status.still.eq(steady.bit_select(layer, 1)),
            ]
        m.d.comb += [
            *(sequencer.start[n].eq(opened[n] & output.room) for n in range(2)),
            output.reserve.eq(sequencer.begin),
        ]

        # A layer stands still if its last update moved nothing. For that to last, h must have been
        # encoded with the thresholds of now; and for its results to lie in both halves of the
        # output, the update must not be its first.
        moving, unsettled = Signal(), Signal(init=1)
        for k in range(recurrent):
            with m.If(made.valid & (made.payload.layer == k) & made.payload.last):
                m.d.sync += still[k].eq(~(moving | made.payload.moved | unsettled))
        with m.If(made.valid):
            m.d.sync += moving.eq((moving | made.payload.moved) & ~made.payload.last)
            with m.If(made.payload.last & (made.payload.layer == recurrent - 1)):
                m.d.sync += unsettled.eq(0)
        if layers > recurrent:
            # M of the linear layer moves with every event; and a result must be out before the
            # layer may be skipped, or the skipped frame would overtake it.
            moved, first, walks = Signal(), Signal(init=1), Signal(range(4))
            walks_now = sequencer.leave & (sequencer.layer == layers - 1) & ~sequencer.skip
            walked = Signal()
            out = readout.linear.valid & readout.linear.payload.last
            m.d.sync += [walked.eq(walks_now), walks.eq(walks + walks_now - out)]
            slot_moves = sequencer.o.valid & sequencer.o.payload.event
            slot_moves &= sequencer.o.payload.tag.layer == layers - 1
            m.d.sync += moved.eq((moved | slot_moves) & ~walked)
            with m.If(walked):
                m.d.sync += [still[-1].eq(~(moved | slot_moves | first)), first.eq(0)]
            with m.If(reset.active):
                m.d.sync += first.eq(1)
            with m.If(walks != 0):
                m.d.comb += steady[-1].eq(0)
        with m.If(self.theta_changes | reset.active):
            m.d.sync += [still.eq(0), unsettled.eq(1)]

        chosen = Signal.like(event)  # all zero without an event
        m.d.comb += chosen.eq(Mux(slot_valid & slot.event, event.as_value(), 0))
        _, events = staged(m, slot_valid, chosen, more + 1 + weights.latency, "event")
        valids, slots = staged(m, slot_valid, slot, more + 1 + weights.latency, "fetch")
        address = Signal(range(layout.words), reset_less=True)
        m.d.sync += address.eq(slots[more].base + events[more].column)
        words = [weights.word]
        m.d.comb += weights.address.eq(address)
        for n, other in enumerate(others, 1):
            m.submodules[f"weights_{n}"] = other
            address = delayed(m, address, 1, f"address_{n}")
            m.d.comb += other.address.eq(address)
            words.append(other.word)
        m.d.comb += [
            lanes.word.as_value().eq(Cat(words)),
            lanes.i.valid.eq(valids[-1]),
            lanes.i.payload.delta.eq(events[-1].delta),
            lanes.i.payload.row.eq(slots[-1].row),
            lanes.i.payload.first.eq(slots[-1].first),
            lanes.i.payload.close.eq(slots[-1].close),
            lanes.i.payload.tag.eq(slots[-1].tag),
        ]
        with m.If(reset.active):
            m.d.comb += [
                lanes.i.valid.eq(reset.begin.valid),
                lanes.i.payload.row.eq(reset.begin.payload),
                lanes.i.payload.begin.eq(1),
                lanes.i.payload.first.eq(1),
                lanes.i.payload.close.eq(1),
            ]

        # Results.
        skips_results = sequencer.skip & (sequencer.layer == layers - 1)
        if network.layers[-1].recurrent:
            results = made.valid & (made.payload.layer == layers - 1)
            m.d.comb += [
                output.i.valid.eq(results),
                output.i.payload.eq(made.payload.a),
                output.done.eq((results & made.payload.last) | skips_results),
            ]
        else:
            m.d.comb += [
                output.i.valid.eq(readout.linear.valid),
                output.i.payload.eq(readout.linear.payload.m),
                output.done.eq(
                    (readout.linear.valid & readout.linear.payload.last) | skips_results
                ),
            ]

        # Reset: when no frame is under way, neither here nor further down.
        drain = 1 + 2 * latency + weights.latency + lanes.latency
        draining = Signal(range(drain + 1), init=drain)  # data on its way has no reset
        with m.If(sequencer.o.valid):
            m.d.sync += draining.eq(drain)
        with m.Elif(draining != 0):
            m.d.sync += draining.eq(draining - 1)
        h_done = Cat(
            events_h.complete.bit_select(Cat(sequencer.parity, Const(k, ceil_log2(recurrent))), 1)
            for k in range(recurrent)
        )
        working = sequencer.active | sequencer.o.valid | (draining != 0)
        under_way = ~reader.between | opened.any() | working
        idle = ~under_way & ~reader.i.ready & h_done.all()
        stops = reset.pending | reset.request
        if weights.loads:
            # No frame begins while weights come or wait to come. M is of the old ones: start over.
            connect(m, wiring.flipped(self.load), weights.load)
            was_loaded = Signal()
            m.d.sync += was_loaded.eq(weights.loaded)
            m.d.comb += [
                weights.free.eq(idle & ~reset.pending),
                self.loaded.eq(weights.loaded),
                self.load_broken.eq(weights.broken),
                reader.hold.eq(stops | self.load.valid | ~weights.loaded),
                reset.request.eq(self.reset_request | (weights.loaded & ~was_loaded)),
            ]
        else:
            m.d.comb += [
                reader.hold.eq(stops),
                reset.request.eq(self.reset_request),
            ]
        # Asked for, a reset holds frames back, so that an engine which was idle still is.
        m.d.sync += reset.idle.eq(idle)
        m.d.comb += [
            sequencer.restart.eq(reset.active),
            events_i.restart.eq(reset.active),
            events_h.restart.eq(reset.active),
            reader.restart.eq(reset.active),
            self.resetting.eq(reset.pending),
        ]
        with m.If(reset.active):
            m.d.sync += [half.eq(0), write_half.eq(~0)]
        connect_clear(m, reset, encoder_i)
        connect_clear(m, reset, encoder_h)
        connect_clear(m, reset, activation)

        # What the outside may know.
        m.d.comb += [
            self.active.eq(sequencer.active),
            self.begin.eq(sequencer.begin),
            self.finish.eq(sequencer.finish),
            self.short.eq(reader.short),
            self.long.eq(reader.long),
            self.monitor.event_valid.eq(slot_valid & slot.event & slot.count_it),
            self.monitor.event_layer.eq(slot.tag.layer),
            self.monitor.event_h.eq(is_h),
            self.monitor.event_column.eq(event.column),
            self.monitor.event_delta.eq(event.delta),
            self.monitor.state_valid.eq(made.valid),
            self.monitor.state_layer.eq(made.payload.layer),
            self.monitor.state_unit.eq(made.payload.group * ways),
            self.monitor.state_value.eq(made.payload.state),
        ]
        m.d.sync += [
            self.monitor.skip_valid.eq(delayed(m, sequencer.skip, more, "skip")),
            self.monitor.skip_layer.eq(delayed(m, sequencer.layer, more, "skip_layer")),
            self.monitor.finish.eq(delayed(m, sequencer.finish, more, "finish")),
        ]
        return m


def connect_clear(m: Module, reset: StateReset, block) -> None:
    """Clears ``block``'s memory, which may have fewer addresses than the largest one."""
    m.d.comb += [
        block.clear.valid.eq(reset.clear.valid & (reset.clear.payload < block.depth)),
        block.clear.payload.eq(reset.clear.payload),
    ]


def append(events: stream.Interface, merged: stream.Interface, into: Value) -> list:
    """Sends what an EventMerge has to the list ``into``."""
    return [
        events.valid.eq(merged.valid),
        events.payload.vector.eq(into),
        events.payload.event.eq(merged.payload.event),
        events.payload.fires.eq(merged.payload.fires),
        events.payload.last.eq(merged.payload.last),
    ]


def same_event(target, source) -> list:
    """Assigns an event by its fields: the column numbers of two lists may differ in width."""
    return [target.column.eq(source.column), target.delta.eq(source.delta)]
