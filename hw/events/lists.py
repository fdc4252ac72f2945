"""Lists of events that are written once and read many times."""

from collections.abc import Iterable, Mapping, Sequence

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.errors import require_int
from hw.events.encoder import event_layout
from hw.events.merge import append_layout
from hw.pipeline import delayed
from hw.primitive.memory import UNCHECKED


class EventBuffer(wiring.Component):
    """Several event lists in one memory; a list may be read while it still grows.

    The lanes walk a list once for every gate of every block, so it is replayed, not consumed.
    A list is *complete* when all its events are in; it is cleared when the last walk is over.

    Parameters
    ----------
    lists : int
        How many lists there are.
    size : int
        Events that the longest one can hold: one for each column.
    width : int
        Bits of an activation; a delta has one more.
    read_latency : int
        Its memory's (hw.target.Target).
    complete_at_reset : sequence of int
        Lists that are complete after a restart.
    opening : mapping of int to (int, int)
        What some lists begin with after a restart: a column and its delta.

    Members
    -------
    i : In, stream (never waits)
        hw.events.merge.append_layout: appends ``event`` to the list ``vector`` where it ``fires``;
        ``last`` completes that list.
    read_list, read_index, step : In
        What to read, in this cycle if ``step``; else the event of the last one stays.
    event : Out
        The event there, ``read_latency`` steps later.
    count : Out, array over the lists
        Events in each list.
    complete : Out, a bit for each list
        Whether it is complete.
    finish : In, stream (never waits)
        Completes a list as it is, beside whatever ``i`` does to other lists.
    clear : In, stream (never waits)
        Empties a list.
    restart : In
        Empties all lists and completes those of ``complete_at_reset``, as power-up does. With
        ``opening`` it takes as many cycles as there are lists, and power-up does not do it.

    Raises
    ------
    ValueError
        Where a parameter is below 1.
    """

    def __init__(
        self,
        *,
        lists: int,
        size: int,
        width: int,
        read_latency: int = 1,
        complete_at_reset: Sequence[int] = (),
        opening: Mapping[int, tuple[int, int]] | None = None,
    ) -> None:
        require_int("lists", lists, 1)
        require_int("size", size, 1)
        require_int("width", width, 1)
        self._lists, self._opening = lists, opening or {}
        self._read_latency = read_latency
        self._index_width = ceil_log2(size)
        complete = sum(1 << n for n in complete_at_reset)
        self._event = event_layout(size, width)
        append = append_layout(lists, size, width)
        super().__init__(
            {
                "i": In(stream.Signature(append, always_ready=True)),
                "read_list": In(ceil_log2(lists)),
                "read_index": In(self._index_width),
                "step": In(1, init=1),
                "event": Out(self._event),
                "count": Out(bits_for(size)).array(lists),
                "complete": Out(lists, init=complete),
                "finish": In(stream.Signature(unsigned(ceil_log2(lists)), always_ready=True)),
                "clear": In(stream.Signature(unsigned(ceil_log2(lists)), always_ready=True)),
                "restart": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.memory = events = memory.Memory(
            shape=self._event, depth=self._lists << self._index_width, init=[], attrs=UNCHECKED
        )
        read, write = events.read_port(), events.write_port()
        append = self.i.payload
        count = Array(self.count)
        end = count[append.vector]
        m.d.comb += [
            read.en.eq(self.step),
            read.addr.eq(Cat(self.read_index, self.read_list)),
            self.event.eq(
                delayed(m, read.data.as_value(), self._read_latency - 1, "event_read", self.step)
            ),
            write.en.eq(self.i.valid & append.fires),
            write.addr.eq(Cat(end[: self._index_width], append.vector)),
            write.data.eq(append.event),
        ]
        with m.If(self.i.valid):
            with m.If(append.fires):
                m.d.sync += end.eq(end + 1)
            with m.If(append.last):
                m.d.sync += self.complete.bit_select(append.vector, 1).eq(1)
        with m.If(self.finish.valid):
            m.d.sync += self.complete.bit_select(self.finish.payload, 1).eq(1)
        with m.If(self.clear.valid):
            m.d.sync += [
                count[self.clear.payload].eq(0),
                self.complete.bit_select(self.clear.payload, 1).eq(0),
            ]
        with m.If(self.restart):
            m.d.sync += self.complete.eq(self.complete.init)
            m.d.sync += [self.count[n].eq(n in self._opening) for n in range(self._lists)]
        if self._opening:
            n = Signal(range(self._lists))
            columns, deltas = (Array(values) for values in self._opening_events())
            with m.If(self.restart):
                m.d.sync += n.eq(Mux(n == self._lists - 1, 0, n + 1))
                m.d.comb += [
                    write.en.eq(1),
                    write.addr.eq(Cat(Const(0, self._index_width), n)),
                    write.data.column.eq(columns[n]),
                    write.data.delta.eq(deltas[n]),
                ]
        return m

    def _opening_events(self) -> Iterable[tuple[int, ...]]:
        """Columns and deltas, of all lists; of one that begins empty nobody reads them."""
        return zip(*(self._opening.get(n, (0, 0)) for n in range(self._lists)), strict=True)
