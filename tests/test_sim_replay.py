"""Thresholds that are written while frames run: the golden model replayed along what happened."""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest

from golden.network import DeltaNetwork, Trace
from golden.parameters import CoreParameters
from hw.bus.registers import CONTROL, CONTROL_RESET_STATE, register_map
from hw.emit.verilog import emit
from sim.build import build
from sim.compare import first_mismatch
from sim.fast.harness import Harness
from sim.replay import replay
from sim.run import Job, Record, play, trace_of
from sim.simulators import SIMULATORS
from tests.networks import random_frames, random_model
from tests.slow import every, quick

pytestmark = pytest.mark.slow  # minutes of simulations and syntheses


FRAMES = 40
KINDS = ("gru", "lstm")
PLAYERS = {"icarus": SIMULATORS["icarus"], "harness": Harness()}
STREAMS = {"full speed": (0, 0), "both": (0.5, 0.5)}


@cache
def network(kind: str):
    other = KINDS[kind == "gru"]
    model = random_model((5, 9, 6), 3, kinds=(kind, other), theta=((2, 5), (4, 9), (1, 0)))
    core = CoreParameters(model.parameters, 4)
    return core, model, emit(core, model)


def thresholds(model) -> list[int]:
    return [r.address for r in register_map(model.parameters) if r.name.startswith("THETA")]


def writing_job(model, rng: np.random.Generator, gaps: float = 0, pauses: float = 0) -> Job:
    """Frames, and random thresholds at random moments while they run; now and then a reset."""
    job = Job(gaps, pauses, seed=int(rng.integers(1, 1000)))
    for part in range(2):
        moving = (0.5, 0.05)[part]  # the second part has layers that stand still
        job.frames(random_frames(model, FRAMES // 2, seed=int(rng.integers(1000)), moving=moving))
        for _ in range(30):
            job.wait(int(rng.integers(0, 60)))
            job.write_at_once(int(rng.choice(thresholds(model))), int(rng.choice(24) ** 2 // 8))
        if part == 0 and rng.random() < 0.5:
            job.reset()
    return job.settle()


def difference(core: CoreParameters, model, job: Job, record: Record) -> str | None:
    """What is wrong with the record, if anything."""
    try:
        mismatch = first_mismatch(replay(core, model, job, record), trace_of(record, core))
    except RuntimeError as error:
        return str(error)
    return None if mismatch is None else str(mismatch)


def during_frames(record: Record) -> np.ndarray:
    """Which writes fell between the first element and the last event of all frames."""
    return (record.writes > record.first_beats[0]) & (record.writes < record.finishes[-1])


@pytest.mark.parametrize("player", quick(PLAYERS, ("icarus",)))
@pytest.mark.parametrize(
    ("kind", "streams", "seed"), every(9, [*product(KINDS, STREAMS, range(4))])
)
def test_thresholds_written_while_frames_run(player, kind, streams, seed):
    core, model, emission = network(kind)
    rng = np.random.default_rng(seed)
    job = writing_job(model, rng, *STREAMS[streams])
    record = play(build(emission, player), core, job)
    assert difference(core, model, job, record) is None
    assert during_frames(record).sum() > 30
    assert len(record.outputs) == FRAMES


@pytest.fixture(scope="module")
def played():
    core, model, emission = network("gru")
    job = writing_job(model, np.random.default_rng(5))
    return core, model, job, play(build(emission, SIMULATORS["icarus"]), core, job)


def test_without_writes_the_replay_is_the_golden_model():
    core, model, emission = network("lstm")
    frames = random_frames(model, 12)
    job = Job().frames(frames[:7]).reset().frames(frames[7:])
    record = play(build(emission, SIMULATORS["icarus"]), core, job)
    parts = [DeltaNetwork(model).run(part) for part in (frames[:7], frames[7:])]
    assert first_mismatch(Trace.joined(parts), replay(core, model, job, record)) is None


def test_each_event_that_is_wrong_is_seen(played):
    """One that is missing, has another delta, or is of another column's."""
    core, model, job, record = played
    rng = np.random.default_rng(1)
    for n in rng.choice(len(record.events), 40, replace=False):
        frame, layer, is_h, column, delta = record.events[n]
        without = np.delete(record.events, n, axis=0)
        place = f"frame {frame}, layer {layer}, {'xh'[is_h]}, column {column}: "
        larger = record.events.copy()
        larger[n, 4] = delta + 1 if delta != -1 else 1
        found = difference(core, model, job, replace(record, events=larger))
        assert found == f"{place}found an event of {larger[n, 4]}, expected {delta} or none"
        assert difference(core, model, job, replace(record, events=without)) is not None


def test_an_event_too_many_is_seen(played):
    """A delta that was held back all the same."""
    core, model, job, record = played
    sent = np.cumsum(trace_of(record, core).deltas_x[0], axis=0)
    frames = np.concatenate([job.arrays["array_0"], job.arrays["array_1"]]).astype(np.int64)
    held = np.argwhere((frames != sent)[: FRAMES // 2])
    assert len(held) > 4
    for frame, column in held:
        event = [frame, 0, 0, column, frames[frame, column] - sent[frame, column]]
        found = difference(
            core, model, job, replace(record, events=np.vstack([record.events, event]))
        )
        assert found is not None


def test_a_write_in_another_frame_is_seen(played):
    """Most writes decide about some element: moved by three frames they do not explain it."""
    core, model, job, record = played
    seen = 0
    for n in np.flatnonzero(during_frames(record)):
        writes = record.writes.copy()
        writes[n:] = np.maximum(writes[n:], writes[n] + 150)
        seen += difference(core, model, job, replace(record, writes=writes)) is not None
    assert seen > during_frames(record).sum() // 3


def test_a_write_to_another_threshold_is_seen(played):
    core, model, job, record = played
    assert difference(core, model, job, record) is None
    addresses = thresholds(model)
    steps = [list(step) for step in job.steps]
    for step in steps:
        if step[0] == "write_at_once":
            step[1] = addresses[(addresses.index(step[1]) + 1) % len(addresses)]
    found = difference(core, model, replace(job, steps=steps), record)
    assert found is not None
    assert "what threshold" in found


def test_wrong_states_and_results_are_seen(played):
    core, model, job, record = played
    states, outputs = record.states.copy(), [frame.copy() for frame in record.outputs]
    states[len(states) // 2, 2] += 1
    outputs[30][1] -= 1
    assert "state, unit" in str(difference(core, model, job, replace(record, states=states)))
    found = difference(core, model, job, replace(record, outputs=outputs))
    assert str(found).startswith("frame 30, layer 2, output 1: ")


def test_what_cannot_be_replayed_is_refused(played):
    core, model, job, record = played
    reset = Job().write_at_once(CONTROL, 1 << CONTROL_RESET_STATE)
    with pytest.raises(ValueError, match=r"^state reset: found one while frames are on their way"):
        replay(core, model, reset, record)
    with pytest.raises(ValueError, match=r"^elements of a frame: found 4, expected 5$"):
        replay(core, model, Job().frames(np.zeros((1, 4), dtype=np.int8)), record)
    with pytest.raises(RuntimeError, match=r"^writes: found "):
        replay(core, model, Job().frames(job.arrays["array_0"]), record)
