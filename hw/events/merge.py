"""From several elements side by side to their events, one after another."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from hw.events.encoder import event_layout, outcome_layout


def append_layout(vectors: int, columns: int, activation_width: int) -> data.StructLayout:
    """What happens to an event list: ``event`` is appended if ``fires``, and ``last`` ends it."""
    return data.StructLayout(
        {
            "vector": unsigned(ceil_log2(vectors)),
            "event": event_layout(columns, activation_width),
            "fires": 1,
            "last": 1,
        }
    )


class EventMerge(wiring.Component):
    """Takes what a DeltaEncoder sends, at any rate, and sends at most one event a cycle.

    With one way this is wiring. With more it is a queue, for which there is always room if it
    holds each vector once: a vector does not come again before its list is complete.

    Parameters
    ----------
    vectors, groups, width, ways : int
        As those of the DeltaEncoder.

    Members
    -------
    i : In, stream (never waits)
        Outcomes (hw.events.encoder.outcome_layout).
    o : Out, stream (never waits)
        append_layout; the event's column is group * ways + way.
    """

    def __init__(self, *, vectors: int, groups: int, width: int, ways: int) -> None:
        require_int("ways", ways, 1)
        self._ways = ways
        self._depth = vectors * groups + 2  # what has just come in takes a cycle to count as gone
        self._outcome = outcome_layout(vectors, groups, ways, width)
        append = append_layout(vectors, groups * ways, width)
        super().__init__(
            {
                "i": In(stream.Signature(self._outcome, always_ready=True)),
                "o": Out(stream.Signature(append, always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        append = self.o.payload
        head = Signal(self._outcome)
        way = Signal(range(self._ways))
        m.d.comb += [
            append.vector.eq(head.vector),
            append.event.column.eq(Cat(way, head.group)),
            append.event.delta.eq(head.delta[way]),
        ]
        if self._ways == 1:
            m.d.comb += [
                head.eq(self.i.payload),
                self.o.valid.eq(self.i.valid),
                append.fires.eq(head.fires),
                append.last.eq(head.last),
            ]
            return m

        m.submodules.queue = queue = fifo.SyncFIFOBuffered(
            width=self._outcome.size, depth=self._depth
        )
        done = Signal(self._ways)  # ways of the head that have been sent
        left = Signal(self._ways)
        rest = Signal(self._ways)
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid & (self.i.payload.fires.any() | self.i.payload.last)),
            head.eq(queue.r_data),
            left.eq(head.fires & ~done),
            rest.eq(left & (left - 1)),  # without its lowest bit, which goes now
            self.o.valid.eq(queue.r_rdy),
            append.fires.eq(left.any()),
            append.last.eq(head.last & ~rest.any()),
            queue.r_en.eq(~rest.any()),
        ]
        for n in reversed(range(self._ways)):
            with m.If(left[n]):
                m.d.comb += way.eq(n)
        with m.If(queue.r_rdy):
            m.d.sync += done.eq(Mux(rest.any(), done | ~rest, 0))
        return m
