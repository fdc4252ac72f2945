"""What a sequence leaves for the way back: lists of events, and what is kept of the units."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Shape, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.errors import require_int
from golden.parameters import CoreParameters
from hw.events.encoder import event_layout
from hw.lanes.fetch import any_event_layout, same_event
from hw.learn.cell import learning_cell
from hw.learn.layout import LearningLayout
from hw.pipeline import strobed
from hw.primitive.memory import DeepMemory

STACKS = ("input", "above", "h")  # of lists: of the network's x, of every other x, of every h


def walked_layout(core: CoreParameters) -> data.StructLayout:
    """What is walked of a frame: ``fires``, there is an ``event`` of ``vector``, x (0) or h (1), of
    ``layer``; ``last``, the layer's lists of this frame are over.
    """
    layer = unsigned(ceil_log2(len(core.network.layers)))
    event = any_event_layout(core)
    return data.StructLayout({"layer": layer, "vector": 1, "event": event, "fires": 1, "last": 1})


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
    shapes : sequence of (int, int)
        Those of block RAM (hw.target.Target.block_shapes).

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
        Drops the list that can be read, if there is one, and turns to the list below it, which is
        there when it is ``ready`` again. No list is open then, nor closed in the cycle before.
        Below the lowest list nothing is right until ``restart``.
    ready : Out
        It turns to no list in this cycle.
    count, empty, last : Out
        Events of the list; whether it has none; whether ``step`` would read its last one.
    step : In
        Reads the next event, behind the last one the first, in a list of some.
    o : Out, stream (never waits)
        The event, ``read_latency`` cycles later.

    Raises
    ------
    ValueError
        Where a parameter is below 1.
    """

    def __init__(
        self,
        *,
        words: int,
        columns: int,
        activation_width: int,
        read_latency: int = 1,
        shapes: Sequence[tuple[int, int]] = (),
    ) -> None:
        require_int("words", words, 1)
        require_int("columns", columns, 1)
        require_int("read_latency", read_latency, 1)
        self._words, self._read_latency, self._shapes = words, read_latency, shapes
        self._event = event_layout(columns, activation_width)
        events = stream.Signature(self._event, always_ready=True)
        super().__init__(
            {
                "restart": In(1),
                "i": In(events),
                "close": In(1),
                "full": Out(1),
                "back": In(1),
                "ready": Out(1),
                "count": Out(bits_for(columns)),
                "empty": Out(1),
                "last": Out(1),
                "step": In(1),
                "o": Out(events),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        width = max(self._event.size, len(self.count))
        m.submodules.memory = words = DeepMemory(
            width=width, depth=self._words, read_latency=self._read_latency, shapes=self._shapes
        )
        address = range(self._words + 1)
        # The list that is open, or is read, begins at ``base``; ``at`` is the next word of it.
        base, at = Signal(address), Signal(address)
        closing, has = Signal(), Signal()
        m.d.comb += [
            has.eq(at != self._words),
            words.write_address.eq(at),
            words.written.eq(Mux(closing, (at - base)[: len(self.count)], self.i.payload)),
            words.write.eq((self.i.valid | closing) & has),
        ]
        m.d.sync += closing.eq(self.close)
        with m.If(self.i.valid | closing):
            m.d.sync += [at.eq(at + has), self.full.eq(self.full | ~has)]
        with m.If(closing):
            m.d.sync += base.eq(at + has)

        # Back: below a list is the number of the one before.
        turns = strobed(m, self.back, 1 + self._read_latency, "turn")
        m.d.comb += self.ready.eq(~Cat(turns).any())
        counted = words.word[: len(self.count)]
        left = Signal.like(self.count)
        with m.If(self.back):
            m.d.sync += at.eq(base - 1)
        with m.If(turns[-1]):
            begin = at - counted
            m.d.sync += [base.eq(begin), at.eq(begin), self.count.eq(counted), left.eq(counted - 1)]
            m.d.sync += [self.empty.eq(counted == 0), self.last.eq(counted == 1)]
        m.d.comb += words.address.eq(at)
        with m.If(self.step):
            m.d.sync += at.eq(Mux(self.last, base, at + 1))
            m.d.sync += left.eq(Mux(self.last, self.count - 1, left - 1))
            m.d.sync += self.last.eq(Mux(self.last, self.count, left) == 1)
        m.d.comb += [
            self.o.valid.eq(strobed(m, self.step, self._read_latency, "reads")[-1]),
            self.o.payload.eq(words.word[: self._event.size]),
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
    shapes : sequence of (int, int)
        Those of block RAM (hw.target.Target.block_shapes).

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

    def __init__(
        self,
        shape: ShapeLike,
        *,
        frames: int,
        words: int,
        read_latency: int = 1,
        shapes: Sequence[tuple[int, int]] = (),
    ) -> None:
        require_int("frames", frames, 1)
        require_int("words", words, 1)
        require_int("read_latency", read_latency, 1)
        self._shape, self._read_latency, self._shapes = shape, read_latency, shapes
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
        m.submodules.memory = kept = DeepMemory(
            width=Shape.cast(self._shape).width,
            depth=self._depth,
            read_latency=self._read_latency,
            shapes=self._shapes,
        )
        # ``at`` is the next word, the frame that was turned to begins at ``base``.
        at, base = Signal(range(self._depth + 1)), Signal(range(self._depth + 1))
        has = Signal()
        m.d.comb += [
            has.eq(at != self._depth),
            kept.write_address.eq(at),
            kept.written.eq(self.i.payload),
            kept.write.eq(self.i.valid & has),
            kept.address.eq(at),
        ]
        with m.If(self.i.valid):
            m.d.sync += [at.eq(at + has), base.eq(at + has), self.full.eq(self.full | ~has)]
        with m.If(self.step):
            m.d.sync += at.eq(at + 1)
        with m.If(self.back):
            m.d.sync += [at.eq(base - self._words), base.eq(base - self._words)]
        with m.If(self.restart):
            m.d.sync += [at.eq(0), base.eq(0), self.full.eq(0)]
        m.d.comb += [
            self.o.valid.eq(strobed(m, self.step, self._read_latency, "reads")[-1]),
            self.o.payload.eq(kept.word),
        ]
        return m


class Tape(wiring.Component):
    """All that is kept of a sequence: three stacks of lists, and of each recurrent layer a stack of
    what is kept of its units.

    Parameters
    ----------
    layout : LearningLayout
        The core's.
    read_latency : int
        Its memories' (hw.target.Target).
    shapes : sequence of (int, int)
        Those of block RAM (hw.target.Target.block_shapes).

    Members
    -------
    restart : In
        Empties it.
    full : Out
        Since the last ``restart`` something found no room.
    i : In, stream (never waits)
        Events as they are walked for the first time (walked_layout). A cycle without comes behind
        the ``last`` one of a layer.
    kept_k : In, stream (never waits)
        What is kept of A units of layer k (LearningCell.kept), in order.
    turn : In, one bit for each stack of lists (STACKS)
        Drops the list that can be read, if there is one, and turns to the one below it: of the last
        frame and layer at first.
    layer, vector : In
        The list that is read, which must be what its stack has turned to; from a cycle before
        anybody asks for more of it than whether it is ``ready``.
    ready, empty, last : Out
        It can be read; it has no event; ``step`` would read its last one.
    step : In
        Reads its next event, behind the last one the first.
    event : Out, stream (never waits)
        It, ``read_latency`` cycles later.
    units_layer, turn_units : In
        Turns to what is kept of that layer's units in the frame before, in the last one at first;
        it can be read from the next cycle on.
    step_units : In
        Reads what is kept of the next A units of ``units_layer``.
    units_k : Out, stream (never waits)
        It, ``read_latency`` cycles later.
    """

    def __init__(
        self,
        layout: LearningLayout,
        read_latency: int = 1,
        shapes: Sequence[tuple[int, int]] = (),
    ) -> None:
        network = layout.core.network
        size, learning = layout.training.tape, layout.training.learning
        width = network.formats.activation.width
        above = [layer.columns[0] for layer in layout.layers[1:]]
        rooms = {
            "input": (size.input, layout.layers[0].columns[0]),
            "above": (size.above, max(above)),
            "h": (size.h, max(layer.columns[1] for layer in layout.layers)),
        }
        self._lists = {
            name: ListStack(
                words=words,
                columns=columns,
                activation_width=width,
                read_latency=read_latency,
                shapes=shapes,
            )
            for name, (words, columns) in rooms.items()
        }
        self._units: list[FrameStack] = []
        members, a = {}, layout.core.activations
        for k, here in enumerate(layout.layers[: len(network.recurrent)]):
            cell = learning_cell(here.layer.kind)(network.formats, learning)
            shape = data.ArrayLayout(data.StructLayout(dict(cell.kept)), a)
            of_units = FrameStack(
                shape,
                frames=size.frames,
                words=here.groups,
                read_latency=read_latency,
                shapes=shapes,
            )
            self._units.append(of_units)
            members[f"kept_{k}"] = In(stream.Signature(shape, always_ready=True))
            members[f"units_{k}"] = Out(stream.Signature(shape, always_ready=True))
        layer = unsigned(ceil_log2(len(layout.layers)))
        walked = walked_layout(layout.core)
        self._event = walked["event"].shape
        super().__init__(
            {
                "restart": In(1),
                "full": Out(1),
                "i": In(stream.Signature(walked, always_ready=True)),
                "turn": In(len(STACKS)),
                "layer": In(layer),
                "vector": In(1),
                "ready": Out(1),
                "empty": Out(1),
                "last": Out(1),
                "step": In(1),
                "event": Out(stream.Signature(self._event, always_ready=True)),
                "units_layer": In(layer),
                "turn_units": In(1),
                "step_units": In(1),
                **members,
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        come, top = self.i.payload, len(self._units)
        closes = {"input": come.layer == 0, "above": come.layer != 0, "h": come.layer != top}
        fulls = []
        stacks = stack_of(self.layer, self.vector)
        read_now = strobed(m, Cat(stacks.values()), 1, "read_now")[-1]
        for turn, is_read, name in zip(self.turn, read_now, STACKS, strict=True):
            m.submodules[name] = lists = self._lists[name]
            comes = stack_of(come.layer, come.vector)[name]
            m.d.comb += [
                lists.restart.eq(self.restart),
                lists.i.valid.eq(self.i.valid & come.fires & comes),
                *same_event(lists.i.payload, come.event),
                lists.close.eq(self.i.valid & come.last & closes[name]),
                lists.back.eq(turn),
                lists.step.eq(self.step & is_read),
            ]
            with m.If(stacks[name]):
                m.d.comb += self.ready.eq(lists.ready)
            with m.If(is_read):
                m.d.comb += [
                    self.empty.eq(lists.empty),
                    self.last.eq(lists.last),
                ]
            with m.If(lists.o.valid):
                m.d.comb += [
                    self.event.valid.eq(1),
                    *same_event(self.event.payload, lists.o.payload),
                ]
            fulls.append(lists.full)
        for k, of_units in enumerate(self._units):
            m.submodules[f"units_{k}"] = of_units
            here = self.units_layer == k
            kept, units = getattr(self, f"kept_{k}"), getattr(self, f"units_{k}")
            m.d.comb += [
                of_units.restart.eq(self.restart),
                of_units.i.valid.eq(kept.valid),
                of_units.i.payload.eq(kept.payload),
                of_units.back.eq(self.turn_units & here),
                of_units.step.eq(self.step_units & here),
                units.valid.eq(of_units.o.valid),
                units.payload.eq(of_units.o.payload),
            ]
            fulls.append(of_units.full)
        m.d.comb += self.full.eq(Cat(fulls).any())
        return m


def stack_of(layer: Value, vector: Value) -> dict[str, Value]:
    """Of each of STACKS whether the list of that vector of that layer lies on it."""
    is_first = layer == 0
    return {"input": ~vector & is_first, "above": ~vector & ~is_first, "h": vector.bool()}
