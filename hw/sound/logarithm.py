"""Envelopes to logarithms: a shift a cycle until the highest bit is 1."""

from amaranth.hdl import Cat, Const, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.sound.front_end import FrontEnd
from hw.sound.bank import envelope_layout


def logarithm_layout(front: FrontEnd) -> data.StructLayout:
    """A logarithm, the number of its band, and whether it ends a frame."""
    band = unsigned(max(1, ceil_log2(front.bands)))
    return data.StructLayout({"logarithm": unsigned(front.log_width), "band": band, "last": 1})


class Logarithm(wiring.Component):
    """golden.sound.log.log2. An envelope takes ``word`` - ``floor`` cycles at most.

    Parameters
    ----------
    front : FrontEnd
        Widths and floor.

    Members
    -------
    i : In, stream (never waits)
        An envelope, where there is ``room``.
    room : Out
        One may come in the next cycle.
    o : Out, stream
        Its logarithm.
    """

    def __init__(self, front: FrontEnd) -> None:
        self._front = front
        super().__init__(
            {
                "i": In(stream.Signature(envelope_layout(front), always_ready=True)),
                "room": Out(1),
                "o": Out(stream.Signature(logarithm_layout(front))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        front, width = self._front, self._front.word
        value, busy = Signal(width), Signal()
        exponent = Signal(range(width))  # of the highest bit, less the floor
        m.d.comb += [
            self.room.eq(~busy),
            self.o.valid.eq(busy & value[-1]),
            self.o.payload.logarithm.eq(
                Cat(value[width - 1 - front.log_frac : width - 1], exponent)
            ),
        ]
        with m.If(self.i.valid):
            envelope = self.i.payload.envelope
            m.d.sync += [
                busy.eq(1),
                value.eq(Cat(envelope[: front.floor], envelope[front.floor :] + Const(1))),
                exponent.eq(width - 1 - front.floor),
            ]
        with m.Elif(~value[-1]):
            m.d.sync += [value.eq(value << 1), exponent.eq(exponent - 1)]
        with m.Elif(self.o.ready):
            m.d.sync += busy.eq(0)
        for name in ("band", "last"):
            kept = Signal.like(self.i.payload[name], name=name)
            with m.If(self.i.valid):
                m.d.sync += kept.eq(self.i.payload[name])
            m.d.comb += self.o.payload[name].eq(kept)
        return m
