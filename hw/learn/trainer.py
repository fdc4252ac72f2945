"""Hears what a sequence was, and teaches the masters: from the engine's way forward and back."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from golden.learn.masters import Masters
from golden.learn.tape import FRAMES_MAX
from golden.parameters import CoreParameters
from hw.lanes.fetch import same_event
from hw.learn.backward import Backward
from hw.learn.cell import SLOPES, learning_cell
from hw.learn.layout import LearningLayout
from hw.learn.loss import Loss
from hw.learn.masters import MasterMemory
from hw.learn.means import Means
from hw.learn.port import host_port, learning_port
from hw.learn.units import SlopeUnit
from hw.pipeline import delayed, staged, strobed
from hw.target import GENERIC, Target


class Trainer(wiring.Component):
    """Learns from one sequence after another (docs/training-core.md).

        engine.walked, seen -> SlopeUnit -> Backward -> MasterMemory -> engine.word
        engine.sent ---------> Means -----------^
        engine.result -------> Loss ------------^
        said, error -------------^

    While frames come it records them. What is said of it ends the sequence: a label, or that the
    errors that came are its. It is heard when all that was taken of the sequence is computed; the
    masters change, and the state is reset. Without a frame before it nothing happens.

    Parameters
    ----------
    core : CoreParameters
        One that trains.
    masters : sequence of Masters
        Those of each layer at power-up.
    target : Target
        Whose memories and stages.

    Members
    -------
    engine : In
        hw.learn.port.learning_port.
    host : In
        hw.learn.port.host_port.
    """

    def __init__(
        self, core: CoreParameters, masters: Sequence[Masters], target: Target = GENERIC
    ) -> None:
        layout = LearningLayout(core)
        network, stages = core.network, target.stages(core)
        self._core, self._stages = core, stages
        self._learning = learning = layout.training.learning
        self._backward = Backward(layout, target)
        self._memory = MasterMemory(
            layout.master_words(masters),
            width=learning.master,
            stages=stages,
            read_latency=target.weights.latency,
            store=target.masters,
        )
        self._finds = target.weights.latency + len(stages)  # cycles until one is there
        self._loss = Loss(
            learning=learning,
            outputs=network.outputs,
            width=network.accumulator_width,
            frac=network.output_frac,
        )
        below, formats = network.layers[-1].inputs, network.formats
        self._means = Means(
            columns=below,
            ways=core.activations,
            width=formats.activation.width,
            frac=formats.activation.f,
        )
        super().__init__({"engine": In(learning_port(core)), "host": In(host_port(core))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.backward = backward = self._backward
        m.submodules.memory = memory = self._memory
        m.submodules.loss = loss = self._loss
        m.submodules.means = means = self._means
        engine, host, outputs = self.engine, self.host, self._core.network.outputs

        # Forward: events, slopes and results, as they come.
        missed = Signal()  # something was not recorded
        number = Signal(range(outputs + 1))  # errors of the host
        came, walked = staged(m, engine.walked.valid, engine.walked.payload, 1, "walked")
        with m.If((came[-1] & ~host.records) | engine.skips):
            m.d.sync += missed.eq(1)
        with m.If(engine.restart):
            m.d.sync += missed.eq(0)
        with m.If(host.forget):
            m.d.sync += number.eq(0)
        m.d.comb += [
            engine.records.eq(host.records),
            backward.tape.i.valid.eq(came[-1]),
            backward.tape.i.payload.eq(walked[-1]),
            backward.tape.restart.eq(engine.restart | means.go),
            loss.restart.eq(engine.restart),
            means.restart.eq(engine.restart),
            means.i.valid.eq(engine.sent.valid),
            *(means.i.payload[k].eq(engine.sent.payload[k]) for k in ("group", "value", "last")),
            means.frames.eq(loss.frames),
            means.halvings.eq(loss.halvings),
            loss.i.valid.eq(engine.result.valid),
            loss.i.payload.value.eq(engine.result.payload.m),
            loss.i.payload.last.eq(engine.result.payload.last),
        ]
        with m.If(means.o.valid):  # in place of what was recorded
            tape, mean = backward.tape.i.payload, means.o.payload
            m.d.comb += [
                backward.tape.i.valid.eq(1),
                tape.layer.eq(len(self._core.recurrent)),
                tape.vector.eq(0),
                *same_event(tape.event, mean.event),
                tape.fires.eq(mean.fires),
                tape.last.eq(mean.last),
            ]
        self._slopes(m)

        # What the sequence was.
        said = Signal.like(host.said.payload)
        said_before = strobed(m, host.said.valid, 1, "said_before")[-1]
        judged, learns = Signal(), Signal()
        m.d.comb += [
            host.whole.eq(number == outputs),
            loss.host.valid.eq(host.error.valid & ~host.whole),
            loss.host.payload.e.eq(host.error.payload),
            loss.host.payload.number.eq(number),
            loss.known.eq(host.known),
            loss.label.eq(said.label),
            loss.by_host.eq(said.by_host),
            host.decided.eq(loss.decided),
        ]
        with m.If(loss.host.valid):
            m.d.sync += number.eq(number + 1)
        with m.If(loss.o.valid & loss.o.payload.last):
            m.d.sync += judged.eq(1)

        # The way back.
        of_results, result = backward.of_results, Signal(range(outputs))
        with m.If(loss.o.valid):
            m.d.sync += result.eq(Mux(loss.o.payload.last, 0, result + 1))
        m.d.comb += [
            of_results.valid.eq(loss.o.valid),
            of_results.payload.e.eq(Mux(host.alone, loss.o.payload.e, loss.o.payload.of_frame)),
            of_results.payload.number.eq(result),
            backward.rate.eq(host.rate),
            backward.cost.eq(host.cost),
            backward.frames.eq(Mux(host.alone, 1, loss.frames)),
            backward.alone.eq(host.alone),
            host.saturated.eq(backward.saturated),
        ]
        # They are as they stay long before the sequence is judged.
        full, unknown = Signal(), Signal()
        m.d.sync += [
            full.eq((backward.tape.full & ~host.alone) | missed | (loss.frames > FRAMES_MAX)),
            unknown.eq(~said.by_host & (said.label >= host.known)),
        ]
        with m.FSM():
            with m.State("HEAR"):
                # From a cycle after it asks on, no frame begins.
                m.d.comb += host.said.ready.eq(engine.idle & said_before)
                m.d.sync += [said.eq(host.said.payload), judged.eq(0)]
                with m.If(host.said.valid & host.said.ready):
                    m.d.sync += number.eq(0)
                    with m.If(loss.frames != 0):
                        m.d.comb += loss.ends.eq(1)
                        m.next = "JUDGE"
            with m.State("JUDGE"):
                m.d.comb += learns.eq(1)
                with m.If(judged & (full | unknown)):
                    m.d.comb += [host.full.eq(full), host.unknown.eq(~full), engine.reset.eq(1)]
                    m.next = "HEAR"
                with m.Elif(judged & host.alone):
                    m.d.comb += means.go.eq(1)
                    m.next = "MEANS"
                with m.Elif(judged):
                    m.next = "READY"
            with m.State("MEANS"):
                m.d.comb += learns.eq(1)
                with m.If(means.o.valid & means.o.payload.last):
                    m.next = "LISTED"
            with m.State("LISTED"):  # the list closes
                m.d.comb += learns.eq(1)
                m.next = "READY"
            with m.State("READY"):
                m.d.comb += learns.eq(1)
                with m.If(backward.ready):
                    m.d.comb += backward.start.eq(1)
                    m.next = "BACK"
            with m.State("BACK"):
                m.d.comb += learns.eq(1)
                with m.If(backward.free):
                    m.d.comb += [host.learned.eq(1), engine.reset.eq(1)]
                    m.next = "HEAR"

        # The masters: of the way forward, of the way back, and of the host.
        of_back, wants = backward.masters, host.master
        word = memory.word
        asks = wants.read | wants.write  # in time to hold a frame back, be it denied or not
        # A cycle late: of a frame that begins, nothing has asked for a master yet.
        rests = strobed(m, engine.rests, 1, "rests")[-1]
        reads = strobed(m, wants.read & ~host.denied & engine.quiet, 1, "host_reads")[-1]
        writes, wrote = staged(m, wants.write & ~host.denied, wants, 1, "host_writes")
        there = Signal(range(self._finds + 1))
        with m.If(~wants.read):
            m.d.sync += there.eq(0)
        with m.Elif(reads & ~host.found):
            m.d.sync += there.eq(there + 1)
        m.d.comb += [
            host.found.eq(there == self._finds),
            host.found_master.eq(delayed(m, word[wants.lane], 1, "found_master")),
            host.busy.eq(learns | host.said.valid),
            host.denied.eq(~rests | host.busy),
            engine.hold.eq(host.busy | asks),
            engine.busy.eq(learns),
            memory.address.eq(
                Mux(learns, of_back.address, Mux(reads, wants.address, engine.address))
            ),
            of_back.word.eq(word),
            *(
                weight.eq(master[self._learning.below :])
                for weight, master in zip(engine.word, word, strict=True)
            ),
        ]
        of_lane = writes[-1] << wrote[-1].lane
        m.d.comb += [
            memory.write_address.eq(Mux(writes[-1], wrote[-1].address, of_back.write_address)),
            memory.write.eq(of_lane | of_back.write.replicate(self._core.lanes)),
        ]
        for n, stage in enumerate(self._stages):
            write = strobed(m, writes[-1], n, f"host_writes_{n}")[-1]
            written = delayed(m, wrote[-1].written, n, f"host_master_{n}")
            for lane in stage:
                m.d.comb += memory.written[lane].eq(Mux(write, written, of_back.written[lane]))
        return m

    def _slopes(self, m: Module) -> None:
        """What the tape keeps of units, from what was seen of them."""
        core, tape = self._core, self._backward.tape
        for kind in dict.fromkeys(layer.kind for layer in core.recurrent):
            cell = learning_cell(kind)(core.network.formats, self._learning)
            seen = getattr(self.engine, f"seen_{kind}")
            valids, layers = staged(m, seen.valid, seen.payload.layer, SLOPES, f"{kind}_layer")
            units = []
            for way in range(core.activations):
                m.submodules[f"slopes_{kind}_{way}"] = unit = SlopeUnit(cell)
                m.d.comb += [
                    unit.i.valid.eq(seen.valid),
                    unit.i.payload.eq(seen.payload.units[way]),
                ]
                units.append(unit.o.payload)
            for k, layer in enumerate(core.recurrent):
                if layer.kind == kind:
                    kept = getattr(tape, f"kept_{k}")
                    m.d.comb += [
                        kept.valid.eq(valids[-1] & (layers[-1] == k)),
                        *(to.eq(of) for to, of in zip(kept.payload, units, strict=True)),
                    ]
