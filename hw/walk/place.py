"""Where a walk is in a list that may still grow."""

from amaranth.hdl import Cat, Const, Value
from amaranth.lib import data

# What is known of a place in a list: it has an element; the list ends, with it or, if there is
# none, before it; the list ends before it.
place_layout = data.StructLayout({"have": 1, "ends": 1, "end": 1})


def place(status: data.View, index: Value, ahead: Value) -> Value:
    """place_layout at ``index`` of a list (hw.walk.slot.list_status); ``ahead`` is index + 1."""
    behind, last = index == status.count, ahead == status.count
    return Cat(~behind, status.complete & (behind | last), status.complete & behind)


def head_of(status: data.View) -> Value:
    """place_layout of a list's first element."""
    return place(status, Const(0), Const(1))
