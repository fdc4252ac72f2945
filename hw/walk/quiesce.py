"""Knows when nothing is under way, and holds frames back until it is so."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.errors import require_int


class Quiesce(wiring.Component):
    """Brings the engine to rest for a reset of the state, or for a load of its weights.

    Parameters
    ----------
    drain : int
        Cycles after a slot in which what comes of it may still be on its way; data on its way has
        no reset.
    layers : int
        Recurrent layers.
    loads : bool
        Weights come at run time. While they come, or wait to come, no frame begins; and M is of the
        old ones, so that a load ends in a reset.

    Members
    -------
    between, takes : In
        No frame is coming in; an element would be taken in this cycle.
    opened : In, 2 bits
        Frames of which elements have come and whose lists are still needed.
    active, slot : In
        A frame is being walked; there is a slot.
    h_complete : In, a bit for each recurrent layer
        Its h for the next frame is complete.
    request : In
        A reset is asked for. pending : In. It was, and is not over.
    load_waits, loaded : In
        A byte of the weights waits; they are all there. Absent without ``loads``.
    resets : Out
        Ask for a reset.
    hold : Out
        Begin no frame from the next cycle on.
    rests : Out
        Nothing is under way, though an element may be taken in this cycle.
    idle : Out
        Nothing is under way.
    free : Out
        Nothing is, and no reset is to begin: weights may be written. Absent without ``loads``.

    Raises
    ------
    ValueError
        Where a parameter is below 1.
    """

    def __init__(self, *, drain: int, layers: int, loads: bool) -> None:
        require_int("drain", drain, 1)
        require_int("layers", layers, 1)
        self._drain, self._loads = drain, loads
        load = {"load_waits": In(1), "loaded": In(1), "free": Out(1)} if loads else {}
        super().__init__(
            {
                "between": In(1),
                "takes": In(1),
                "opened": In(2),
                "active": In(1),
                "slot": In(1),
                "h_complete": In(layers),
                "request": In(1),
                "pending": In(1),
                **load,
                "resets": Out(1),
                "hold": Out(1),
                "rests": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        draining = Signal(range(self._drain + 1), init=self._drain)
        with m.If(self.slot):
            m.d.sync += draining.eq(self._drain)
        with m.Elif(draining != 0):
            m.d.sync += draining.eq(draining - 1)
        working = self.active | self.slot | (draining != 0)
        under_way = ~self.between | self.opened.any() | working
        stops = self.pending | self.resets
        # Asked for, a reset holds frames back, so that an engine which is idle stays so.
        m.d.comb += [
            self.rests.eq(~under_way & self.h_complete.all()),
            self.idle.eq(self.rests & ~self.takes),
        ]
        if self._loads:
            was_loaded = Signal()
            m.d.sync += was_loaded.eq(self.loaded)
            m.d.comb += [
                self.free.eq(self.idle & ~self.pending),
                self.hold.eq(stops | self.load_waits | ~self.loaded),
                self.resets.eq(self.request | (self.loaded & ~was_loaded)),
            ]
        else:
            m.d.comb += [self.hold.eq(stops), self.resets.eq(self.request)]
        return m
