"""The cells: a layer that is skipped because it stands still would have been left as it was."""

from amaranth.hdl import Assert, Cat, Module, Mux, Signal

from deltarnn.evidence.proofs.claim import Claim
from deltarnn.evidence.proofs.networks import network
from golden.fixed import Q
from golden.formats import Formats
from golden.parameters import CoreParameters
from hw.events.encoder import DeltaEncoder
from hw.unit.activation import ActivationUnit

# Small, with states finer than what others see of them, so that one can move without the other.
SMALL = Formats(
    activation=Q(0, 1),
    state=Q(0, 2),
    gate=Q(1, 1),
    readout=Q(2, 0),
    preactivation=Q(2, 0),
    cell=Q(0, 2),
)


class StillStays(Claim):
    """An update that moves nothing, and the same one again: nothing moves, and nothing fires.

    A unit of a recurrent layer with its encoder. What is read out of its accumulators is anything
    in every update, the threshold anything from the start on. If an update says that nothing moved,
    then neither the state nor what others see of it has; and if the accumulators are the same in
    the next one, which is when an engine skips it, then that one moves nothing either, and its
    encoder sends nothing. So what the skipped frame shows is what it would have made.
    """

    def __init__(self, kind: str, unit: type = ActivationUnit) -> None:
        core = CoreParameters(network((1, 1), kind=kind, formats=SMALL).parameters, 1)
        super().__init__(unit(core))

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        m.submodules.encoder = encoder = DeltaEncoder(
            vectors=1, groups=1, width=SMALL.activation.width
        )
        # Updates come one by one: each when the one before has been encoded.
        through = dut.latency + encoder.latency + 1
        comes, since = self.free(1, "comes"), Signal(range(through + 1), init=through)
        goes = comes & (since == through)
        m.d.sync += since.eq(Mux(goes, 1, Mux(since == through, through, since + 1)))
        units = dut.i.payload.units.as_value()
        rows, last_rows, same = Signal(len(units)), Signal(len(units)), Signal()
        new_rows = self.free(len(units), "rows")
        m.d.comb += rows.eq(Mux(goes, new_rows, last_rows))
        with m.If(goes):
            m.d.sync += [last_rows.eq(new_rows), same.eq(new_rows == last_rows)]
        m.d.comb += [dut.i.valid.eq(goes), units.eq(rows), dut.i.payload.last.eq(1)]

        made = dut.o.payload
        m.d.comb += [
            encoder.i.valid.eq(dut.o.valid),
            encoder.i.payload.value[0].eq(made.a[0]),
            encoder.theta[0].eq(self.chosen(m, len(encoder.theta[0]), "theta")),
        ]
        was, still, updated = Signal(len(Cat(made.state, made.a))), Signal(), Signal()
        now = Cat(made.state, made.a)
        with m.If(dut.o.valid):
            m.d.sync += [was.eq(now), still.eq(~made.moved), updated.eq(1)]
            m.d.comb += [
                Assert(made.moved | (now == was)),
                Assert(~(still & same & updated) | ~made.moved),
            ]
        repeats = Signal()
        with m.If(dut.o.valid):
            m.d.sync += repeats.eq(still & same & updated)
        m.d.comb += Assert(~(encoder.o.valid & repeats) | ~encoder.o.payload.fires[0])
        return m
