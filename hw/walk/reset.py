"""Brings a core's memories to their state at reset."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.walk.layout import CoreLayout


class StateReset(wiring.Component):
    """Sets M = bias, and h = x^ = h^ = 0: an address a cycle, after power-up and on request.

    Parameters
    ----------
    layout : CoreLayout
        What there is to set.

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

    A reset takes ``layout.reset_cycles``.
    """

    def __init__(self, layout: CoreLayout) -> None:
        self._layout = layout
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
        layout = self._layout
        step = Signal(range(layout.reset_cycles))
        m.d.comb += [
            self.done.eq(self.active & (step == layout.reset_cycles - 1)),
            self.begin.valid.eq(self.active & (step < layout.rows)),
            self.begin.payload.eq(step),
            self.clear.valid.eq(self.active & (step < layout.clears)),
            self.clear.payload.eq(step),
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
