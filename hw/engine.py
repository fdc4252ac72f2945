"""The delta engine: frames in, results out, at one event a cycle and P rows an event."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from golden.model import Model
from golden.parameters import CoreParameters
from hw.bus.output import OutputBuffer
from hw.events.path import EventPath
from hw.events.reader import FrameReader
from hw.lanes.columns import ColumnFetch
from hw.lanes.fetch import Fetch, same_event
from hw.lanes.lanes import Lanes
from hw.learn.port import learning_port
from hw.monitor import Monitor, monitor_signature
from hw.primitive.columns import ColumnLoad, columns_signature
from hw.primitive.loaded_weights import LoadedWeights
from hw.target import GENERIC, Target
from hw.unit.activation import ActivationUnit
from hw.unit.readout import Readout
from hw.walk.columns import ColumnWalk
from hw.walk.layout import CoreLayout
from hw.walk.quiesce import Quiesce
from hw.walk.reset import StateReset
from hw.walk.sequencer import Sequencer
from hw.walk.slot import is_of
from hw.walk.standstill import Standstill

MADE = ("layer", "moved", "last")  # what stillness is told of new states


class Engine(wiring.Component):
    """All layers of a network on P shared lanes, for C streams (docs/architecture.md).

        i -> FrameReader -> EventPath x --+
                                          v
             Sequencer -> slots ------> Fetch -> Lanes -> Readout -> ActivationUnit --+-> o
                  ^                     ^   |                              |          |
              Standstill    EventPath h-+   +-- store of weights           |    OutputBuffer
                            EventPath above ^------------------------------+

    Parameters
    ----------
    core : CoreParameters
        Lanes, streams and network.
    model : Model
        Where weights and biases come from; its network is ``core.network``.
    target : Target
        Whose primitives it is made of.

    Members
    -------
    i : In, stream
        Frames: ``value`` (format activation), ``last``. They come in rounds: one of each stream, in
        order.
    o : Out, stream
        Results: ``value`` (format activation, A a beat; or M of a read-out, one a beat), ``last``,
        ``stream``. In rounds, too.
    load : In, stream
        The weights, where the target's store must be loaded
        (hw.primitive.loaded_weights.LoadedWeights): no frame is taken before that. A load waits for
        the frames that have begun, and resets the state.
    loaded, load_broken : Out
        Beside ``load``: the weights are there; a strobe: a load had another length.
    theta_x, theta_h : In, arrays
        Thresholds by layer, in activation LSBs, alike for all streams; the greatest value lets
        nothing fire. A frame's x of the first layer is compared as it comes in, h as it is made, at
        the end of the frame before.
    theta_changes : In
        In the cycle in which a threshold gets a new value: no layer counts as still until it has
        been encoded with it.
    reset_request : In
        Resets the state once all frames that have begun are done. Also done after power-up.
    resetting : Out
        A reset is asked for or under way.
    active : Out
        A round is under way.
    begin, finish : Out
        Strobes: a round begins; its last event is on its way.
    short, long : Out
        Strobes: a frame came that was too short, or too long (hw.events.reader.FrameReader).
    monitor : Out
        hw.monitor.monitor_signature.
    columns : Out
        Where the weights lie outside: hw.primitive.columns.columns_signature.
    fill : Out, stream
        Where they lie outside and are loaded: the words (hw.primitive.columns.ColumnLoad).
        Where rows of accumulators are loaded in their place, ``load`` takes those
        (hw.walk.layout.CoreLayout.begin_image).
    learning : Out
        Where the core trains: hw.learn.port.learning_port. Its weights then come from there.

    Raises
    ------
    ValueError
        Where the model is not the core's, or the core is not one for the target.
    """

    def __init__(self, core: CoreParameters, model: Model, target: Target = GENERIC) -> None:
        if model.parameters != core.network:
            raise ValueError("model: its parameters are not those of the core")
        self._core, self._model, self._target = core, model, target
        network = core.network
        width = network.formats.activation.width
        self._stores, more = [], {}
        rows_loaded = target.accumulators.loads
        self.loads = target.loads or rows_loaded
        self._filled: LoadedWeights | ColumnLoad | None = None  # what takes a load
        if core.trains:
            target.require_training()
            more = {"learning": Out(learning_port(core))}
        elif target.by_column:
            layout = target.column_layout(core)
            columns = columns_signature(layout.words, layout.longest, core.lanes)
            more = {"columns": Out(columns)}
            if target.loads:
                self._filled = ColumnLoad(layout.words, core.lanes)
                more["fill"] = Out(self._filled.o.signature)
            elif rows_loaded:
                here = CoreLayout(core)
                self._filled = ColumnLoad(here.rows, core.lanes * here.begin_bytes)
        else:
            words, stages = CoreLayout(core).weight_words(model), target.stages(core)
            self._stores = [target.weights(words[:, stage].tolist()) for stage in stages]
            if self.loads:
                (self._filled,) = self._stores
        if self._filled is not None:
            more |= {
                "load": In(self._filled.load.signature.flip()),
                "loaded": Out(1),
                "load_broken": Out(1),
            }
        value = data.ArrayLayout(signed(network.output_width), core.results_per_beat)
        stream_number = unsigned(ceil_log2(core.streams))
        result = data.StructLayout({"value": value, "last": 1, "stream": stream_number})
        theta = In(width).array(len(network.layers))
        super().__init__(
            {
                **more,
                "i": In(stream.Signature(data.StructLayout({"value": signed(width), "last": 1}))),
                "o": Out(stream.Signature(result)),
                "theta_x": theta,
                "theta_h": theta,
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
        core, target, network = self._core, self._target, self._core.network
        layout = CoreLayout(core)
        # Of each layer one instance for each stream; those of the first layer come first.
        streams, recurrent, layers = core.streams, len(core.recurrent), len(core.instances)
        top = layers - streams  # the first of the last layer's
        width, latency = network.formats.activation.width, target.read_latency
        of_units = {
            "groups": core.groups,
            "width": width,
            "ways": core.activations,
            "read_latency": latency,
        }
        # Where the core trains, constant columns fire in the first frame (docs/training-core.md).
        one = network.formats.activation.scale
        opens_x = [(layer.inputs, one) for layer in network.layers if core.trains]
        opens_h = {
            k: (layer.units, one)
            for k, layer in enumerate(core.recurrent)
            if core.trains and layer.has.splits
        }
        m.submodules.path_x = path_x = EventPath(
            vectors=streams,
            groups=network.inputs,
            width=width,
            read_latency=latency,
            halves=2,
            opening=dict(enumerate(opens_x[:1])),
        )
        # A layer's list of h for this frame is read while that for the next one grows.
        m.submodules.path_h = path_h = EventPath(
            vectors=recurrent, **of_units, halves=2, ahead=True, opening=opens_h
        )
        m.submodules.reader = reader = FrameReader(
            columns=network.inputs, width=width, latency=path_x.latency, streams=streams
        )
        by_column = target.by_column
        walk = ColumnWalk(core) if by_column else Sequencer(core, target.reopen)
        m.submodules.sequencer = sequencer = walk
        m.submodules.standstill = standstill = Standstill(core)
        m.submodules.fetch = fetch = ColumnFetch(core, target) if by_column else Fetch(core, target)
        bias = layout.bias_rows(self._model).tolist()
        m.submodules.lanes = lanes = Lanes(core, bias, target)
        m.submodules.readout = readout = Readout(core, target)
        m.submodules.activation = activation = ActivationUnit(core, target)
        m.submodules.output = output = OutputBuffer(
            beats=core.result_beats,
            shape=self.o.payload.value.shape(),
            read_latency=latency,
            streams=streams,
        )
        m.submodules.reset = reset = StateReset(layout, lanes.interval)
        drain = 2 + fetch.latency + lanes.latency
        m.submodules.quiesce = quiesce = Quiesce(drain=drain, layers=recurrent, loads=self.loads)
        m.submodules.monitor = monitor = Monitor(core, target)
        if by_column:
            connect(m, fetch.store, flipped(self.columns))
        for n, store in enumerate(self._stores):
            m.submodules[f"weights_{n}"] = store
            connect(m, fetch.stores[n], store.port)
        connect(m, flipped(self.i), reader.i)
        connect(m, sequencer.o, fetch.i)
        connect(m, lanes.o, readout.i)
        connect(m, readout.o, activation.i)
        connect(m, output.o, flipped(self.o))
        connect(m, monitor.o, flipped(self.monitor))

        # Frames to events, into the half that is not being read.
        layer, parity = sequencer.layer, sequencer.parity
        element = reader.o.payload
        m.d.comb += [
            path_x.i.valid.eq(reader.o.valid),
            path_x.i.payload.vector.eq(element.vector),
            path_x.i.payload.group.eq(element.column),
            path_x.i.payload.value[0].eq(element.value),
            path_x.i.payload.last.eq(element.last),
            *(theta.eq(self.theta_x[0]) for theta in path_x.theta),
            reader.free.eq(~path_x.complete),
            reader.leave.valid.eq(sequencer.leave & (layer == streams - 1)),
            reader.leave.payload.eq(parity),
            path_x.leave.valid.eq(sequencer.leave & is_of(0, layer, streams)),
            path_x.leave.payload.half.eq(parity),
            path_x.leave.payload.vector.eq(layer),
            path_x.read.half.eq(parity),
            path_x.read.vector.eq(layer),
        ]

        # New states to events: of h, and of x of the layer above. A layer that is skipped makes
        # none; its lists are complete as they are.
        made = activation.o
        m.d.comb += [
            *encodes(path_h, made.valid, made.payload),
            *(path_h.theta[k].eq(self.theta_h[k // streams]) for k in range(recurrent)),
            path_h.skip.valid.eq(sequencer.skip & (layer < recurrent)),
            path_h.skip.payload.eq(layer),
            path_h.leave.valid.eq(sequencer.leave & (layer < recurrent)),
            path_h.leave.payload.half.eq(parity),
            path_h.leave.payload.vector.eq(layer),
            path_h.read.half.eq(parity),
            path_h.read.vector.eq(layer),
        ]
        paths = [path_x, path_h]
        of_x = [(path_x.count[n], path_x.complete[n]) for n in range(2 * streams)]
        above = []
        last = len(network.layers) - 1
        if last:
            opens = dict(enumerate(opens_x[1:]))
            m.submodules.path_above = path = EventPath(
                vectors=top, **of_units, opening=opens, tells=core.trains
            )
            paths.append(path)
            below = (layer - streams)[: len(path.read.vector)]
            of_last = is_of(last, made.payload.layer, streams)
            m.d.comb += [
                *encodes(path, made.valid & ~of_last, made.payload),
                *(path.theta[k].eq(self.theta_x[k // streams + 1]) for k in range(top)),
                path.skip.valid.eq(sequencer.skip & ~is_of(last, layer, streams)),
                path.skip.payload.eq(layer),
                path.leave.valid.eq(sequencer.leave & ~is_of(0, layer, streams)),
                path.leave.payload.vector.eq(below),
                path.read.vector.eq(below),
                *same_event(fetch.event_above, path.event),
            ]
            above = [(path.count[k], path.complete[k]) for k in range(top)]
        for path in paths:
            m.d.comb += [
                path.read.index.eq(sequencer.index),
                path.read.step.eq(fetch.i.ready),
                path.restart.eq(reset.active),
                *clears(reset, path),
            ]
        m.d.comb += same_event(fetch.event_x, path_x.event)
        m.d.comb += same_event(fetch.event_h, path_h.event)

        # What the walk knows: the lists of its layer and of the next one, and who stands still.
        still = standstill.still
        if core.trains:
            still &= ~self.learning.records.replicate(len(still))
        looks = [(sequencer.now, layer, parity)]
        if not by_column:
            looks.append((sequencer.next, sequencer.next_layer, sequencer.next_parity))
        for status, of, half in looks:
            # By instance: x of the first layer's, from the half; of the others, what is below.
            first = [
                tuple(Array(each)[half] for each in zip(*of_x[2 * n : 2 * n + 2], strict=True))
                for n in range(streams)
            ]
            counts, completes = zip(*first, *above, strict=True)
            h_list = Cat(half, of)
            m.d.comb += [
                status.x.count.eq(Array(counts)[of]),
                status.x.complete.eq(Array(completes)[of]),
                status.h.count.eq(Array(path_h.count)[h_list]),
                status.h.complete.eq(path_h.complete.bit_select(h_list, 1)),
                status.still.eq(still.bit_select(of, 1)),
            ]
        if layout.early and not by_column:
            m.d.comb += [
                sequencer.coming.count.eq(Mux(parity, path_x.count[0], path_x.count[1])),
                sequencer.coming.complete.eq(path_x.complete.bit_select(~parity, 1)),
            ]
        of_top = Cat(layer == k for k in range(top, layers))  # which instance of the last layer
        slot = sequencer.o.payload
        m.d.comb += [
            *(sequencer.start[n].eq(reader.opened[n] & output.room) for n in range(2)),
            output.reserve.eq(sequencer.begin),
            standstill.made.valid.eq(made.valid),
            *(standstill.made.payload[key].eq(made.payload[key]) for key in MADE),
            standstill.slot.valid.eq(sequencer.o.valid),
            standstill.slot.payload.event.eq(slot.event),
            standstill.slot.payload.layer.eq((slot if by_column else slot.tag).layer),
            standstill.walks.eq(of_top & (sequencer.leave & ~sequencer.skip).replicate(streams)),
            standstill.theta_changes.eq(self.theta_changes),
            standstill.restart.eq(reset.active),
        ]

        # Slots to the lanes, or rows to begin again.
        row = fetch.o.payload
        m.d.comb += [lanes.word.eq(fetch.word), lanes.i.valid.eq(fetch.o.valid)]
        m.d.comb += [lanes.i.payload[key].eq(row[key]) for key in row.shape().members]
        with m.If(reset.active):
            m.d.comb += [
                lanes.i.valid.eq(reset.begin.valid),
                lanes.i.payload.row.eq(reset.begin.payload),
                *(lanes.i.payload[key].eq(1) for key in ("begin", "first", "close")),
            ]

        # Results. Those of a layer that is skipped are there already.
        if network.layers[-1].recurrent:
            results, values = made.payload, made.payload.a
            m.d.comb += output.i.valid.eq(made.valid & is_of(last, results.layer, streams))
        else:
            results, values = readout.linear.payload, readout.linear.payload.m
            m.d.comb += output.i.valid.eq(readout.linear.valid)
        ended = output.i.valid & results.last
        if streams > 1:  # with one, all results are its own
            ended = Cat(ended & (results.layer == k) for k in range(top, layers))
        m.d.comb += [
            standstill.out.eq(ended),
            output.i.payload.value.eq(values),
            output.i.payload.stream.eq(results.layer - top),
            output.done.eq(ended | (of_top & sequencer.skip.replicate(streams))),
        ]

        # Reset and load, when no frame is under way, neither here nor further down.
        if self._filled is not None:
            store = self._filled
            if by_column:
                m.submodules.filled = store
                if target.loads:
                    connect(m, store.o, flipped(self.fill))
                else:
                    m.d.comb += [
                        lanes.load.valid.eq(store.o.valid),
                        lanes.load.payload.row.as_value().eq(store.o.payload.word.as_value()),
                        lanes.load.payload.last.eq(store.o.payload.last),
                        store.o.ready.eq(1),
                    ]
            connect(m, flipped(self.load), store.load)
            m.d.comb += [
                store.free.eq(quiesce.free),
                quiesce.load_waits.eq(self.load.valid),
                quiesce.loaded.eq(store.loaded),
                self.loaded.eq(store.loaded),
                self.load_broken.eq(store.broken),
            ]
        asks, hold, idle = self.reset_request, quiesce.hold, quiesce.idle
        if core.trains:
            self._learning(m, output.done)
            asks |= self.learning.reset
            hold |= self.learning.hold
            idle &= ~self.learning.busy
        m.d.sync += reset.idle.eq(idle)
        under_way, active = sequencer.o.valid | ~sequencer.o.ready, sequencer.active  # or one waits
        if by_column:  # behind the walk there is more to be done
            under_way |= fetch.busy
            active |= fetch.busy
        m.d.comb += [
            quiesce.between.eq(reader.between),
            quiesce.takes.eq(reader.i.ready),
            quiesce.opened.eq(reader.opened),
            quiesce.active.eq(sequencer.active),
            quiesce.slot.eq(under_way),
            *(
                quiesce.h_complete[k].eq(path_h.complete.word_select(k, 2).bit_select(parity, 1))
                for k in range(recurrent)
            ),
            quiesce.request.eq(asks),
            quiesce.pending.eq(reset.pending),
            reset.request.eq(quiesce.resets),
            reader.hold.eq(hold),
            reader.restart.eq(reset.active),
            sequencer.restart.eq(reset.active),
            *clears(reset, activation),
        ]

        # What the outside may know.
        m.d.comb += [
            self.resetting.eq(reset.pending),
            self.active.eq(active),
            self.begin.eq(sequencer.begin),
            self.finish.eq(sequencer.finish),
            self.short.eq(reader.short),
            self.long.eq(reader.long),
            *same(monitor.seen, fetch.seen),
            *same(monitor.made, made),
            monitor.layer.eq(layer),
            monitor.skip.eq(sequencer.skip),
            monitor.finish.eq(sequencer.finish),
            monitor.step.eq(fetch.i.ready),
        ]
        return m

    def _learning(self, m: Module, done: Value) -> None:
        """Connects the port of learning; ``done``, all results of a frame are there."""
        port, parts = self.learning, m.submodules
        fetch, readout = parts.fetch, parts.readout
        store, *_ = fetch.stores
        for of_stage, stage in zip(fetch.stores, self._target.stages(self._core), strict=True):
            m.d.comb += [
                of_stage.request.ready.eq(1),
                of_stage.word.valid.eq(1),
                *(of_stage.word.payload[n].eq(port.word[lane]) for n, lane in enumerate(stage)),
            ]
        walked, seen = port.walked.payload, fetch.seen.payload
        sent = parts.path_above.sent
        m.d.comb += [
            port.address.eq(store.request.payload),
            port.walked.valid.eq(fetch.seen.valid & seen.count_it),
            walked.layer.eq(seen.layer),
            walked.vector.eq(seen.h),
            *same_event(walked.event, seen),
            walked.fires.eq(seen.event),
            walked.last.eq(seen.close),
            # What the read-out has got: x of the last layer.
            port.sent.valid.eq(sent.valid & (sent.payload.vector == len(self._core.recurrent) - 1)),
            *(port.sent.payload[key].eq(sent.payload[key]) for key in ("group", "value", "last")),
            port.result.valid.eq(readout.linear.valid),
            port.result.payload.m.eq(readout.linear.payload.m),
            port.result.payload.last.eq(readout.linear.payload.last),
            port.restart.eq(parts.reset.active),
            port.skips.eq(parts.sequencer.skip),
        ]
        for kind in dict.fromkeys(layer.kind for layer in self._core.recurrent):
            m.d.comb += same(
                getattr(port, f"seen_{kind}"), getattr(parts.activation, f"seen_{kind}")
            )
        # Frames of which not all results are there; the next one may have begun.
        under_way = Signal(range(4))
        m.d.sync += under_way.eq(under_way + parts.sequencer.begin - done)
        resets, was_quiet = self.reset_request | parts.reset.pending, Signal()
        m.d.sync += was_quiet.eq(port.quiet)
        m.d.comb += [
            port.rests.eq(parts.quiesce.rests & (under_way == 0)),
            port.quiet.eq(parts.quiesce.idle & (under_way == 0)),
            port.idle.eq(was_quiet & ~resets),
        ]


def encodes(path: EventPath, valid: Value, made: data.View) -> list:
    """Sends new states (hw.unit.activation.made_layout) along a path."""
    i = path.i
    return [
        i.valid.eq(valid),
        i.payload.vector.eq(made.layer),
        i.payload.group.eq(made.group),
        i.payload.value.eq(made.a),
        i.payload.last.eq(made.last),
    ]


def clears(reset: StateReset, block: EventPath | ActivationUnit) -> list:
    """Clears a block's memory, which may have fewer addresses than the largest one."""
    return [
        block.clear.valid.eq(reset.clear.valid & (reset.clear.payload < block.depth)),
        block.clear.payload.eq(reset.clear.payload),
    ]


def same(to: stream.Interface, of: stream.Interface) -> list:
    """Taps a stream that never waits."""
    return [to.valid.eq(of.valid), to.payload.eq(of.payload)]
