"""Weights out of the SPI flash that a bitstream came from, at power-up (docs/link.md)."""

import math
import zlib

from amaranth.hdl import Array, Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from boards.link.checksum import SPACING, Checksum
from boards.link.packets import BYTE
from boards.link.protocol import CHECK
from boards.link.states import one_hot
from golden.errors import require_int

MAGIC = b"DRNW"
WAKE, READ = 0xAB, 0x03  # what every JEDEC flash understands: release from power-down, read
FLASH_ADDRESS = 24  # bits of one that READ takes
WAKING = 40  # us: more than the 30 that a flash may take
# MHz of its clock, at most. A bit has to come back within a period: 8 ns in the flash, and up to 9
# out of a chip and 8 into it.
CLOCK_MAX = 33


def header(tag: bytes, length: int) -> bytes:
    """What stands before ``length`` bytes of the weights of the model of that tag."""
    return MAGIC + length.to_bytes(4, "little") + tag


def image(tag: bytes, weights: bytes) -> bytes:
    """What the flash holds: header, weights, checksum of both."""
    checked = header(tag, len(weights)) + weights
    return checked + zlib.crc32(checked).to_bytes(CHECK, "little")


class Boot(wiring.Component):
    """Reads a weight image and loads it; one that is not right is never loaded whole.

    The last two bytes wait for the checksum: if it is wrong the load ends one byte short, which
    the weight memory refuses. A bit takes 2 cycles, or more with a clock beyond 2 CLOCK_MAX.

    Parameters
    ----------
    tag : bytes
        That of the model whose weights are wanted (boards.link.protocol.Link.tag).
    length : int
        Bytes of them.
    address : int
        Where the image begins.
    mhz : float
        The clock.

    Members
    -------
    cs_n, sck, copi : Out; cipo : In
        The flash.
    weights : Out, stream of boards.link.packets.BYTE
        To the core.
    busy, failed : Out
        The work is under way; it is done and the image was no good.
    """

    def __init__(self, tag: bytes, length: int, address: int, mhz: float) -> None:
        self._header = header(tag, length)
        self._length = require_int("bytes of weights", length, 2)
        most = (1 << FLASH_ADDRESS) - len(image(tag, b"")) - length
        self._address = require_int("address in flash", address, 0, most)
        self._waking = math.ceil(WAKING * mhz)
        self._half = math.ceil(mhz / (2 * CLOCK_MAX))  # cycles of half a bit
        super().__init__(
            {
                "cs_n": Out(1, init=1),
                "sck": Out(1),
                "copi": Out(1),
                "cipo": In(1),
                "weights": Out(stream.Signature(BYTE)),
                "busy": Out(1, init=1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.checksum = checksum = Checksum()
        timer = Signal(range(self._waking + 1))
        out, back, bits = Signal(8), Signal(8), Signal(range(9))
        half = Signal(range(self._half))
        request = Array(Const(byte, 8) for byte in (READ, *self._address.to_bytes(3, "big")))
        expected = Array(Const(byte, 8) for byte in self._header)
        checked = len(self._header) + self._length
        index = Signal(range(checked + CHECK + 1))
        wrong, expected_byte = Signal(), Signal(8)
        # Where ``index`` is, in registers: there is time for that while a byte comes in.
        in_header, in_weights, header_ends, ends = Signal(), Signal(), Signal(), Signal()
        kept, full = Signal(16), Signal(range(3))  # the last two weights
        m.d.comb += [
            self.copi.eq(out[-1]),
            checksum.i.payload.eq(back),
            self.weights.payload.byte.eq(kept[:8]),
        ]

        m.d.sync += [
            in_header.eq(index < len(self._header)),
            in_weights.eq((index >= len(self._header)) & (index < checked)),
            header_ends.eq(index == len(self._header) - 1),
            ends.eq(index == checked + CHECK - 1),
            expected_byte.eq(expected[index[: ceil_log2(len(self._header))]]),
        ]

        def clock(done: str) -> None:
            """Half a bit."""
            if self._half == 1:
                edge(done)
                return
            m.d.sync += half.eq(half + 1)
            with m.If(half == self._half - 1):
                m.d.sync += half.eq(0)
                edge(done)

        def edge(done: str) -> None:
            """The flash has changed a bit after the clock fell last, and we do so now."""
            m.d.sync += self.sck.eq(~self.sck)
            with m.If(self.sck):
                m.d.sync += [out.eq(out << 1), back.eq(Cat(self.cipo, back)), bits.eq(bits - 1)]
                with m.If(bits == 1):
                    m.next = done

        def send(byte, state: str) -> None:
            m.d.sync += [self.cs_n.eq(0), out.eq(byte), bits.eq(8)]
            m.next = state

        with m.FSM() as fsm:
            with m.State("power-up"):
                send(WAKE, "wake")
                m.d.comb += checksum.start.eq(1)
            with m.State("wake"):
                clock("waking")
            with m.State("waking"):
                m.d.sync += [self.cs_n.eq(1), timer.eq(timer + 1)]
                with m.If(timer == self._waking):
                    m.next = "ask"
            with m.State("ask"):
                send(request[index[:2]], "asking")
            with m.State("asking"):
                clock("asked")
            with m.State("asked"):
                m.d.sync += index.eq(index + 1)
                m.next = "ask"
                with m.If(index == len(request) - 1):
                    m.d.sync += index.eq(0)
                    m.next = "read"
            with m.State("read"):
                send(0, "reading")
            with m.State("reading"):
                clock("byte")
            with m.State("byte"):
                m.d.comb += checksum.i.valid.eq(1)
                m.d.sync += index.eq(index + 1)
                m.next = "read"
                with m.If(in_header & (back != expected_byte)):
                    m.d.sync += wrong.eq(1)
                with m.If(in_weights):
                    with m.If(full == 2):
                        m.next = "pass on"
                    with m.Else():
                        m.d.sync += [kept.eq(Cat(kept[8:], back)), full.eq(full + 1)]
                with m.If(header_ends):
                    m.next = "header"
                with m.If(ends):
                    m.next = "settle"
            with m.State("header"):
                m.next = "read"
                with m.If(wrong):
                    m.next = "failed"
            with m.State("pass on"):
                m.d.comb += self.weights.valid.eq(1)
                with m.If(self.weights.ready):
                    m.d.sync += kept.eq(Cat(kept[8:], back))
                    m.next = "read"
            with m.State("settle"):  # for the checksum to have taken the last byte
                m.d.sync += bits.eq(bits + 1)
                with m.If(bits == SPACING + 1):
                    m.next = "checksum"
            with m.State("checksum"):
                m.d.sync += wrong.eq(~checksum.right)
                m.next = "end"
            with m.State("end"):
                m.d.comb += [
                    self.weights.valid.eq(1),
                    self.weights.payload.last.eq(wrong | (full == 1)),
                ]
                with m.If(self.weights.ready):
                    m.d.sync += [kept.eq(kept >> 8), full.eq(full - 1)]
                    with m.If(wrong):
                        m.next = "failed"
                    with m.Elif(full == 1):
                        m.next = "done"
            with m.State("failed"):
                m.d.sync += self.failed.eq(1)
                m.next = "done"
            with m.State("done"):
                m.d.sync += [self.cs_n.eq(1), self.busy.eq(0)]
        one_hot(fsm.state)
        return m
