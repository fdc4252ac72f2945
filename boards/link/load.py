"""LOAD: weights, from the host to the core."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Out

from boards.link.command import (
    command_members,
    decide,
    give_up,
    refuse_to_wait,
    waiting_members,
)
from boards.link.packets import BYTE
from boards.link.protocol import Status
from boards.link.states import one_hot


class Load(wiring.Component):
    """Passes a request's bytes on.

    Members
    -------
    (those of boards.link.command)
    weights : Out, stream of BYTE
        To the core.
    """

    def __init__(self) -> None:
        members = {"weights": Out(stream.Signature(BYTE))}
        super().__init__(command_members() | waiting_members() | members)

    def elaborate(self, platform) -> Module:
        m = Module()
        final = Signal()  # the load ends with this request
        ends = Signal()  # this byte is the request's last one
        m.d.sync += [self.decided.eq(0), self.give_up.eq(0)]
        with m.FSM() as fsm:
            with m.State("idle"), m.If(self.start):
                refuse_to_wait(m, self)
                with m.Elif(~self.length[1:].any()):
                    decide(m, self, Status.LENGTH)
                with m.Else():
                    m.next = "first"
            with m.State("first"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += final.eq(self.i.payload.byte[0])
                    m.next = "take"
            with m.State("take"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [
                        self.weights.payload.byte.eq(self.i.payload.byte),
                        self.weights.payload.last.eq(self.i.payload.last & final),
                        ends.eq(self.i.payload.last),
                    ]
                    m.next = "give"
            with m.State("give"):
                m.d.comb += self.weights.valid.eq(1)
                with m.If(self.weights.ready):
                    m.next = "given"
                with m.Elif(self.ended):
                    give_up(m, self)
            with m.State("given"):
                m.next = "take"
                with m.If(ends):
                    decide(m, self, Status.OK)
                    m.next = "idle"
        one_hot(fsm.state)
        return m
