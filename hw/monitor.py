"""What a bench or a logic analyser may look at."""

from amaranth.hdl import Cat, Module, Shape, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.parameters import CoreParameters
from hw.events.encoder import event_layout
from hw.lanes.fetch import seen_layout
from hw.pipeline import staged
from hw.target import GENERIC, Target
from hw.unit.activation import made_layout


def monitor_signature(core: CoreParameters) -> wiring.Signature:
    """The monitor's ports; left open they cost nothing.

    ``event`` (valid, layer, ``h`` or x, column, delta): every event once, in the order in which
    the lanes first take it. ``state`` (valid, layer, unit, value): every new h of a GRU, c of an
    LSTM. ``skip`` (valid, layer): a layer that stands still in this frame, so that its states stay
    as they are. ``finish``: the frame's last event is on its way; two of them lie one frame
    interval apart.

    With C streams ``layer`` is layer * C + stream, and ``finish`` comes once a round, of a frame of
    each stream.
    """
    network = core.network
    columns = max(max(layer.inputs, layer.units) for layer in network.layers) + core.trains
    event = event_layout(columns, network.formats.activation.width)

    def number(of: int) -> Shape:
        return unsigned(max(1, ceil_log2(of)))  # a port of no bits would puzzle other tools

    layer = number(len(core.instances))
    return wiring.Signature(
        {
            "event_valid": Out(1),
            "event_layer": Out(layer),
            "event_h": Out(1),
            "event_column": Out(number(columns)),
            "event_delta": Out(event["delta"].shape),
            "state_valid": Out(1),
            "state_layer": Out(layer),
            "state_unit": Out(number(core.groups * core.activations)),
            "state_value": Out(network.state_width * core.activations),
            "skip_valid": Out(1),
            "skip_layer": Out(layer),
            "finish": Out(1),
        }
    )


class Monitor(wiring.Component):
    """Tells what the engine does, in an order in which each thing belongs to its frame.

    Parameters
    ----------
    core : CoreParameters
        Lanes and network.
    target : Target
        Whose read latency, after which events are seen.

    Members
    -------
    seen : In, stream (never waits)
        Slots with their events (hw.lanes.fetch.Fetch).
    made : In, stream (never waits)
        New states (hw.unit.activation.ActivationUnit).
    layer, skip, finish : In
        The walk's, a cycle before its slot.
    step : In
        The walk goes on in this cycle.
    o : Out
        monitor_signature.
    """

    def __init__(self, core: CoreParameters, target: Target = GENERIC) -> None:
        self._ways, self._read_latency = core.activations, target.read_latency
        super().__init__(
            {
                "seen": In(stream.Signature(seen_layout(core), always_ready=True)),
                "made": In(stream.Signature(made_layout(core), always_ready=True)),
                "layer": In(ceil_log2(len(core.instances))),
                "skip": In(1),
                "finish": In(1),
                "step": In(1),
                "o": Out(monitor_signature(core)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        seen, made = self.seen.payload, self.made.payload
        # What the walk says goes as far as its events have to go until they are seen.
        strobes, layers = staged(
            m, Cat(self.skip, self.finish), self.layer, self._read_latency, "says", self.step
        )
        m.d.comb += [
            self.o.event_valid.eq(self.seen.valid & seen.event & seen.count_it),
            self.o.event_layer.eq(seen.layer),
            self.o.event_h.eq(seen.h),
            self.o.event_column.eq(seen.column),
            self.o.event_delta.eq(seen.delta),
            self.o.state_valid.eq(self.made.valid),
            self.o.state_layer.eq(made.layer),
            self.o.state_unit.eq(made.group * self._ways),
            self.o.state_value.eq(made.state),
            self.o.skip_valid.eq(strobes[-1][0] & self.step),
            self.o.skip_layer.eq(layers[-1]),
            self.o.finish.eq(strobes[-1][1] & self.step),
        ]
        return m
