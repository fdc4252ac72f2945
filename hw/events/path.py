"""From the new values of some vectors to the lists of their events."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for, ceil_log2

from golden.errors import require_int
from hw.events.encoder import DeltaEncoder, event_layout
from hw.events.lists import EventBuffer
from hw.events.merge import EventMerge


class EventPath(wiring.Component):
    """Encodes vectors, merges what fires and keeps a list of events for each of them.

        i -> DeltaEncoder -> EventMerge -> EventBuffer -> event

    Where a vector has two lists, one is read for this frame while the other one grows for the
    next. Which of the two grows is each vector's own affair: a vector's list may be completed
    before that of another vector, whose turn was earlier, has all its events.

    Parameters
    ----------
    vectors, groups, width, ways, read_latency : int
        As those of hw.events.encoder.DeltaEncoder.
    halves : int
        Lists of each vector: 1 or 2.
    ahead : bool
        The lists that grow are those of the next frame: at reset that of the first frame is empty
        and complete.
    opening : mapping of int to (int, int)
        Of some vectors the column and delta that the first frame's list begins with, after a
        ``restart`` of at least as many cycles as there are lists. It may be one column more than
        ``groups`` has.
    tells : bool
        It also tells what v^ is.

    Members
    -------
    i : In, stream (never waits)
        As that of the DeltaEncoder.
    theta : In, array over the vectors
        Thresholds, unsigned(width).
    read : In
        ``vector``, ``half``, ``index``: what to read. ``step``: in this cycle; else the event of
        the last one stays.
    event : Out
        The event there, ``read_latency`` steps later.
    count : Out, array over the lists; complete : Out, a bit for each list
        Events in each list, and whether it is complete; list ``vector`` * ``halves`` + ``half``.
    skip : In, stream (never waits)
        A vector whose list that grows is complete as it is, for ``i`` will not come.
    leave : In, stream (never waits)
        ``vector``, ``half``: a list that is not needed any more; it is emptied.
    appends : Out
        An event is being appended.
    sent : Out, stream (never waits)
        v^ of the elements that have come, from now on: ``vector``, ``group``, ``value``, ``last``.
        Absent where it does not tell.
    clear : In, stream (never waits)
        Sets v^ at an address to 0; only while nothing else is under way.
    restart : In
        Brings the lists to their state at reset.

    Attributes
    ----------
    latency : int
        Cycles in which an element must not follow itself.
    depth : int
        Addresses of the memory that ``clear`` clears.

    Raises
    ------
    ValueError
        Where a parameter is out of range.
    """

    def __init__(
        self,
        *,
        vectors: int,
        groups: int,
        width: int,
        ways: int = 1,
        read_latency: int = 1,
        halves: int = 1,
        ahead: bool = False,
        opening: Mapping[int, tuple[int, int]] | None = None,
        tells: bool = False,
    ) -> None:
        require_int("halves", halves, 1, 2)
        sizes = {"vectors": vectors, "groups": groups, "width": width, "ways": ways}
        self._encoder = DeltaEncoder(**sizes, read_latency=read_latency, tells=tells)
        self._merge = EventMerge(**sizes)
        self._vectors, self._halves, self._ahead, self._tells = vectors, halves, ahead, tells
        self.latency, self.depth = self._encoder.latency, self._encoder.depth
        lists, size = vectors * halves, groups * ways + bool(opening)
        self._lists = EventBuffer(
            lists=lists,
            size=size,
            width=width,
            read_latency=read_latency,
            complete_at_reset=range(0, lists, halves) if ahead else (),
            opening={halves * vector: event for vector, event in (opening or {}).items()},
        )
        one = {"vector": unsigned(ceil_log2(vectors)), "half": unsigned(ceil_log2(halves))}
        read = {**one, "index": unsigned(ceil_log2(size)), "step": 1}
        more = {"sent": Out(self._encoder.i.signature.flip())} if tells else {}
        super().__init__(
            {
                **more,
                "i": In(self._encoder.i.signature.flip()),
                "theta": In(width).array(vectors),
                "read": In(data.StructLayout(read)),
                "event": Out(event_layout(size, width)),
                "count": Out(bits_for(size)).array(lists),
                "complete": Out(lists),
                "skip": In(stream.Signature(one["vector"], always_ready=True)),
                "leave": In(stream.Signature(data.StructLayout(one), always_ready=True)),
                "appends": Out(1),
                "clear": In(self._encoder.clear.signature.flip()),
                "restart": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.encoder = encoder = self._encoder
        m.submodules.merge = merge = self._merge
        m.submodules.lists = lists = self._lists
        connect(m, flipped(self.i), encoder.i)
        connect(m, flipped(self.clear), encoder.clear)
        connect(m, encoder.o, merge.i)

        # The half of each vector that grows.
        first = -1 if self._ahead else 0
        grows = Signal(self._vectors, init=first)
        comes = merge.o.payload

        def grown(vector):
            return Cat(grows.bit_select(vector, 1), vector) if self._halves == 2 else vector

        m.d.comb += [
            *(to.eq(theta) for to, theta in zip(encoder.theta, self.theta, strict=True)),
            lists.i.valid.eq(merge.o.valid),
            lists.i.payload.vector.eq(grown(comes.vector)),
            lists.i.payload.event.column.eq(comes.event.column),
            lists.i.payload.event.delta.eq(comes.event.delta),
            lists.i.payload.fires.eq(comes.fires),
            lists.i.payload.last.eq(comes.last),
            lists.finish.valid.eq(self.skip.valid),
            lists.finish.payload.eq(grown(self.skip.payload)),
            lists.clear.valid.eq(self.leave.valid),
            lists.clear.payload.eq(Cat(self.leave.payload.half, self.leave.payload.vector)),
            lists.restart.eq(self.restart),
            lists.read_list.eq(Cat(self.read.half, self.read.vector)),
            lists.read_index.eq(self.read.index),
            lists.step.eq(self.read.step),
            self.event.eq(lists.event),
            self.complete.eq(lists.complete),
            *(to.eq(count) for to, count in zip(self.count, lists.count, strict=True)),
            self.appends.eq(merge.o.valid & comes.fires),
        ]
        if self._tells:
            m.d.comb += [
                self.sent.valid.eq(encoder.o.valid),
                *(self.sent.payload[key].eq(encoder.o.payload[key]) for key in ("vector", "group")),
                self.sent.payload.value.eq(encoder.sent),
                self.sent.payload.last.eq(encoder.o.payload.last),
            ]
        if self._halves == 2:
            for k in range(self._vectors):
                ends = merge.o.valid & comes.last & (comes.vector == k)
                with m.If(ends | (self.skip.valid & (self.skip.payload == k))):
                    m.d.sync += grows[k].eq(~grows[k])
            with m.If(self.restart):
                m.d.sync += grows.eq(first)
        return m
