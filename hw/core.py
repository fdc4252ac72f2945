"""The core as it stands in somebody's design: AXI4-Stream in and out, AXI4-Lite beside."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import ceil_log2, exact_log2

from golden.errors import refusal
from golden.model import Model
from golden.parameters import CoreParameters
from hw.bus.axi_lite import AxiLitePort, access_members, axi_lite_signature, merged
from hw.bus.counter import Counter, LatchedCounter
from hw.bus.gate import FrameGate
from hw.bus.registers import (
    ADDRESS_WIDTH,
    CONTROL_CLEAR_COUNTERS,
    CONTROL_RESET_STATE,
    IDENTITY,
    INTERFACE_VERSION,
    STATUS_ACTIVE,
    STATUS_FRAME_LONG,
    STATUS_FRAME_SHORT,
    STATUS_LABEL_UNKNOWN,
    STATUS_LEARNING,
    STATUS_LOAD_BROKEN,
    STATUS_RESETTING,
    STATUS_SATURATED,
    STATUS_STREAM_WRONG,
    STATUS_TAPE_FULL,
    STATUS_UNLOADED,
    TRAINING,
    register_map,
)
from hw.bus.skid import Skid
from hw.bus.training import TrainingRegisters
from hw.engine import Engine
from hw.learn.engine import LearningEngine
from hw.monitor import monitor_signature
from hw.target import GENERIC, Target
from hw.walk.slot import is_of


def bus_width(bits: int) -> int:
    """The AXI4-Stream data width for ``bits``: 8, 16, 32 or 64."""
    return 8 << ceil_log2(-(-bits // 8))


class Core(wiring.Component):
    """The Engine behind AXI (docs/interfaces.md).

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    model : Model
        Weights, biases and the thresholds after power-up.
    target : Target
        Whose primitives it is made of.

    Members
    -------
    s_axis_* : AXI4-Stream in
        One element a beat, sign-extended to whole bytes; ``tlast`` at the end of a frame. A core of
        several streams has a ``tid``, and takes their frames in turn.
    m_axis_* : AXI4-Stream out
        One result a beat, sign-extended to 8, 16 or 32 bits; ``tlast`` at the end of a frame. A GRU
        layer's come A a beat; for A > 1 there is a ``tkeep``. With several streams, a ``tid``.
    s_weights_* : AXI4-Stream in
        Where the target's weights, or what rows of accumulators begin with, must be loaded: their
        bytes (hw.emit.verilog.Emission.to_load), one a beat, ``tlast`` with the last. Until then no
        frame is taken.
    m_columns_* : AXI4-Stream out; s_columns_* : AXI4-Stream in
        Where the weights lie outside (``by_column`` of the target's): which bytes of
        hw.emit.verilog.Emission.weights are wanted next, 32 bits of the first one's number and 32
        of how many; and those bytes, P a beat, in the order in which they were asked for.
    m_weights_* : AXI4-Stream out
        Where they lie outside and are loaded: what has come by ``s_weights``, P bytes a beat, to be
        written from the first byte on; ``tlast`` ends a load, a broken one too.
    s_axil_* : AXI4-Lite in
        Registers (hw.bus.registers). With all its inputs at 0 the core runs as the model says.
    monitor_* : Out
        What the engine does (hw.monitor.monitor_signature); may be left open.
    """

    def __init__(self, core: CoreParameters, model: Model, target: Target = GENERIC) -> None:
        self._core, self._by_column, self._fills = core, target.by_column, target.loads
        self._engine = (LearningEngine if core.training else Engine)(core, model, target)
        self.loads = self._engine.loads
        network = core.network
        members = {
            "s_axis_tdata": In(bus_width(network.formats.activation.width)),
            "s_axis_tvalid": In(1),
            "s_axis_tready": Out(1),
            "s_axis_tlast": In(1),
            "m_axis_tdata": Out(bus_width(network.output_width) * core.results_per_beat),
            "m_axis_tvalid": Out(1),
            "m_axis_tready": In(1),
            "m_axis_tlast": Out(1),
        }
        if core.results_per_beat > 1:
            members["m_axis_tkeep"] = Out(
                bus_width(network.output_width) * core.results_per_beat // 8
            )
        if core.streams > 1:
            number = max(1, ceil_log2(core.streams))
            members |= {"s_axis_tid": In(number), "m_axis_tid": Out(number)}
        if target.by_column:
            if core.lanes & (core.lanes - 1):
                raise refusal("lanes of a core with weights outside", core.lanes, "a power of two")
            members |= {
                "m_columns_tdata": Out(64),
                "m_columns_tvalid": Out(1),
                "m_columns_tready": In(1),
                "s_columns_tdata": In(8 * core.lanes),
                "s_columns_tvalid": In(1),
                "s_columns_tready": Out(1),
            }
            if self._fills:
                members |= {
                    "m_weights_tdata": Out(8 * core.lanes),
                    "m_weights_tvalid": Out(1),
                    "m_weights_tready": In(1),
                    "m_weights_tlast": Out(1),
                }
        if self._engine.loads:
            members |= {
                "s_weights_tdata": In(8),
                "s_weights_tvalid": In(1),
                "s_weights_tready": Out(1),
                "s_weights_tlast": In(1),
            }
        for name, member in axi_lite_signature(ADDRESS_WIDTH).flip().members.items():
            members[f"s_axil_{name}"] = member
        for name, member in monitor_signature(core).members.items():
            members[f"monitor_{name}"] = member
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        core, network = self._core, self._core.network
        m.submodules.engine = engine = self._engine
        m.submodules.port = port = AxiLitePort(ADDRESS_WIDTH)

        m.submodules.input = incoming = Skid(engine.i.payload.shape())
        m.submodules.output = outgoing = Skid(engine.o.payload.shape())
        m.submodules.gate = gate = FrameGate(engine.i.payload.shape(), core.streams)
        connect(m, gate.o, incoming.i)
        connect(m, incoming.o, engine.i)
        connect(m, engine.o, outgoing.i)
        m.d.comb += [
            *self._receives("s_axis", gate.i, gate.i.payload.value),
            self.m_axis_tvalid.eq(outgoing.o.valid),
            self.m_axis_tlast.eq(outgoing.o.payload.last),
            outgoing.o.ready.eq(self.m_axis_tready),
        ]
        beat = bus_width(network.output_width)
        for n in range(core.results_per_beat):
            field = self.m_axis_tdata.word_select(n, beat)
            m.d.comb += field.eq(outgoing.o.payload.value[n])
        if core.results_per_beat > 1:
            used = network.outputs - (core.result_beats - 1) * core.results_per_beat
            whole = (1 << (core.results_per_beat * beat // 8)) - 1
            ends = (1 << (used * beat // 8)) - 1
            m.d.comb += self.m_axis_tkeep.eq(Mux(outgoing.o.payload.last, ends, whole))
        for name in monitor_signature(core).members:
            m.d.comb += getattr(self, f"monitor_{name}").eq(getattr(engine.monitor, name))
        for name, member in axi_lite_signature(ADDRESS_WIDTH).members.items():
            here, there = getattr(self, f"s_axil_{name}"), getattr(port.bus, name)
            m.d.comb += there.eq(here) if member.flow == Out else here.eq(there)

        registers = register_map(network, trains=core.trains)
        address = {register.name: register.address >> 2 for register in registers}

        def written(name: str) -> Value:
            return port.write & (port.write_word == address[name])

        # Thresholds.
        theta_width = network.formats.activation.width
        values: dict[str, Value] = {}
        for k, layer in enumerate(network.layers):
            for vector, theta in (("x", layer.theta_x), ("h", layer.theta_h)):
                if theta is None:
                    continue
                name = f"THETA_{vector.upper()}_{k}"
                register = Signal(
                    theta_width, init=min(theta, 2**theta_width - 1), name=name.lower()
                )
                values[name] = register
                m.d.comb += getattr(engine, f"theta_{vector}")[k].eq(register)
                word = merged(port, register)
                with m.If(written(name)):
                    m.d.comb += engine.theta_changes.eq(1)
                    over = word[theta_width:].any()
                    m.d.sync += register.eq(word[:theta_width] | over.replicate(theta_width))

        # Control and status.
        command = port.write_data[:8] & port.write_strobe[0].replicate(8)
        clear = Signal()
        # What was taken before a reset or a load is computed before it, what lies in the skid too.
        asked, drained = Signal(), Signal()
        m.d.comb += [
            gate.close.eq(asked),
            drained.eq(gate.closed & ~incoming.o.valid),
            engine.reset_request.eq(asked & drained),
        ]
        with m.If(engine.reset_request):
            m.d.sync += asked.eq(0)
        with m.If(written("CONTROL") & command[CONTROL_RESET_STATE]):
            m.d.sync += asked.eq(1)
        m.d.sync += clear.eq(written("CONTROL") & command[CONTROL_CLEAR_COUNTERS])
        flags = {
            STATUS_FRAME_SHORT: engine.short,
            STATUS_FRAME_LONG: engine.long,
        }
        status = Signal(32)
        if core.streams > 1:
            m.d.comb += self.m_axis_tid.eq(outgoing.o.payload.stream)
            flags[STATUS_STREAM_WRONG] = (
                gate.i.valid & gate.i.ready & (self.s_axis_tid != gate.stream)
            )
        if engine.loads:
            m.submodules.weights = weights = Skid(engine.load.payload.shape())
            may_load = Signal()  # before the first load there is nothing that frames could use
            m.d.comb += [
                gate.close.eq(asked | (weights.o.valid & engine.loaded)),
                may_load.eq(drained | ~engine.loaded),
                engine.load.valid.eq(weights.o.valid & may_load),
                engine.load.payload.eq(weights.o.payload),
                weights.o.ready.eq(engine.load.ready & may_load),
                *self._receives("s_weights", weights.i, weights.i.payload.byte),
                status[STATUS_UNLOADED].eq(~engine.loaded),
            ]
            flags[STATUS_LOAD_BROKEN] = engine.load_broken
        if self._by_column:
            asks, words = engine.columns.request, engine.columns.word
            m.submodules.columns = columns = Skid(asks.payload.shape())
            m.submodules.words = come = Skid(words.payload.shape())
            connect(m, asks, columns.i)
            connect(m, come.o, words)
            asked_for = columns.o.payload
            m.d.comb += [
                self.m_columns_tvalid.eq(columns.o.valid),
                self.m_columns_tdata[:32].eq(asked_for.address << exact_log2(core.lanes)),
                self.m_columns_tdata[32:].eq(asked_for.words << exact_log2(core.lanes)),
                columns.o.ready.eq(self.m_columns_tready),
                come.i.valid.eq(self.s_columns_tvalid),
                come.i.payload.as_value().eq(self.s_columns_tdata),
                self.s_columns_tready.eq(come.i.ready),
            ]
            if self._fills:
                m.d.comb += [
                    self.m_weights_tvalid.eq(engine.fill.valid),
                    self.m_weights_tdata.eq(engine.fill.payload.word.as_value()),
                    self.m_weights_tlast.eq(engine.fill.payload.last),
                    engine.fill.ready.eq(self.m_weights_tready),
                ]
        if core.trains:
            m.submodules.training = training = TrainingRegisters(core)
            connect(m, training.host, engine.host)
            for name in access_members(ADDRESS_WIDTH):
                m.d.comb += getattr(training.access, name).eq(getattr(port, name))
            m.d.comb += [
                training.deaf.eq(asked),
                training.drained.eq(drained),
                training.clear.eq(clear),
                gate.close.eq(asked | training.busy),
                # What was said before a reset was asked for is done before it.
                engine.reset_request.eq(asked & drained & ~training.busy),
                status[STATUS_LEARNING].eq(training.busy),
                port.read_waits.eq(training.waits),
            ]
            flags |= {
                STATUS_TAPE_FULL: engine.host.full,
                STATUS_LABEL_UNKNOWN: engine.host.unknown,
                STATUS_SATURATED: engine.host.learned & engine.host.saturated,
            }
            values |= {name: getattr(training, f"value_{name.lower()}") for name, *_ in TRAINING}
        acknowledged = Mux(written("STATUS") & port.write_strobe[1], port.write_data, 0)
        for bit, strobe in flags.items():
            flag = Signal(name=f"flag_{bit}")
            m.d.sync += flag.eq((flag & ~acknowledged[bit]) | strobe)
            m.d.comb += status[bit].eq(flag)
        m.d.comb += [
            status[STATUS_ACTIVE].eq(engine.active),
            status[STATUS_RESETTING].eq(asked | engine.resetting),
        ]
        major, minor, patch = INTERFACE_VERSION
        values |= {
            "ID": Const(IDENTITY, 32),
            "VERSION": Const(major << 16 | minor << 8 | patch, 32),
            "CONTROL": Const(0),
            "STATUS": status,
            "LANES": Const(core.lanes),
            "LAYERS": Const(len(network.layers)),
        }

        # Counters.
        def counter(name: str, counts: Value) -> Counter:
            m.submodules[name] = result = Counter(32)
            m.d.comb += [result.counts.eq(counts), result.clear.eq(clear)]
            return result

        monitor = engine.monitor
        for k, layer in enumerate(network.layers):
            for vector in ("x", "h") if layer.recurrent else ("x",):
                seen = (
                    monitor.event_valid
                    & is_of(k, monitor.event_layer, core.streams)
                    & (monitor.event_h == (vector == "h"))
                )
                name = f"EVENTS_{vector.upper()}_{k}"
                values[name] = counter(name.lower(), seen).value
        values["FRAMES"] = counter("frames", engine.begin).value
        m.submodules.cycles = cycles = LatchedCounter(32, 16)
        m.d.comb += [
            cycles.counts.eq(engine.active | engine.begin),
            cycles.clear.eq(clear),
            cycles.read.eq(port.read & (port.read_word == address["CYCLES_LO"])),
        ]
        values |= {"CYCLES_LO": cycles.value, "CYCLES_HI": cycles.latched}

        # The map.
        fails = training.fails if core.trains else 0
        m.d.comb += port.read_fails.eq(fails)
        with m.Switch(port.read_word):
            for name, word in address.items():
                with m.Case(word):
                    m.d.comb += port.read_data.eq(values[name])
            with m.Default():
                m.d.comb += port.read_fails.eq(1)
        writable = [r.address >> 2 for r in registers if r.access != "ro"]
        with m.Switch(port.write_word):
            with m.Case(*writable):
                m.d.comb += port.write_fails.eq(fails)
            with m.Default():
                m.d.comb += port.write_fails.eq(1)
        return m

    def _receives(self, name: str, into: stream.Interface, field: Value) -> list:
        """Wires the AXI4-Stream input ``name`` to a stream, tdata to ``field`` of its payload."""
        return [
            into.valid.eq(getattr(self, f"{name}_tvalid")),
            field.eq(getattr(self, f"{name}_tdata")),
            into.payload.last.eq(getattr(self, f"{name}_tlast")),
            getattr(self, f"{name}_tready").eq(into.ready),
        ]
