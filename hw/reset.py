"""Brings a core's memories to their state at reset."""

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.model import Model
from hw.layout import CoreLayout


class StateReset(wiring.Component):
    """Sets M = bias, and h = x^ = h^ = 0: one word a cycle, after power-up and on request.

    Parameters
    ----------
    layout : CoreLayout
        What there is to set.
    model : Model
        Where the biases come from.

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

    A reset takes ``layout.reset_cycles``.
    """

    def __init__(self, layout: CoreLayout, model: Model) -> None:
        self._layout, self._model = layout, model
        core = layout.core
        fill = data.StructLayout(
            {
                "row": unsigned(ceil_log2(layout.rows)),
                "lane": unsigned(ceil_log2(core.lanes)),
                "value": signed(layout.row_width),
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
                "clear": Out(
                    stream.Signature(unsigned(ceil_log2(layout.clears)), always_ready=True)
                ),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        layout = self._layout
        lanes = layout.core.lanes
        values = layout.bias_rows(self._model).ravel().tolist()
        m.submodules.rom = rom = memory.Memory(
            shape=signed(layout.row_width), depth=len(values), init=values
        )
        read = rom.read_port()

        step = Signal(range(layout.reset_cycles))
        row = Signal(range(layout.rows))
        lane = Signal(range(lanes))
        filling = Signal()
        fetched_row, fetched_lane = (
            Signal.like(row, reset_less=True),
            Signal.like(lane, reset_less=True),
        )
        m.d.comb += [
            read.addr.eq(step),
            read.en.eq(1),
            self.done.eq(self.active & (step == layout.reset_cycles - 1)),
            self.fill.valid.eq(filling),
            self.fill.payload.row.eq(fetched_row),
            self.fill.payload.lane.eq(fetched_lane),
            self.fill.payload.value.eq(read.data),
            self.clear.valid.eq(self.active & (step < layout.clears)),
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
            with m.If(lane == lanes - 1):
                m.d.sync += [lane.eq(0), row.eq(row + 1)]
            with m.If(self.done):
                m.d.sync += [self.active.eq(0), self.pending.eq(self.request)]
        with m.Elif(self.pending & self.idle):
            m.d.sync += [self.active.eq(1), step.eq(0), lane.eq(0), row.eq(0)]
        return m
