"""Counts cycles, without a long carry chain."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.errors import refusal, require_int


class Counter(wiring.Component):
    """Adds one for each cycle that counts; what it counts shows two cycles later.

    The lower half knows a cycle ahead that it is full, so that the upper half need not wait for its
    carry.

    Parameters
    ----------
    width : int
        Bits: even, at least 4.

    Members
    -------
    counts : In
        This cycle counts.
    clear : In
        Starts over from 0, with this cycle as the first that counts.
    value : Out
        The count modulo 2^width.
    carry : Out
        The count has just gone back to 0 by itself.

    Raises
    ------
    ValueError
        Where the width is odd, or less than 4.
    """

    def __init__(self, width: int) -> None:
        require_int("width", width, 4)
        if width % 2:
            raise refusal("width", width, "an even number")
        self._half = width // 2
        super().__init__({"counts": In(1), "clear": In(1), "value": Out(width), "carry": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        low, high = Signal(self._half), Signal(self._half)
        adds, full = Signal(), Signal()  # full: low is all ones
        m.d.comb += self.value.eq(Cat(low, high))
        m.d.sync += adds.eq(self.counts)
        with m.If(self.clear):
            m.d.sync += [low.eq(0), high.eq(0), full.eq(0), self.carry.eq(0)]
        with m.Else():
            m.d.sync += Cat(high, self.carry).eq(high + (full & adds))
            with m.If(adds):
                m.d.sync += [low.eq(low + 1), full.eq(low == (1 << self._half) - 2)]
        return m


class LatchedCounter(wiring.Component):
    """A counter that is read in two words, the low one first: reading it latches the high one.

    Parameters
    ----------
    low, high : int
        Bits of the two words; ``low`` as the width of a Counter.

    Members
    -------
    counts, clear : In
        As those of a Counter; ``clear`` forgets what is latched, too.
    read : In
        The low word is read in this cycle.
    value : Out
        The low word.
    latched : Out
        The high word as it was when the low one was read.
    """

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        super().__init__(
            {
                "counts": In(1),
                "clear": In(1),
                "read": In(1),
                "value": Out(low),
                "latched": Out(high),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.low = low = Counter(self._low)
        high = Signal.like(self.latched)
        m.d.comb += [
            low.counts.eq(self.counts),
            low.clear.eq(self.clear),
            self.value.eq(low.value),
        ]
        # What lies beyond the low word comes with its carry, a cycle late.
        m.d.sync += high.eq(high + low.carry)
        with m.If(self.read):
            m.d.sync += self.latched.eq(high + low.carry)
        with m.If(self.clear):
            m.d.sync += [high.eq(0), self.latched.eq(0)]
        return m
