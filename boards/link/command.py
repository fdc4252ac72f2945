"""What all that execute commands have in common (boards.link.protocol.Command)."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Member, Out

from boards.link.packets import BYTE
from boards.link.protocol import Status


def command_members() -> dict[str, Member]:
    """Members of every one of them.

    start : In
        Strobe: a request has come.
    length : In
        Bytes of its payload; stays.
    i : In, stream of BYTE
        The payload. Only who has been started takes any of it.
    decided, status : Out
        Strobe: what the answer is. A second one takes back the first.
    size : Out
        With ``decided``: bytes of the answer's payload, if it is OK; else there is none.
    o : Out, stream of unsigned(8)
        The payload.
    """
    return {
        "start": In(1),
        "length": In(16),
        "i": In(stream.Signature(BYTE)),
        "decided": Out(1),
        "status": Out(Status),
        "size": Out(16),
        "o": Out(stream.Signature(8)),
    }


def waiting_members() -> dict[str, Member]:
    """Members of those that wait for the core as well.

    booting : In
        The weights are being copied from flash.
    ended, given_up, give_up : In, In, Out
        boards.link.patience.Patience.
    """
    return {"booting": In(1), "ended": In(1), "given_up": In(1), "give_up": Out(1)}


def decide(m: Module, command: Any, status: Status) -> None:
    """Makes ``command`` say so in the next cycle."""
    m.d.sync += [command.decided.eq(1), command.status.eq(status)]


def refuse_to_wait(m: Module, command: Any) -> None:
    """Refuses a command for which the core has no time now, or never again; an Else may follow."""
    with m.If(command.booting):
        decide(m, command, Status.BUSY)
    with m.Elif(command.given_up):
        decide(m, command, Status.STUCK)


def give_up(m: Module, command: Any) -> None:
    """Waits no longer: for this command, nor for any other one."""
    m.d.sync += command.give_up.eq(1)
    decide(m, command, Status.STUCK)
    m.next = "idle"
