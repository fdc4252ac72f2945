"""Takes frames from the input stream, element by element."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int


class FrameReader(wiring.Component):
    """Numbers the elements of a frame and keeps frames in step with ``last``.

    A frame that ends early is computed with its missing elements unchanged. In one that ends late,
    the elements beyond the last column are dropped up to ``last``. Both are flagged, and either
    way one frame goes in for each ``last``, so that the next is whole again.

    Parameters
    ----------
    columns : int
        I, elements of a frame.
    width : int
        Bits of an element (signed).
    latency : int
        Cycles in which an element must not follow itself: the DeltaEncoder's.
    streams : int
        C: frames come in rounds, one of each stream, in order.

    Members
    -------
    i : In, stream
        ``value``, and ``last`` at the end of a frame.
    o : Out, stream (never waits)
        Elements for the DeltaEncoder, in the same cycle; ``vector`` is the stream.
    free : In, a bit for each list
        The list is empty: of each stream that of either half, which alternate from round to round.
        Those of the next round are looked at a cycle before its first element.
    hold : In
        Begin no round from the next cycle on.
    between : Out
        No round is under way.
    opened : Out, 2 bits
        A round of which an element has come has lists of this half, and they have not all been
        left.
    leave : In, stream (never waits)
        The half whose lists are left: their round needs them no more.
    short, long : Out
        Strobes: a frame ended early, or late.
    restart : In
        The next frame is the first stream's, and goes to half 0.
    """

    def __init__(self, *, columns: int, width: int, latency: int, streams: int = 1) -> None:
        require_int("columns", columns, 1)
        require_int("streams", streams, 1)
        self._columns, self._latency, self._streams = columns, latency, streams
        element = data.StructLayout(
            {
                "vector": unsigned(ceil_log2(streams)),
                "column": unsigned(ceil_log2(columns)),
                "value": signed(width),
                "last": 1,
            }
        )
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"value": signed(width), "last": 1}))),
                "o": Out(stream.Signature(element, always_ready=True)),
                "free": In(2 * streams),
                "hold": In(1),
                "between": Out(1),
                "opened": Out(2),
                "leave": In(stream.Signature(1, always_ready=True)),
                "short": Out(1),
                "long": Out(1),
                "restart": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        column = Signal(range(self._columns))
        half, stream = Signal(), Signal(range(self._streams))
        dropping = Signal()
        full = Signal()
        # An element must not follow itself within the encoder's latency: a very short frame,
        # meant or cut off, makes the next one wait.
        latency = self._latency
        pause = Signal(range(latency + 1))

        # A register says whether an element is taken, so that nothing long hangs on that.
        ready, take = Signal(), Signal()
        next_pause, next_half, next_stream = Signal.like(pause), Signal(), Signal.like(stream)
        frame, next_frame = Signal(), Signal()  # one is under way
        m.d.comb += [
            full.eq(column == self._columns - 1),
            self.i.ready.eq(ready),
            take.eq(self.i.valid & ready),
            self.o.valid.eq(take & ~dropping),
            self.o.payload.vector.eq(stream),
            self.o.payload.column.eq(column),
            self.o.payload.value.eq(self.i.payload.value),
            self.o.payload.last.eq(full | self.i.payload.last),
            self.short.eq(self.o.valid & self.i.payload.last & ~full),
            self.long.eq(self.o.valid & full & ~self.i.payload.last),
        ]
        m.d.comb += [
            self.between.eq(~frame & (stream == 0)),
            next_frame.eq(Mux(take, ~self.i.payload.last, frame)),
            next_pause.eq(Mux(pause != 0, pause - 1, 0)),
            next_half.eq(half),
            next_stream.eq(stream),
        ]
        with m.If(self.leave.valid):
            m.d.sync += self.opened.bit_select(self.leave.payload, 1).eq(0)
        with m.If(take & ~frame):
            m.d.sync += self.opened.bit_select(half, 1).eq(1)
        with m.If(take):
            with m.If(self.i.payload.last):
                m.d.sync += dropping.eq(0)
            with m.Elif(full):
                m.d.sync += dropping.eq(1)
        with m.If(self.o.valid):
            m.d.sync += column.eq(column + 1)
            with m.If(self.o.payload.last):
                m.d.sync += column.eq(0)
                last = stream == self._streams - 1
                m.d.comb += [
                    next_half.eq(half ^ last),
                    next_stream.eq(Mux(last, 0, stream + 1)),
                    next_pause.eq(Mux(column < latency, latency - column, 0)),
                ]
        with m.If(self.restart):
            m.d.comb += [next_half.eq(0), next_stream.eq(0)]
        # The lists of a round are free when the last one is, for they are left in order.
        free = self.free[2 * (self._streams - 1) :].bit_select(next_half, 1)
        may_begin = (next_stream != 0) | (free & ~self.hold)
        m.d.sync += [
            frame.eq(next_frame),
            pause.eq(next_pause),
            half.eq(next_half),
            stream.eq(next_stream),
            ready.eq(next_frame | (may_begin & (next_pause == 0))),
        ]
        return m
