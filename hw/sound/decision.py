"""Results to words: averages of all classes by one adder, and the largest of them."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.sound.decision import Decision
from hw.primitive.memory import UNCHECKED


class Decider(wiring.Component):
    """golden.sound.decision.Decision.words. A result is taken every third cycle.

    Averages begin at 0 at power-up. A reset while it runs leaves them in their memory; they fade.

    Parameters
    ----------
    decision : Decision
        Classes, margin and pause.

    Members
    -------
    i : In, stream
        Results of a frame, class by class; ``last`` of the frame.
    told : Out
        Strobe: a word was said.
    word : Out
        Which one; it stays until the next.
    """

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        result = data.StructLayout({"value": signed(decision.result_width), "last": 1})
        super().__init__(
            {
                "i": In(stream.Signature(result)),
                "told": Out(1),
                "word": Out(unsigned(ceil_log2(decision.classes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        decision, width = self._decision, self._decision.average_width
        m.submodules.averages = held = memory.Memory(
            shape=signed(width), depth=decision.classes, init=[], attrs=UNCHECKED
        )
        read, write = held.read_port(), held.write_port()

        number = Signal(range(decision.classes))  # of the class
        best, background = Signal(signed(width)), Signal(signed(width))
        which = Signal.like(number)
        average = Signal(signed(width))
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(number),
            write.addr.eq(number),
            write.data.eq(average),
        ]
        waits = Signal(range(decision.pause + 1))
        with m.FSM():
            with m.State("READ"), m.If(self.i.valid):
                m.next = "ADD"
            with m.State("ADD"):
                m.d.sync += average.eq(
                    read.data - (read.data >> decision.smoothing) + self.i.payload.value
                )
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.d.comb += [self.i.ready.eq(1), write.en.eq(1)]
                m.d.sync += number.eq(Mux(self.i.payload.last, 0, number + 1))
                with m.If((number == 0) | (average > best)):
                    m.d.sync += [best.eq(average), which.eq(number)]
                with m.If(number == decision.background):
                    m.d.sync += background.eq(average)
                m.next = "READ"
                with m.If(self.i.payload.last):
                    m.next = "TELL"
            with m.State("TELL"):
                m.next = "READ"
                with m.If(waits != 0):
                    m.d.sync += waits.eq(waits - 1)
                with m.Elif(best - background > decision.margin):
                    m.d.sync += [self.told.eq(1), self.word.eq(which), waits.eq(decision.pause)]
        with m.If(self.told):
            m.d.sync += self.told.eq(0)
        return m
