"""The parameters of a network and of a core: one frozen object that golden/ and hw/ both read.

Everything that can be derived is a property here, so that no two places derive it differently.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from golden.errors import refusal, require_int
from golden.fixed import Integers, Q
from golden.formats import ACCUMULATOR_BITS_MAX, SHIFT_MAX, WEIGHT_FRAC_MAX, Formats
from golden.kinds import KIND_NAMES, KINDS, Kind
from golden.learn.training import Training

LANES_MAX = 1024
ACTIVATIONS_MAX = 64
STREAMS_MAX = 16


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
    shift_max
        The most that a row's weights have more fraction bits than f_w, 0 to 3: the bits of row
        shifts that a core has to have. 0 in a linear layer.
    """

    kind: str
    inputs: int
    units: int
    weight_frac: int
    theta_x: int
    theta_h: int | None = None
    shift_max: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise refusal("kind", repr(self.kind), KIND_NAMES)
        require_int("inputs", self.inputs, 1)
        require_int("units", self.units, 1)
        require_int("weight_frac", self.weight_frac, 0, WEIGHT_FRAC_MAX)
        require_int("theta_x", self.theta_x, 0)
        require_int("shift_max", self.shift_max, 0, SHIFT_MAX if self.recurrent else 0)
        if self.recurrent:
            require_int("theta_h", self.theta_h, 0)
        elif self.theta_h is not None:
            raise refusal("theta_h", repr(self.theta_h), "no theta_h in a linear layer")

    @property
    def has(self) -> Kind:
        """What all layers of its kind have."""
        return KINDS[self.kind]

    @property
    def recurrent(self) -> bool:
        return self.has.recurrent

    @property
    def columns(self) -> int:
        """Columns of the weight matrix: I + H, or I of a linear layer."""
        return self.inputs + (self.units if self.recurrent else 0)

    @property
    def constants(self) -> tuple[int, int]:
        """Constant columns that x and h have in a core that trains (docs/training-core.md)."""
        return 1, int(self.has.splits)

    @property
    def trained_columns(self) -> tuple[int, int]:
        """Columns of x and of h in a core that trains, constant ones included."""
        of_x, of_h = self.constants
        return self.inputs + of_x, self.columns - self.inputs + of_h

    @property
    def gates(self) -> int:
        """Weight rows a unit."""
        return len(self.has.gates)

    @property
    def accumulators(self) -> int:
        """Accumulators a unit."""
        return len(self.has.accumulators)

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


def require_trainable(layers: Sequence[LayerParameters]) -> None:
    """Raises ValueError where a network of these layers cannot learn."""
    if layers[-1].recurrent:
        raise refusal("last layer", repr(layers[-1].kind), "a linear layer, for the loss")
    if any(layer.shift_max for layer in layers):
        raise refusal("row shifts", "some", "none in a network that learns")


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
        """The format of what a neuron of this recurrent layer keeps between frames."""
        return getattr(self.formats, layer.has.state or "")

    @property
    def state_width(self) -> int:
        """Bits of the widest state of any layer."""
        return max(self.state_format(layer).width for layer in self.recurrent)

    @property
    def shift_bits(self) -> int:
        """Bits that hold the row shift of any accumulator; 0 where no layer has row shifts."""
        return max(layer.shift_max for layer in self.layers).bit_length()

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
    streams
        C, sequences that the core computes side by side, each with a state of its own.
    training
        Where the core trains: its biases are the weights of constant columns, and its weights may
        change. It is for a network with a read-out and without row shifts, and for one stream.
    """

    network: NetworkParameters
    lanes: int = 8
    activations: int = 1
    streams: int = 1
    training: Training | None = None

    def __post_init__(self) -> None:
        require_int("lanes", self.lanes, 1, LANES_MAX)
        require_int("activations", self.activations, 1, ACTIVATIONS_MAX)
        require_int("streams", self.streams, 1, STREAMS_MAX)
        if self.activations & (self.activations - 1) or self.lanes % self.activations:
            raise refusal(
                "activations", self.activations, f"a power of two that divides {self.lanes} lanes"
            )
        most, widest = self.network.most_lanes, self.network.widest
        if self.lanes > most:
            raise refusal("lanes", self.lanes, f"at most {most}: no layer has over {widest} units")
        if self.training:
            require_trainable(self.network.layers)
            if self.streams > 1:
                raise refusal("streams of a core that trains", self.streams, "1")
            tape, least = self.training.tape, self.network.layers[-1].inputs + 2
            require_int("above of the tape", tape.above, least)

    @property
    def trains(self) -> bool:
        return self.training is not None

    def columns(self, layer: LayerParameters) -> tuple[int, int]:
        """Columns of x and of h; where the core trains, constant ones included."""
        if self.trains:
            return layer.trained_columns
        return layer.inputs, layer.columns - layer.inputs

    @property
    def instances(self) -> tuple[LayerParameters, ...]:
        """Each layer once for each stream, in the order in which a core walks them.

        Instance k * C + s is layer k of stream s: while the streams' other instances of a layer are
        walked, what the layer above needs of this one is made.
        """
        return tuple(layer for layer in self.network.layers for _ in range(self.streams))

    @property
    def recurrent(self) -> tuple[LayerParameters, ...]:
        """The instances of recurrent layers, which come first."""
        return tuple(layer for layer in self.instances if layer.recurrent)

    @property
    def groups(self) -> int:
        """Groups of A units in the longest recurrent layer, the last one perhaps partly empty."""
        return max(-(-layer.units // self.activations) for layer in self.network.recurrent)

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
        """For each layer: the least cycles that one of its events costs."""
        return tuple(layer.row_blocks(self.lanes) for layer in self.network.layers)

    @property
    def column_bytes(self) -> tuple[int, ...]:
        """For each layer: weights that one of its events takes, those of empty lanes included."""
        return tuple(blocks * self.lanes for blocks in self.row_blocks)

    def ideal_cycles(self, events: ArrayLike) -> Integers:
        """sum over layers of events * row_blocks: the bound on a frame's cycles.

        ``events`` [..., layers] holds, for each layer, the events of x and h together.
        """
        return np.asarray(events) @ np.array(self.row_blocks)

    @property
    def dense_cycles(self) -> int:
        """The bound on a frame's cycles when every column fires: an ideal dense machine's."""
        return int(self.ideal_cycles([layer.columns for layer in self.network.layers]))
