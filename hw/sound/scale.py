"""Logarithms to activations: times the band's gain, a bit of it a cycle."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.sound.front_end import GAIN_BITS, FrontEnd
from hw.fixed import half
from hw.sound.logarithm import logarithm_layout


def element_layout(front: FrontEnd) -> data.StructLayout:
    """An activation, and whether it ends a frame."""
    return data.StructLayout({"value": signed(front.activation.width), "last": 1})


class Scale(wiring.Component):
    """golden.sound.front_end.FrontEnd.activations, ``GAIN_BITS`` + 1 cycles each.

    Parameters
    ----------
    front : FrontEnd
        Gains and formats.

    Members
    -------
    i : In, stream
        Logarithms; one is taken as its product is done.
    o : Out, stream
        Activations.
    """

    def __init__(self, front: FrontEnd) -> None:
        self._front = front
        super().__init__(
            {
                "i": In(stream.Signature(logarithm_layout(front))),
                "o": Out(stream.Signature(element_layout(front))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        front = self._front
        gains = front.gains or (1 << front.gain_frac,) * front.bands
        come = self.i.payload
        # The upper part of the product, and below it what is left of the gain.
        high, low = Signal(front.log_width), Signal(GAIN_BITS)
        left, busy, valid = Signal(range(GAIN_BITS + 1)), Signal(), Signal()
        with m.If(self.o.ready):
            m.d.sync += valid.eq(0)
        total = Signal(front.log_width + 1)
        m.d.comb += total.eq(high + Mux(low[0], come.logarithm, 0))
        with m.If(busy):
            m.d.sync += [
                Cat(low, high).eq(Cat(low, total)[1:]),
                left.eq(left - 1),
            ]
            with m.If(left == 1):
                m.d.sync += [busy.eq(0), valid.eq(1)]
                m.d.comb += self.i.ready.eq(1)
        with m.Elif(self.i.valid & (self.o.ready | ~valid)):
            m.d.sync += [
                busy.eq(1),
                high.eq(half(front.gain_shift)),
                low.eq(Array(gains)[come.band]),
                left.eq(GAIN_BITS),
            ]
        last = Signal()
        with m.If(self.i.ready):
            m.d.sync += last.eq(come.last)
        product = Cat(low, high) >> front.gain_shift
        largest = Const(front.activation.max)
        m.d.comb += [
            self.o.valid.eq(valid),
            self.o.payload.value.eq(Mux(product > largest, largest, product)),
            self.o.payload.last.eq(last),
        ]
        return m
