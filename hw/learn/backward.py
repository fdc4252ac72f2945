"""From the errors of the results back to the masters: all of docs/training-core.md, "Backward"."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.learn.formats import RATE_MAX
from golden.learn.sequence import COST_MAX
from golden.learn.tape import FRAMES_MAX
from hw.learn.cell import learning_cell
from hw.learn.deltas import DeltaErrors, EncoderErrors
from hw.learn.layout import LearningLayout
from hw.learn.rows import ErrorRows
from hw.learn.sweep import SweepLanes
from hw.learn.tape import Tape
from hw.learn.units import ErrorUnit
from hw.learn.walk import SweepWalk, UnitsWalk
from hw.pipeline import delayed, staged, strobed
from hw.primitive.memory import UNCHECKED
from hw.target import Target
from hw.walk.row_block import by_layer


class Backward(wiring.Component):
    """Takes a sequence's tape and the errors of its results, and changes the masters.

    Parameters
    ----------
    layout : LearningLayout
        The core's.
    target : Target
        Stages of lanes, latency of memories.

    Members
    -------
    tape : In
        What fills the tape: ``restart``, ``full``, ``i`` and ``kept_k`` of hw.learn.tape.Tape.
    of_results : In, stream (never waits)
        ``e`` = dL/dresult of every frame, of result ``number``; while ``free``, before ``start``.
    rate, cost : In
        Registers RATE and LAMBDA; they stay while it is under way.
    alone : In
        Nothing but the read-out learns: the tape has one list, that of its x, and ``frames`` is 1.
        It stays while it is under way.
    start, frames : In
        The way back of so many frames begins, if it is ``ready``; at least a cycle after the last
        list came to the tape.
    free, ready : Out
        Of the sequence nothing is read any more, so that the tape may begin the next one; nothing
        is under way. A reset makes it free, and ready ``clear_cycles`` later.
    saturated : Out
        Since ``start`` a master has moved and was then at an end of its range.
    masters : Out
        To a hw.learn.masters.MasterMemory, with the latency of the target's weights: ``address``,
        ``word``, ``write_address``, ``write``, ``written``.

    Attributes
    ----------
    clear_cycles : int
        Cycles for which it is free and not yet ready.
    """

    def __init__(self, layout: LearningLayout, target: Target) -> None:
        self._layout, self._learning, self._target = layout, layout.training.learning, target
        core, learning = layout.core, self._learning
        self._tape = Tape(layout, target.read_latency, target.block_shapes)
        fills = ("restart", "full", "i", *(f"kept_{k}" for k in range(len(core.recurrent))))
        members = {name: self._tape.signature.members[name] for name in fills}
        error, master = signed(learning.error.width), signed(learning.master)
        of_result = {"e": error, "number": unsigned(ceil_log2(core.network.outputs))}
        words, address = data.ArrayLayout(master, core.lanes), ceil_log2(layout.words)
        to_masters = {
            "address": Out(address),
            "word": In(words),
            "write_address": Out(address),
            "write": Out(1),
            "written": Out(words),
        }
        super().__init__(
            {
                "tape": Out(wiring.Signature(members)),
                "of_results": In(stream.Signature(data.StructLayout(of_result), always_ready=True)),
                "rate": In(bits_for(RATE_MAX)),
                "alone": In(1),
                "cost": In(bits_for(COST_MAX)),
                "start": In(1),
                "frames": In(bits_for(FRAMES_MAX)),
                "free": Out(1),
                "ready": Out(1),
                "saturated": Out(1),
                "masters": Out(wiring.Signature(to_masters)),
            }
        )
        self._make_parts()

    def _make_parts(self) -> None:
        layout, learning, target = self._layout, self._learning, self._target
        core = layout.core
        network, formats = core.network, core.network.formats
        stages = target.stages(core)
        shifts = [learning.step_shift(formats, k.weight_frac, 1) for k in network.layers]
        self._far = max(1, *shifts)
        self._nears = [self._far - shift for shift in shifts]
        self._lanes = SweepLanes(
            learning=learning,
            delta_width=formats.activation.width + 1,
            stages=stages,
            far=self._far,
            nearest=max(self._nears) + RATE_MAX - 1,
        )
        rows = max(layer.blocks * layer.layer.gates for layer in layout.layers)
        events = max(max(layer.columns) for layer in layout.layers)
        self._place_bits = ceil_log2(layout.places) + ceil_log2(core.activations)
        self.clear_cycles = places = 2 << self._place_bits
        self._deltas = DeltaErrors(
            events=events,
            error=learning.error,
            sum_width=len(self._lanes.sum),
            total_width=len(self._lanes.sum) + ceil_log2(rows),
            weight_fracs=[layer.weight_frac for layer in network.layers],
            cost_max=COST_MAX,
            places=places,
        )
        self._encoder = EncoderErrors(error=learning.error, places=places)
        self._rows = ErrorRows(
            error=learning.error,
            blocks=layout.blocks,
            accumulators=max(layer.accumulators for layer in network.layers),
            activations=core.activations,
            stages=stages,
            read_latency=target.read_latency,
            in_blocks=core.lanes <= target.block_rows,
        )
        latency = target.read_latency
        # From a step to when its master and its G meet its delta in the first stage.
        self._meet = latency + 1 + target.weights.latency
        self._units_walk = UnitsWalk(layout)
        self._after = self._meet - self._lanes.ahead + self._lanes.latency
        wait = self._after + self._deltas.latency + self._encoder.latency
        self._sweep_walk = SweepWalk(layout, wait=wait, places=places)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.tape = self._tape
        m.submodules.units_walk = units = self._units_walk
        m.submodules.sweep_walk = sweep = self._sweep_walk
        m.submodules.lanes = self._lanes
        m.submodules.deltas = self._deltas
        m.submodules.encoder = self._encoder
        m.submodules.rows = self._rows
        tape = self._tape
        for name in self.tape.signature.members:
            outer, inner = getattr(self.tape, name), getattr(tape, name)
            if name == "full":
                m.d.comb += outer.eq(inner)
            elif name == "restart":
                m.d.comb += inner.eq(outer)
            else:
                m.d.comb += [inner.valid.eq(outer.valid), inner.payload.eq(outer.payload)]
        # Nobody reads what is not yet written: each word of what is there comes as late as that.
        made = self._target.read_latency + ErrorUnit.latency
        came = self._sweep_walk.wait
        left = self._meet + len(self._target.stages(self._layout.core))
        m.d.comb += [
            *(walk.start.eq(self.start & self.ready) for walk in (units, sweep)),
            *(walk.frames.eq(self.frames) for walk in (units, sweep)),
            *(walk.alone.eq(self.alone) for walk in (units, sweep)),
            self.free.eq(sweep.ready | sweep.clear),
            self.ready.eq(units.ready & sweep.ready),
            sweep.made.eq(strobed(m, units.unit & units.ends_block, made, "made")[-1]),
            units.came.eq(strobed(m, sweep.asked, came, "came")[-1]),
            units.left.eq(strobed(m, sweep.left, left, "left")[-1]),
            tape.turn.eq(sweep.turn),
            tape.layer.eq(sweep.layer),
            tape.vector.eq(sweep.vector),
            tape.step.eq(sweep.step),
            sweep.list_ready.eq(tape.ready),
            sweep.empty.eq(tape.empty),
            sweep.last.eq(tape.last),
            tape.units_layer.eq(units.layer),
            tape.turn_units.eq(units.turn),
            tape.step_units.eq(units.unit),
        ]
        m.d.sync += self.saturated.eq((self.saturated | self._lanes.saturated) & ~self.start)
        self._units(m, *self._sweep(m))
        return m

    def _of_v(self, m: Module, name: str, vector: int, group: Value, frame: Value) -> list[Value]:
        """dL/dv of x or of h: of ``group`` as it is read, 0 of what did not come in ``frame``."""
        ways, q = self._layout.core.activations, self._learning.error
        held = data.StructLayout({"of_v": signed(q.width), "frame": self._frame.shape()})
        m.submodules[name] = errors = memory.Memory(
            shape=data.ArrayLayout(held, ways), depth=self._layout.places, init=[], attrs=UNCHECKED
        )
        read, write = errors.read_port(), errors.write_port(granularity=1)
        of_v, walk = self._encoder.o, self._sweep_walk
        place = Mux(walk.clear, walk.place, of_v.payload.place)
        comes = (of_v.valid | walk.clear) & (place[self._place_bits] == vector)
        value = Cat(Mux(walk.clear, 0, of_v.payload.of_v), self._frame)
        m.d.comb += [read.en.eq(1), read.addr.eq(group)]
        m.d.comb += written(write, comes, place[: self._place_bits], value)
        latency = self._target.read_latency
        found = data.ArrayLayout(held, ways)(
            delayed(m, read.data.as_value(), latency - 1, f"{name}_read")
        )
        wanted = delayed(m, frame, latency, f"{name}_frame")
        return [Mux(found[n].frame == wanted, found[n].of_v, 0) for n in range(ways)]

    def _units(self, m: Module, of_above: list[Value], of_later: list[Value]) -> None:
        """Groups of units, from what is kept of them to their G."""
        layout, walk, latency = self._layout, self._units_walk, self._target.read_latency
        core, q = layout.core, self._learning.error
        error, ways = signed(q.width), core.activations
        layers = core.network.layers
        rows = max(layer.accumulators for layer in layers)

        # dL/dresult, the same in every frame.
        groups = -(-core.network.outputs // ways)
        m.submodules.results = results = memory.Memory(
            shape=data.ArrayLayout(error, ways), depth=groups, init=[], attrs=UNCHECKED
        )
        read, write = results.read_port(), results.write_port(granularity=1)
        come = self.of_results
        m.d.comb += [
            *written(write, come.valid, come.payload.number, come.payload.e),
            read.en.eq(1),
            read.addr.eq(walk.group - layout.layers[-1].group),
        ]
        of_result = delayed(m, read.data.as_value(), latency - 1, "of_result")

        # dL/dM and dL/dstate of each unit, as the frame behind left them.
        back = data.StructLayout({"of_state": error, "g": data.ArrayLayout(error, rows)})
        m.submodules.backs = backs = memory.Memory(
            shape=data.ArrayLayout(back, ways), depth=layout.groups, init=[], attrs=UNCHECKED
        )
        read, write = backs.read_port(), backs.write_port()
        m.d.comb += [read.en.eq(1), read.addr.eq(walk.group)]
        held = delayed(m, read.data.as_value(), latency - 1, "held")
        first = delayed(m, walk.first, latency, "first")
        before = data.ArrayLayout(back, ways)(Mux(first, 0, held))

        names = ("layer", "group", "block", "in_block")
        unit = Signal(data.StructLayout({name: getattr(walk, name).shape() for name in names}))
        m.d.comb += [unit[name].eq(getattr(walk, name)) for name in names]
        valids, units = staged(m, walk.unit, unit, latency + ErrorUnit.latency, "unit")
        done = units[-1]
        is_readout = delayed(m, walk.layer == len(layers) - 1, latency, "is_readout")
        made = []
        for kind in dict.fromkeys(layer.kind for layer in layers):
            cell = learning_cell(kind)(core.network.formats, self._learning)
            accumulators = next(k.accumulators for k in layers if k.kind == kind)
            kept = Value.cast(0)
            for k, of_layer in enumerate(core.recurrent):
                if of_layer.kind == kind:
                    of_units = getattr(self._tape, f"units_{k}")
                    kept = Mux(of_units.valid, Value.cast(of_units.payload), kept)
            of_kind = []
            for way in range(ways):
                m.submodules[f"{kind}_{way}"] = errors = ErrorUnit(cell, accumulators)
                at = slice(way * q.width, (way + 1) * q.width)
                come = errors.i.payload
                own = come.kept.as_value()
                m.d.comb += [
                    errors.i.valid.eq(valids[latency]),
                    own.eq(kept[way * len(own) : (way + 1) * len(own)]),
                    come.of_output.eq(Mux(is_readout, of_result[at].as_signed(), of_above[way])),
                    come.of_h.eq(Mux(is_readout, 0, of_later[way])),
                    come.of_state.eq(before[way].of_state),
                    *(come.g[k].eq(before[way].g[k]) for k in range(accumulators)),
                ]
                # Of accumulators that this kind has not, nobody asks.
                g = [*errors.o.payload.g, *[Const(0, error)] * (rows - accumulators)]
                of_kind.append(Cat(errors.o.payload.of_state, *g))
            made.append((kind, Cat(of_kind)))
        kinds = [kind for kind, _ in made]
        which = by_layer([kinds.index(of_layer.kind) for of_layer in layers], done.layer)
        chosen = Array(value for _, value in made)[which] if len(made) > 1 else made[0][1]
        m.d.comb += [
            write.addr.eq(done.group),
            write.en.eq(valids[-1]),
            write.data.as_value().eq(chosen),
            self._rows.i.valid.eq(valids[-1]),
            self._rows.i.payload.block.eq(done.block),
            self._rows.i.payload.group.eq(done.in_block),
        ]
        after = data.ArrayLayout(back, ways)(chosen)
        for way in range(ways):
            for k in range(rows):
                m.d.comb += self._rows.i.payload.g[way][k].eq(after[way].g[k])

    def _sweep(self, m: Module) -> tuple[list[Value], list[Value]]:
        """Events in rows, from the tape to masters and to dL/dv of x and of h."""
        layout, walk, tape, lanes = self._layout, self._sweep_walk, self._tape, self._lanes
        latency, masters = self._target.read_latency, self.masters
        # From an address to the master that is written.
        written = self._target.weights.latency + 2
        layers = layout.layers

        # Where its list gives the event: its column, and with it its word and its place.
        info = data.StructLayout(
            {
                "layer": walk.layer.shape(),
                "vector": 1,
                "event": walk.event.shape(),
                "frame": walk.frame.shape(),
                "first": 1,
                "last": 1,
            }
        )
        slot = Signal(info)
        m.d.comb += [
            slot.layer.eq(walk.layer),
            slot.vector.eq(walk.vector),
            slot.event.eq(walk.event),
            slot.frame.eq(walk.frame),
            slot.first.eq(walk.first_row),
            slot.last.eq(walk.last_row),
        ]
        slotted, after = self._meet - lanes.ahead, self._after
        valids, slots = staged(m, walk.step, slot, after, "slot")
        here, event = slots[latency], tape.event.payload
        base = delayed(m, walk.base, latency, "base")

        def by_list(values):
            """values(layer, vector) of the slot whose event is there."""
            table = [values(k, v) for k in range(len(layers)) for v in (0, 1)]
            return by_layer(table, Cat(here.vector, here.layer))

        ways = layout.core.activations
        address = Signal(range(layout.words))
        place = Signal(self._place_bits + 1)
        asked = Signal()
        constant = by_list(
            lambda k, v: layout.core.network.layers[k].units if v else layers[k].columns[0] - 1
        )
        is_input = (here.layer == 0) & ~here.vector
        begin = by_list(lambda k, v: layers[k].places[v] * ways)
        with m.If(valids[latency]):  # so that it always is that of a word
            m.d.sync += address.eq(base + event.column)
        m.d.sync += [
            place.eq(Cat((begin + event.column)[: self._place_bits], here.vector)),
            asked.eq((event.column != constant) & ~is_input),
        ]
        delta = delayed(m, event.delta, slotted - latency, "delta")
        at = slots[slotted]
        m.d.comb += [masters.address.eq(address)]

        # G of the row, so that it is there when the master is.
        accumulators = {}
        for k, layer in enumerate(layers):
            cell = layer.cell
            for v, of_gates in enumerate((cell.rows_x, cell.rows_h)):
                for gate, row in enumerate(of_gates):
                    accumulators[k, v, gate] = row
        ahead = self._meet - self._rows.latency
        row_at = Cat(walk.gate, walk.vector, walk.layer)
        gates = 1 << len(walk.gate)
        table = [
            accumulators.get((k, v, gate), 0)
            for k in range(len(layers))
            for v in (0, 1)
            for gate in range(gates)
        ]
        m.d.comb += [
            self._rows.block.eq(delayed(m, walk.block, ahead, "row_block")),
            self._rows.row.eq(delayed(m, by_layer(table, row_at), ahead, "row")),
            lanes.i.valid.eq(valids[slotted]),
            lanes.i.payload.delta.eq(delta),
            lanes.i.payload.near.eq(by_layer(self._nears, at.layer) + self.rate - 1),
            lanes.i.payload.learns.eq(self.rate != 0),
            lanes.g.eq(self._rows.o),
            lanes.master.eq(masters.word),
            masters.written.eq(lanes.o.payload),
            masters.write.eq(lanes.o.valid),
            masters.write_address.eq(delayed(m, address, written, "write_address")),
        ]

        # What comes back to the event.
        gone = slots[after]
        deltas, encoder = self._deltas, self._encoder
        m.d.comb += [
            deltas.cost.eq(self.cost),
            deltas.i.valid.eq(valids[after]),
            deltas.i.payload.event.eq(gone.event),
            deltas.i.payload.sum.eq(lanes.sum),
            deltas.i.payload.first.eq(gone.first),
            deltas.i.payload.last.eq(gone.last & delayed(m, asked, after - latency - 1, "asked")),
            deltas.i.payload.layer.eq(gone.layer),
            deltas.i.payload.below.eq(delayed(m, delta[-1], lanes.latency, "below")),
            deltas.i.payload.place.eq(delayed(m, place, after - latency - 1, "place")),
            encoder.i.valid.eq(deltas.o.valid),
            encoder.i.payload.eq(deltas.o.payload),
            encoder.next_place.eq(deltas.next_place),
            encoder.clear.valid.eq(walk.clear),
            encoder.clear.payload.eq(walk.place),
        ]
        self._frame = delayed(m, gone.frame, deltas.latency + encoder.latency, "frame")
        units = self._units_walk
        return (
            self._of_v(m, "of_x", 0, units.of_x, units.frame),
            self._of_v(m, "of_h", 1, units.of_h, units.frame + 1),
        )


def written(write: memory.WritePort, valid: Value, number: Value, value: Value) -> list:
    """Writes one of the A values of a word; ``number`` counts values, not words."""
    ways = write.data.shape().length
    words, way = number[ceil_log2(ways) :], number[: ceil_log2(ways)]
    of_ways = [
        (write.data[n].eq(value), write.en[n].eq(valid & (way == n if ways > 1 else 1)))
        for n in range(ways)
    ]
    return [write.addr.eq(words), of_ways]
