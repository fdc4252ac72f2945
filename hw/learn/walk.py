"""The way back: from the last frame to the first, in each from the last layer to the first."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.learn.tape import FRAMES_MAX
from hw.learn.layout import LearningLayout
from hw.walk.row_block import by_layer


class BackwardWalk(wiring.Component):
    """Says what is done in each cycle: a group of units, or an event in a row.

    Docs/training-core.md, "Backward". Of each layer it turns to the tape's lists, goes through all
    groups of units, waits until their G is there, goes through x and then h for each row of each
    block, and waits until their D is.

    Parameters
    ----------
    layout : LearningLayout
        The core's.
    units_wait, sweep_wait : int
        Cycles from a group to where its G can be read, and from an event to where its dL/dv can.
    places : int
        Elements of all vectors, of which something is held.

    Members
    -------
    start : In
        The way back of ``frames`` frames begins, if it is ``ready``.
    frames : In
        1 to 256.
    ready : Out
        Nothing is under way.
    layer, vector : Out
        What is under way; x (0) or h (1).
    first : Out
        The frame under way is the sequence's last one, of which nothing comes back from behind.
    turn : Out
        Lists and units of ``layer`` are turned to.
    empty, last : In
        hw.learn.tape.Tape.
    unit : Out
        A group of units is due: ``group`` of all, ``in_block`` of ``block``, ``of_x`` and ``of_h``
        the places of the layer above's x and of its own h.
    step : Out
        An event is due: number ``event`` of its list, for the row ``gate`` of ``block``, whose
        vector's words begin at ``base``; of the list's ``first_row`` or ``last_row``.
    clear, place : Out
        Behind the first frame: what is held of that place is to be cleared, for the next sequence.
    """

    def __init__(
        self, layout: LearningLayout, *, units_wait: int, sweep_wait: int, places: int
    ) -> None:
        self._layout, self._places = layout, places
        self._units_wait, self._sweep_wait = units_wait, sweep_wait
        core = layout.core
        events = max(max(layer.columns) for layer in layout.layers)
        gates = max(layer.layer.gates for layer in layout.layers)
        super().__init__(
            {
                "start": In(1),
                "frames": In(bits_for(FRAMES_MAX)),
                "ready": Out(1),
                "layer": Out(ceil_log2(len(layout.layers))),
                "vector": Out(1),
                "first": Out(1),
                "turn": Out(1),
                "empty": In(2),
                "last": In(1),
                "unit": Out(1),
                "group": Out(ceil_log2(layout.groups)),
                "block": Out(ceil_log2(layout.blocks)),
                "in_block": Out(ceil_log2(core.lanes // core.activations)),
                "of_x": Out(ceil_log2(layout.places)),
                "of_h": Out(ceil_log2(layout.places)),
                "step": Out(1),
                "event": Out(ceil_log2(events)),
                "gate": Out(ceil_log2(gates)),
                "base": Out(range(layout.words)),
                "first_row": Out(1),
                "last_row": Out(1),
                "clear": Out(1),
                "place": Out(ceil_log2(places)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        layers, core = self._layout.layers, self._layout.core
        top = len(layers) - 1
        layer = self.layer

        def of_layer(values):
            return by_layer(list(values), layer)

        left = Signal(range(FRAMES_MAX))  # frames, behind this one
        groups = Signal(range(max(each.groups for each in layers)))  # behind this one, of the layer
        blocks = Signal(range(max(each.blocks for each in layers)))
        gates = Signal.like(self.gate)
        wait = Signal(range(max(self._units_wait, self._sweep_wait, 1)))
        swept = Signal()  # x
        whole = core.lanes // core.activations - 1
        m.d.comb += self.last_row.eq((blocks == 0) & (gates == 0))
        recurrent = layer != top

        def to_layer(value):
            return [layer.eq(value), self.vector.eq(0), swept.eq(0)]

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.ready.eq(1)
                with m.If(self.start):
                    m.d.sync += [*to_layer(top), left.eq(self.frames - 1), self.first.eq(1)]
                    m.next = "TURN"
            with m.State("TURN"):
                m.d.comb += self.turn.eq(1)
                # The read-out has no layer above and no h: what it reads there is not looked at.
                above = [each.places[0] for each in layers[1:]] + [0]
                m.d.sync += [
                    self.group.eq(of_layer(each.group for each in layers)),
                    self.block.eq(of_layer(each.block for each in layers)),
                    self.in_block.eq(0),
                    self.of_x.eq(of_layer(above)),
                    self.of_h.eq(of_layer([each.places[1] for each in layers[:-1]] + [0])),
                    groups.eq(of_layer(each.groups - 1 for each in layers)),
                    wait.eq(self._units_wait - 1),
                ]
                m.next = "UNITS"
            with m.State("UNITS"):
                m.d.comb += self.unit.eq(1)
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
                    m.next = "UNITS WAIT"
            with m.State("UNITS WAIT"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.next = "LIST"
            with m.State("LIST"):  # x at first, then h
                of_vector = [
                    of_layer(each.base + each.offset(vector) for each in layers)
                    for vector in (0, 1)
                ]
                m.d.sync += [
                    self.vector.eq(swept),
                    self.base.eq(of_vector[0]),
                    self.block.eq(of_layer(each.block for each in layers)),
                    blocks.eq(of_layer(each.blocks - 1 for each in layers)),
                    self.gate.eq(0),
                    gates.eq(of_layer(each.layer.gates - 1 for each in layers)),
                    self.event.eq(0),
                    self.first_row.eq(1),
                    wait.eq(self._sweep_wait - 1),
                    swept.eq(1),
                ]
                with m.If(swept):
                    m.d.sync += self.base.eq(of_vector[1])
                with m.If(~swept & ~self.empty[0] | swept & recurrent & ~self.empty[1]):
                    m.next = "SWEEP"
                with m.Elif(swept):
                    m.next = "SWEEP WAIT"
            with m.State("SWEEP"):
                m.d.comb += self.step.eq(1)
                m.d.sync += self.event.eq(self.event + 1)
                with m.If(self.last):
                    m.d.sync += [
                        self.event.eq(0),
                        self.first_row.eq(0),
                        self.base.eq(self.base + of_layer(each.row_words for each in layers)),
                        self.gate.eq(self.gate + 1),
                        gates.eq(gates - 1),
                    ]
                    with m.If(gates == 0):
                        m.d.sync += [
                            self.gate.eq(0),
                            gates.eq(of_layer(each.layer.gates - 1 for each in layers)),
                            self.block.eq(self.block + 1),
                            blocks.eq(blocks - 1),
                        ]
                    with m.If(self.last_row):
                        m.next = "SWEEP WAIT"
                        with m.If(recurrent & ~self.vector):
                            m.next = "LIST"
            with m.State("SWEEP WAIT"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.next = "TURN"
                    with m.If(layer != 0):
                        m.d.sync += to_layer(layer - 1)
                    with m.Else():
                        m.d.sync += [*to_layer(top), left.eq(left - 1), self.first.eq(0)]
                        with m.If(left == 0):
                            m.next = "CLEAR"
            with m.State("CLEAR"):
                m.d.comb += self.clear.eq(1)
                m.d.sync += self.place.eq(self.place + 1)
                with m.If(self.place == self._places - 1):
                    m.d.sync += self.place.eq(0)
                    m.next = "IDLE"
        return m
