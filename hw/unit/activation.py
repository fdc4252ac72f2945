"""The activation unit: from accumulators to the new state, A units a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.parameters import CoreParameters
from hw.pipeline import delayed, staged
from hw.primitive.memory import UNCHECKED
from hw.target import GENERIC, Target
from hw.unit.cell import Made, cell_of
from hw.unit.readout import units_layout
from hw.walk.layout import CoreLayout

MADE = ("kept", "state", "a", "moved")  # what is chosen between the kinds of layers


def made_layout(core: CoreParameters) -> data.StructLayout:
    """A units of a recurrent layer as they are made: ``group`` * A and those after it.

    ``state``, A of the widest state; ``a``, A of format activation; ``moved``: something is not
    what it was; ``last`` of the layer.
    """
    network = core.network
    units = units_layout(core)
    return data.StructLayout(
        {
            **{key: units[key].shape for key in ("layer", "group", "last")},
            "state": data.ArrayLayout(signed(network.state_width), core.activations),
            "a": data.ArrayLayout(signed(network.formats.activation.width), core.activations),
            "moved": 1,
        }
    )


def seen_layout(core: CoreParameters, kind: str) -> data.StructLayout:
    """What learning wants of A units of a layer of that kind: ``layer``, and of each of ``units``
    what hw.unit.cell.Cell.seen says.
    """
    seen = cell_of(kind)(core.network.formats, GENERIC).seen
    of_units = data.ArrayLayout(data.StructLayout(dict(seen)), core.activations)
    return data.StructLayout({"layer": units_layout(core)["layer"].shape, "units": of_units})


class ActivationUnit(wiring.Component):
    """Steps 3 and 4 of the recurrent layers (docs/numerics.md) as a pipeline of A units a cycle.

    It has a cell (hw.unit.cell.Cell) of each kind that the network has layers of; where there are
    several, all work on all units and the layer decides whose result counts. It holds what the
    neurons of all layers keep. The same unit must not come again within ``latency`` cycles.

    Parameters
    ----------
    core : CoreParameters
        Layers, formats and A.
    target : Target
        Whose multipliers and memories.

    Members
    -------
    i : In, stream (never waits)
        A units (hw.unit.readout.units_layout); ``last`` of the layer.
    o : Out, stream (never waits)
        made_layout, ``latency`` cycles later.
    clear : In, stream (never waits)
        Sets what is kept at an address to 0; only while nothing else is under way.
    seen_gru, seen_lstm : Out, stream (never waits)
        Where the core trains and has layers of that kind: seen_layout of each of their units, in
        the order of ``i``, at most ``latency`` cycles later.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``.
    depth : int
        Addresses of the state memory; an address is group and layer side by side.
    """

    def __init__(self, core: CoreParameters, target: Target = GENERIC) -> None:
        self._core, self._target = core, target
        network = core.network
        kinds = dict.fromkeys(layer.kind for layer in core.recurrent)
        self._cells = {kind: cell_of(kind)(network.formats, target) for kind in kinds}
        units = units_layout(core)
        place = {key: units[key].shape for key in ("layer", "group", "last")}
        self._place = data.StructLayout(place)
        self.latency = max(cell.latency for cell in self._cells.values())
        self.depth = len(core.recurrent) << ceil_log2(core.groups)
        widest = max((cell.kept for cell in self._cells.values()), key=lambda kept: kept.width)
        self._kept = data.ArrayLayout(widest, core.activations)
        shown = {
            f"seen_{kind}": Out(stream.Signature(seen_layout(core, kind), always_ready=True))
            for kind in kinds
        }
        super().__init__(
            {
                **(shown if core.trains else {}),
                "i": In(stream.Signature(units, always_ready=True)),
                "o": Out(stream.Signature(made_layout(core), always_ready=True)),
                "clear": In(stream.Signature(unsigned(ceil_log2(self.depth)), always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        read = self._target.read_latency
        m.submodules.state = state = memory.Memory(
            shape=self._kept, depth=self.depth, init=[], attrs=UNCHECKED
        )
        state_read, state_write = state.read_port(), state.write_port()

        # What goes along with the units, one register a stage.
        keys = ("layer", "group", "last")
        now = Signal(self._place)
        m.d.comb += [now[key].eq(self.i.payload[key]) for key in keys]
        valids, places = staged(m, self.i.valid, now, self.latency, "place")

        def address(place: data.View) -> Value:
            # A linear layer has no state; its number never comes here, so its bit may be cut off.
            return Cat(place.group, place.layer)[: ceil_log2(self.depth)]

        ahead = max(cell.ahead for cell in self._cells.values())
        looks_up = self.latency - ahead - read
        m.d.comb += [state_read.en.eq(1), state_read.addr.eq(address(places[looks_up]))]
        before = data.View(
            self._kept, delayed(m, state_read.data.as_value(), read - 1, "state_read")
        )

        of_kinds = [self._unit(m, a, before[a], ahead) for a in range(len(before))]
        made = [self._chosen(results, places[-1].layer) for results in of_kinds]
        for a, unit in enumerate(made):
            m.d.comb += [
                state_write.data[a].eq(unit.kept),
                self.o.payload.state[a].eq(unit.state),
                self.o.payload.a[a].eq(unit.a),
            ]
        m.d.comb += [
            state_write.addr.eq(address(places[-1])),
            state_write.en.eq(valids[-1]),
            self.o.valid.eq(valids[-1]),
            self.o.payload.moved.eq(Cat(unit.moved for unit in made).any()),
        ]
        m.d.comb += [self.o.payload[key].eq(places[-1][key]) for key in keys]
        if self._core.trains:
            for kind in self._cells:
                units = [results[kind] for results in of_kinds]
                self._show(m, kind, units, valids, places)
        with m.If(self.clear.valid):
            m.d.comb += [
                state_write.addr.eq(self.clear.payload),
                state_write.data.eq(0),
                state_write.en.eq(1),
            ]
        return m

    def _is_of(self, kind: str, layer: Value) -> Value:
        layers = enumerate(self._core.recurrent)
        return Cat(layer == k for k, parameters in layers if parameters.kind == kind).any()

    def _unit(self, m: Module, a: int, before: Value, ahead: int) -> dict[str, Made]:
        """What the cell of each kind makes of unit ``a`` of those that came ``latency`` cycles ago.

        ``before``, what was kept, comes ``ahead`` cycles earlier.
        """
        layout, layers = CoreLayout(self._core), self._core.recurrent
        rows = [self.i.payload.units[a][f"row_{n}"] for n in range(4)]
        results = {}
        for kind, cell in self._cells.items():
            name = f"{kind}_{a}"
            of_one = next(parameters for parameters in layers if parameters.kind == kind)
            order, low = layout.order(of_one), of_one.has.first_row
            waits = self.latency - cell.latency
            gates = [
                delayed(m, rows[low + order.index(n)], waits, f"{name}_wait_{n}")
                for n in range(of_one.accumulators)
            ]
            kept = delayed(m, before, ahead - cell.ahead, f"{name}_kept")
            results[kind] = cell.unit(m, name, gates, kept)
        return results

    def _chosen(self, results: dict[str, Made], layer: Value) -> Made:
        """That of the kind of a layer."""
        first, *others = results
        chosen = results[first]
        for kind in others:
            of_kind, made = self._is_of(kind, layer), results[kind]
            pairs = [(getattr(made, key), getattr(chosen, key)) for key in MADE]
            chosen = Made(*(Mux(of_kind, this, that) for this, that in pairs), seen={})
        return chosen

    def _show(
        self, m: Module, kind: str, units: list[Made], valids: list[Value], places: list[data.View]
    ) -> None:
        """Sends what learning wants of a kind's units when the last of it is there."""
        to, waits = getattr(self, f"seen_{kind}"), self.latency - self._cells[kind].latency
        late = max(age for _, age in units[0].seen.values())
        layer = places[late + waits].layer
        m.d.comb += [
            to.valid.eq(valids[late + waits] & self._is_of(kind, layer)),
            to.payload.layer.eq(layer),
        ]
        for a, unit in enumerate(units):
            for key, (value, age) in unit.seen.items():
                shown = delayed(m, value, late - age, f"{kind}_{a}_shown_{key}")
                m.d.comb += to.payload.units[a][key].eq(shown)
