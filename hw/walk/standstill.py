"""Which layers stand still, so that a frame without an event may skip them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.parameters import CoreParameters


class Standstill(wiring.Component):
    """A layer stands still if its last update moved nothing.

    Its next update would then do the same, if no event of the layer comes. For that to last, h must
    have been encoded with the thresholds of now. For its results to lie in both halves of the
    output, the update must not be its first one.

    M of a linear layer moves with every event. Its result must be out before the layer may be
    skipped, or the skipped frame would overtake it.

    Parameters
    ----------
    core : CoreParameters
        Its instances of layers: each stands still by itself.

    Members
    -------
    made : In, stream (never waits)
        Units of recurrent layers as they are made: ``layer``; ``moved``, one of them is not what it
        was; ``last`` of the layer.
    slot : In, stream (never waits)
        Slots of the walk: ``layer``, and ``event``, there is one. One that waits may be shown
        again.
    walks : In, a bit for each stream
        In the cycle before the last slot of its walk: the linear layer is left, and not skipped.
    out : In, a bit for each stream
        The last result of the linear layer is out.
    theta_changes : In
        In the cycle in which a threshold gets a new value.
    restart : In
        The state is being reset.
    still : Out, a bit for each layer
        It stands still, as far as is known in this cycle.
    """

    def __init__(self, core: CoreParameters) -> None:
        self._layers, self._recurrent = len(core.instances), len(core.recurrent)
        layer = ceil_log2(self._layers)
        made = data.StructLayout({"layer": layer, "moved": 1, "last": 1})
        slot = data.StructLayout({"layer": layer, "event": 1})
        super().__init__(
            {
                "made": In(stream.Signature(made, always_ready=True)),
                "slot": In(stream.Signature(slot, always_ready=True)),
                "walks": In(core.streams),
                "out": In(core.streams),
                "theta_changes": In(1),
                "restart": In(1),
                "still": Out(self._layers),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        made, recurrent = self.made.payload, self._recurrent
        still, steady = Signal(self._layers), Signal(self._layers)
        m.d.comb += [steady.eq(Mux(self.theta_changes, 0, still)), self.still.eq(steady)]

        moving, unsettled = Signal(), Signal(init=1)
        for k in range(recurrent):
            with m.If(self.made.valid & (made.layer == k) & made.last):
                m.d.sync += still[k].eq(~(moving | made.moved | unsettled))
        with m.If(self.made.valid):
            m.d.sync += moving.eq((moving | made.moved) & ~made.last)
            with m.If(made.last & (made.layer == recurrent - 1)):
                m.d.sync += unsettled.eq(0)

        for n, k in enumerate(range(recurrent, self._layers)):
            moved, first = Signal(name=f"moved_{k}"), Signal(init=1, name=f"first_{k}")
            under_way = Signal(range(4), name=f"under_way_{k}")
            walked, moves = Signal(name=f"walked_{k}"), Signal(name=f"moves_{k}")
            slot = self.slot.payload
            m.d.comb += moves.eq(self.slot.valid & slot.event & (slot.layer == k))
            m.d.sync += [
                walked.eq(self.walks[n]),
                under_way.eq(under_way + self.walks[n] - self.out[n]),
                moved.eq((moved | moves) & ~walked),
            ]
            with m.If(walked):
                m.d.sync += [still[k].eq(~(moved | moves | first)), first.eq(0)]
            with m.If(self.restart):
                m.d.sync += first.eq(1)
            with m.If(under_way != 0):
                m.d.comb += self.still[k].eq(0)
        with m.If(self.theta_changes | self.restart):
            m.d.sync += [still.eq(0), unsettled.eq(1)]
        return m
