"""The beginning of every request: who is to execute it, or why nobody is."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from boards.link.packets import BYTE
from boards.link.protocol import HEADER, Command, Status
from boards.link.states import one_hot


class RequestReader(wiring.Component):
    """Reads a header, and keeps count of the requests.

    Parameters
    ----------
    commands : sequence of Command
        Those that there are; HELLO is one of them.

    Members
    -------
    i : In, stream of BYTE
        A request. Its payload is left to others.
    ready : In
        There is one, and its answer could be sent.
    sequence, length : Out
        Its number, and the bytes of its payload; they stay until ``done``.
    begins : Out
        Strobes: a bit for each command, to be executed.
    refused : Out
        Strobe: the answer is ``status``.
    again : Out
        Strobe: the answer is the last one.
    done : In
        Strobe: the answer has been made.
    release : Out
        Strobe: the request may go.
    """

    def __init__(self, commands: Sequence[Command]) -> None:
        self._commands = tuple(commands)
        super().__init__(
            {
                "i": In(stream.Signature(BYTE)),
                "ready": In(1),
                "sequence": Out(8),
                "length": Out(16),
                "begins": Out(len(self._commands)),
                "refused": Out(1),
                "status": Out(Status),
                "again": Out(1),
                "done": In(1),
                "release": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        header, index = Signal(8 * HEADER), Signal(range(HEADER))
        last, greeted = Signal(8), Signal()
        # What is decided on lies in registers, each a cycle later than what it says something of.
        ahead, is_same, is_next = Signal(8), Signal(), Signal()
        wanted, known = Signal(len(self._commands)), Signal()
        hello = wanted[self._commands.index(Command.HELLO)]
        m.d.comb += [self.sequence.eq(header[:8]), self.length.eq(header[16:])]
        m.d.sync += [
            wanted.eq(Cat(header[8:16] == command for command in self._commands)),
            known.eq(wanted.any()),
            ahead.eq(self.sequence - last),
            is_same.eq(ahead == 0),
            is_next.eq(ahead == 1),
            *(strobe.eq(0) for strobe in (self.begins, self.refused, self.again, self.release)),
        ]

        def begin() -> None:
            m.d.sync += [
                self.begins.eq(wanted),
                self.refused.eq(~known),
                self.status.eq(Status.COMMAND),
            ]
            m.next = "busy"

        with m.FSM() as fsm:
            with m.State("idle"), m.If(self.ready):
                m.next = "header"
            with m.State("header"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [
                        header.word_select(index, 8).eq(self.i.payload.byte),
                        index.eq(index + 1),
                    ]
                    with m.If(index == HEADER - 1):
                        m.next = "ahead"
            with m.State("ahead"):
                m.next = "compare"
            with m.State("compare"):
                m.next = "decide"
            with m.State("decide"):
                m.d.sync += last.eq(self.sequence)
                with m.If(hello):
                    m.d.sync += greeted.eq(1)
                    begin()
                with m.Elif(greeted & is_same):
                    m.d.sync += [self.again.eq(1), self.release.eq(1)]
                    m.next = "released"
                with m.Elif(greeted & is_next):
                    begin()
                with m.Else():
                    m.d.sync += [
                        greeted.eq(0),
                        self.refused.eq(1),
                        self.status.eq(Status.SEQUENCE),
                    ]
                    m.next = "busy"
            with m.State("busy"), m.If(self.done):
                m.d.sync += self.release.eq(1)
                m.next = "released"
            with m.State("released"):
                m.next = "gone"
            with m.State("gone"):  # ``ready`` says nothing of this request any more
                m.next = "idle"
        one_hot(fsm.state)
        return m
