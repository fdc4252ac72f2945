"""Bytes into a bus's beats, and beats into bytes; little-endian."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from boards.link.packets import BYTE


def beat_layout(size: int, **more: int) -> data.StructLayout:
    """A beat of ``size`` bytes, ``last`` at the end of a frame."""
    return data.StructLayout({"data": 8 * size, "last": 1, **more})


class Gather(wiring.Component):
    """Bytes into beats, so many to a frame.

    Parameters
    ----------
    size : int
        Bytes of a beat.
    beats : int
        Beats of a frame.

    Members
    -------
    i : In, stream of unsigned(8)
        Bytes.
    o : Out, stream
        Beats.
    """

    def __init__(self, size: int, beats: int) -> None:
        self._size, self._beats = size, beats
        super().__init__(
            {"i": In(stream.Signature(8)), "o": Out(stream.Signature(beat_layout(size)))}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        place, beat = Signal(range(self._size)), Signal(range(self._beats))
        ends = place == self._size - 1
        m.d.comb += [
            self.i.ready.eq(~self.o.valid),
            self.o.payload.last.eq(beat == self._beats - 1),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                self.o.payload.data.eq(Cat(self.o.payload.data, self.i.payload)[8:]),
                place.eq(Mux(ends, 0, place + 1)),
                self.o.valid.eq(ends),
            ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [
                self.o.valid.eq(0),
                beat.eq(Mux(self.o.payload.last, 0, beat + 1)),
            ]
        return m


class Scatter(wiring.Component):
    """Beats into bytes.

    Parameters
    ----------
    size : int
        Bytes of a beat.

    Members
    -------
    i : In, stream
        Beats; of each, the bytes that ``keep`` says: the first one and others behind it.
    o : Out, stream of boards.link.packets.BYTE
        Bytes, ``last`` with the last one of a frame.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(size, keep=size))),
                "o": Out(stream.Signature(BYTE)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        left = Signal.like(self.i.payload)
        m.d.comb += [
            self.i.ready.eq(~left.keep[0]),
            self.o.valid.eq(left.keep[0]),
            self.o.payload.byte.eq(left.data[:8]),
            self.o.payload.last.eq(left.last & ~left.keep[1:].any()),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += left.eq(self.i.payload)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [left.data.eq(left.data >> 8), left.keep.eq(left.keep >> 1)]
        return m
