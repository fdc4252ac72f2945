"""Weights that come at run time: right, wrong, late and in mid-run."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from boards.family.targets import TARGETS
from golden.gru import GRUWeights
from golden.model import Model
from golden.network import DeltaNetwork, Trace
from golden.parameters import CoreParameters
from hw.bus.registers import (
    STATUS_LOAD_BROKEN,
    STATUS_RESETTING,
    STATUS_UNLOADED,
    register_map,
)
from hw.emit.verilog import emit
from hw.primitive.columns import LoadedColumns
from sim.build import build
from sim.compare import first_mismatch
from sim.fast.harness import Harness
from sim.memory import Memory
from sim.run import Job, play, trace_of
from sim.simulators import SIMULATORS
from tests.networks import random_frames, random_model
from tests.slow import quick

pytestmark = pytest.mark.slow  # minutes of simulations and syntheses


MODEL = random_model((3, 5), 2, theta=(1, 1))


@dataclass(frozen=True)
class Kind:
    """Where weights are loaded into."""

    lanes: int
    memory: Memory | None = None  # beside the core

    def core(self, model):
        return CoreParameters(model.parameters, self.lanes, 2)

    def emission(self, model, core=None):
        target = TARGETS["up5k"].target
        if self.memory is None:
            return emit(core or self.core(model), model, target)
        of_columns = target.with_columns(self.memory.store)
        return self.memory.beside(emit(core or self.core(model), model, of_columns))


KINDS = {
    "in the chip": Kind(4),
    "in a memory beside it": Kind(2, Memory(3, 0.4, store=LoadedColumns)),
}
MODELS = TARGETS["up5k"].cells.models()
ADDRESS = {register.name: register.address for register in register_map(MODEL.parameters)}
PLAYERS = {"harness": Harness(), "icarus": SIMULATORS["icarus"]}
STREAMS = {"full speed": (0, 0), "gaps": (0.6, 0), "both": (0.5, 0.5)}
UNLOADED, BROKEN = 1 << STATUS_UNLOADED, 1 << STATUS_LOAD_BROKEN


def negated(model: Model) -> Model:
    """The same biases, so the same Verilog, and other weights."""
    gru, linear = model.weights
    assert isinstance(gru, GRUWeights)
    weights = (
        replace(gru, weight_x=-gru.weight_x, weight_h=-gru.weight_h),
        replace(linear, weight_x=-linear.weight_x),
    )
    return replace(model, weights=weights)


OTHER = negated(MODEL)


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module", params=quick(PLAYERS, ("harness",)))
def simulation(request, kind):
    return build(kind.emission(MODEL), request.param, models=MODELS)


@pytest.fixture(params=quick(PLAYERS, ("harness",)))
def player(request):
    return request.param


@pytest.fixture(params=STREAMS.values(), ids=STREAMS)
def streams(request):
    return request.param


def status(job: Job) -> Job:
    return job.read(ADDRESS["STATUS"])


def test_the_weights_are_not_in_the_verilog(kind):
    emission, other = kind.emission(MODEL), kind.emission(OTHER)
    assert emission.weights is not None
    assert emission.verilog == other.verilog
    assert emission.weights != other.weights
    assert emission.manifest["memories"]["weights"]["loaded"]
    words = emission.manifest["memories"]["weights"]["words"]
    assert len(emission.weights) == words * kind.lanes
    assert emit(kind.core(MODEL), MODEL).weights is None


def test_other_weights_in_mid_run_begin_again_from_reset(simulation, kind, streams):
    """A load waits for the frames before it; those after it see nothing of the old weights."""
    ours, others = kind.emission(MODEL).weights, kind.emission(OTHER).weights
    core = kind.core(MODEL)
    frames = random_frames(MODEL, 12)
    job = Job(*streams).frames(frames).load(others).frames(frames)
    job.settle().load(ours).frames(frames[:4])
    job.load(others).load(ours).frames(frames[4:])
    record = play(simulation, core, job)
    parts = [(MODEL, frames), (OTHER, frames), (MODEL, frames[:4]), (MODEL, frames[4:])]
    expected = Trace.joined([DeltaNetwork(model).run(some) for model, some in parts])
    assert first_mismatch(expected, trace_of(record, core)) is None
    assert not np.array_equal(expected.outputs[:12], expected.outputs[12:24])


@pytest.mark.parametrize("change", [-1, 1, -40], ids=["a byte too few", "too many", "too few"])
def test_a_broken_load_is_flagged_and_the_next_one_counts(simulation, kind, streams, change):
    right, core = kind.emission(MODEL).weights, kind.core(MODEL)
    wrong = (right + right)[: len(right) + change]
    job = status(Job(*streams, unloaded=True))
    status(job.load(wrong).settle()).write(ADDRESS["STATUS"], BROKEN)
    frames = random_frames(MODEL, 6)
    status(status(job).load(right).settle()).frames(frames)
    status(job.settle())
    record = play(simulation, core, job)
    before, broken, cleared, loaded, after = record.replies[[0, 1, 3, 4, 5], 1].tolist()
    resetting = 1 << STATUS_RESETTING
    assert before & ~resetting == UNLOADED
    assert broken & ~resetting == UNLOADED | BROKEN
    assert cleared & ~resetting == UNLOADED
    assert loaded & ~resetting == 0
    assert after == 0
    expected = DeltaNetwork(MODEL).run(frames)
    assert first_mismatch(expected, trace_of(record, core)) is None


def test_without_weights_no_frame_is_taken(simulation, kind):
    job = Job(unloaded=True).frames(random_frames(MODEL, 1))
    with pytest.raises(RuntimeError, match="the core stands still"):
        play(simulation, kind.core(MODEL), job)


def test_weights_for_a_core_that_takes_none_are_refused():
    core = CoreParameters(MODEL.parameters, 2)
    simulation = build(emit(core, MODEL), Harness())
    with pytest.raises(ValueError, match="step load: found a core without s_weights"):
        play(simulation, core, Job().load(b"1234"))


@pytest.mark.parametrize("inputs", [1, 2])
def test_frames_taken_before_a_load_are_computed_with_the_weights_before_it(inputs, kind, player):
    """Two elements may lie at the input when a load begins: whole frames, if they are short."""
    model = random_model((inputs, 4), 2, theta=(0, 0))
    other = negated(model)
    core = CoreParameters(model.parameters, 2)
    weights = kind.emission(other, core).weights
    simulation = build(kind.emission(model, core), player, models=MODELS)
    frames = random_frames(model, 6)
    job = Job().frames(frames).load(weights).frames(frames)
    expected = Trace.joined([DeltaNetwork(m).run(frames) for m in (model, other)])
    assert first_mismatch(expected, trace_of(play(simulation, core, job), core)) is None
