"""Hears what a sequence was, and teaches the masters: from the engine's way forward and back."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.learn.formats import LearningFormats
from golden.learn.masters import Masters
from golden.learn.tape import FRAMES_MAX, TapeSize
from golden.parameters import CoreParameters
from hw.fixed import rshift
from hw.learn.backward import Backward
from hw.learn.cell import SLOPES, learning_cell
from hw.learn.layout import LearningLayout
from hw.learn.loss import HALVINGS_MAX, Loss
from hw.learn.masters import MasterMemory
from hw.learn.port import learning_port
from hw.learn.units import SlopeUnit
from hw.pipeline import staged
from hw.target import GENERIC, Target


class Trainer(wiring.Component):
    """Learns from one sequence after another (docs/training-core.md).

        engine.walked, seen -> SlopeUnit --> Backward --> MasterMemory --> engine.word
        engine.result ------> Loss ------------^
        label, errors ---------^---------------^

    While frames come it records them. A label or errors end the sequence: when all that was taken
    of it is computed, they are heard, the masters change, and the state is reset.

    Parameters
    ----------
    core : CoreParameters
        One that trains.
    masters : sequence of Masters
        Those of each layer at power-up.
    tape : TapeSize
        Its room.
    learning : LearningFormats
        Formats of errors, slopes and masters.
    target : Target
        Whose memories and stages.

    Members
    -------
    engine : In
        hw.learn.port.learning_port.
    label : In, stream
        Which class the sequence was. It is heard when the frames before it are done.
    errors : In, stream
        Instead of a label: ``e`` of the mean of each result, ``last`` with the last one's.
    records : In
        Frames are recorded; it stays while a sequence lasts.
    rate, known, cost : In
        Registers RATE, KNOWN (1 or more) and LAMBDA; they stay while it is ``busy``.
    busy : Out
        It has heard what the sequence was, and is not done.
    decided : Out
        The class that the last sequence's results decided, from the first strobe on.
    learned, full, unknown, broken : Out
        Strobes, one of them where a sequence ends: it was learned from; or it was dropped, because
        the tape has not all of it, the label is not known, there were not as many errors as there
        are results. In the order of the last three, where several are true.
    saturated : Out
        Together with ``learned``: a master moved and was then at an end of its range.
    """

    def __init__(
        self,
        core: CoreParameters,
        masters: Sequence[Masters],
        tape: TapeSize,
        learning: LearningFormats,
        target: Target = GENERIC,
    ) -> None:
        layout = LearningLayout(core)
        network, stages = core.network, target.stages(core)
        self._core, self._target, self._learning = core, target, learning
        self._backward = Backward(layout, tape, learning, target)
        self._memory = MasterMemory(
            layout.master_words(masters),
            width=learning.master,
            stages=stages,
            read_latency=target.weights.latency,
        )
        self._loss = Loss(
            learning=learning,
            outputs=network.outputs,
            width=network.accumulator_width,
            frac=network.output_frac,
        )
        class_ = bits_for(network.outputs)
        error = data.StructLayout({"e": signed(learning.error.width), "last": 1})
        backward = self._backward.signature.members
        super().__init__(
            {
                "engine": In(learning_port(core)),
                "label": In(stream.Signature(class_)),
                "errors": In(stream.Signature(error)),
                "records": In(1),
                "rate": backward["rate"],
                "known": In(class_),
                "cost": backward["cost"],
                "busy": Out(1),
                "decided": Out(ceil_log2(network.outputs)),
                "learned": Out(1),
                "full": Out(1),
                "unknown": Out(1),
                "broken": Out(1),
                "saturated": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.backward = backward = self._backward
        m.submodules.memory = memory = self._memory
        m.submodules.loss = loss = self._loss
        engine, outputs = self.engine, self._core.network.outputs

        # Forward: events, slopes and results, as they come.
        missed = Signal()  # something was not recorded
        came, walked = staged(m, engine.walked.valid, engine.walked.payload, 1, "walked")
        with m.If(came[-1] & ~self.records):
            m.d.sync += missed.eq(1)
        m.d.comb += [
            backward.tape.i.valid.eq(came[-1]),
            backward.tape.i.payload.eq(walked[-1]),
            backward.tape.restart.eq(engine.restart),
            loss.restart.eq(engine.restart),
            loss.i.valid.eq(engine.result.valid),
            loss.i.payload.value.eq(engine.result.payload.m),
            loss.i.payload.last.eq(engine.result.payload.last),
        ]
        self._slopes(m)

        # The masters: for the way forward, and while it learns for the way back.
        of_back = backward.masters
        m.d.comb += [
            engine.records.eq(self.records),
            memory.address.eq(Mux(self.busy, of_back.address, engine.address)),
            memory.write_address.eq(of_back.write_address),
            memory.write.eq(of_back.write),
            memory.written.eq(of_back.written),
            of_back.word.eq(memory.word),
            *(
                weight.eq(master[self._learning.below :])
                for weight, master in zip(engine.word, memory.word, strict=True)
            ),
        ]

        # What the sequence was.
        label = Signal.like(self.label.payload)
        by_host, judged, broken, unknown = Signal(), Signal(), Signal(), Signal()
        number = Signal(range(outputs + 1))
        hears = engine.idle & (self.label.valid | self.errors.valid)
        m.d.comb += [
            engine.hold.eq(self.label.valid | self.errors.valid | self.busy),
            engine.busy.eq(self.busy),
            loss.known.eq(self.known),
            loss.label.eq(label),
            unknown.eq(~by_host & (label >= self.known)),
            self.decided.eq(loss.decided),
            backward.rate.eq(self.rate),
            backward.cost.eq(self.cost),
            backward.frames.eq(loss.frames),
            self.saturated.eq(backward.saturated),
        ]
        e, of_results = self.errors.payload.e, backward.of_results
        known = Mux(number < self.known, e, 0)
        of_frame = Array(rshift(known, k) for k in range(HALVINGS_MAX + 1))[loss.halvings]
        with m.If(by_host):
            m.d.comb += [
                of_results.valid.eq(self.errors.valid & self.errors.ready & (number != outputs)),
                of_results.payload.e.eq(of_frame),
            ]
        with m.Else():
            m.d.comb += [
                of_results.valid.eq(loss.o.valid),
                of_results.payload.e.eq(loss.o.payload.of_frame),
            ]
        m.d.comb += of_results.payload.number.eq(number)
        with m.If(of_results.valid):
            m.d.sync += number.eq(number + 1)
        with m.If(loss.o.valid & loss.o.payload.last):
            m.d.sync += judged.eq(1)
        with m.FSM() as fsm:
            with m.State("HEAR"):
                m.d.sync += [
                    label.eq(self.label.payload),
                    by_host.eq(~self.label.valid),
                    Cat(judged, broken, number).eq(0),
                ]
                m.d.comb += [
                    self.label.ready.eq(engine.idle),
                    loss.ends.eq(hears & (loss.frames != 0)),
                ]
                with m.If(hears & self.label.valid & (loss.frames != 0)):
                    m.next = "JUDGE"
                with m.Elif(hears & ~self.label.valid):
                    m.next = "ERRORS"
            with m.State("ERRORS"):
                m.d.comb += self.errors.ready.eq(1)
                with m.If(self.errors.valid & self.errors.payload.last):
                    m.d.sync += broken.eq(number != outputs - 1)
                    m.next = "JUDGE"
            with m.State("JUDGE"):
                full = backward.tape.full | missed | (loss.frames > FRAMES_MAX)
                with m.If(loss.frames == 0):  # errors of nothing
                    m.next = "HEAR"
                with m.Elif(judged & (full | unknown | broken)):
                    m.d.comb += [
                        self.full.eq(full),
                        self.unknown.eq(~full & unknown),
                        self.broken.eq(~full & broken),
                        engine.reset.eq(1),
                    ]
                    m.next = "HEAR"
                with m.Elif(judged & backward.ready):
                    m.d.comb += backward.start.eq(1)
                    m.next = "BACK"
            with m.State("BACK"), m.If(backward.free):
                m.d.comb += [self.learned.eq(1), engine.reset.eq(1)]
                m.next = "HEAR"
        m.d.comb += self.busy.eq(~fsm.ongoing("HEAR"))
        return m

    def _slopes(self, m: Module) -> None:
        """What the tape keeps of units, from what was seen of them."""
        core, backward = self._core, self._backward
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
                    kept = getattr(backward.tape, f"kept_{k}")
                    m.d.comb += [
                        kept.valid.eq(valids[-1] & (layers[-1] == k)),
                        *(to.eq(of) for to, of in zip(kept.payload, units, strict=True)),
                    ]
