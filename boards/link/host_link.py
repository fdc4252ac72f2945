"""The host link's other end: takes requests, drives the core, answers (boards.link.protocol)."""

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from boards.link.access import Access
from boards.link.answers import AnswerWriter
from boards.link.beats import beat_layout
from boards.link.frames import Frames
from boards.link.hello import Hello
from boards.link.load import Load
from boards.link.packets import BYTE, PacketReceiver, PacketSender
from boards.link.patience import Patience
from boards.link.protocol import CHECK, HEADER, Command, Link, Status
from boards.link.registers import RegisterPort
from boards.link.requests import RequestReader
from boards.link.uart import RECEIVED
from hw.bus.axi_lite import axi_lite_signature
from hw.bus.registers import ADDRESS_WIDTH


def core_signature(link: Link) -> wiring.Signature:
    """The core's buses, seen from the link."""
    beat = link.result * link.per_beat
    return wiring.Signature(
        {
            "frames": Out(stream.Signature(beat_layout(link.element))),
            "results": In(stream.Signature(beat_layout(beat, keep=beat))),
            "weights": Out(stream.Signature(BYTE)),
            "registers": Out(axi_lite_signature(ADDRESS_WIDTH)),
        }
    )


class HostLink(wiring.Component):
    """Executes one request after another; each once, however often it comes.

    ::

        PacketReceiver -> RequestReader
                 |           | begins
                 +--> Hello, Access, Load, Frames --> AnswerWriter --> PacketSender
                                |     |      |
                        RegisterPort  +------+-- the core

    What one of them says to the next comes out of registers.

    Parameters
    ----------
    link : Link
        The core's sizes.

    Members
    -------
    i : In, stream of boards.link.uart.RECEIVED, always ready
        Bytes from the host.
    o : Out, stream of unsigned(8)
        Bytes to it.
    core : Out
        The core's buses (core_signature).
    booting, boot_failed : In
        The weights are being copied from flash; they could not be.
    memory_failed : In
        A memory beside the chip has failed its test, or given what was not in it.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        super().__init__(
            {
                "i": In(stream.Signature(RECEIVED, always_ready=True)),
                "o": Out(stream.Signature(8)),
                "core": Out(core_signature(link)),
                "booting": In(1),
                "boot_failed": In(1),
                "memory_failed": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        link, core = self._link, self.core
        m.submodules.receiver = receiver = PacketReceiver(link.request + HEADER + CHECK)
        m.submodules.sender = sender = PacketSender(link.answer + HEADER)
        m.submodules.writer = writer = AnswerWriter(link.answer)
        m.submodules.hello = hello = Hello(link)
        m.submodules.access = access = Access(link)
        m.submodules.frames = frames = Frames(link)
        begins: dict[Command, Any] = {
            Command.HELLO: hello,
            Command.READ: access,
            Command.WRITE: access,
            Command.FRAMES: frames,
        }
        patient: list[Any] = [frames]
        connect(m, frames.frames, flipped(core.frames))
        connect(m, flipped(core.results), frames.results)
        if link.loads:
            m.submodules.load = load = begins[Command.LOAD] = Load()
            connect(m, load.weights, flipped(core.weights))
            patient.append(load)
        m.submodules.reader = reader = RequestReader(tuple(begins))

        connect(m, flipped(self.i), receiver.i)
        connect(m, writer.o, sender.i)
        connect(m, sender.o, flipped(self.o))
        m.d.comb += [
            reader.ready.eq(receiver.full & sender.idle),
            reader.done.eq(writer.done),
            receiver.release.eq(reader.release),
            sender.again.eq(reader.again),
            sender.anew.eq(writer.anew),
            hello.booting.eq(self.booting),
            hello.boot_failed.eq(self.boot_failed),
            hello.memory_failed.eq(self.memory_failed),
            hello.dropped.eq(receiver.dropped),
            access.writes.eq(reader.begins[list(begins).index(Command.WRITE)]),
        ]
        parts = dict.fromkeys(begins.values())
        for part in parts:
            strobes = [reader.begins[n] for n, who in enumerate(begins.values()) if who is part]
            # A receiver of so many bytes lets none pass that says more.
            length = reader.length[: link.request.bit_length()]
            m.d.comb += [part.start.eq(Cat(strobes).any()), part.length.eq(length)]
        self._taken(m, receiver.o, [reader, *parts])
        self._answered(m, reader, parts, writer)
        self._asked(m, [access, frames])
        moves = (receiver.o.valid & receiver.o.ready) | writer.o.valid
        self._waited(m, moves, patient)
        return m

    @staticmethod
    def _taken(m: Module, packet: stream.Interface, takers: Iterable[Any]) -> None:
        """Offers a packet's bytes to all; only whose turn it is takes them."""
        for taker in takers:
            m.d.comb += [taker.i.payload.eq(packet.payload), taker.i.valid.eq(packet.valid)]
            with m.If(taker.i.ready):
                m.d.comb += packet.ready.eq(1)

    @staticmethod
    def _answered(
        m: Module, reader: RequestReader, parts: Iterable[Any], writer: AnswerWriter
    ) -> None:
        """Lets the one that works on a request answer it."""
        m.d.comb += [
            writer.sequence.eq(reader.sequence),
            writer.start.eq(reader.refused),
            writer.status.eq(reader.status),
        ]
        for part in parts:
            with m.If(part.decided):
                m.d.comb += [writer.start.eq(1), writer.status.eq(part.status)]
                with m.If(part.status == Status.OK):
                    m.d.comb += writer.size.eq(part.size)
            with m.If(part.o.valid):
                m.d.comb += [writer.i.valid.eq(1), writer.i.payload.eq(part.o.payload)]
            m.d.comb += part.o.ready.eq(writer.i.ready)

    def _asked(self, m: Module, parts: Iterable[Any]) -> None:
        """Lets the one that works on a request ask for registers."""
        m.submodules.registers = port = RegisterPort()
        connect(m, port.bus, flipped(self.core.registers))
        for part in parts:
            ask = part.registers
            for strobe in ("point", "read", "write", "shift"):
                with m.If(getattr(ask, strobe)):
                    m.d.comb += getattr(port.ask, strobe).eq(1)
            with m.If(ask.point):
                m.d.comb += port.ask.address.eq(ask.address)
            with m.If(ask.shift):
                m.d.comb += port.ask.byte.eq(ask.byte)
            m.d.comb += [
                ask.done.eq(port.ask.done),
                ask.failed.eq(port.ask.failed),
                ask.value.eq(port.ask.value),
            ]

    def _waited(self, m: Module, moves: Value, parts: Iterable[Any]) -> None:
        """Lets the one that waits for the core give it up."""
        m.submodules.patience = patience = Patience(self._link.cycles + self._link.learning)
        m.d.sync += patience.moves.eq(moves)
        for part in parts:
            m.d.comb += [
                part.booting.eq(self.booting),
                part.ended.eq(patience.ended),
                part.given_up.eq(patience.given_up),
            ]
            with m.If(part.give_up):
                m.d.comb += patience.give_up.eq(1)
