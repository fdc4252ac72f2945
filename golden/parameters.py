"""The parameters of a network and of a core: one frozen object that golden/ and hw/ both read.

Everything that can be derived is a property here, so that no two places derive it differently.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from golden.errors import refusal, require_int
from golden.fixed import Integers, Q

WEIGHT = Q(0, 7)  # weights are 8 bits; where their binary point lies is each layer's weight_frac
WEIGHT_FRAC_MAX = 15  # a layer whose largest weight is below 2^-8 has nothing to say
TABLE_BITS_MAX = 16
INTERMEDIATE_BITS_MAX = 62  # so that no step of golden/ leaves int64
ACCUMULATOR_BITS_MAX = 40
LANES_MAX = 1024
ACTIVATIONS_MAX = 64


@dataclass(frozen=True)
class Formats:
    """The number formats of a network (docs/numerics.md, "Formats"); the defaults are its."""

    activation: Q = Q(3, 4)
    state: Q = Q(3, 4)
    gate: Q = Q(1, 6)
    readout: Q = Q(7, 8)
    preactivation: Q = Q(3, 4)
    cell: Q = Q(3, 12)

    def __post_init__(self) -> None:
        require_int("width of format activation", self.activation.width, 2, 16)
        require_int("width of format preactivation", self.preactivation.width, 2, TABLE_BITS_MAX)
        require_int(
            f"bits of R(M_xc) + r * R(M_hc) with readout {self.readout} and gate {self.gate}",
            self.readout.width + self.gate.width + 1,
            1,
            INTERMEDIATE_BITS_MAX,
        )
        require_int(
            f"bits of c + u * (h - c) with state {self.state} and gate {self.gate}",
            max(self.state.m, self.gate.m) + 2 + self.blend_frac + self.gate.width + 1,
            1,
            INTERMEDIATE_BITS_MAX,
        )
        require_int(
            f"bits of f * c + i * g with cell {self.cell} and gate {self.gate}",
            max(self.cell.m, self.gate.m) + self.cell_frac + self.gate.width + 2,
            1,
            INTERMEDIATE_BITS_MAX,
        )
        require_int(
            f"bits of M in format readout {self.readout} with activation {self.activation}",
            ACCUMULATOR_BITS_MAX + max(0, self.readout.f - self.activation.f),
            1,
            INTERMEDIATE_BITS_MAX,
        )
        if self.gate.m < 1:
            raise refusal("format gate", str(self.gate), "at least Q1.f, so that 1.0 fits")

    def accumulator_frac(self, weight_frac: int) -> int:
        """Fraction bits of M: f_act + f_w."""
        return self.activation.f + weight_frac

    def readout_shift(self, weight_frac: int) -> int:
        """n of R(M) = sat(rshift(M, n), readout)."""
        return self.accumulator_frac(weight_frac) - self.readout.f

    @property
    def index_shift(self) -> int:
        """n of a gate's table index: sat(rshift(R, n), preactivation)."""
        return self.readout.f - self.preactivation.f

    @property
    def candidate_shift(self) -> int:
        """n of the c table index: sat(rshift(pre, n), preactivation)."""
        return self.readout.f + self.gate.f - self.preactivation.f

    @property
    def blend_frac(self) -> int:
        """f = max(f_gate, f_state): the fraction bits in which h' and c' meet."""
        return max(self.gate.f, self.state.f)

    @property
    def update_shift(self) -> int:
        """n of the one rounding of a GRU's h_t."""
        return self.blend_frac + self.gate.f - self.state.f

    @property
    def output_shift(self) -> int:
        """n of a GRU's a = sat(rshift(h, n), activation)."""
        return self.state.f - self.activation.f

    @property
    def cell_frac(self) -> int:
        """F = max(f_gate, f_cell): with a gate's more, the fraction bits of f * c + i * g."""
        return max(self.gate.f, self.cell.f)

    @property
    def cell_shift(self) -> int:
        """n of the one rounding of c_t."""
        return self.cell_frac + self.gate.f - self.cell.f

    @property
    def cell_index_shift(self) -> int:
        """n of the table index of tanh(c_t): sat(rshift(c_t, n), preactivation)."""
        return self.cell.f - self.preactivation.f

    @property
    def product_shift(self) -> int:
        """n of an LSTM's a = sat(rshift(o * y, n), activation)."""
        return 2 * self.gate.f - self.activation.f


