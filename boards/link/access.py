"""READ and WRITE: a register, or several values of one."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from boards.link.command import command_members, decide
from boards.link.protocol import ADDRESS, COUNT, VALUE, Link, Status
from boards.link.registers import register_signature
from boards.link.states import one_hot


class Access(wiring.Component):
    """Reads or writes the register that the request says.

    Several values are read or written one after another, where the link takes them: of a register
    that goes on by itself, as MASTER and ERROR do.

    Parameters
    ----------
    link : Link
        How many there may be.

    Members
    -------
    (those of boards.link.command)
    writes : In
        With ``start``: it is a WRITE.
    registers : Out
        To boards.link.registers.RegisterPort.
    """

    def __init__(self, link: Link) -> None:
        self._several, self._most = link.trains, link.values_read
        members = {"writes": In(1), "registers": Out(register_signature())}
        super().__init__(command_members() | members)

    def elaborate(self, platform) -> Module:
        m = Module()
        registers = self.registers
        writes, place = Signal(), Signal(range(VALUE))
        last_two = registers.value[8 * (VALUE - ADDRESS) :]  # bytes that came
        m.d.comb += [
            # The address comes in through the value, too.
            registers.address.eq(last_two),
            registers.byte.eq(self.i.payload.byte),
            self.o.payload.eq(registers.value[:8]),
        ]
        m.d.sync += self.decided.eq(0)
        wrong = self.length != ADDRESS + VALUE * self.writes
        # Of several values: the request says how many are to be read, as many are left of these,
        # one has been read; that which is written is the last one.
        counted, left, begun, last = Signal(), Signal(range(self._most + 1)), Signal(), Signal()
        if self._several:
            rest = self.length - ADDRESS
            wrong = Mux(self.writes, ~rest.any() | rest[:2].any(), rest.any() & (rest != COUNT))
        more = writes & ~last if self._several else Const(0)
        m.d.comb += self.size.eq(Mux(writes, 0, VALUE * left if self._several else VALUE))

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
                with m.If(wrong):
                    decide(m, self, Status.LENGTH)
                    m.next = "idle"
                if self._several:
                    m.d.sync += [left.eq(1), begun.eq(0), counted.eq(rest == COUNT)]
            with m.State("address"):
                take(ADDRESS, "point")
            with m.State("point"):
                m.d.comb += registers.point.eq(1)
                m.next = "pointed"
                with m.If(writes):
                    m.next = "value"
                if self._several:
                    with m.Elif(counted):
                        m.next = "count"
            if self._several:
                with m.State("count"):
                    take(COUNT, "counted")
                with m.State("counted"):
                    m.d.sync += left.eq(last_two)
                    m.next = "pointed"
                    with m.If(~last_two.any() | (last_two > self._most)):
                        decide(m, self, Status.LENGTH)
                        m.next = "idle"
            with m.State("value"):
                take(VALUE, "write")
                m.d.sync += last.eq(self.i.payload.last)
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
                with m.Elif(more):
                    m.next = "value"
                with m.Else():
                    with m.If(~begun):
                        decide(m, self, Status.OK)
                    with m.If(~writes):
                        m.next = "answer"
            with m.State("answer"):
                m.d.comb += [self.o.valid.eq(1), registers.shift.eq(self.o.ready)]
                with m.If(self.o.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == VALUE - 1):
                        m.next = "idle"
                        if self._several:
                            m.d.sync += [left.eq(left - 1), begun.eq(1)]
                            with m.If(left != 1):
                                m.next = "read"
        one_hot(fsm.state)
        return m
