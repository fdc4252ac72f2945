"""READ and WRITE: one register."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from boards.link.command import command_members, decide
from boards.link.protocol import Status
from boards.link.registers import VALUE, register_signature
from boards.link.states import one_hot

ADDRESS = 2  # bytes of one


class Access(wiring.Component):
    """Reads or writes the register that the request says.

    Members
    -------
    (those of boards.link.command)
    writes : In
        With ``start``: it is a WRITE.
    registers : Out
        To boards.link.registers.RegisterPort.
    """

    def __init__(self) -> None:
        members = {"writes": In(1), "registers": Out(register_signature())}
        super().__init__(command_members() | members)

    def elaborate(self, platform) -> Module:
        m = Module()
        registers = self.registers
        writes, place = Signal(), Signal(range(VALUE))
        m.d.comb += [
            # The address comes in through the value, too: its bytes are the last two that came.
            registers.address.eq(registers.value[8 * (VALUE - ADDRESS) :]),
            registers.byte.eq(self.i.payload.byte),
            self.o.payload.eq(registers.value[:8]),
            self.size.eq(Mux(writes, 0, VALUE)),
        ]
        m.d.sync += self.decided.eq(0)

        def take(count: int, state: str) -> None:
            """Goes to ``state`` with the last one of ``count`` bytes."""
            m.d.comb += [self.i.ready.eq(1), registers.shift.eq(self.i.valid)]
            with m.If(self.i.valid):
                m.d.sync += place.eq(place + 1)
                with m.If(place == count - 1):
                    m.d.sync += place.eq(0)
                    m.next = state

        with m.FSM() as fsm:
            with m.State("idle"), m.If(self.start):
                m.d.sync += writes.eq(self.writes)
                m.next = "address"
                with m.If(self.length != ADDRESS + VALUE * self.writes):
                    decide(m, self, Status.LENGTH)
                    m.next = "idle"
            with m.State("address"):
                take(ADDRESS, "point")
            with m.State("point"):
                m.d.comb += registers.point.eq(1)
                m.next = "pointed"
                with m.If(writes):
                    m.next = "value"
            with m.State("value"):
                take(VALUE, "write")
            with m.State("write"):
                m.d.comb += registers.write.eq(1)
                m.next = "wait"
            with m.State("pointed"):
                m.next = "read"
            with m.State("read"):
                m.d.comb += registers.read.eq(1)
                m.next = "wait"
            with m.State("wait"), m.If(registers.done):
                m.next = "idle"
                with m.If(registers.failed):
                    decide(m, self, Status.ADDRESS)
                with m.Else():
                    decide(m, self, Status.OK)
                    with m.If(~writes):
                        m.next = "answer"
            with m.State("answer"):
                m.d.comb += [self.o.valid.eq(1), registers.shift.eq(self.o.ready)]
                with m.If(self.o.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == VALUE - 1):
                        m.next = "idle"
        one_hot(fsm.state)
        return m
