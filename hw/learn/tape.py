"""What a sequence leaves for the way back: lists of events, and what is kept of the units."""

from amaranth.hdl import Const, Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.errors import require_int
from hw.events.encoder import event_layout
from hw.pipeline import delayed, strobed
from hw.primitive.memory import UNCHECKED


class ListStack(wiring.Component):
    """Lists of events, one on the other: filled on the way forward, read from the last one back.

    A list is read again and again, once for each row of each block, until it is dropped. It takes
    a word for each event and one for their number (docs/training-core.md, "Forward, and the tape").

    Parameters
    ----------
    words : int
        Its room.
    columns : int
        Events of the longest list.
    activation_width : int
        Bits of an activation; a delta has one more.
    read_latency : int
        Its memory's (hw.target.Target).

    Members
    -------
    restart : In
        Empties it.
    i : In, stream (never waits)
        Appends an event (hw.events.encoder.event_layout) to the list that is open.
    close : In
        Closes the list, with its last event or later; a cycle without an event comes behind it.
    full : Out
        Since the last ``restart`` something found no room. What is read then means nothing.
    back : In
        Drops the list that can be read, if there is one, and turns to the list below it. No list
        is open then. ``count`` and ``last`` hold ``latency`` cycles later.
    count, last : Out
        Events of the list; whether ``step`` would read its last one.
    step : In
        Reads the next event, behind the last one the first, in a list of some.
    o : Out, stream (never waits)
        The event, ``read_latency`` cycles later.

    Attributes
    ----------
    latency : int
        Cycles from ``back`` until the list can be read.

    Raises
    ------
    ValueError
        Where a parameter is below 1.
    """

    def __init__(
        self, *, words: int, columns: int, activation_width: int, read_latency: int = 1
    ) -> None:
        require_int("words", words, 1)
        require_int("columns", columns, 1)
        require_int("read_latency", read_latency, 1)
        self._words, self._read_latency = words, read_latency
        self.latency = 2 + read_latency
        self._event = event_layout(columns, activation_width)
        events = stream.Signature(self._event, always_ready=True)
        super().__init__(
            {
                "restart": In(1),
                "i": In(events),
                "close": In(1),
                "full": Out(1),
                "back": In(1),
                "count": Out(bits_for(columns)),
                "last": Out(1),
                "step": In(1),
                "o": Out(events),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        width = max(self._event.size, len(self.count))
        m.submodules.memory = words = memory.Memory(
            shape=width, depth=self._words, init=[], attrs=UNCHECKED
        )
        read, write = words.read_port(), words.write_port()
        address = range(self._words + 1)
        # The list that is open, or is read, begins at ``base``; ``at`` is the next word of it.
        base, at = Signal(address), Signal(address)
        closing, has = Signal(), Signal()
        m.d.comb += [
            has.eq(at != self._words),
            write.addr.eq(at),
            write.data.eq(Mux(closing, (at - base)[: len(self.count)], self.i.payload)),
            write.en.eq((self.i.valid | closing) & has),
        ]
        m.d.sync += closing.eq(self.close)
        with m.If(self.i.valid | closing):
            m.d.sync += [at.eq(at + has), self.full.eq(self.full | ~has)]
        with m.If(closing):
            m.d.sync += base.eq(at + has)

        # Back: below a list is the number of the one before.
        turns = strobed(m, self.back, self.latency - 1, "turn")
        counted = delayed(m, read.data, self._read_latency - 1, "counted")[: len(self.count)]
        left = Signal.like(self.count)
        with m.If(self.back):
            m.d.sync += at.eq(base - 1)
        with m.If(turns[-1]):
            begin = at - counted
            m.d.sync += [base.eq(begin), at.eq(begin), self.count.eq(counted), left.eq(counted - 1)]
        m.d.comb += [read.en.eq(Const(1)), read.addr.eq(at), self.last.eq(left == 0)]
        with m.If(self.step):
            m.d.sync += at.eq(Mux(self.last, base, at + 1))
            m.d.sync += left.eq(Mux(self.last, self.count - 1, left - 1))
        m.d.comb += [
            self.o.valid.eq(strobed(m, self.step, self._read_latency, "reads")[-1]),
            self.o.payload.eq(
                delayed(m, read.data, self._read_latency - 1, "event")[: self._event.size]
            ),
        ]
        with m.If(self.restart):
            m.d.sync += [at.eq(0), base.eq(0), self.full.eq(0)]
        return m


class FrameStack(wiring.Component):
    """Words of which each frame has the same number: read frame by frame back, each in its order.

    Parameters
    ----------
    shape : ShapeLike
        Of a word: what is kept of the units that are made at once.
    frames, words : int
        Its room; words of a frame.
    read_latency : int
        Its memory's (hw.target.Target).

    Members
    -------
    restart : In
        Empties it.
    i : In, stream (never waits)
        Appends a word.
    full : Out
        Since the last ``restart`` a word found no room. What is read then means nothing.
    back : In
        Turns to the frame before the one that was turned to, to the last one at first. Its words
        may be read from the next cycle on.
    step : In
        Reads the frame's next word.
    o : Out, stream (never waits)
        The word, ``read_latency`` cycles later.

    Raises
    ------
    ValueError
        Where a parameter is below 1.
    """

    def __init__(self, shape: ShapeLike, *, frames: int, words: int, read_latency: int = 1) -> None:
        require_int("frames", frames, 1)
        require_int("words", words, 1)
        require_int("read_latency", read_latency, 1)
        self._shape, self._read_latency = shape, read_latency
        self._depth, self._words = frames * words, words
        of_words = stream.Signature(shape, always_ready=True)
        super().__init__(
            {
                "restart": In(1),
                "i": In(of_words),
                "full": Out(1),
                "back": In(1),
                "step": In(1),
                "o": Out(of_words),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.memory = kept = memory.Memory(
            shape=self._shape, depth=self._depth, init=[], attrs=UNCHECKED
        )
        read, write = kept.read_port(), kept.write_port()
        # ``at`` is the next word, the frame that was turned to begins at ``base``.
        at, base = Signal(range(self._depth + 1)), Signal(range(self._depth + 1))
        has = Signal()
        m.d.comb += [
            has.eq(at != self._depth),
            write.addr.eq(at),
            write.data.eq(self.i.payload),
            write.en.eq(self.i.valid & has),
            read.addr.eq(at),
            read.en.eq(Const(1)),
        ]
        with m.If(self.i.valid):
            m.d.sync += [at.eq(at + has), base.eq(at + has), self.full.eq(self.full | ~has)]
        with m.If(self.step):
            m.d.sync += at.eq(at + 1)
        with m.If(self.back):
            m.d.sync += [at.eq(base - self._words), base.eq(base - self._words)]
        with m.If(self.restart):
            m.d.sync += [at.eq(0), base.eq(0), self.full.eq(0)]
        word = delayed(m, Value.cast(read.data), self._read_latency - 1, "word")
        m.d.comb += [
            self.o.valid.eq(strobed(m, self.step, self._read_latency, "reads")[-1]),
            self.o.payload.eq(word),
        ]
        return m
