"""A gate across a stream of frames, which closes between two of them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class FrameGate(wiring.Component):
    """Lets frames pass, in the same cycle, until it is asked to close.

    It never closes in mid-frame: a frame of which an element has passed may pass to its end.

    Parameters
    ----------
    shape : ShapeLike
        What a transfer is, with a field ``last``.

    Members
    -------
    i, o : In, Out, stream
        What comes and what goes.
    close : In
        Let no frame begin, from the cycle after the next one on.
    closed : Out
        Nothing passes.
    """

    def __init__(self, shape) -> None:
        signature = stream.Signature(shape)
        super().__init__(
            {"i": In(signature), "o": Out(signature), "close": In(1), "closed": Out(1)}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        under_way, next_under_way, passes = Signal(), Signal(), Signal()
        m.d.comb += [
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & ~self.closed),
            self.i.ready.eq(self.o.ready & ~self.closed),
            passes.eq(self.o.valid & self.o.ready),
            next_under_way.eq(Mux(passes, ~self.i.payload.last, under_way)),
        ]
        m.d.sync += [under_way.eq(next_under_way), self.closed.eq(self.close & ~next_under_way)]
        return m
