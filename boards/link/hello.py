"""HELLO: what there is to be known of a core before anything is asked of it."""

from amaranth.hdl import Array, Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from boards.link.command import command_members, decide
from boards.link.protocol import HELLO_FLAGS, Flag, Link, Status
from boards.link.states import one_hot


class Hello(wiring.Component):
    """Answers with the sizes of the core, and with flags.

    Parameters
    ----------
    link : Link
        The sizes.

    Members
    -------
    (those of boards.link.command)
    booting, boot_failed : In
        The weights are being copied from flash; they could not be.
    memory_failed : In
        A memory beside the chip has failed.
    dropped : In
        Strobe: something has come that was no packet.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        members = {"booting": In(1), "boot_failed": In(1), "memory_failed": In(1)}
        members |= {"dropped": In(1)}
        super().__init__(command_members() | members)

    def elaborate(self, platform) -> Module:
        m = Module()
        said = self._link.hello()
        bytes_ = Array(Const(byte, 8) for byte in said)
        place, at_flags, ends = Signal(range(len(said))), Signal(), Signal()
        byte = Signal(8)
        dropped = Signal()  # since the last HELLO
        flags = {
            Flag.LOADS: Const(self._link.loads, 1),
            Flag.BOOTING: self.booting,
            Flag.BOOT_FAILED: self.boot_failed,
            Flag.DROPPED: dropped,
            Flag.TRAINS: Const(self._link.trains, 1),
            Flag.MEMORY_FAILED: self.memory_failed,
        }
        m.d.comb += self.size.eq(len(said))
        m.d.sync += [
            self.decided.eq(0),
            at_flags.eq(place == HELLO_FLAGS),
            ends.eq(place == len(said) - 1),
            byte.eq(bytes_[place]),
        ]
        with m.If(place == HELLO_FLAGS):
            m.d.sync += byte.eq(Cat(flags[flag] for flag in Flag))
        with m.FSM() as fsm:
            with m.State("idle"), m.If(self.start):
                m.next = "answer"
                decide(m, self, Status.OK)
                with m.If(self.length != 0):
                    m.next = "idle"
                    decide(m, self, Status.LENGTH)
            with m.State("read"):  # for the registers to say something of this place
                m.next = "answer"
            with m.State("answer"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(byte)]
                with m.If(self.o.ready):
                    m.d.sync += place.eq(place + 1)
                    m.next = "read"
                    with m.If(at_flags):
                        m.d.sync += dropped.eq(0)
                    with m.If(ends):
                        m.d.sync += place.eq(0)
                        m.next = "idle"
        with m.If(self.dropped):
            m.d.sync += dropped.eq(1)
        one_hot(fsm.state)
        return m
