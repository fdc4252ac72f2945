"""Brings a core's memories to their state at reset."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from hw.walk.layout import CoreLayout


class StateReset(wiring.Component):
    """Sets M = bias, and h = x^ = h^ = 0: an address a cycle, after power-up and on request.

    Parameters
    ----------
    layout : CoreLayout
        What there is to set.
    interval : int
        Cycles that an address takes: a power of two.

    Members
    -------
    request : In
        Asks for a reset; it is remembered.
    idle : In
        Nothing is under way and nothing begins: a reset may start.
    pending : Out
        A reset was asked for and is not over.
    active : Out
        It is under way.
    done : Out
        Its last cycle.
    begin : Out, stream (never waits)
        Rows of accumulators that are to begin again.
    clear : Out, stream (never waits)
        Addresses to clear, in every memory that has them.

    A reset takes ``layout.reset_cycles`` times ``interval``.
    """

    def __init__(self, layout: CoreLayout, interval: int = 1) -> None:
        self._layout, self._interval = layout, interval
        row, address = (unsigned(ceil_log2(n)) for n in (layout.rows, layout.clears))
        super().__init__(
            {
                "request": In(1),
                "idle": In(1),
                "pending": Out(1, init=1),
                "active": Out(1),
                "done": Out(1),
                "begin": Out(stream.Signature(row, always_ready=True)),
                "clear": Out(stream.Signature(address, always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        layout, cycles = self._layout, self._layout.reset_cycles * self._interval
        step = Signal(range(cycles))
        waits = exact_log2(self._interval)  # bits of step
        place, steps = step[waits:], self.active & ~step[:waits].any() if waits else self.active
        m.d.comb += [
            self.done.eq(self.active & (step == cycles - 1)),
            self.begin.valid.eq(steps & (place < layout.rows)),
            self.begin.payload.eq(place),
            self.clear.valid.eq(steps & (place < layout.clears)),
            self.clear.payload.eq(place),
        ]
        with m.If(self.request):
            m.d.sync += self.pending.eq(1)
        with m.If(self.active):
            m.d.sync += step.eq(step + 1)
            with m.If(self.done):
                m.d.sync += [self.active.eq(0), self.pending.eq(self.request)]
        with m.Elif(self.pending & self.idle):
            m.d.sync += [self.active.eq(1), step.eq(0)]
        return m
