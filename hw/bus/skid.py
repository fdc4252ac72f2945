"""A register across a stream, in both directions."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Skid(wiring.Component):
    """Passes a stream on, every output a register: the one before it never sees the one behind.

    Holds two transfers, so that it passes one in every cycle; ``latency`` 1.

    Parameters
    ----------
    shape : ShapeLike
        What a transfer is.

    Members
    -------
    i, o : In, Out, stream
        What comes and what goes.
    """

    latency = 1

    def __init__(self, shape) -> None:
        signature = stream.Signature(shape)
        super().__init__({"i": In(signature), "o": Out(signature)})

    def elaborate(self, platform) -> Module:
        m = Module()
        # What came while the output had to wait.
        kept, full = Signal.like(self.i.payload, reset_less=True), Signal()
        valid, payload = Signal(), Signal.like(self.o.payload, reset_less=True)
        m.d.comb += [
            self.i.ready.eq(~full),
            self.o.valid.eq(valid),
            self.o.payload.eq(payload),
        ]
        with m.If(~full):
            m.d.sync += kept.eq(self.i.payload)
        with m.If(self.o.ready | ~valid):
            m.d.sync += [valid.eq(self.i.valid | full), full.eq(0)]
            with m.If(full):
                m.d.sync += payload.eq(kept)
            with m.Else():
                m.d.sync += payload.eq(self.i.payload)
        with m.Elif(self.i.valid):
            m.d.sync += full.eq(1)
        return m
