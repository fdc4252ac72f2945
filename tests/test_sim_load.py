"""Weights that come at run time: right, wrong, late and in mid-run."""

from dataclasses import replace

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
from sim.build import build
from sim.compare import first_mismatch
from sim.fast.harness import Harness
from sim.run import Job, play, trace_of
from sim.simulators import SIMULATORS
from tests.networks import random_frames, random_model
from tests.slow import quick

pytestmark = pytest.mark.slow  # minutes of simulations and syntheses


MODEL = random_model((3, 5), 2, theta=(1, 1))
CORE = CoreParameters(MODEL.parameters, 4, 2)
EMISSION = emit(CORE, MODEL, TARGETS["up5k"].target)
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
OTHER_EMISSION = emit(CORE, OTHER, TARGETS["up5k"].target)


@pytest.fixture(scope="module", params=quick(PLAYERS, ("harness",)))
def simulation(request):
    return build(EMISSION, request.param, models=TARGETS["up5k"].cells.models())


@pytest.fixture(params=quick(PLAYERS, ("harness",)))
def player(request):
    return request.param


@pytest.fixture(params=STREAMS.values(), ids=STREAMS)
def streams(request):
    return request.param


def status(job: Job) -> Job:
    return job.read(ADDRESS["STATUS"])


def test_the_weights_are_not_in_the_verilog():
    assert EMISSION.weights is not None
    assert EMISSION.verilog == OTHER_EMISSION.verilog
    assert EMISSION.weights != OTHER_EMISSION.weights
    assert EMISSION.manifest["memories"]["weights"]["loaded"]
    words = EMISSION.manifest["memories"]["weights"]["words"]
    assert len(EMISSION.weights) == words * CORE.lanes
    assert emit(CORE, MODEL).weights is None


def test_other_weights_in_mid_run_begin_again_from_reset(simulation, streams):
    """A load waits for the frames before it; those after it see nothing of the old weights."""
    frames = random_frames(MODEL, 12)
    job = Job(*streams).frames(frames).load(OTHER_EMISSION.weights or b"").frames(frames)
    job.settle().load(EMISSION.weights or b"").frames(frames[:4])
    job.load(OTHER_EMISSION.weights or b"").load(EMISSION.weights or b"").frames(frames[4:])
    record = play(simulation, CORE, job)
    parts = [(MODEL, frames), (OTHER, frames), (MODEL, frames[:4]), (MODEL, frames[4:])]
    expected = Trace.joined([DeltaNetwork(model).run(some) for model, some in parts])
    assert first_mismatch(expected, trace_of(record, CORE)) is None
    assert not np.array_equal(expected.outputs[:12], expected.outputs[12:24])


@pytest.mark.parametrize("change", [-1, 1, -40], ids=["a byte too few", "too many", "too few"])
def test_a_broken_load_is_flagged_and_the_next_one_counts(simulation, streams, change):
    right = EMISSION.weights or b""
    wrong = (right + right)[: len(right) + change]
    job = status(Job(*streams, unloaded=True))
    status(job.load(wrong)).write(ADDRESS["STATUS"], BROKEN)
    frames = random_frames(MODEL, 6)
    status(status(job).load(right)).frames(frames)
    status(job.settle())
    record = play(simulation, CORE, job)
    before, broken, cleared, loaded, after = record.replies[[0, 1, 3, 4, 5], 1].tolist()
    resetting = 1 << STATUS_RESETTING
    assert before & ~resetting == UNLOADED
    assert broken & ~resetting == UNLOADED | BROKEN
    assert cleared & ~resetting == UNLOADED
    assert loaded & ~resetting == 0
    assert after == 0
    expected = DeltaNetwork(MODEL).run(frames)
    assert first_mismatch(expected, trace_of(record, CORE)) is None


def test_without_weights_no_frame_is_taken(simulation):
    job = Job(unloaded=True).frames(random_frames(MODEL, 1))
    with pytest.raises(RuntimeError, match="the core stands still"):
        play(simulation, CORE, job)


def test_weights_for_a_core_that_takes_none_are_refused():
    simulation = build(emit(CORE, MODEL), Harness())
    with pytest.raises(ValueError, match="step load: found a core without s_weights"):
        play(simulation, CORE, Job().load(b"1234"))


@pytest.mark.parametrize("inputs", [1, 2])
def test_frames_taken_before_a_load_are_computed_with_the_weights_before_it(inputs, player):
    """Two elements may lie at the input when a load begins: whole frames, if they are short."""
    model = random_model((inputs, 4), 2, theta=(0, 0))
    other = negated(model)
    core, target = CoreParameters(model.parameters, 2), TARGETS["up5k"]
    weights = emit(core, other, target.target).weights
    simulation = build(emit(core, model, target.target), player, models=target.cells.models())
    frames = random_frames(model, 6)
    job = Job().frames(frames).load(weights).frames(frames)
    expected = Trace.joined([DeltaNetwork(m).run(frames) for m in (model, other)])
    assert first_mismatch(expected, trace_of(play(simulation, core, job), core)) is None
