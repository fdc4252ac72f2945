"""Brings a core's memories to their state at reset."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2


class StateReset(wiring.Component):
    """Sets M = bias, and h = x^ = h^ = 0: one word a cycle, after power-up and on request.

    Parameters
    ----------
    bias : sequence of sequences of int
        Rows of P accumulators (hw.layout.CoreLayout.bias_rows).
    width : int
        Bits of an accumulator.
    clears : int
        Addresses of the largest memory that is to be cleared.

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
    fill : Out, stream (never waits)
        To the lanes: ``row``, ``lane``, ``value``.
    clear : Out, stream (never waits)
        Addresses to clear, in every memory that has them.

    Attributes
    ----------
    cycles : int
        Cycles that a reset takes.
    """

    def __init__(self, bias: Sequence[Sequence[int]], *, width: int, clears: int) -> None:
        self._bias, self._width, self._clears = bias, width, clears
        self._lanes = len(bias[0])
        self.cycles = max(len(bias) * self._lanes + 1, clears)
        fill = data.StructLayout(
            {
                "row": unsigned(ceil_log2(len(bias))),
                "lane": unsigned(ceil_log2(self._lanes)),
                "value": signed(width),
            }
        )
        super().__init__(
            {
                "request": In(1),
                "idle": In(1),
                "pending": Out(1, init=1),
                "active": Out(1),
                "done": Out(1),
                "fill": Out(stream.Signature(fill, always_ready=True)),
                "clear": Out(stream.Signature(unsigned(ceil_log2(clears)), always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        values = [value for row in self._bias for value in row]
        m.submodules.rom = rom = memory.Memory(
            shape=signed(self._width), depth=len(values), init=values
        )
        read = rom.read_port()

        step = Signal(range(self.cycles))
        row = Signal(range(len(self._bias)))
        lane = Signal(range(self._lanes))
        filling = Signal()
        fetched_row, fetched_lane = Signal.like(row), Signal.like(lane)
        m.d.comb += [
            read.addr.eq(step),
            read.en.eq(1),
            self.done.eq(self.active & (step == self.cycles - 1)),
            self.fill.valid.eq(filling),
            self.fill.payload.row.eq(fetched_row),
            self.fill.payload.lane.eq(fetched_lane),
            self.fill.payload.value.eq(read.data),
            self.clear.valid.eq(self.active & (step < self._clears)),
            self.clear.payload.eq(step),
        ]
        m.d.sync += [
            filling.eq(self.active & (step < len(values))),
            fetched_row.eq(row),
            fetched_lane.eq(lane),
        ]
        with m.If(self.request):
            m.d.sync += self.pending.eq(1)
        with m.If(self.active):
            m.d.sync += [step.eq(step + 1), lane.eq(lane + 1)]
            with m.If(lane == self._lanes - 1):
                m.d.sync += [lane.eq(0), row.eq(row + 1)]
            with m.If(self.done):
                m.d.sync += [self.active.eq(0), self.pending.eq(self.request)]
        with m.Elif(self.pending & self.idle):
            m.d.sync += [self.active.eq(1), step.eq(0), lane.eq(0), row.eq(0)]
        return m