@dataclass(frozen=True)
class Kind:
    """What the layers of a kind have for each of their units.

    Attributes
    ----------
    gates
        Weight rows.
    accumulators
        What is summed up apart from each other.
    state
        Name of the format of what a neuron keeps between frames; None where it keeps nothing.
    """

    gates: tuple[str, ...]
    accumulators: tuple[str, ...]
    state: str | None = None


KINDS = {
    "gru": Kind(("r", "u", "c"), ("r", "u", "xc", "hc"), "state"),
    "lstm": Kind(("i", "f", "g", "o"), ("i", "f", "g", "o"), "cell"),
    "linear": Kind(("m",), ("m",)),
}
KIND_NAMES = " or ".join(repr(kind) for kind in KINDS)


def format_names(kinds: Iterable[object]) -> tuple[str, ...]:
    """The formats that a network with layers of these kinds says; "cell" if one is an LSTM."""
    names = ("activation", "state", "gate", "readout", "preactivation")
    return (*names, "cell") if "lstm" in kinds else names


@dataclass(frozen=True)
class LayerParameters:
    """Shape and numbers of one layer, without its weights.

    Parameters
    ----------
    kind
        One of KINDS.
    inputs
        I, width of x.
    units
        H of a recurrent layer, O of a linear one.
    weight_frac
        f_w, fraction bits of the layer's weights.
    theta_x, theta_h
        Thresholds in activation LSBs; ``theta_h`` is None in a linear layer.
    """

    kind: str
    inputs: int
    units: int
    weight_frac: int
    theta_x: int
    theta_h: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise refusal("kind", repr(self.kind), KIND_NAMES)
        require_int("inputs", self.inputs, 1)
        require_int("units", self.units, 1)
        require_int("weight_frac", self.weight_frac, 0, WEIGHT_FRAC_MAX)
        require_int("theta_x", self.theta_x, 0)
        if self.recurrent:
            require_int("theta_h", self.theta_h, 0)
        elif self.theta_h is not None:
            raise refusal("theta_h", repr(self.theta_h), "no theta_h in a linear layer")

    @property
    def recurrent(self) -> bool:
        return KINDS[self.kind].state is not None

    @property
    def columns(self) -> int:
        """Columns of the weight matrix: I + H, or I of a linear layer."""
        return self.inputs + (self.units if self.recurrent else 0)

    @property
    def gates(self) -> int:
        """Weight rows a unit."""
        return len(KINDS[self.kind].gates)

    @property
    def accumulators(self) -> int:
        """Accumulators a unit."""
        return len(KINDS[self.kind].accumulators)

    @property
    def weights(self) -> int:
        return self.gates * self.units * self.columns

    def blocks(self, lanes: int) -> int:
        """Blocks of ``lanes`` units, the last one perhaps partly empty."""
        return -(-self.units // lanes)

    def row_blocks(self, lanes: int) -> int:
        """Cycles an event costs at the least: 3 ceil(H/P) of a GRU, 4 ceil(H/P) of an LSTM, or
        ceil(O/P) of a linear layer.
        """
        return self.gates * self.blocks(lanes)


@dataclass(frozen=True)
class NetworkParameters:
    """Formats and layers of a network: recurrent layers, then at most one linear read-out.

    ``accumulator_width`` is the width of M in bits, sign included, at which no row of any layer
    can overflow in any order of events (golden.model.accumulator_width proves it from the weights).
    """

    formats: Formats
    layers: tuple[LayerParameters, ...]
    accumulator_width: int

    def __post_init__(self) -> None:
        kinds = [layer.kind for layer in self.layers]
        if not kinds or kinds[0] == "linear" or "linear" in kinds[:-1]:
            raise refusal(
                "layers", str(kinds), "one or more recurrent layers, then at most one linear layer"
            )
        for k in range(1, len(self.layers)):
            if self.layers[k].inputs != self.layers[k - 1].units:
                raise refusal(
                    f"inputs of layer {k}",
                    self.layers[k].inputs,
                    f"{self.layers[k - 1].units}, the units of layer {k - 1}",
                )
        require_int("accumulator_width", self.accumulator_width, 1, ACCUMULATOR_BITS_MAX)

    @property
    def inputs(self) -> int:
        """Elements of a frame."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """Results a frame: O of the read-out, or H of the last recurrent layer."""
        return self.layers[-1].units

    @property
    def recurrent(self) -> tuple[LayerParameters, ...]:
        """The recurrent layers."""
        return tuple(layer for layer in self.layers if layer.recurrent)

    def state_format(self, layer: LayerParameters) -> Q:
        """Of what a neuron of this recurrent layer keeps between frames."""
        return getattr(self.formats, KINDS[layer.kind].state or "")

    @property
    def state_width(self) -> int:
        """Bits of the widest state of any layer."""
        return max(self.state_format(layer).width for layer in self.recurrent)

    @property
    def output_width(self) -> int:
        """Bits of one result: M of a read-out, an activation of a recurrent layer."""
        last = self.layers[-1]
        return self.formats.activation.width if last.recurrent else self.accumulator_width

    @property
    def output_frac(self) -> int:
        """Fraction bits of one result."""
        last = self.layers[-1]
        formats = self.formats
        return (
            formats.activation.f if last.recurrent else formats.accumulator_frac(last.weight_frac)
        )

    @property
    def weights(self) -> int:
        return sum(layer.weights for layer in self.layers)

    @property
    def widest(self) -> int:
        """Units of the widest layer."""
        return max(layer.units for layer in self.layers)

    @property
    def most_lanes(self) -> int:
        """Lanes that a core of this network may have.

        That many as the widest layer has units, rounded up to a power of two; more would never have
        a unit. ACTIVATIONS_MAX lanes are small enough for any network.
        """
        return min(LANES_MAX, max(ACTIVATIONS_MAX, 1 << (self.widest - 1).bit_length()))


@dataclass(frozen=True)
class CoreParameters:
    """One core: a network and the number of lanes that compute it.

    Parameters
    ----------
    network
        What is computed.
    lanes
        P, multiply-accumulate units; a weight word holds P weights. At most NetworkParameters'
        ``most_lanes``.
    activations
        A, units that the activation unit takes in a cycle: a power of two that divides P.
    """

    network: NetworkParameters
    lanes: int = 8
    activations: int = 1

    def __post_init__(self) -> None:
        require_int("lanes", self.lanes, 1, LANES_MAX)
        require_int("activations", self.activations, 1, ACTIVATIONS_MAX)
        if self.activations & (self.activations - 1) or self.lanes % self.activations:
            raise refusal(
                "activations", self.activations, f"a power of two that divides {self.lanes} lanes"
            )
        most, widest = self.network.most_lanes, self.network.widest
        if self.lanes > most:
            raise refusal("lanes", self.lanes, f"at most {most}: no layer has over {widest} units")

    @property
    def results_per_beat(self) -> int:
        """A of a recurrent layer, which go out as they are made; 1 of a read-out."""
        return self.activations if self.network.layers[-1].recurrent else 1

    @property
    def result_beats(self) -> int:
        """Beats of a frame's results, the last one perhaps partly empty."""
        return -(-self.network.outputs // self.results_per_beat)

    @property
    def row_blocks(self) -> tuple[int, ...]:
        """Of each layer: the cycles that one of its events costs at the least."""
        return tuple(layer.row_blocks(self.lanes) for layer in self.network.layers)

    def ideal_cycles(self, events: ArrayLike) -> Integers:
        """sum over layers of events * row_blocks: the bound on a frame's cycles.

        ``events`` [..., layers] holds, for each layer, the events of x and h together.
        """
        return np.asarray(events) @ np.array(self.row_blocks)

    @property
    def dense_cycles(self) -> int:
        """The bound on a frame's cycles when every column fires: an ideal dense machine's."""
        return int(self.ideal_cycles([layer.columns for layer in self.network.layers]))
