"""The emitted Verilog equals the golden model in every bit, on both simulators.

Each configuration is built and played at full speed, with gaps on the input, with back-pressure on
the output, and with both. Events, states and results are compared frame by frame. Icarus plays all
of them. Verilator plays every third one here, and all of them in test_sim_targets.py.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from boards.family.ice40 import UP5K
from boards.family.targets import TARGETS, Choice
from golden.fixed import Q
from golden.formats import Formats
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.emit.verilog import emit
from sim.build import build
from sim.compare import first_mismatch
from sim.run import Job, Record, play, trace_of
from sim.simulator import Simulator
from sim.simulators import SIMULATORS
from tests.networks import random_frames, random_model
from tests.slow import quick


@dataclass(frozen=True)
class Configuration:
    sizes: tuple[int, ...]
    outputs: int | None
    lanes: int
    theta: tuple[int, int] = (1, 1)
    formats: Formats = field(default_factory=Formats)
    weight_frac: int = 6
    scale: int = 60
    saturating: bool = False
    moving: float = 0.6
    activations: int = 1
    kinds: tuple[str, ...] = ("gru",)
    shifts: int = 0
    block_shapes: tuple[tuple[int, int], ...] = ()  # of a target that says nothing of them


Q2_5 = Formats(activation=Q(2, 5), state=Q(2, 5))
FINE = Formats(activation=Q(3, 7), state=Q(1, 14), gate=Q(1, 10), preactivation=Q(3, 6))
LSTM = ("lstm",)
CONFIGURATIONS = {
    "one unit, one input, one lane": Configuration((1, 1), None, 1, (0, 0)),
    "one unit, lanes above": Configuration((2, 1), 1, 5),
    "odd sizes": Configuration((5, 7), 3, 3),
    "lanes above H": Configuration((4, 6), 3, 16, (2, 1), activations=4),
    "one lane": Configuration((3, 5), 2, 1),
    "H a multiple of P": Configuration((6, 16), None, 8, activations=2),
    "three layers": Configuration((4, 9, 5, 6), None, 4, (1, 2)),
    "results several in a beat": Configuration((4, 9, 7), None, 4, (1, 2), activations=4),
    "three layers and a read-out": Configuration((3, 8, 3, 11), 5, 4, (2, 1)),
    "Q2.5": Configuration((7, 10), 4, 4, (2, 3), formats=Q2_5, weight_frac=7),
    "state Q1.14": Configuration((6, 9), 3, 4, (1, 1), formats=Formats(state=Q(1, 14))),
    "Q2.5, state Q1.14": Configuration(
        (6, 9), 3, 4, formats=Formats(activation=Q(2, 5), state=Q(1, 14))
    ),
    "narrow formats": Configuration(
        (5, 6),
        2,
        4,
        formats=Formats(Q(1, 3), Q(1, 6), Q(1, 4), Q(4, 3), Q(2, 3)),
        weight_frac=1,
    ),
    "saturating inputs": Configuration(
        (9, 11), 4, 4, (0, 0), scale=128, weight_frac=3, saturating=True
    ),
    "thresholds 0": Configuration((8, 12), 4, 8, (0, 0), activations=8),
    "thresholds large": Configuration((8, 12), 4, 8, (100, 20)),
    "thresholds above everything": Configuration((5, 6), 2, 4, (255, 1000)),
    "left shift of the readout": Configuration((5, 8), 3, 4, weight_frac=1),
    "nothing moves for long": Configuration((6, 9, 7), 3, 4, (2, 2), moving=0.005),
    "hardly anything moves": Configuration((12, 16), 3, 8, (3, 3), moving=0.03, activations=2),
    "LSTM: one unit, one input, one lane": Configuration((1, 1), None, 1, (0, 0), kinds=LSTM),
    "LSTM: odd sizes": Configuration((5, 7), 3, 3, kinds=LSTM),
    "LSTM: lanes above H": Configuration((4, 6), None, 16, (2, 1), activations=4, kinds=LSTM),
    "LSTM: three layers and a read-out": Configuration((3, 8, 3, 11), 5, 4, (2, 1), kinds=LSTM),
    "LSTM: Q2.5, several results in a beat": Configuration(
        (7, 10), None, 4, (2, 3), formats=Q2_5, weight_frac=7, activations=2, kinds=LSTM
    ),
    "LSTM: narrow formats, saturating": Configuration(
        (9, 11),
        4,
        4,
        (0, 0),
        formats=Formats(Q(1, 3), Q(1, 6), Q(1, 4), Q(4, 3), Q(2, 3), cell=Q(0, 4)),
        weight_frac=1,
        scale=128,
        kinds=LSTM,
    ),
    "LSTM: nothing moves for long": Configuration(
        (6, 9, 7), 3, 4, (2, 2), moving=0.005, kinds=LSTM, formats=Formats(cell=Q(3, 3))
    ),
    "row shifts": Configuration(
        (5, 7, 4), 3, 3, (1, 2), kinds=("gru", "lstm"), formats=FINE, shifts=3
    ),
    "LSTM below GRU": Configuration((4, 9, 5), 3, 4, (1, 2), activations=2, kinds=("lstm", "gru")),
    "GRU below LSTM": Configuration((4, 6, 9), None, 8, (1, 1), kinds=("gru", "lstm")),
    "folded tables": Configuration(
        (3, 5, 4), 2, 2, (1, 2), kinds=("gru", "lstm"), formats=FINE, block_shapes=UP5K.block_shapes
    ),
}

QUICK = (
    "one unit, one input, one lane",
    "LSTM: odd sizes",
    "row shifts",
)


@pytest.mark.parametrize("configuration", quick(CONFIGURATIONS, QUICK))
def test_equals_golden_on_icarus(configuration):
    equals_golden(configuration, SIMULATORS["icarus"], TARGETS["generic"])


@pytest.mark.parametrize("configuration", quick(dict([*CONFIGURATIONS.items()][::3]), QUICK))
def test_equals_golden_on_verilator(configuration):
    equals_golden(configuration, SIMULATORS["verilator"], TARGETS["generic"])


def equals_golden(configuration: Configuration, simulator: Simulator, choice: Choice) -> None:
    """Builds it and plays it with every way the streams may behave."""
    c = configuration
    model = random_model(
        c.sizes,
        c.outputs,
        formats=c.formats,
        theta=c.theta,
        kinds=c.kinds,
        weight_frac=c.weight_frac,
        scale=c.scale,
        shifts=c.shifts,
    )
    core = CoreParameters(model.parameters, c.lanes, c.activations)
    target = choice.target
    if c.block_shapes and not target.block_shapes:
        target = replace(target, block_shapes=c.block_shapes)
    emission = emit(core, model, target)
    simulation = build(emission, simulator, models=choice.cells.models())
    events = 0
    for gaps, pauses, length in ((0, 0, 20), (0.7, 0, 6), (0, 0.7, 6), (0.5, 0.5, 6)):
        frames = random_frames(model, length, seed=length, moving=c.moving, saturating=c.saturating)
        expected = DeltaNetwork(model).run(frames)
        record = play(simulation, core, Job(gaps, pauses).frames(frames))
        assert first_mismatch(expected, trace_of(record, core)) is None
        events += int(expected.events_x.sum() + expected.events_h.sum())
    # A network in which nothing fires would be equal too: only one of these is meant to be so.
    assert (events > 0) == (c.theta != (255, 1000))


def test_a_mismatch_names_frame_layer_unit_expected_and_found():
    model = random_model((4, 6), 3)
    frames = random_frames(model, 10)
    expected, found = DeltaNetwork(model).run(frames), DeltaNetwork(model).run(frames)
    assert first_mismatch(expected, found) is None
    found.outputs[7, 2] += 1
    found.states[0][6, 4] -= 1
    assert str(first_mismatch(expected, found)) == (
        f"frame 6, layer 0, state, unit 4: expected {expected.states[0][6, 4]}, "
        f"found {expected.states[0][6, 4] - 1}"
    )
    column = int(np.flatnonzero(found.deltas_x[0][2])[0])
    found.deltas_x[0][2, column] = 0
    assert str(first_mismatch(expected, found)) == (
        f"frame 2, layer 0, delta of x, column {column}: "
        f"expected {expected.deltas_x[0][2, column]}, found 0"
    )


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ((1, 0, 0, 2, 5), "not an event twice"),
        ((1, 0, 0, 3, 0), "not an event without a change"),
        ((2, 0, 0, 3, 1), "not an event after the last frame"),
        ((1, 0, 0, 4, 1), "not an event of a column that is not there"),
        ((1, 0, 1, 1, 1), "not an event of a column that is not there"),
        ((1, 1, 0, 0, 1), "not an event of a column that is not there"),
    ],
)
def test_events_that_should_not_be_are_seen(event, text):
    """A core that does not skip what did not change must not look like one that does."""
    core = CoreParameters(random_model((4, 1)).parameters, 1)
    none = np.zeros((0, 2), dtype=np.int64)
    events = np.array([(1, 0, 0, 2, 5), event])
    states = np.array([(0, 0, 7), (0, 0, 8)])
    cycles = np.array([1, 2])
    record = Record(
        [cycles[:1], cycles[:1]], events[:1], states, none, cycles, cycles, none, cycles, none[:, 0]
    )
    assert trace_of(record, core).events_x.sum() == 1
    with pytest.raises(RuntimeError, match=text):
        trace_of(replace(record, events=events), core)


def test_a_wrong_weight_in_the_rtl_is_seen():
    """The bench can fail: one bit of one weight, and the comparison says where it shows first."""
    model = random_model((4, 6), 3, theta=(0, 0))
    weights = model.weights[0]
    wrong = weights.weight_x.copy()
    wrong[2, 1] ^= 8
    other = type(model).of(
        model.name,
        model.parameters.formats,
        model.parameters.layers,
        (type(weights)(wrong, weights.weight_h, weights.bias), *model.weights[1:]),
    )
    core = CoreParameters(other.parameters, 4)
    simulation = build(emit(core, other), SIMULATORS["icarus"])
    frames = random_frames(model, 10)
    record = play(simulation, core, Job().frames(frames))
    mismatch = first_mismatch(DeltaNetwork(model).run(frames), trace_of(record, core))
    assert mismatch is not None
    assert (mismatch.layer, mismatch.what, mismatch.unit) == (0, "state, unit", 2)
