"""The host link's other end: takes requests, drives the core, answers (boards.protocol)."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from boards.beats import Gather, Scatter, beat_layout
from boards.packets import BYTE, PacketReceiver, PacketSender
from boards.protocol import CHECK, HEADER, Command, Flag, Link, Status
from boards.uart import RECEIVED
from hw.axi import axi_lite_signature
from hw.registers import ADDRESS_WIDTH, STATUS, STATUS_ACTIVE, STATUS_UNLOADED


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


class _Then(enum.Enum):
    """What a register's value was read for."""

    ANSWER = 0
    UNLOADED = 1
    SETTLED = 2
    COUNTER = 3


class HostLink(wiring.Component):
    """Executes one request after another; each once, however often it comes.

    Parameters
    ----------
    link : Link
        The core's sizes.

    Members
    -------
    i : In, stream of boards.uart.RECEIVED, always ready
        Bytes from the host.
    o : Out, stream of unsigned(8)
        Bytes to it.
    core : Out
        The core's buses (core_signature).
    booting, boot_failed : In
        The weights are being copied from flash; they could not be.
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
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        link, core = self._link, self.core
        m.submodules.receiver = receiver = PacketReceiver(link.request + HEADER + CHECK)
        m.submodules.sender = sender = PacketSender(link.answer + HEADER)
        connect(m, flipped(self.i), receiver.i)
        connect(m, sender.o, flipped(self.o))
        m.submodules.gather = gather = Gather(link.element, link.inputs)
        m.submodules.scatter = scatter = Scatter(link.result * link.per_beat)
        connect(m, gather.o, flipped(core.frames))
        connect(m, flipped(core.results), scatter.i)

        header = Signal(8 * HEADER)
        sequence, command, length = header[:8], header[8:16], header[16:]
        last_sequence, greeted = Signal(8), Signal()
        is_hello, is_same, is_next = Signal(), Signal(), Signal()
        argument, arguments = Signal(48), Signal(range(7))
        status, answer = Signal(8), Signal(16)  # length of the answer's payload
        value, then = Signal(32), Signal(_Then)
        place = Signal(range(max(HEADER, len(link.hello()))))
        frames_left = Signal(range(link.frames + 1))
        left = Signal(16)
        dropped = Signal()
        m.d.comb += Cat(is_hello, is_same, is_next).eq(
            Cat(command == Command.HELLO, sequence == last_sequence, sequence == last_sequence + 1)
        )
        with m.If(receiver.dropped):
            m.d.sync += dropped.eq(1)

        def finish(code: Status, payload: ValueLike = 0) -> None:
            """Goes on to answer ``code`` and ``payload`` bytes that follow."""
            m.d.sync += [status.eq(code), answer.eq(payload), place.eq(0)]
            m.next = "answer"

        def read(address: ValueLike, what: _Then) -> None:
            """Reads a register, and says what for."""
            m.d.sync += [core.registers.araddr.eq(address), core.registers.arvalid.eq(1)]
            m.d.sync += then.eq(what)
            m.next = "read"

        def takes(right: Value) -> None:
            """Goes on with the arguments, if there are as many as there must be."""
            m.next = "arguments"
            with m.If(~right):
                finish(Status.LENGTH)

        bus = core.registers
        m.d.comb += [bus.rready.eq(1), bus.bready.eq(1)]
        address = argument[:16]
        wrong_address = Signal()
        m.d.sync += wrong_address.eq((address >> ADDRESS_WIDTH).any() | address[:2].any())
        counters = Array(Const(address, ADDRESS_WIDTH) for _, address in link.counters)
        counter = Signal(range(len(link.counters) + 1))

        with m.FSM():
            with m.State("idle"):
                m.d.sync += place.eq(0)
                with m.If(receiver.full & sender.idle):
                    m.next = "header"
            with m.State("header"):
                m.d.comb += receiver.o.ready.eq(1)
                with m.If(receiver.o.valid):
                    m.d.sync += [
                        header.eq(Cat(header[8:], receiver.o.payload.byte)),
                        place.eq(place + 1),
                    ]
                    with m.If(place == HEADER - 1):
                        m.next = "decide"
            with m.State("decide"):
                m.d.sync += [left.eq(length), arguments.eq(0), frames_left.eq(0), counter.eq(0)]
                m.d.sync += answer.eq(4 * len(link.counters))
                with m.If(is_hello):
                    m.d.sync += [greeted.eq(1), last_sequence.eq(sequence)]
                    with m.If(length == 0):
                        finish(Status.OK, len(link.hello()))
                    with m.Else():
                        finish(Status.LENGTH)
                with m.Elif(greeted & is_same):
                    m.d.comb += [sender.again.eq(1), receiver.release.eq(1)]
                    m.next = "idle"
                with m.Elif(greeted & is_next):
                    m.d.sync += last_sequence.eq(sequence)
                    m.next = "begin"
                with m.Else():
                    m.d.sync += greeted.eq(0)
                    finish(Status.SEQUENCE)
            with m.State("begin"), m.Switch(command):
                with m.Case(Command.READ):
                    takes(length == 2)
                with m.Case(Command.WRITE):
                    takes(length == 6)
                with m.Case(Command.FRAMES):
                    m.next = "frames"
                    if link.loads:
                        with m.If(self.booting):
                            finish(Status.BUSY)
                if link.loads:
                    with m.Case(Command.LOAD):
                        takes(length[1:].any())
                        with m.If(self.booting):
                            finish(Status.BUSY)
                with m.Default():
                    finish(Status.COMMAND)

            # READ, WRITE, LOAD.
            with m.State("arguments"):
                m.d.comb += receiver.o.ready.eq(1)
                with m.If(receiver.o.valid):
                    m.d.sync += arguments.eq(arguments + 1)
                    m.d.sync += argument.word_select(arguments, 8).eq(receiver.o.payload.byte)
                    with m.If(receiver.o.payload.last):
                        m.next = "access"
                    if link.loads:
                        with m.If(command == Command.LOAD):
                            m.next = "load"
            with m.State("access"):  # a cycle for wrong_address
                m.next = "access now"
            with m.State("access now"):
                with m.If(wrong_address):
                    finish(Status.ADDRESS)
                with m.Elif(command == Command.READ):
                    read(address, _Then.ANSWER)
                with m.Else():
                    m.d.sync += [
                        bus.awaddr.eq(address),
                        bus.awvalid.eq(1),
                        bus.wdata.eq(argument[16:]),
                        bus.wstrb.eq(0b1111),
                        bus.wvalid.eq(1),
                    ]
                    m.next = "write"
            with m.State("write"):
                with m.If(bus.awready):
                    m.d.sync += bus.awvalid.eq(0)
                with m.If(bus.wready):
                    m.d.sync += bus.wvalid.eq(0)
                with m.If(bus.bvalid):
                    finish(Status.OK)
                    with m.If(bus.bresp != 0):
                        finish(Status.ADDRESS)
            if link.loads:
                with m.State("load"):
                    m.d.comb += [
                        core.weights.valid.eq(receiver.o.valid),
                        core.weights.payload.byte.eq(receiver.o.payload.byte),
                        core.weights.payload.last.eq(receiver.o.payload.last & argument[0]),
                        receiver.o.ready.eq(core.weights.ready),
                    ]
                    with m.If(core.weights.valid & core.weights.ready & receiver.o.payload.last):
                        finish(Status.OK)

            # A register.
            with m.State("read"):
                with m.If(bus.arready):
                    m.d.sync += bus.arvalid.eq(0)
                with m.If(bus.rvalid):
                    m.d.sync += value.eq(bus.rdata)
                    m.next = "value"
                    with m.If(bus.rresp != 0):
                        finish(Status.ADDRESS)
            with m.State("value"), m.Switch(then):
                with m.Case(_Then.ANSWER):
                    finish(Status.OK, 4)
                with m.Case(_Then.UNLOADED):
                    finish(Status.OK, answer)
                    with m.If(value[STATUS_UNLOADED]):
                        finish(Status.UNLOADED)
                with m.Case(_Then.SETTLED):
                    with m.If(value[STATUS_ACTIVE]):
                        read(STATUS, _Then.SETTLED)
                    with m.Else():
                        read(counters[0], _Then.COUNTER)
                with m.Case(_Then.COUNTER):
                    m.d.sync += [place.eq(0), counter.eq(counter + 1)]
                    m.next = "bytes"

            # FRAMES: how many, then whether they can be taken.
            with m.State("frames"):
                with m.If((left < link.frame) | (frames_left == link.frames)):
                    finish(Status.LENGTH)
                    with m.If((left == 0) & (frames_left != 0)):
                        finish(Status.OK, answer)
                        if link.loads:
                            read(STATUS, _Then.UNLOADED)
                with m.Else():
                    m.d.sync += [
                        left.eq(left - link.frame),
                        frames_left.eq(frames_left + 1),
                        answer.eq(answer + link.results),
                    ]
            with m.State("stream"):
                m.d.comb += [
                    gather.i.valid.eq(receiver.o.valid),
                    gather.i.payload.eq(receiver.o.payload.byte),
                    receiver.o.ready.eq(gather.i.ready),
                    sender.i.valid.eq(scatter.o.valid),
                    sender.i.payload.byte.eq(scatter.o.payload.byte),
                    scatter.o.ready.eq(sender.i.ready),
                ]
                with m.If(scatter.o.valid & scatter.o.ready & scatter.o.payload.last):
                    m.d.sync += frames_left.eq(frames_left - 1)
                with m.If(frames_left == 0):
                    read(STATUS, _Then.SETTLED)

            # Answers.
            with m.State("answer"):
                m.d.comb += [
                    sender.i.valid.eq(1),
                    sender.i.payload.byte.eq(
                        Cat(sequence, status, answer).word_select(place[:2], 8)
                    ),
                    sender.i.payload.last.eq((place == HEADER - 1) & (answer == 0)),
                ]
                m.d.sync += place.eq(place + 1)
                with m.If(place == HEADER - 1):
                    m.d.sync += place.eq(0)
                    m.next = "bytes"
                    with m.If(answer == 0):
                        m.next = "release"
                    with m.Elif(command == Command.HELLO):
                        m.next = "hello"
                    with m.Elif(command == Command.FRAMES):
                        m.next = "stream"
            with m.State("hello"):
                hello = Array(Const(byte, 8) for byte in link.hello())
                flags = Cat(Const(int(link.loads), 1), self.booting, self.boot_failed, dropped)
                assert list(Flag) == [Flag.LOADS, Flag.BOOTING, Flag.BOOT_FAILED, Flag.DROPPED]
                m.d.comb += [
                    sender.i.valid.eq(1),
                    sender.i.payload.byte.eq(Mux(place == 1, flags, hello[place])),
                    sender.i.payload.last.eq(place == len(link.hello()) - 1),
                ]
                m.d.sync += place.eq(place + 1)
                with m.If(sender.i.payload.last):
                    m.d.sync += dropped.eq(0)
                    m.next = "release"
            with m.State("bytes"):  # of a value
                m.d.comb += [
                    sender.i.valid.eq(1),
                    sender.i.payload.byte.eq(value.word_select(place[:2], 8)),
                    sender.i.payload.last.eq(
                        (place == 3) & ((command == Command.READ) | (counter == len(link.counters)))
                    ),
                ]
                m.d.sync += place.eq(place + 1)
                with m.If(sender.i.payload.last):
                    m.next = "release"
                with m.Elif(place == 3):
                    read(counters[counter], _Then.COUNTER)
            with m.State("release"):
                m.d.comb += receiver.release.eq(1)
                m.next = "released"
            with m.State("released"):
                m.next = "idle"
        return m
