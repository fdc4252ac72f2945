"""How long the link waits for its core."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Patience(wiring.Component):
    """Says when nothing has moved for too long, and remembers who was given up.

    Parameters
    ----------
    cycles : int
        The least that is not too long: it waits for the next power of two.

    Members
    -------
    moves : In
        Something does.
    ended : Out
        Nothing has for so long.
    give_up : In
        Strobe: the core stands still.
    given_up : Out
        It does, for ever: what it may still give is in nobody's answer.
    """

    def __init__(self, cycles: int) -> None:
        self._bits = cycles.bit_length()
        super().__init__({"moves": In(1), "ended": Out(1), "give_up": In(1), "given_up": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        waited = Signal(self._bits + 1)
        m.d.comb += self.ended.eq(waited[-1])
        m.d.sync += waited.eq(waited + 1)
        with m.If(self.moves):
            m.d.sync += waited.eq(0)
        with m.If(self.give_up):
            m.d.sync += self.given_up.eq(1)
        return m
