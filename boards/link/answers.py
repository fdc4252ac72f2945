"""Answers as packets: a header, then bytes of whoever executed the request."""

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from boards.link.packets import BYTE
from boards.link.protocol import HEADER, Status
from boards.link.states import one_hot


class AnswerWriter(wiring.Component):
    """Writes one answer after another.

    Parameters
    ----------
    longest : int
        Bytes of a payload, at most.

    Members
    -------
    start, status, size : In
        Strobe: an answer begins, with so many bytes of payload. One that has been begun is
        forgotten.
    sequence : In
        Its number; stays.
    i : In, stream of unsigned(8)
        The payload.
    anew, o : Out, and Out, stream of BYTE, always ready
        What boards.link.packets.PacketSender takes.
    done : Out
        Strobe: all of it has gone out.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        super().__init__(
            {
                "start": In(1),
                "status": In(Status),
                "size": In(16),
                "sequence": In(8),
                "i": In(stream.Signature(8)),
                "anew": Out(1),
                "o": Out(stream.Signature(BYTE, always_ready=True)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        status = Signal.like(self.status)
        # Bytes that are left of the payload, and whether that is none, or one.
        left, empty, last = Signal(range(self._longest + 1)), Signal(), Signal()
        header = Cat(self.sequence, status, Const(0, 8 - len(status)), left, Const(0, 16))
        index, header_ends = Signal(range(HEADER)), Signal()
        m.d.sync += [self.anew.eq(0), self.o.valid.eq(0), self.done.eq(0)]

        def send(ends: Value) -> None:
            m.d.sync += [self.o.valid.eq(1), self.o.payload.last.eq(ends), self.done.eq(ends)]

        def begin() -> None:
            with m.If(self.start):
                m.d.sync += [
                    self.anew.eq(1),
                    self.o.valid.eq(0),
                    self.done.eq(0),
                    index.eq(0),
                    header_ends.eq(0),
                    status.eq(self.status),
                    left.eq(self.size),
                ]
                m.next = "header"

        with m.FSM() as fsm:
            with m.State("idle"):
                begin()
            with m.State("header"):
                send(header_ends & empty)
                m.d.sync += [
                    self.o.payload.byte.eq(header[: 8 * HEADER].word_select(index, 8)),
                    index.eq(index + 1),
                    header_ends.eq(index == HEADER - 2),
                    empty.eq(left == 0),
                    last.eq(left == 1),
                ]
                with m.If(header_ends):
                    m.next = "take"
                    with m.If(empty):
                        m.next = "idle"
                begin()
            with m.State("take"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += self.o.payload.byte.eq(self.i.payload)
                with m.If(self.i.valid):
                    m.next = "give"
                begin()
            with m.State("give"):
                send(last)
                m.d.sync += [left.eq(left - 1), last.eq(left == 2)]
                m.next = "take"
                with m.If(last):
                    m.next = "idle"
                begin()
        one_hot(fsm.state)
        return m
