"""Columns of weights out of an SPI flash that has four data lines (docs/link.md)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from boards.memory.boot import FLASH_ADDRESS, WAKE, WAKING
from golden.errors import require_int
from golden.formats import WEIGHT
from hw.pipeline import delayed
from hw.walk.column_layout import BYTEWISE, CHECK, folded

IDENTIFY, VOLATILE, WRITE_STATUS_2, FAST_READ_QUAD_IO = 0x9F, 0x50, 0x31, 0xEB
QUAD_ENABLE = 0x02  # of status register 2
GO_ON = 0xA0  # the mode byte after which the next read needs no command
DUMMY = 4  # clocks between the mode byte and the first data
ID = 24  # bits of what IDENTIFY gives
DESELECTED = 0.05  # us between two commands that are not reads
ROOM = 6  # bytes that may be on their way or wait: as many as keep the flash busy


def pins_signature() -> wiring.Signature:
    """A flash's pins, with registers in the pads: what is said in a cycle is out in the next one,
    and what is heard in a cycle was there at its beginning.

    ``cs_n``; ``clocks``: the clock rises in the middle of the cycle; ``out`` and ``drives``: the
    four lines, and which of them are driven; ``back``: what they were.
    """
    return wiring.Signature(
        {
            "cs_n": Out(1, init=1),
            "clocks": Out(1),
            "out": Out(4),
            "drives": Out(4),
            "back": In(4),
        }
    )


# From the cycle in which a clock is asked for to the one that knows what the lines were then.
BACK = 2


@dataclass(frozen=True)
class Step:
    """A cycle of what a flash is told at power-up.

    Attributes
    ----------
    cs_n, clocks, out, drives
        Of pins_signature.
    waits
        It is one of WAKING us.
    knows
        What the flash has said last is who it is.
    """

    cs_n: int = 1
    clocks: int = 0
    out: int = 0
    drives: int = 0
    waits: int = 0
    knows: int = 0

    @property
    def word(self) -> int:
        pins = self.cs_n | self.clocks << 1 | self.out << 2 | self.drives << 6
        return pins | self.waits << 10 | self.knows << 11


def start_up(mhz: float) -> list[Step]:
    """What is told: from whatever mode it is in to the first read's address.

    All lines high for eight clocks end a mode that wants no command. Then it is woken, says who it
    is, and gets its four lines, until its power goes.
    """
    gap = [Step()] * math.ceil(DESELECTED * mhz + 1)

    def one_line(*values: int, listen: int = 0) -> Iterator[Step]:
        # Write protection and hold are high.
        for value in values:
            for n in reversed(range(8)):
                yield Step(0, 1, 0b1100 | value >> n & 1, 0b1101)
        for _ in range(listen):
            yield Step(0, 1, 0b1100, 0b1101)

    return [
        *gap,
        *[Step(0, 1, 0b1111, 0b1111)] * 8,
        *gap,
        *one_line(WAKE),
        *gap,
        Step(waits=1),
        *one_line(IDENTIFY, listen=ID),
        *gap,
        *[Step()] * BACK,
        Step(knows=1),
        *one_line(VOLATILE),
        *gap,
        *one_line(WRITE_STATUS_2, QUAD_ENABLE),
        *gap,
        Step(waits=1),
        *one_line(FAST_READ_QUAD_IO),
    ]


class QuadColumns(wiring.Component):
    """Reads each column that is asked for, in one go. A byte takes two cycles.

    A column's checksum comes before it. Its last byte goes on only if that was right, so that
    nobody ever has a whole column that is wrong.

    Parameters
    ----------
    base : int
        Where in the flash address 0 lies.
    longest : int
        Bytes of the longest column.
    ids : sequence of int
        What the flash may say it is.
    mhz : float
        The clock, the flash's too.

    Members
    -------
    request : In, stream
        ``address`` of a column's checksum, and how many ``words`` it has without that.
    word : Out, stream
        Its bytes.
    pins : Out
        pins_signature.
    failed : Out
        It is another flash, or a column was wrong: none goes on any more.

    A column takes 14 cycles beside its bytes and its checksum.

    Raises
    ------
    ValueError
        Where a flash has no such address.
    """

    def __init__(self, *, base: int, longest: int, ids: Sequence[int], mhz: float) -> None:
        self._base = require_int("address in flash", base, 0, (1 << FLASH_ADDRESS) - 1)
        self._ids = tuple(ids)
        self._waking = math.ceil(WAKING * mhz)
        self._steps = start_up(mhz)
        column = data.StructLayout(
            {"address": unsigned(FLASH_ADDRESS), "words": unsigned(bits_for(longest))}
        )
        super().__init__(
            {
                "request": In(stream.Signature(column)),
                "word": Out(stream.Signature(unsigned(WEIGHT.width))),
                "pins": Out(pins_signature()),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        request, word, pins = self.request, self.word, self.pins
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=WEIGHT.width, depth=ROOM)
        owed = Signal(range(ROOM + 1))
        m.d.comb += [
            word.payload.eq(queue.r_data),
            word.valid.eq(queue.r_rdy),
            queue.r_en.eq(word.ready),
        ]

        # Power-up, a step a cycle.
        steps = Array(Const(step.word, 12) for step in self._steps)
        n, told = Signal(range(len(self._steps))), Signal(12)
        timer, said = Signal(range(self._waking + 1)), Signal(ID)
        stranger = Cat(said == each for each in self._ids) == 0

        # A read: address, mode, nothing, then bytes.
        sent, out = Signal(range(9)), Signal(4 * 8)  # nibbles of address and mode
        left, low = Signal(len(request.payload.words) + 1), Signal()
        begins, byte, ends = Signal(), Signal(), Signal()
        heads = Signal(range(CHECK + 1), init=CHECK)  # bytes of the checksum that are there
        sum_of = Signal(16)
        m.submodules.checksum = checksum = BYTEWISE.create()

        def load() -> None:
            """The next column, whose address goes out from the next cycle on."""
            address = request.payload.address
            m.d.comb += request.ready.eq(1)
            m.d.sync += [
                out.eq(Cat(Const(GO_ON, 8), (address + self._base)[:FLASH_ADDRESS])),
                sum_of.eq(folded(address)),
                left.eq(request.payload.words + CHECK),
                sent.eq(0),
            ]

        with m.FSM():
            with m.State("power-up"):
                m.d.comb += [
                    told.eq(steps[n]),
                    Cat(pins.cs_n, pins.clocks, pins.out, pins.drives).eq(told[:10]),
                ]
                with m.If(told[11] & stranger):
                    m.d.sync += self.failed.eq(1)
                with m.If(told[10] & (timer != self._waking)):
                    m.d.sync += timer.eq(timer + 1)
                with m.Else():
                    m.d.sync += [n.eq(n + 1), timer.eq(0)]
                    with m.If(n == len(self._steps) - 1):
                        m.next = "wait selected"
            with m.State("wait selected"):  # the command of the first read is out
                m.d.comb += pins.cs_n.eq(0)
                with m.If(request.valid):
                    load()
                    m.next = "address"
            with m.State("wait"):
                m.d.comb += pins.cs_n.eq(1)
                with m.If(request.valid):
                    load()
                    m.next = "address"
            with m.State("address"):
                m.d.comb += [
                    pins.cs_n.eq(0),
                    pins.clocks.eq(1),
                    pins.out.eq(out[-4:]),
                    pins.drives.eq(15),
                ]
                m.d.sync += [out.eq(out << 4), sent.eq(sent + 1)]
                with m.If(sent == 7):
                    m.d.sync += sent.eq(0)
                    m.next = "dummy"
            with m.State("dummy"):
                m.d.comb += [pins.cs_n.eq(0), pins.clocks.eq(1)]
                m.d.sync += [sent.eq(sent + 1), heads.eq(0), low.eq(0)]
                # Whatever came of the column before has been summed up.
                m.d.comb += [
                    checksum.start.eq(sent == DUMMY - 2),
                    checksum.valid.eq(sent >= DUMMY - 2),
                    checksum.data.eq(Mux(sent[0], sum_of[:8], sum_of[8:])),
                ]
                with m.If(sent == DUMMY - 1):
                    m.next = "data"
            with m.State("data"):
                m.d.comb += [pins.cs_n.eq(0), pins.clocks.eq(low | (owed != ROOM))]
                m.d.comb += begins.eq(pins.clocks & ~low)
                with m.If(pins.clocks):
                    m.d.sync += low.eq(~low)
                    with m.If(low):
                        m.d.comb += [byte.eq(1), ends.eq(left == 1)]
                        m.d.sync += left.eq(left - 1)
                        with m.If(ends):
                            m.next = "wait"

        # What comes back, and what it is.
        clocked = delayed(m, pins.clocks, BACK, "clocked")
        came = delayed(m, byte, BACK, "came")
        last = delayed(m, ends, BACK, "last")
        nibble = Signal(4)
        with m.If(clocked):
            m.d.sync += [nibble.eq(pins.back), said.eq(Cat(pins.back[1], said))]
        value = Cat(pins.back, nibble)
        come, there, was_last, expected = Signal(WEIGHT.width), Signal(), Signal(), Signal(16)
        head = heads != CHECK
        wrong = there & was_last & (checksum.crc != expected)
        m.d.sync += [there.eq(came & ~head), come.eq(value), was_last.eq(last)]
        with m.If(came):
            with m.If(head):
                m.d.sync += [heads.eq(heads + 1), expected.eq(Cat(value, expected))]
            with m.Else():
                m.d.comb += [checksum.valid.eq(1), checksum.data.eq(value)]
        with m.If(wrong):
            m.d.sync += self.failed.eq(1)
        m.d.comb += [queue.w_en.eq(there & ~wrong & ~self.failed), queue.w_data.eq(come)]
        m.d.sync += owed.eq(owed + begins - (came & head) - (queue.r_rdy & queue.r_en))
        return m
