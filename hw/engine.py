"""The delta engine: frames in, results out, at one event a cycle and P rows an event."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import ceil_log2

from golden.model import Model
from golden.parameters import CoreParameters
from hw.activation import ActivationUnit
from hw.delta import DeltaEncoder, event_layout
from hw.events import EventBuffer
from hw.lanes import Lanes
from hw.layout import CoreLayout
from hw.output import OutputBuffer
from hw.reader import FrameReader
from hw.readout import Readout
from hw.reset import StateReset
from hw.sequencer import Sequencer
from hw.weights import WeightMemory


def monitor_signature(core: CoreParameters) -> wiring.Signature:
    """What a bench or a logic analyser may look at; left open it costs nothing.

    ``event`` (valid, layer, ``h`` or x, column, delta): every event once, in the order in which
    the lanes first take it. ``state`` (valid, layer, unit, value): every new h. ``skip`` (valid,
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
            "state_unit": Out(number(max(layer.units for layer in network.recurrent))),
            "state_value": Out(signed(network.formats.state.width)),
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

    Members
    -------
    i : In, stream
        Frames: ``value`` (format activation), ``last``.
    o : Out, stream
        Results: ``value`` (format activation, or M of a read-out), ``last``.
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
    macs : Out
        Multiplications in this cycle for units that exist.
    monitor : Out
        See ``monitor_signature``.
    """

    def __init__(self, core: CoreParameters, model: Model) -> None:
        if model.parameters != core.network:
            raise ValueError("model: its parameters are not those of the core")
        self._core, self._model = core, model
        network = core.network
        layers = len(network.layers)
        activation = network.formats.activation.width
        theta = Out(activation).array(layers)
        super().__init__(
            {
                "i": In(
                    stream.Signature(data.StructLayout({"value": signed(activation), "last": 1}))
                ),
                "o": Out(
                    stream.Signature(
                        data.StructLayout({"value": signed(network.output_width), "last": 1})
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
                "macs": Out(range(core.lanes + 1)),
                "monitor": Out(monitor_signature(core)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        core = self._core
        network = core.network
        layout = CoreLayout(core)
        width = network.formats.activation.width
        recurrent = len(network.recurrent)
        layers = len(network.layers)
        units = max(layer.units for layer in network.recurrent)

        m.submodules.reader = reader = FrameReader(columns=network.inputs, width=width)
        m.submodules.encoder_i = encoder_i = DeltaEncoder(
            vectors=1, size=network.inputs, width=width
        )
        m.submodules.encoder_h = encoder_h = DeltaEncoder(
            vectors=recurrent, size=units, width=width
        )
        m.submodules.events_i = events_i = EventBuffer(lists=2, size=network.inputs, width=width)
        # A layer's list of h for this frame is read while that for the next one grows.
        m.submodules.events_h = events_h = EventBuffer(
            lists=2 * recurrent,
            size=units,
            width=width,
            complete_at_reset=tuple(2 * k for k in range(recurrent)),
        )
        m.submodules.sequencer = sequencer = Sequencer(core)
        m.submodules.weights = weights = WeightMemory(layout.weight_words(self._model).tolist())
        m.submodules.lanes = lanes = Lanes(core, rows=layout.rows)
        m.submodules.readout = readout = Readout(core, x_last=layout.x_last)
        m.submodules.activation = activation = ActivationUnit(network)
        m.submodules.output = output = OutputBuffer(
            results=network.outputs, shape=signed(network.output_width)
        )
        m.submodules.reset = reset = StateReset(layout, self._model)

        connect(m, wiring.flipped(self.i), reader.i)
        connect(m, output.o, wiring.flipped(self.o))
        connect(m, reset.fill, lanes.fill)
        connect(m, lanes.o, readout.i)
        connect(m, readout.o, activation.i)

        # Input: elements to events, into the half that is not being read.
        opened = Signal(2)
        m.d.comb += [
            encoder_i.i.valid.eq(reader.o.valid),
            encoder_i.i.payload.column.eq(reader.o.payload.column),
            encoder_i.i.payload.value.eq(reader.o.payload.value),
            encoder_i.i.payload.last.eq(reader.o.payload.last),
            encoder_i.theta.eq(self.theta_x[0]),
            reader.free.eq(~events_i.complete.bit_select(reader.o.payload.vector, 1)),
            reader.hold.eq(reset.pending),
        ]
        half = Signal()  # of the element at the encoder's end
        m.d.comb += [
            events_i.i.valid.eq(encoder_i.o.valid),
            events_i.i.payload.vector.eq(half),
            events_i.i.payload.event.eq(encoder_i.o.payload.event),
            events_i.i.payload.fires.eq(encoder_i.o.payload.fires),
            events_i.i.payload.last.eq(encoder_i.o.payload.last),
        ]
        with m.If(encoder_i.o.valid & encoder_i.o.payload.last):
            m.d.sync += half.eq(~half)
        with m.If(sequencer.leave & (sequencer.layer == 0)):
            m.d.sync += opened.bit_select(sequencer.parity, 1).eq(0)
        with m.If(reader.begins):
            m.d.sync += opened.bit_select(reader.o.payload.vector, 1).eq(1)

        # New states: to events of h, and to x of the layer above.
        made = activation.o
        write_half = Signal(init=1)
        m.d.comb += [
            encoder_h.i.valid.eq(made.valid),
            encoder_h.i.payload.vector.eq(made.payload.layer),
            encoder_h.i.payload.column.eq(made.payload.unit),
            encoder_h.i.payload.value.eq(made.payload.a),
            encoder_h.i.payload.last.eq(made.payload.last),
            encoder_h.theta.eq(Array(self.theta_h)[made.payload.layer]),
            events_h.i.valid.eq(encoder_h.o.valid),
            events_h.i.payload.vector.eq(Cat(write_half, encoder_h.o.payload.vector)),
            events_h.i.payload.event.eq(encoder_h.o.payload.event),
            events_h.i.payload.fires.eq(encoder_h.o.payload.fires),
            events_h.i.payload.last.eq(encoder_h.o.payload.last),
        ]
        frame_made = encoder_h.o.payload.last & (encoder_h.o.payload.vector == recurrent - 1)
        skip_all = sequencer.skip & (sequencer.layer == recurrent - 1)
        with m.If((encoder_h.o.valid & frame_made) | skip_all):
            m.d.sync += write_half.eq(~write_half)

        # A layer stands still if its last update moved nothing and it was encoded with the
        # thresholds of now. Results of a GRU layer go out frame by frame, so it is never skipped.
        still = Signal(recurrent)
        moving, stale = Signal(), Signal()
        for k in range(min(recurrent, layers - 1)):
            with m.If(made.valid & (made.payload.layer == k) & made.payload.last):
                m.d.sync += still[k].eq(~(moving | made.payload.moved | stale))
        with m.If(made.valid):
            m.d.sync += moving.eq((moving | made.payload.moved) & ~made.payload.last)
            with m.If(made.payload.last):
                m.d.sync += stale.eq(0)
        with m.If(self.theta_changes):
            m.d.sync += [still.eq(0), stale.eq(1)]
        with m.If(reset.active):
            m.d.sync += still.eq(0)
        m.d.comb += sequencer.still.eq(still.bit_select(sequencer.layer, 1))

        # The sequencer sees the lists of its layer.
        half_now = sequencer.parity
        h_list = Cat(half_now, sequencer.layer)
        first_layer = sequencer.layer == 0
        m.d.comb += [
            events_i.read_list.eq(half_now),
            events_i.read_index.eq(sequencer.index),
            events_i.clear.valid.eq(sequencer.leave & first_layer),
            events_i.clear.payload.eq(half_now),
            events_h.read_list.eq(h_list),
            events_h.read_index.eq(sequencer.index),
            events_h.clear.valid.eq(sequencer.leave & (sequencer.layer < recurrent)),
            events_h.clear.payload.eq(h_list),
            events_h.finish.valid.eq(sequencer.skip),
            events_h.finish.payload.eq(Cat(~half_now, sequencer.layer)),
            sequencer.x.count.eq(Array(events_i.count)[half_now]),
            sequencer.x.complete.eq(events_i.complete.bit_select(half_now, 1)),
            sequencer.h.count.eq(Array(events_h.count)[h_list]),
            sequencer.h.complete.eq(events_h.complete.bit_select(h_list, 1)),
            sequencer.start.eq(opened.bit_select(half_now, 1) & output.room & ~reset.active),
            output.reserve.eq(sequencer.begin),
        ]

        # Fetch: the event, then its weight word, then the lanes.
        slot_valid = Signal()
        slot = Signal.like(sequencer.o.payload, reset_less=True)
        m.d.sync += [slot_valid.eq(sequencer.o.valid), slot.eq(sequencer.o.payload)]
        is_h = Signal()
        m.d.comb += is_h.eq(slot.segment ^ layout.x_last)
        event = Signal(event_layout(max(units, network.inputs), width))
        with m.If(is_h):
            m.d.comb += same_event(event, events_h.event)
        with m.Else():
            m.d.comb += same_event(event, events_i.event)

        if layers > 1:
            m.submodules.encoder_x = encoder_x = DeltaEncoder(
                vectors=layers - 1, size=units, width=width
            )
            m.submodules.events_x = events_x = EventBuffer(
                lists=layers - 1, size=units, width=width
            )
            above = Signal(range(layers))
            m.d.comb += [
                above.eq(made.payload.layer + 1),
                encoder_x.i.valid.eq(made.valid & (made.payload.layer != layers - 1)),
                encoder_x.i.payload.vector.eq(made.payload.layer),
                encoder_x.i.payload.column.eq(made.payload.unit),
                encoder_x.i.payload.value.eq(made.payload.a),
                encoder_x.i.payload.last.eq(made.payload.last),
                encoder_x.theta.eq(Array(self.theta_x)[above]),
                events_x.restart.eq(reset.active),
            ]
            connect(m, encoder_x.o, events_x.i)
            connect_clear(m, reset, encoder_x)
            x_list = Signal(range(layers - 1))
            x_layer = Signal(range(layers))
            m.d.sync += x_layer.eq(sequencer.layer)
            m.d.comb += [
                x_list.eq(sequencer.layer - 1),
                events_x.read_list.eq(x_list),
                events_x.read_index.eq(sequencer.index),
                events_x.clear.valid.eq(sequencer.leave & ~first_layer),
                events_x.clear.payload.eq(x_list),
                events_x.finish.valid.eq(sequencer.skip),
                events_x.finish.payload.eq(sequencer.layer),
            ]
            with m.If(~first_layer):
                m.d.comb += [
                    sequencer.x.count.eq(Array(events_x.count)[x_list]),
                    sequencer.x.complete.eq(events_x.complete.bit_select(x_list, 1)),
                ]
            with m.If(~is_h & (x_layer != 0)):
                m.d.comb += same_event(event, events_x.event)

        address = Signal(range(layout.words), reset_less=True)
        lane_slot_valid, lane_slot = Signal(), Signal.like(slot, reset_less=True)
        lane_event = Signal.like(event, reset_less=True)
        taken = Signal.like(event)  # all zero without an event
        m.d.comb += taken.eq(Mux(slot_valid & slot.event, event.as_value(), 0))
        m.d.sync += [
            address.eq(slot.base + taken.column),
            lane_event.eq(taken),
            lane_slot.eq(slot),
            lane_slot_valid.eq(slot_valid),
        ]
        m.d.comb += weights.address.eq(address)
        for n in range(WeightMemory.latency):
            valid, along = (
                Signal(name=f"fetch_valid_{n}"),
                Signal.like(slot, name=f"fetch_slot_{n}", reset_less=True),
            )
            along_event = Signal.like(event, name=f"fetch_event_{n}", reset_less=True)
            m.d.sync += [
                valid.eq(lane_slot_valid),
                along.eq(lane_slot),
                along_event.eq(lane_event),
            ]
            lane_slot_valid, lane_slot, lane_event = valid, along, along_event
        m.d.comb += [
            lanes.word.eq(weights.word),
            lanes.i.valid.eq(lane_slot_valid),
            lanes.i.payload.delta.eq(lane_event.delta),
            lanes.i.payload.row.eq(lane_slot.row),
            lanes.i.payload.first.eq(lane_slot.first),
            lanes.i.payload.close.eq(lane_slot.close),
            lanes.i.payload.tag.eq(lane_slot.tag),
        ]

        # Results.
        if network.layers[-1].recurrent:
            m.d.comb += [
                output.i.valid.eq(made.valid & (made.payload.layer == layers - 1)),
                output.i.payload.value.eq(made.payload.a),
                output.i.payload.last.eq(made.payload.last),
            ]
        else:
            m.d.comb += [
                output.i.valid.eq(readout.linear.valid),
                output.i.payload.value.eq(readout.linear.payload.m),
                output.i.payload.last.eq(readout.linear.payload.last),
            ]

        # Reset: when no frame is under way, neither here nor further down.
        drain = 2 + WeightMemory.latency + Lanes.latency
        quiet = Signal(range(drain + 1))
        with m.If(sequencer.o.valid):
            m.d.sync += quiet.eq(drain)
        with m.Elif(quiet != 0):
            m.d.sync += quiet.eq(quiet - 1)
        h_done = Cat(
            events_h.complete.bit_select(Cat(half_now, Const(k, ceil_log2(recurrent))), 1)
            for k in range(recurrent)
        )
        under_way = ~reader.between | opened.any() | sequencer.active | (quiet != 0)
        m.d.comb += [
            reset.request.eq(self.reset_request),
            reset.idle.eq(~under_way & h_done.all()),
            sequencer.restart.eq(reset.active),
            events_i.restart.eq(reset.active),
            events_h.restart.eq(reset.active),
            reader.restart.eq(reset.active),
            self.resetting.eq(reset.pending),
        ]
        with m.If(reset.active):
            m.d.sync += [half.eq(0), write_half.eq(1)]
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
            self.macs.eq(Mux(slot_valid & slot.event, slot.tag.units + 1, 0)),
            self.monitor.event_valid.eq(slot_valid & slot.event & slot.count_it),
            self.monitor.event_layer.eq(slot.tag.layer),
            self.monitor.event_h.eq(is_h),
            self.monitor.event_column.eq(event.column),
            self.monitor.event_delta.eq(event.delta),
            self.monitor.state_valid.eq(made.valid),
            self.monitor.state_layer.eq(made.payload.layer),
            self.monitor.state_unit.eq(made.payload.unit),
            self.monitor.state_value.eq(made.payload.h),
        ]
        m.d.sync += [
            self.monitor.skip_valid.eq(sequencer.skip),
            self.monitor.skip_layer.eq(sequencer.layer),
            self.monitor.finish.eq(sequencer.finish),
        ]
        return m


def connect_clear(m: Module, reset: StateReset, block) -> None:
    """Clears ``block``'s memory, which may have fewer addresses than the largest one."""
    m.d.comb += [
        block.clear.valid.eq(reset.clear.valid & (reset.clear.payload < block.depth)),
        block.clear.payload.eq(reset.clear.payload),
    ]


def same_event(target, source) -> list:
    """Assigns an event by its fields: the column numbers of two lists may differ in width."""
    return [target.column.eq(source.column), target.delta.eq(source.delta)]
