"""Bits to samples: integrators at the bits' rate, combs bit by bit at the samples'."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.sound.front_end import FrontEnd


class Decimator(wiring.Component):
    """golden.sound.cic.decimated. Integrators wrap; ``sum_width`` bits hold every result.

    An integrator adds what the one before it has become, a cycle later. The combs are a chain of
    serial subtractors: a sum goes through it lowest bit first and comes back as the sample. So a
    sample is there ``latency`` cycles after its last bit, and the next one may not be sooner.

    Parameters
    ----------
    front : FrontEnd
        Decimation, order and widths.

    Members
    -------
    i : In, stream (always ready)
        The microphone's bits, as far apart as its clock says.
    o : Out, stream
        Samples. A microphone does not wait: one that is not taken before the next one's combs
        begin is lost.
    lost : Out
        Strobe: that happened.
    """

    def __init__(self, front: FrontEnd) -> None:
        self._front = front
        super().__init__(
            {
                "i": In(stream.Signature(1, always_ready=True)),
                "o": Out(stream.Signature(signed(front.sample_width))),
                "lost": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a sample's last bit to the sample."""
        return self._front.order + 1 + self._front.sum_width

    def elaborate(self, platform) -> Module:
        m = Module()
        front, width = self._front, self._front.sum_width

        count = Signal(range(front.decimation))
        ends = Signal()
        m.d.comb += ends.eq(count == front.decimation - 1)
        with m.If(self.i.valid):
            m.d.sync += count.eq(Mux(ends, 0, count + 1))

        comes, last = self.i.valid, self.i.valid & ends
        addend = Mux(self.i.payload, Const(1, signed(2)), Const(-1, signed(2)))
        for n in range(front.order):
            total = Signal(signed(width), name=f"sum_{n}")
            came, was_last = Signal(name=f"came_{n}"), Signal(name=f"last_{n}")
            with m.If(comes):
                m.d.sync += total.eq(total + addend)
            m.d.sync += [came.eq(comes), was_last.eq(last)]
            comes, last, addend = came, was_last, total

        # ``value`` is the sum that goes into the combs, and what has come out of them.
        value, left = Signal(width), Signal(range(width + 1))
        bit = value[0]
        for n in range(front.order):
            before = Signal(width, name=f"before_{n}", reset_less=False)
            borrow = Signal(name=f"borrow_{n}")
            old = before[0]
            with m.If(left != 0):
                m.d.sync += [
                    before.eq(Cat(before[1:], bit)),
                    borrow.eq(Mux(bit ^ old, old, borrow)),
                ]
            with m.Else():
                m.d.sync += borrow.eq(0)
            bit = bit ^ old ^ borrow
        valid = Signal()
        with m.If(self.o.ready):
            m.d.sync += valid.eq(0)
        with m.If(last):
            m.d.sync += [value.eq(addend), left.eq(width), valid.eq(0)]
            m.d.comb += self.lost.eq(valid & ~self.o.ready)
        with m.Elif(left != 0):
            m.d.sync += [value.eq(Cat(value[1:], bit)), left.eq(left - 1), valid.eq(left == 1)]
        m.d.comb += [
            self.o.valid.eq(valid),
            self.o.payload.eq(value[front.drop :].as_signed()),
        ]
        return m
