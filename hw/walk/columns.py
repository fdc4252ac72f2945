"""Walks layers and their events once: a visit for each column, then one for the layer's units."""

from amaranth.hdl import Array, Cat, Elaboratable, EnableInserter, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.parameters import CoreParameters
from hw.walk.layout import CoreLayout
from hw.walk.row_block import by_layer
from hw.walk.slot import layer_status


def visit_layout(core: CoreParameters) -> data.StructLayout:
    """One visit of all rows of ``layer``, an instance.

    With an ``event``, of the vector of that ``segment`` (hw.walk.layout), its column is added to
    them. Without one they are read out: all events of the frame have been added.
    """
    layer = ceil_log2(len(core.instances))
    return data.StructLayout({"event": 1, "segment": 1, "layer": layer})


class ColumnWalk(wiring.Component):
    """Decides which column of weights is wanted next, for a core whose weights lie outside.

    The order is layer, event: a column is fetched once a frame and added to all its rows. The walk
    runs ahead of the lanes, as far as those who take its visits let it. So columns are asked for
    long before they are added: while a layer's units are made, those that the h of the layer above
    wants.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.

    Members
    -------
    now, start, layer, parity, index, leave, skip, begin, finish, active, restart
        As those of hw.walk.sequencer.Sequencer.
    o : Out, stream
        The visit of the cycle before (visit_layout). While it has to wait the walk stands still,
        and strobes nothing.
    """

    def __init__(self, core: CoreParameters) -> None:
        self._layout = layout = CoreLayout(core)
        layers = layout.layers
        columns = max(max(layer.segment_columns) for layer in layers)
        super().__init__(
            {
                "now": In(layer_status(columns)),
                "start": In(1).array(2),
                "layer": Out(ceil_log2(len(layers))),
                "parity": Out(1),
                "index": Out(ceil_log2(columns)),
                "o": Out(stream.Signature(visit_layout(core))),
                "leave": Out(1),
                "skip": Out(1),
                "begin": Out(1),
                "finish": Out(1),
                "active": Out(1),
                "restart": In(1),
            }
        )

    def elaborate(self, platform) -> Elaboratable:
        m = Module()
        layers, x_last = self._layout.layers, self._layout.x_last
        top = len(layers) - 1
        begins = [int(not layer.recurrent) for layer in layers]  # a linear segment 0 is empty
        # Where the walk is, and what is known of the layer's lists: not ``fresh``, of another's.
        segment, index = Signal(init=begins[0]), Signal.like(self.now.x.count)
        known, fresh = Signal.like(self.now, reset_less=True), Signal()
        frame, started, moved = Signal(), Signal(), Signal()
        lists = [known.h, known.x] if x_last else [known.x, known.h]
        here = data.View(known.x.shape(), Mux(segment, lists[1], lists[0]))
        works, at_end, leaves, skips = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            works.eq(frame & fresh),
            at_end.eq(index == here.count),
            leaves.eq(works & at_end & here.complete & segment),
            skips.eq(leaves & known.still & ~moved),
            self.index.eq(index),
            self.active.eq(started),
            self.begin.eq(frame & ~started & ~self.restart & self.o.ready),
            self.leave.eq(leaves & self.o.ready),
            self.skip.eq(skips & self.o.ready),
            self.finish.eq(leaves & (self.layer == top) & self.o.ready),
        ]
        m.d.sync += [
            known.eq(self.now),
            fresh.eq(1),
            frame.eq(frame | Array(self.start)[self.parity]),
            started.eq(frame),
            self.o.valid.eq(works & (~at_end | (leaves & ~skips))),
            self.o.payload.event.eq(~at_end),
            self.o.payload.segment.eq(segment),
            self.o.payload.layer.eq(self.layer),
        ]
        with m.If(works & ~at_end):
            m.d.sync += [index.eq(index + 1), moved.eq(1)]
        with m.Elif(works & here.complete):
            m.d.sync += [index.eq(0), segment.eq(1)]
        with m.If(leaves):
            m.d.sync += [
                self.layer.eq(Mux(self.layer == top, 0, self.layer + 1)),
                segment.eq(by_layer([*begins[1:], begins[0]], self.layer)),
                Cat(fresh, moved).eq(0),
            ]
            with m.If(self.layer == top):
                m.d.sync += [self.parity.eq(~self.parity), Cat(frame, started).eq(0)]
        with m.If(self.restart):
            m.d.sync += [
                Cat(frame, started, fresh, moved).eq(0),
                self.parity.eq(0),
                self.layer.eq(0),
                segment.eq(begins[0]),
                index.eq(0),
            ]
        return EnableInserter(self.o.ready)(m)
