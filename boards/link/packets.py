"""Packets between a UART and those who read and make them (boards.link.protocol)."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from boards.link.checksum import Checksum
from boards.link.protocol import CHECK, ESCAPE, FLAG, FLIP, HEADER
from boards.link.states import one_hot
from boards.link.uart import RECEIVED
from hw.primitive.memory import UNCHECKED

BYTE = data.StructLayout({"byte": 8, "last": 1})


class PacketReceiver(wiring.Component):
    """Keeps a packet when all of it has come and its checksum and length are right.

    While there is one nothing else is taken.

    Parameters
    ----------
    depth : int
        Bytes of a packet, at most, with its header and checksum.

    Members
    -------
    i : In, stream, always ready
        Bytes of the line, at least 4 cycles apart.
    o : Out, stream
        The packet there is without its checksum, ``last`` with its last byte.
    release : In
        Strobe: the packet has been read, or is not wanted; ends ``o`` wherever it is.
    full : Out
        There is a packet.
    drained : Out
        All of it has been taken.
    dropped : Out
        Strobe: something ended that was no packet, or could not be taken.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(RECEIVED, always_ready=True)),
                "o": Out(stream.Signature(BYTE)),
                "release": In(1),
                "full": Out(1),
                "drained": Out(1),
                "dropped": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.memory = store = memory.Memory(
            shape=8, depth=self._depth, init=[], attrs=UNCHECKED
        )
        m.submodules.checksum = checksum = Checksum()
        write, read = store.write_port(), store.read_port()

        # Bytes without their escapes, a cycle late.
        byte, valid, flip = Signal(8), Signal(), Signal()
        # A flag, when the checksum of what came before it is known, and before anything follows.
        flag = Signal(3)
        ends = flag[-1]
        here, broken = self.i.valid, self.i.payload.broken
        is_flag, is_escape = Signal(), Signal()
        m.d.comb += [
            is_flag.eq((self.i.payload.byte == FLAG) & ~broken),
            is_escape.eq((self.i.payload.byte == ESCAPE) & ~flip),
        ]
        m.d.sync += [
            valid.eq(here & ~is_flag & ~is_escape),
            flag.eq(Cat(here & is_flag, flag)),
        ]
        with m.If(here):
            m.d.sync += byte.eq(self.i.payload.byte ^ Mux(flip, FLIP, 0))
            with m.If(~is_flag):
                m.d.sync += flip.eq(is_escape)

        count = Signal(range(self._depth + 1))
        length = Signal(max(8, self._depth.bit_length()))  # of the payload, as the header says
        size = Signal(len(length) + 1)  # that of the whole packet
        bad, something, fits, good = Signal(), Signal(), Signal(), Signal()
        over = Signal()  # there is no room for another byte
        last_index = Signal.like(count)
        m.d.comb += [
            write.addr.eq(count),
            write.data.eq(byte),
            write.en.eq(valid & ~self.full),
            checksum.i.payload.eq(byte),
            checksum.i.valid.eq(valid),
            checksum.start.eq(ends),
            good.eq(fits & checksum.right & ~bad & ~flip & ~self.full),
        ]
        m.d.sync += [
            self.dropped.eq(0),
            size.eq(length + (HEADER + CHECK)),
            fits.eq(count == size),
            over.eq(self.full | (count == self._depth)),
        ]
        with m.If(valid):
            m.d.sync += count.eq(count + 1)
            with m.If(over):
                m.d.sync += [bad.eq(1), count.eq(count)]
            with m.If(count == 2):
                m.d.sync += length[:8].eq(byte)
            with m.If(count == 3):
                m.d.sync += length[8:].eq(byte)
                with m.If(byte >> (len(length) - 8)):
                    m.d.sync += bad.eq(1)
        with m.If(here & ~is_flag):
            m.d.sync += something.eq(1)
            with m.If(broken):
                m.d.sync += bad.eq(1)
        with m.If(ends):
            m.d.sync += [
                *(signal.eq(0) for signal in (count, length, flip, bad, something)),
                self.dropped.eq(something),
            ]
            with m.If(good):
                m.d.sync += [
                    self.full.eq(1),
                    last_index.eq(count - (CHECK + 1)),
                    self.dropped.eq(0),
                ]

        index = Signal(range(self._depth))
        # Block RAM is slow: what it reads goes through a register.
        settled, fresh, data_read, last = Signal(), Signal(), Signal(8), Signal()
        m.d.comb += [
            read.addr.eq(index),
            read.en.eq(1),
            self.o.valid.eq(fresh),
            self.o.payload.byte.eq(data_read),
            self.o.payload.last.eq(last),
        ]
        m.d.sync += [
            settled.eq(1),
            fresh.eq(self.full & ~self.drained & settled),
            data_read.eq(read.data),
            last.eq(index == last_index),
        ]
        with m.If(fresh & self.o.ready):
            m.d.sync += [
                *(signal.eq(0) for signal in (fresh, settled)),
                index.eq(index + 1),
                self.drained.eq(last),
            ]
        with m.If(self.release):
            m.d.sync += [signal.eq(0) for signal in (self.full, self.drained, index, fresh)]
        return m


