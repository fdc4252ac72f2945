"""The registers of a core that trains (hw.bus.registers.TRAINING)."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.learn.formats import RATE_MAX
from golden.learn.sequence import COST_MAX
from golden.parameters import CoreParameters
from hw.bus.axi_lite import access_members, merged
from hw.bus.counter import Counter, LatchedCounter
from hw.bus.registers import ADDRESS_WIDTH, MASTER_LANE_BITS, TRAINING
from hw.fixed import clip, sat
from hw.learn.layout import LearningLayout
from hw.learn.port import host_port

RATE_AT_POWER_UP = 6  # 2^-5


class TrainingRegisters(wiring.Component):
    """The host of a trainer: what is written to it goes there, what is read comes from there.

    Parameters
    ----------
    core : CoreParameters
        One that trains.

    Members
    -------
    host : Out
        hw.learn.port.host_port.
    access : In
        What the bus does (hw.bus.axi_lite.access_members).
    deaf : In
        A reset is asked for, and there is no frame behind it: what is said then does nothing.
    drained : In
        All that was taken of the sequence is in the engine.
    clear : In
        Sets the counters to 0.
    busy : Out
        Something is said of the sequence, or it is being learned: no frame is to be taken.
    waits, fails : Out
        For the bus: a read of MASTER has no answer yet; an access to it may not be.
    value_train, ... : Out
        What each register of TRAINING reads as.
    """

    def __init__(self, core: CoreParameters) -> None:
        self._core = core
        super().__init__(
            {
                "host": Out(host_port(core)),
                "access": In(wiring.Signature(access_members(ADDRESS_WIDTH))),
                **{name: In(1) for name in ("deaf", "drained", "clear")},
                **{name: Out(1) for name in ("busy", "waits", "fails")},
                **{f"value_{name.lower()}": Out(32) for name, *_ in TRAINING},
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        host, access, layout = self.host, self.access, LearningLayout(self._core)
        learning = layout.training.learning
        words = {name: address >> 2 for name, address, *_ in TRAINING}

        def value(name: str) -> Value:
            return getattr(self, f"value_{name.lower()}")

        def written(name: str) -> Value:
            return access.write & (access.write_word == words[name])

        def told(name: str) -> Value:
            """Written in all its bytes: some of them alone would mean nothing."""
            return written(name) & access.write_strobe.all()

        def setting(name: str, to: Value, low: int, high: int, init: int) -> None:
            """A register of which what lies beyond its range acts as the end of that."""
            register = Signal(range(high + 1), init=init, name=name.lower())
            with m.If(written(name)):
                m.d.sync += register.eq(clip(merged(access, register), low, high))
            hold(to, register)
            m.d.comb += value(name).eq(register)

        def hold(to: Value, register: Value) -> None:
            """What is said of a sequence counts with what was written before it."""
            held = Signal.like(register, name=f"{register.name}_held")
            with m.If(~self.busy):
                m.d.sync += held.eq(register)
            m.d.comb += to.eq(held)

        classes = self._core.network.outputs
        setting("RATE", host.rate, 0, RATE_MAX, RATE_AT_POWER_UP)
        setting("KNOWN", host.known, 1, classes, classes)
        setting("LAMBDA", host.cost, 0, COST_MAX, 0)
        train = Signal(2, name="train")
        with m.If(written("TRAIN")):
            m.d.sync += train.eq(merged(access, train))
        hold(Cat(host.records, host.alone), train)
        m.d.comb += value("TRAIN").eq(train)

        # What is said of a sequence waits until all of it is there.
        labelled, label = Signal(), Signal.like(host.said.payload.label)
        says = labelled | host.whole
        hears = ~(self.deaf | self.busy)
        word, signed_word = access.write_data, access.write_data.as_signed()
        with m.If(told("LABEL") & hears):
            m.d.sync += [labelled.eq(1), label.eq(clip(word, 0, classes))]
        with m.Elif(host.said.valid & host.said.ready):
            m.d.sync += labelled.eq(0)
        m.d.comb += [
            self.busy.eq(says | host.busy),
            host.said.valid.eq(says & self.drained),
            host.said.payload.label.eq(label),
            host.said.payload.by_host.eq(~labelled),
            host.forget.eq(self.deaf & ~self.busy),
            host.error.valid.eq(told("ERROR") & hears),
            host.error.payload.eq(sat(signed_word, learning.error)),
        ]

        # What has become of it.
        m.submodules.sequences = sequences = Counter(32)
        m.submodules.cycles = cycles = LatchedCounter(32, 16)
        m.d.comb += [
            sequences.counts.eq(host.learned),
            sequences.clear.eq(self.clear),
            value("SEQUENCES").eq(sequences.value),
            cycles.counts.eq(host.busy),
            cycles.clear.eq(self.clear),
            cycles.read.eq(access.read & (access.read_word == words["LEARNING_LO"])),
            value("LEARNING_LO").eq(cycles.value),
            value("LEARNING_HI").eq(cycles.latched),
            value("DECIDED").eq(host.decided),
        ]

        # The masters, one after another.
        lane, address = Signal.like(host.master.lane), Signal.like(host.master.address)
        reads = access.read & (access.read_word == words["MASTER"])
        writes, goes = told("MASTER"), Signal()
        index = Cat(lane, Const(0, MASTER_LANE_BITS))[:MASTER_LANE_BITS]
        index = Cat(index, address, Const(0, 32))[:32]
        new = merged(access, index)
        m.d.comb += [
            host.master.lane.eq(lane),
            host.master.address.eq(address),
            host.master.read.eq(reads),
            host.master.write.eq(writes),
            host.master.written.eq(sat(signed_word, learning.range)),
            self.fails.eq((reads | written("MASTER")) & host.denied),
            self.waits.eq(reads & ~host.denied & ~host.found),
            goes.eq((reads & host.found) | (writes & ~host.denied)),
            value("MASTER").eq(host.found_master),
            value("MASTER_INDEX").eq(index),
        ]
        with m.If(written("MASTER_INDEX")):
            m.d.sync += [
                lane.eq(clip(new[:MASTER_LANE_BITS], 0, self._core.lanes - 1)),
                address.eq(clip(new[MASTER_LANE_BITS:], 0, layout.words - 1)),
            ]
        with m.Elif(goes):
            ends = lane == self._core.lanes - 1
            m.d.sync += [lane.eq(Mux(ends, 0, lane + 1)), address.eq(address + ends)]
        return m
