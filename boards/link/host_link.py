"""The host link's other end: takes requests, drives the core, answers (boards.link.protocol)."""

from amaranth.hdl import Array, Cat, Const, Module, Signal, Value
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from boards.link.beats import Gather, Scatter, beat_layout
from boards.link.packets import BYTE, PacketReceiver, PacketSender
from boards.link.protocol import CHECK, HEADER, HELLO_FLAGS, Command, Flag, Link, Status
from boards.link.uart import RECEIVED
from hw.bus.axi_lite import axi_lite_signature
from hw.bus.registers import ADDRESS_WIDTH, STATUS, STATUS_ACTIVE, STATUS_UNLOADED


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


class _What(enum.Enum):
    """Which register is read: the one asked for, STATUS for either reason, or a counter."""

    ASKED = 0
    LOADED = 1
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
    i : In, stream of boards.link.uart.RECEIVED, always ready
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

        bus = core.registers
        header = Signal(8 * HEADER)
        sequence, command, length = header[:8], header[8:16], header[16:]
        last_sequence, greeted = Signal(8), Signal()
        # What is decided on lies in registers: a condition is one of those, no sum or comparison.
        is_hello, is_same, is_next, of_frames = Signal(), Signal(), Signal(), Signal()
        wrong_address, more, none_left = Signal(), Signal(), Signal()
        argument, arguments = Signal(48), Signal(range(6))
        address = argument[:16]
        status, answer, empty = Signal(8), Signal(16), Signal()  # length of the answer's payload
        value, what = Signal(32), Signal(_What)
        # Byte of a header or a value, all of which have 4; this is the last one.
        word_byte, word_ends = Signal(2), Signal()
        hello_byte = Signal(range(len(link.hello())))
        frames_left, left, total = Signal(range(link.frames + 1)), Signal(16), Signal(16)
        counters = Array(Const(address, ADDRESS_WIDTH) for _, address in link.counters)
        counter, last_counter = Signal(range(len(link.counters) + 1)), Signal()
        ended, dropped = Signal(), Signal()
        # Cycles since a byte was taken or the answer got one: the last bit says nothing moves.
        moves, waited, halted = Signal(), Signal(link.cycles.bit_length() + 1), Signal()
        stuck = waited[-1]
        m.d.comb += [bus.rready.eq(1), bus.bready.eq(1)]
        m.d.sync += [
            is_hello.eq(command == Command.HELLO),
            of_frames.eq(command == Command.FRAMES),
            is_same.eq(sequence == last_sequence),
            is_next.eq(sequence == (last_sequence + 1)[:8]),
            wrong_address.eq((address >> ADDRESS_WIDTH).any() | address[:2].any()),
            more.eq(left >= link.frame),
            none_left.eq(frames_left == 0),
            last_counter.eq(counter == len(link.counters)),
        ]
        with m.If(receiver.dropped):
            m.d.sync += dropped.eq(1)
        m.d.sync += [
            moves.eq((receiver.o.valid & receiver.o.ready) | sender.i.valid),
            waited.eq(waited + 1),
        ]
        with m.If(moves):
            m.d.sync += waited.eq(0)

        def next_byte() -> list:
            """Goes to the word's next byte."""
            return [word_byte.eq(word_byte + 1), word_ends.eq(word_byte == 2)]

        def finish(code: Status) -> None:
            """Goes on to the answer."""
            m.d.sync += status.eq(code)
            m.next = "prepare"

        def read(register: _What) -> None:
            """Reads a register."""
            m.d.sync += what.eq(register)
            m.next = "read"

        def takes(right: Value) -> None:
            """Goes on with the arguments, if there are as many as there must be."""
            m.next = "arguments"
            with m.If(~right):
                finish(Status.LENGTH)

        with m.FSM() as fsm:
            with m.State("idle"), m.If(receiver.full & sender.idle):
                m.next = "header"
            with m.State("header"):
                m.d.comb += receiver.o.ready.eq(1)
                with m.If(receiver.o.valid):
                    m.d.sync += [header.eq(Cat(header[8:], receiver.o.payload.byte)), *next_byte()]
                    with m.If(word_ends):
                        m.next = "compare"
            with m.State("compare"):  # for the registers to say something of this header
                m.d.sync += [signal.eq(0) for signal in (arguments, frames_left, counter)]
                m.d.sync += [left.eq(length), total.eq(4 * len(link.counters))]
                m.next = "decide"
            with m.State("decide"):
                m.d.sync += last_sequence.eq(sequence)
                with m.If(is_hello):
                    m.d.sync += greeted.eq(1)
                    m.next = "begin"
                with m.Elif(greeted & is_same):
                    m.next = "again"
                with m.Elif(greeted & is_next):
                    m.next = "begin"
                with m.Else():
                    m.d.sync += greeted.eq(0)
                    finish(Status.SEQUENCE)
            with m.State("again"):
                m.d.comb += [sender.again.eq(1), receiver.release.eq(1)]
                m.next = "released"
            with m.State("begin"), m.Switch(command):
                with m.Case(Command.HELLO):
                    finish(Status.OK)
                    with m.If(length != 0):
                        finish(Status.LENGTH)
                with m.Case(Command.READ):
                    takes(length == 2)
                with m.Case(Command.WRITE):
                    takes(length == 6)
                with m.Case(Command.FRAMES):
                    m.next = "frames"
                    with m.If(halted):
                        m.next = "halt"
                    if link.loads:
                        with m.If(self.booting):
                            finish(Status.BUSY)
                if link.loads:
                    with m.Case(Command.LOAD):
                        takes(length[1:].any())
                        with m.If(halted):
                            m.next = "halt"
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
                        m.next = "check"
                    if link.loads:
                        with m.If(command == Command.LOAD):
                            m.next = "load"
            with m.State("check"):  # for wrong_address
                m.next = "access"
            with m.State("access"):
                with m.If(wrong_address):
                    finish(Status.ADDRESS)
                with m.Elif(command == Command.READ):
                    read(_What.ASKED)
                with m.Else():
                    m.next = "write"
            with m.State("write"):
                m.d.sync += [
                    bus.awaddr.eq(address),
                    bus.wdata.eq(argument[16:]),
                    bus.wstrb.eq(0b1111),
                    Cat(bus.awvalid, bus.wvalid).eq(0b11),
                ]
                m.next = "writing"
            with m.State("writing"):
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
                    with m.If(receiver.drained):
                        finish(Status.OK)
                    with m.Elif(stuck):
                        m.next = "halt"

            # A register.
            with m.State("read"):
                m.d.sync += [bus.arvalid.eq(1), bus.araddr.eq(STATUS)]
                with m.If(what == _What.ASKED):
                    m.d.sync += bus.araddr.eq(address)
                with m.If(what == _What.COUNTER):
                    m.d.sync += bus.araddr.eq(counters[counter])
                m.next = "reading"
            with m.State("reading"):
                with m.If(bus.arready):
                    m.d.sync += bus.arvalid.eq(0)
                with m.If(bus.rvalid):
                    m.d.sync += value.eq(bus.rdata)
                    m.next = "value"
                    with m.If(bus.rresp != 0):
                        finish(Status.ADDRESS)
            with m.State("value"), m.Switch(what):
                with m.Case(_What.ASKED):
                    finish(Status.OK)
                with m.Case(_What.LOADED):
                    finish(Status.OK)
                    with m.If(value[STATUS_UNLOADED]):
                        finish(Status.UNLOADED)
                with m.Case(_What.SETTLED):
                    m.next = "read"  # the same again, or the first counter
                    with m.If(~value[STATUS_ACTIVE]):
                        m.d.sync += what.eq(_What.COUNTER)
                    with m.Elif(stuck):
                        m.next = "halt"
                with m.Case(_What.COUNTER):
                    m.d.sync += counter.eq(counter + 1)
                    m.next = "bytes"

            # FRAMES: how many there are, and whether they can be taken.
            with m.State("frames"):  # for more
                m.next = "count"
            with m.State("count"):
                m.d.sync += left.eq(left - link.frame)
                m.next = "frames"
                with m.If(more & (frames_left != link.frames)):
                    m.d.sync += [
                        frames_left.eq(frames_left + 1),
                        total.eq(total + link.results),
                    ]
                with m.Elif((left == 0) & (frames_left != 0)):
                    finish(Status.OK)
                    if link.loads:
                        read(_What.LOADED)
                with m.Else():
                    finish(Status.LENGTH)
            with m.State("stream"):
                m.d.comb += [
                    gather.i.valid.eq(receiver.o.valid),
                    gather.i.payload.eq(receiver.o.payload.byte),
                    receiver.o.ready.eq(gather.i.ready),
                    sender.i.valid.eq(scatter.o.valid),
                    sender.i.payload.byte.eq(scatter.o.payload.byte),
                    scatter.o.ready.eq(1),
                ]
                m.d.sync += ended.eq(scatter.o.valid & scatter.o.payload.last)
                with m.If(ended):
                    m.d.sync += frames_left.eq(frames_left - 1)
                with m.If(none_left):
                    read(_What.SETTLED)
                with m.Elif(stuck):
                    m.next = "halt"
            with m.State("halt"):  # for ever: what the core may still give is in nobody's answer
                m.d.sync += halted.eq(1)
                finish(Status.STUCK)

            # Answers.
            with m.State("prepare"):
                m.d.comb += sender.anew.eq(1)  # where the core stood still one had begun
                m.d.sync += [answer.eq(0), empty.eq(1)]
                with m.If(status == Status.OK), m.Switch(command):
                    with m.Case(Command.HELLO):
                        m.d.sync += [answer.eq(len(link.hello())), empty.eq(0)]
                    with m.Case(Command.READ):
                        m.d.sync += [answer.eq(4), empty.eq(0)]
                    with m.Case(Command.FRAMES):
                        m.d.sync += [answer.eq(total), empty.eq(0)]
                m.next = "answer"
            with m.State("answer"):
                m.d.comb += [
                    sender.i.valid.eq(1),
                    sender.i.payload.byte.eq(
                        Cat(sequence, status, answer).word_select(word_byte, 8)
                    ),
                    sender.i.payload.last.eq(word_ends & empty),
                ]
                m.d.sync += next_byte()
                with m.If(word_ends):
                    m.next = "bytes"
                    with m.If(empty):
                        m.next = "release"
                    with m.Elif(is_hello):
                        m.next = "hello"
                    with m.Elif(of_frames):
                        m.next = "stream"
            with m.State("hello"):
                bytes_ = Array(Const(byte, 8) for byte in link.hello())
                flags = {
                    Flag.LOADS: Const(link.loads, 1),
                    Flag.BOOTING: self.booting,
                    Flag.BOOT_FAILED: self.boot_failed,
                    Flag.DROPPED: dropped,
                }
                m.d.comb += [
                    sender.i.valid.eq(1),
                    sender.i.payload.byte.eq(bytes_[hello_byte]),
                    sender.i.payload.last.eq(hello_byte == len(link.hello()) - 1),
                ]
                with m.If(hello_byte == HELLO_FLAGS):
                    m.d.comb += sender.i.payload.byte.eq(Cat(flags[flag] for flag in Flag))
                    m.d.sync += dropped.eq(0)
                m.d.sync += hello_byte.eq(hello_byte + 1)
                with m.If(sender.i.payload.last):
                    m.d.sync += hello_byte.eq(0)
                    m.next = "release"
            with m.State("bytes"):  # of a value
                m.d.comb += [
                    sender.i.valid.eq(1),
                    sender.i.payload.byte.eq(value[:8]),
                    sender.i.payload.last.eq(word_ends & (last_counter | ~of_frames)),
                ]
                m.d.sync += [*next_byte(), value.eq(value >> 8)]
                with m.If(sender.i.payload.last):
                    m.next = "release"
                with m.Elif(word_ends):
                    m.next = "read"  # the next counter
            with m.State("release"):
                m.d.comb += receiver.release.eq(1)
                m.next = "released"
            with m.State("released"):  # for the receiver to be empty
                m.next = "idle"
        # A bit for each state: on an iCE40 their comparisons would be the longest paths.
        fsm.state.attrs["fsm_encoding"] = "one-hot"
        return m