class PacketSender(wiring.Component):
    """Sends a packet when all of it is there, and keeps it.

    Parameters
    ----------
    depth : int
        Bytes of a packet, at most, with its header.

    Members
    -------
    i : In, stream, always ready
        A packet without its checksum, header first, ``last`` with its last byte; while ``idle``.
    anew : In
        Strobe, while ``idle``: forgets what has come of a packet; the next byte is its first one.
    again : In
        Strobe, while ``idle``: sends the last packet once more.
    idle : Out
        Nothing is being sent.
    o : Out, stream of unsigned(8)
        Bytes for the line.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(BYTE, always_ready=True)),
                "anew": In(1),
                "again": In(1),
                "idle": Out(1),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.memory = store = memory.Memory(
            shape=8, depth=self._depth, init=[], attrs=UNCHECKED
        )
        m.submodules.checksum = checksum = Checksum()
        write, read = store.write_port(), store.read_port()
        count, last_index = Signal(range(self._depth)), Signal(range(self._depth))
        index = Signal(range(self._depth + CHECK + 1))
        byte, special = Signal(8), Signal()
        of_check = Signal()  # the next byte is the checksum's
        m.d.comb += [
            write.addr.eq(count),
            write.data.eq(self.i.payload.byte),
            write.en.eq(self.i.valid),
            read.addr.eq(index),
            read.en.eq(1),
            checksum.i.payload.eq(byte),
            special.eq((byte == FLAG) | (byte == ESCAPE)),
        ]
        place, data_read = Signal(range(CHECK)), Signal(8)
        m.d.sync += data_read.eq(read.data)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        def say(byte: Value | int, state: str) -> None:
            """Gives the line a byte as soon as it has the one before; goes on then."""
            with m.If(~self.o.valid):
                m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(byte)]
                m.next = state

        with m.FSM() as fsm:
            with m.State("idle"):
                m.d.comb += self.idle.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += count.eq(count + 1)
                    with m.If(self.i.payload.last):
                        m.d.sync += [last_index.eq(count), count.eq(0)]
                        m.next = "flag"
                with m.Elif(self.again):
                    m.next = "flag"
                with m.If(self.anew):
                    m.d.sync += count.eq(0)
            with m.State("flag"):
                m.d.comb += checksum.start.eq(1)
                m.d.sync += [signal.eq(0) for signal in (index, of_check, place)]
                say(FLAG, "address")
            with m.State("address"):
                m.next = "read"
            with m.State("read"):  # through a register, as above
                m.next = "fetch"
            with m.State("fetch"):
                m.d.sync += byte.eq(Mux(of_check, checksum.crc.word_select(place, 8), data_read))
                m.next = "check"
            with m.State("check"):
                m.d.comb += checksum.i.valid.eq(~of_check)
                m.next = "send"
            with m.State("send"):
                say(Mux(special, ESCAPE, byte), "sent")
            with m.State("sent"):
                m.d.sync += byte.eq(byte ^ FLIP)
                m.next = "next"
                with m.If(special):
                    m.next = "escaped"
            with m.State("escaped"):
                say(byte, "next")
            with m.State("next"):
                m.d.sync += index.eq(index + 1)
                m.next = "address"
                with m.If(of_check):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == CHECK - 1):
                        m.next = "end"
                with m.Elif(index == last_index):
                    m.d.sync += of_check.eq(1)
            with m.State("end"):
                say(FLAG, "sent all")
            with m.State("sent all"), m.If(~self.o.valid):
                m.next = "idle"
        one_hot(fsm.state)
        return m
