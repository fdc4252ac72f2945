"""One multiply-accumulate lane."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.formats import WEIGHT


class Lane(wiring.Component):
    """total <= (m if first else total) + weight * delta, in every cycle.

    There is no enable: without an event the delta is 0.

    Parameters
    ----------
    delta_width : int
        Bits of a delta (signed).
    width : int
        Bits of the accumulator (signed).

    Members
    -------
    weight, delta : In
        The factors.
    first, m : In
        Whether, and with what, the sum begins: in the cycle before the sum appears in ``total``,
        ``latency`` - 1 cycles after its weight.
    total : Out
        The sum, ``latency`` cycles after its weight.
    """

    latency = 2

    def __init__(self, *, delta_width: int, width: int) -> None:
        super().__init__(
            {
                "weight": In(signed(WEIGHT.width)),
                "delta": In(signed(delta_width)),
                "first": In(1),
                "m": In(signed(width)),
                "total": Out(signed(width)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        product = Signal((self.weight * self.delta).shape(), reset_less=True)
        total = Signal.like(self.total, reset_less=True)
        m.d.sync += [
            product.eq(self.weight * self.delta),
            total.eq(Mux(self.first, self.m, total) + product),
        ]
        m.d.comb += self.total.eq(total)
        return m
