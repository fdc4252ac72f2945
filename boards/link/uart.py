"""A UART of eight bits, no parity, one stop bit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from golden.errors import require_int

LEAST = 4  # cycles a bit: fewer leave no middle to look at
RECEIVED = data.StructLayout({"byte": 8, "broken": 1})  # broken: there was no stop bit


class UartReceiver(wiring.Component):
    """What comes over a line, byte by byte.

    Parameters
    ----------
    divisor : int
        Cycles a bit.

    Members
    -------
    rx : In
        The line, asynchronous.
    o : Out, stream, always ready
        What came, in the middle of its stop bit.
    """

    def __init__(self, divisor: int) -> None:
        self._divisor = require_int("cycles a bit", divisor, LEAST)
        super().__init__(
            {"rx": In(1, init=1), "o": Out(stream.Signature(RECEIVED, always_ready=True))}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        rx = Signal(init=1)
        m.submodules += FFSynchronizer(self.rx, rx, init=1)
        timer = Signal(range(-1, self._divisor - 1), init=-1)  # below 0: it is time
        left = Signal(range(11))  # bits to come
        bits = Signal(8)
        m.d.sync += self.o.valid.eq(0)
        with m.If(timer >= 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(left != 0):
            m.d.sync += [left.eq(left - 1), timer.eq(self._divisor - 2), bits.eq(Cat(bits[1:], rx))]
            with m.If((left == 10) & rx):  # what began was no start bit
                m.d.sync += left.eq(0)
            with m.If(left == 1):
                m.d.sync += [
                    timer.eq(-1),
                    self.o.valid.eq(1),
                    self.o.payload.byte.eq(bits),
                    self.o.payload.broken.eq(~rx),
                ]
        # A line that stays low is one broken byte, not many.
        high = Signal()
        with m.If(rx):
            m.d.sync += high.eq(1)
        with m.Elif((left == 0) & (timer < 0) & high):
            m.d.sync += [left.eq(10), timer.eq(self._divisor // 2 - 2), high.eq(0)]
        return m


class UartTransmitter(wiring.Component):
    """Sends bytes over a line.

    Parameters
    ----------
    divisor : int
        Cycles a bit.

    Members
    -------
    i : In, stream of unsigned(8)
        Bytes.
    tx : Out
        The line.
    """

    def __init__(self, divisor: int) -> None:
        self._divisor = require_int("cycles a bit", divisor, LEAST)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        timer = Signal(range(-1, self._divisor - 1), init=-1)  # as above
        left = Signal(range(11))
        bits = Signal(9, init=0x1FF)
        taken = self.i.valid & self.i.ready
        m.d.sync += self.i.ready.eq((left == 0) & (timer <= 0) & ~taken)
        with m.If(timer >= 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(left != 0):
            m.d.sync += [
                left.eq(left - 1),
                timer.eq(self._divisor - 2),
                self.tx.eq(bits[0]),
                bits.eq(Cat(bits[1:], 1)),
            ]
        with m.If(taken):
            m.d.sync += [left.eq(10), bits.eq(Cat(0, self.i.payload))]
        return m
