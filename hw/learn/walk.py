"""The way back, from the last frame to the first: two walks, of the units and of the lanes.

    units   read-out (T-1), then in each frame t: layers from the last to the first, read-out (t-1)
    lanes   read-out's x (T-1), then in each frame t: x and h of layers from the last to the second,
            h of the first layer, the read-out's x (t-1), x of the first layer

Nobody waits for x of the first layer: behind it the units' next errors are made. Else

- a block of the lanes waits until its G is made, and G is used in the order in which it is made;
- a layer's units wait until all errors of the x above them are there, behind those of their own h;
- a block of the first layer's units also waits until the lanes have left that block of the frame
  behind, whose G it replaces.
"""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.learn.tape import FRAMES_MAX
from hw.learn.layout import LearningLayout
from hw.learn.tape import STACKS, stack_of
from hw.walk.row_block import by_layer


def counted(m: Module, most: int, name: str, more: Value, fewer: Value) -> Signal:
    """How often there was ``more``, less how often ``fewer``, from 0 to ``most``."""
    count = Signal(range(most + 1), name=name)
    m.d.sync += count.eq(count + more - fewer)
    return count


class UnitsWalk(wiring.Component):
    """Which units' errors are due.

    Parameters
    ----------
    layout : LearningLayout
        The core's.

    Members
    -------
    start, frames : In
        Begins with the last one of 1 to 256 frames, if it is ``ready``.
    ready : Out
        Nothing is under way.
    alone : In
        Only the read-out's units are walked, once; it stays while it is under way.
    came : In
        All errors of an x of a recurrent layer's units, or of the read-out's x, are there.
    left : In
        The lanes have left a block of x of the first layer.
    turn : Out
        The tape turns to the units of ``layer``.
    layer, frame : Out
        What is under way.
    first : Out
        The frame is the sequence's last one, of which nothing comes back from behind.
    unit : Out
        A group of units is due: ``group`` of all, ``in_block`` of ``block``, with which the block
        ``ends_block`` or not; ``of_x`` and ``of_h`` are the places of the layer above's x and of
        its own h.
    """

    def __init__(self, layout: LearningLayout) -> None:
        self._layout = layout
        core = layout.core
        place = ceil_log2(layout.places)
        super().__init__(
            {
                "start": In(1),
                "frames": In(bits_for(FRAMES_MAX)),
                "ready": Out(1),
                "alone": In(1),
                "came": In(1),
                "left": In(1),
                "turn": Out(1),
                "layer": Out(ceil_log2(len(layout.layers))),
                "frame": Out(range(FRAMES_MAX)),
                "first": Out(1),
                "unit": Out(1),
                "group": Out(ceil_log2(layout.groups)),
                "block": Out(ceil_log2(layout.blocks)),
                "in_block": Out(ceil_log2(core.lanes // core.activations)),
                "ends_block": Out(1),
                "of_x": Out(place),
                "of_h": Out(place),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        layers, core = self._layout.layers, self._layout.core
        top, layer = len(layers) - 1, self.layer

        def of_layer(values) -> Value:
            return by_layer(list(values), layer)

        takes, frees = Signal(), Signal()
        came = counted(m, len(layers), "errors", self.came, takes)
        free = counted(m, layers[0].blocks, "free", self.left, frees)
        groups = Signal(range(max(each.groups for each in layers)))  # behind this one, of the layer
        whole = core.lanes // core.activations - 1
        begins = self.in_block == 0
        m.d.comb += self.ends_block.eq((self.in_block == whole) | (groups == 0))
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.ready.eq(1)
                m.d.sync += [layer.eq(top), self.frame.eq(self.frames - 1), self.first.eq(1)]
                with m.If(self.start):
                    m.d.sync += free.eq(layers[0].blocks)  # no frame is behind the last one
                    m.next = "TURN"
            with m.State("TURN"):
                # The read-out has no layer above and no h: what it reads there is not looked at.
                m.d.sync += [
                    self.group.eq(of_layer(each.group for each in layers)),
                    self.block.eq(of_layer(each.block for each in layers)),
                    self.in_block.eq(0),
                    self.of_x.eq(of_layer([each.places[0] for each in layers[1:]] + [0])),
                    self.of_h.eq(of_layer([each.places[1] for each in layers[:-1]] + [0])),
                    groups.eq(of_layer(each.groups - 1 for each in layers)),
                ]
                with m.If((layer == top) | (came != 0)):
                    m.d.comb += [self.turn.eq(1), takes.eq(layer != top)]
                    m.next = "UNITS"
            with m.State("UNITS"):
                with m.If((layer != 0) | ~begins | (free != 0)):
                    m.d.comb += [self.unit.eq(1), frees.eq((layer == 0) & begins)]
                with m.If(self.unit):
                    m.d.sync += [
                        self.group.eq(self.group + 1),
                        self.of_x.eq(self.of_x + 1),
                        self.of_h.eq(self.of_h + 1),
                        groups.eq(groups - 1),
                        self.in_block.eq(self.in_block + 1),
                    ]
                    with m.If(self.in_block == whole):
                        m.d.sync += [self.in_block.eq(0), self.block.eq(self.block + 1)]
                    with m.If(groups == 0):
                        m.next = "TURN"
                        with m.If(self.alone):
                            m.next = "IDLE"
                        with m.Elif(layer != 0):
                            m.d.sync += layer.eq(layer - 1)
                        with m.Else():
                            m.d.sync += [layer.eq(top), self.first.eq(0)]
                            m.d.sync += self.frame.eq(self.frame - 1)
                            with m.If(self.frame == 0):
                                m.next = "IDLE"
        return m


class SweepWalk(wiring.Component):
    """Which event is due, and for which row.

    Parameters
    ----------
    layout : LearningLayout
        The core's.
    wait : int
        Cycles from an event to where its dL/dv can be read.
    places : int
        Elements of all vectors, of which something is held.

    Members
    -------
    start, frames : In
        Begins with the last one of 1 to 256 frames, if it is ``ready``.
    ready : Out
        Nothing is under way.
    alone : In
        Only the list of the read-out's x is walked, once, and nobody waits for its errors; it stays
        while it is under way.
    turn, list_ready, empty, last : Out, In
        hw.learn.tape.Tape: ``turn``, ``ready``, ``empty``, ``last``.
    made : In
        G of one more block is there.
    layer, vector, frame : Out
        The list that is under way; x (0) or h (1).
    step : Out
        An event is due: number ``event`` of its list, for the row ``gate`` of ``block``, whose
        vector's words begin at ``base``; of the list's ``first_row`` or ``last_row``.
    asked : Out
        With the list whose errors somebody waits for: it ends in this cycle.
    left : Out
        A block of x of the first layer is left in this cycle.
    clear, place : Out
        Behind the first frame, and after a reset: what is held of that place is to be cleared, for
        the next sequence.
    """

    def __init__(self, layout: LearningLayout, *, wait: int, places: int) -> None:
        self._layout, self.wait, self._places = layout, wait, places
        events = max(max(layer.columns) for layer in layout.layers)
        gates = max(layer.layer.gates for layer in layout.layers)
        super().__init__(
            {
                "start": In(1),
                "frames": In(bits_for(FRAMES_MAX)),
                "ready": Out(1),
                "alone": In(1),
                "turn": Out(len(STACKS)),
                "list_ready": In(1),
                "empty": In(1),
                "last": In(1),
                "made": In(1),
                "layer": Out(ceil_log2(len(layout.layers))),
                "vector": Out(1),
                "frame": Out(range(FRAMES_MAX)),
                "step": Out(1),
                "event": Out(ceil_log2(events)),
                "gate": Out(ceil_log2(gates)),
                "block": Out(ceil_log2(layout.blocks)),
                "base": Out(range(layout.words)),
                "first_row": Out(1),
                "last_row": Out(1),
                "asked": Out(1),
                "left": Out(1),
                "clear": Out(1),
                "place": Out(ceil_log2(places)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        layers = self._layout.layers
        top, layer, vector = len(layers) - 1, self.layer, self.vector

        def of_layer(values) -> Value:
            return by_layer(list(values), layer)

        def of_list(values) -> Value:
            table = [values(each, v) for each in layers for v in (0, 1)]
            return by_layer(table, Cat(vector, layer))

        takes = Signal()
        made = counted(m, 2 * self._layout.blocks, "g", self.made, takes)
        blocks = Signal(range(max(each.blocks for each in layers)))  # behind this one, of the layer
        gates = Signal.like(self.gate)
        wait = Signal(range(self.wait + 1))
        begins = Signal()  # a block, whose G is not yet known to be there
        # G of a layer is made once for both of its lists.
        first_list = Signal()
        opening = Signal()  # the read-out's x of the last frame, which nothing comes before
        ends_block, ends = Signal(), Signal()
        rows = [each.layer.gates - 1 for each in layers]
        m.d.comb += [
            self.last_row.eq((blocks == 0) & (gates == 0)),
            ends.eq(ends_block & (blocks == 0)),
            self.asked.eq(ends & ~vector & (layer != 0) & ~self.alone),
            self.left.eq(ends_block & ~vector & (layer == 0)),
        ]
        m.d.sync += self.turn.eq(0)
        with m.FSM(init="CLEAR"):  # a reset may have come in the middle of a sequence
            with m.State("IDLE"):
                m.d.comb += self.ready.eq(1)
                m.d.sync += [layer.eq(top), vector.eq(0), self.frame.eq(self.frames - 1)]
                m.d.sync += opening.eq(1)
                with m.If(self.start):
                    m.d.sync += self.turn.eq(~0)
                    m.next = "LIST"
            with m.State("LIST"):
                m.d.sync += [
                    self.base.eq(of_list(lambda each, v: each.base + each.offset(v))),
                    self.block.eq(of_layer(each.block for each in layers)),
                    blocks.eq(of_layer(each.blocks - 1 for each in layers)),
                    self.gate.eq(0),
                    gates.eq(of_layer(rows)),
                    self.event.eq(0),
                    self.first_row.eq(1),
                    begins.eq(1),
                    first_list.eq((layer == top) | ((layer != 0) ^ vector)),
                    wait.eq(self.wait),
                ]
                with m.If(self.list_ready):
                    m.next = "SWEEP"
            with m.State("SWEEP"):
                has = ~begins | ~first_list | (made != 0)
                m.d.comb += takes.eq(begins & first_list & has)
                with m.If(has):
                    m.d.comb += self.step.eq(~self.empty)
                    m.d.comb += ends_block.eq(self.empty | (self.last & (gates == 0)))
                    m.d.sync += [self.event.eq(self.event + 1), begins.eq(ends_block)]
                    with m.If(self.last):
                        m.d.sync += [
                            self.event.eq(0),
                            self.first_row.eq(0),
                            self.base.eq(self.base + of_layer(each.row_words for each in layers)),
                            self.gate.eq(self.gate + 1),
                            gates.eq(gates - 1),
                        ]
                    with m.If(ends_block):
                        m.d.sync += [
                            self.gate.eq(0),
                            gates.eq(of_layer(rows)),
                            self.block.eq(self.block + 1),
                            blocks.eq(blocks - 1),
                        ]
                with m.If(ends):
                    m.d.sync += self.turn.eq(Cat(stack_of(layer, vector).values()))
                    m.next = "LIST"
                    # What a frame begins with.
                    opens_frame = [layer.eq(top - 1), vector.eq(top == 1)]
                    with m.If(self.alone):
                        m.next = "WAIT"
                    with m.Elif(layer == top):
                        with m.If(opening):
                            m.d.sync += [*opens_frame, opening.eq(0)]
                        with m.Else():
                            m.d.sync += [layer.eq(0), self.frame.eq(self.frame + 1)]
                    with m.Elif(layer != 0):
                        m.d.sync += vector.eq(1)
                        with m.If(vector):
                            m.d.sync += [layer.eq(layer - 1), vector.eq(layer == 1)]
                    with m.Elif(vector):
                        m.d.sync += vector.eq(0)
                        with m.If(self.frame != 0):
                            m.d.sync += [layer.eq(top), self.frame.eq(self.frame - 1)]
                    with m.Else():
                        m.d.sync += [*opens_frame, self.frame.eq(self.frame - 1)]
                        with m.If(self.frame == 0):
                            m.next = "WAIT"
            with m.State("WAIT"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.next = "CLEAR"
            with m.State("CLEAR"):
                m.d.comb += self.clear.eq(1)
                m.d.sync += self.place.eq(self.place + 1)
                with m.If(self.place == self._places - 1):
                    m.d.sync += self.place.eq(0)
                    m.next = "IDLE"
        return m
