"""The checksum of a packet, and of an image in flash (docs/link.md), byte after byte."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

STEP = 2  # bits a cycle: a quarter of the logic that all eight would take
SPACING = 8 // STEP  # cycles from one byte to the next, at least


class Checksum(wiring.Component):
    """CRC-32 of bytes that come ``SPACING`` cycles apart.

    Members
    -------
    i : In, stream of unsigned(8), always ready
        Bytes.
    start : In
        Strobe: forgets what has come; later than SPACING cycles after a byte.
    crc : Out
        Of all bytes, SPACING + 1 cycles after the last one.
    right : Out
        The last four bytes are the checksum of those before them; a cycle after ``crc``.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(8, always_ready=True)),
                "start": In(1),
                "crc": Out(32),
                "right": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        crc, start = CRC32_ISO_HDLC(data_width=STEP).create(), Signal()
        # Its own strobe may come with a byte, which would take as much logic again.
        m.submodules.crc = ResetInserter(start)(crc)
        byte, left = Signal(8), Signal(SPACING)  # a bit for each step that is to come
        m.d.sync += [byte.eq(byte >> STEP), left.eq(left >> 1)]
        with m.If(self.i.valid):
            m.d.sync += [byte.eq(self.i.payload), left.eq(~0)]
        m.d.comb += [
            crc.valid.eq(left[0]),
            crc.data.eq(byte[:STEP]),
            self.crc.eq(crc.crc),
        ]
        m.d.sync += [start.eq(self.start), self.right.eq(crc.match_detected)]
        return m
