"""Writes a list of values into a Wishbone port, once."""

from collections.abc import Sequence

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.errors import require_int


class ControlWrites(wiring.Component):
    """Writes after reset what a controller has to be told before it can be used.

    Parameters
    ----------
    writes : sequence of (int, int, int)
        Byte address, value, and cycles to wait before the next one.

    Members
    -------
    address, value, cycle, ack
        Of a Wishbone port: the address of a word of 32 bits; ``cycle`` is its cyc, stb and we.
    done : Out
        All are written.
    """

    def __init__(self, writes: Sequence[tuple[int, int, int]]) -> None:
        require_int("writes", len(writes), 1)
        self._writes = list(writes)
        super().__init__(
            {
                "address": Out(30),
                "value": Out(32),
                "cycle": Out(1),
                "ack": In(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        n = Signal(range(len(self._writes)))
        wait = Signal(range(max(wait for *_, wait in self._writes) + 1))
        addresses, values, waits = (
            Array(Const(each, width) for each in column)
            for column, width in zip(
                zip(*self._writes, strict=True), (32, 32, len(wait)), strict=True
            )
        )
        m.d.comb += [self.address.eq(addresses[n] >> 2), self.value.eq(values[n])]
        with m.FSM():
            with m.State("write"):
                m.d.comb += self.cycle.eq(1)
                with m.If(self.ack):
                    m.d.sync += wait.eq(waits[n])
                    m.next = "wait"
            with m.State("wait"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.d.sync += n.eq(n + 1)
                    m.next = "write"
                    with m.If(n == len(self._writes) - 1):
                        m.next = "done"
            with m.State("done"):
                m.d.comb += self.done.eq(1)
        return m
