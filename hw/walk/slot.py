"""A slot: what the lanes do in one cycle, and what a walk needs to know to decide it."""

from amaranth.hdl import Cat, Value, unsigned
from amaranth.lib import data
from amaranth.utils import bits_for, ceil_log2

from golden.parameters import CoreParameters
from hw.walk.layout import CoreLayout


def tag_layout(core: CoreParameters) -> data.StructLayout:
    """What a row of accumulators is, for those who receive it.

    ``layer``, an instance of one, and ``row`` of the block (hw.walk.layout): row 3 is its block's
    last. ``units`` is the number of lanes that hold a unit, less one; ``last`` marks the last block
    of the layer.
    """
    return data.StructLayout(
        {
            "layer": unsigned(ceil_log2(len(core.instances))),
            "row": unsigned(2),
            "units": unsigned(ceil_log2(core.lanes)),
            "last": 1,
        }
    )


def is_of(layer: int, instance: Value, streams: int) -> Value:
    """Whether ``instance`` is one of ``layer``, of whichever stream."""
    return Cat(instance == n for n in range(layer * streams, (layer + 1) * streams)).any()


def slot_layout(core: CoreParameters) -> data.StructLayout:
    """One cycle of the lanes, as a walk decides it.

    ``event``: there is one (else the delta is 0), of ``segment``; ``base``: address of the weight
    word of the segment's column 0; ``row``: of accumulators. ``first`` and ``close`` begin and end
    its group, ``tag`` says what the row is. ``count_it``: this is the first walk over the lists, so
    that each event is seen once.
    """
    layout = CoreLayout(core)
    return data.StructLayout(
        {
            "event": 1,
            "segment": 1,
            "base": range(layout.words),
            "row": range(layout.rows),
            "first": 1,
            "close": 1,
            "count_it": 1,
            "tag": tag_layout(core),
        }
    )


def list_status(size: int) -> data.StructLayout:
    """What is known of an event list: how many events it has by now, and whether that is all."""
    return data.StructLayout({"count": unsigned(bits_for(size)), "complete": 1})


def layer_status(size: int) -> data.StructLayout:
    """What the walk over a layer needs to know of it.

    ``x``, ``h``: list_status of each of its event lists. ``still``: the last update of the layer
    left every result as it was. Without an event its next update would do the same, so the layer is
    skipped: it takes two cycles and no slot.
    """
    status = list_status(size)
    return data.StructLayout({"x": status, "h": status, "still": 1})
