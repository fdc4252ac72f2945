"""What happens on the buses: registers, thresholds at run time, resets, broken frames.

Every bench runs on both simulators, and with every way the streams may behave.
"""

import numpy as np
import pytest

from golden.network import DeltaNetwork, Trace
from golden.parameters import CoreParameters
from golden.predict.inference import delta_cost
from hw.bus.registers import (
    CONTROL_CLEAR_COUNTERS,
    CONTROL_RESET_STATE,
    IDENTITY,
    STATUS_FRAME_LONG,
    STATUS_FRAME_SHORT,
    register_map,
)
from hw.emit.verilog import emit
from sim.build import build
from sim.compare import first_mismatch
from sim.job import BYTES_IN_A_ROW
from sim.run import Job, play, trace_of
from sim.simulate import simulate
from sim.simulators import SIMULATORS, find_simulator
from tests.networks import random_frames, random_model
from tests.slow import every, quick

pytestmark = pytest.mark.slow  # minutes of simulations and syntheses


OKAY, SLVERR = 0, 2
MODEL = random_model((5, 9, 6), 3, theta=(2, 2))
CORE = CoreParameters(MODEL.parameters, 4)
EMISSION = emit(CORE, MODEL)
ADDRESS = {register.name: register.address for register in register_map(MODEL.parameters)}
STREAMS = {"full speed": (0, 0), "gaps": (0.6, 0), "pauses": (0, 0.6), "both": (0.5, 0.5)}


@pytest.fixture(scope="module", params=quick(SIMULATORS, ("icarus",)))
def simulation(request):
    return build(EMISSION, request.param)


@pytest.fixture(params=quick(STREAMS, ("both",)))
def job(request):
    return Job(*request.param)


def read(job: Job, *names: str) -> Job:
    for name in names:
        job.read(ADDRESS[name])
    return job


def test_identity_and_shape(simulation, job):
    read(job, "STATUS", "ID", "LANES", "LAYERS", "THETA_X_0", "THETA_H_1", "CONTROL", "FRAMES")
    record = play(simulation, CORE, job)
    assert record.replies[:, 0].tolist() == [OKAY] * 8
    # Bit 1 of STATUS: right after power-up the core still sets its memories.
    assert record.replies[:, 1].tolist() == [2, IDENTITY, 4, 3, 2, 4, 0, 0]


def test_every_other_address_answers_with_an_error(simulation):
    job = Job()
    mapped = set(ADDRESS.values())
    probed = [a for a in range(0, 0x1000, 4) if a not in mapped and (a < 0x160 or a % 0x140 == 0)]
    for address in probed:
        job.read(address).write(address, 1)
    record = play(simulation, CORE, job)
    assert len(record.replies) == 2 * len(probed) > 100
    assert set(record.replies[:, 0].tolist()) == {SLVERR}


def test_read_only_registers_refuse_writes(simulation):
    job = Job()
    names = [r.name for r in register_map(MODEL.parameters) if r.access == "ro"]
    for name in names:
        job.write(ADDRESS[name], 0xFFFFFFFF)
    read(job, "ID")
    record = play(simulation, CORE, job)
    assert record.replies[:, 0].tolist() == [SLVERR] * len(names) + [OKAY]
    assert record.replies[-1, 1] == IDENTITY


def test_counters_count_what_golden_counts(simulation, job):
    frames = random_frames(MODEL, 10)
    events = ["EVENTS_X_0", "EVENTS_H_0", "EVENTS_X_1", "EVENTS_H_1", "EVENTS_X_2"]
    counters = ["FRAMES", *events, "CYCLES_HI", "CYCLES_LO", "CYCLES_HI"]
    read(job.frames(frames).settle(), *counters)
    job.write(ADDRESS["CONTROL"], 1 << CONTROL_CLEAR_COUNTERS)
    read(job, *counters)
    record = play(simulation, CORE, job)
    assert set(record.replies[:, 0].tolist()) == {OKAY}
    trace = DeltaNetwork(MODEL).run(frames)
    x, h = trace.events_x.sum(axis=0), trace.events_h.sum(axis=0)
    values = record.replies[:, 1].tolist()
    assert values[:7] == [10, x[0], h[0], x[1], h[1], x[2], 0]
    assert 0 < values[7] <= record.finishes[-1]
    assert values[8] == 0
    assert values[10:] == [0] * 9
    # What a host makes of them: multiplications, from the manifest's MACs of an event.
    macs = [layer["macs_per_event"] for layer in EMISSION.manifest["layers"]]
    done = sum(
        a * b
        for a, b in zip(
            macs, [values[1] + values[2], values[3] + values[4], values[5]], strict=True
        )
    )
    assert done == delta_cost(MODEL.parameters, trace).macs.sum()


def test_state_reset_starts_over(simulation, job):
    """Three times the same recording, a reset between: the same bits. Without one, others."""
    frames = random_frames(MODEL, 8)
    job.frames(frames).reset().frames(frames).write(
        ADDRESS["CONTROL"], 1 << CONTROL_RESET_STATE
    ).frames(frames).frames(frames)
    trace = trace_of(play(simulation, CORE, job), CORE)
    network = DeltaNetwork(MODEL)
    parts = []
    for n in range(4):
        if n < 3:
            network.reset()
        parts.append(network.run(frames))
    assert first_mismatch(Trace.joined(parts), trace) is None
    assert np.array_equal(parts[0].outputs, parts[1].outputs)
    assert not np.array_equal(parts[2].outputs, parts[3].outputs)


def test_thresholds_at_run_time(simulation, job):
    """x is compared as it comes, h as it is made: a new theta_h is first seen a frame later."""
    frames = random_frames(MODEL, 24)
    settings = [(0, 0, 9), (1, 30, 4), (2, 255, 255)]  # part, theta_x, theta_h of every layer
    network = DeltaNetwork(MODEL)
    parts = []
    for part, theta_x, theta_h in settings:
        for k, layer in enumerate(MODEL.parameters.layers):
            job.write(ADDRESS[f"THETA_X_{k}"], theta_x)
            network.layers[k].theta_x = theta_x
            if layer.recurrent:
                job.write(ADDRESS[f"THETA_H_{k}"], theta_h)
        job.frames(frames[8 * part : 8 * part + 8]).settle()
        parts.append(network.run(frames[8 * part : 8 * part + 1]))
        for layer in network.layers[:2]:
            layer.theta_h = theta_h
        parts.append(network.run(frames[8 * part + 1 : 8 * part + 8]))
    record = play(simulation, CORE, job)
    assert set(record.replies[:, 0].tolist()) == {OKAY}
    assert first_mismatch(Trace.joined(parts), trace_of(record, CORE)) is None


def test_a_layer_that_stands_still_is_skipped_until_something_changes(simulation, job):
    """Constant input until nothing moves; then lower thresholds, new input, a reset."""
    still, other = np.repeat(random_frames(MODEL, 2), 60, axis=0).reshape(2, 60, 5)
    network = DeltaNetwork(MODEL)
    parts = [network.run(still)]
    job.frames(still).settle()
    for k, layer in enumerate(MODEL.parameters.layers):
        job.write(ADDRESS[f"THETA_X_{k}"], 0)
        network.layers[k].theta_x = 0
        if layer.recurrent:
            job.write(ADDRESS[f"THETA_H_{k}"], 0)
    job.frames(still).settle()
    parts.append(network.run(still[:1]))
    for layer in network.layers[:2]:
        layer.theta_h = 0
    parts.append(network.run(still[1:]))
    job.frames(other).reset().frames(other)
    parts.append(network.run(other))
    network.reset()
    parts.append(network.run(other))
    record = play(simulation, CORE, job)
    expected = Trace.joined(parts)
    assert first_mismatch(expected, trace_of(record, CORE)) is None
    skipped = np.zeros((240, 3), dtype=int)
    skipped[tuple(record.skips.T)] = 1
    assert skipped[:60].any(axis=0).all()  # the read-out too
    # Where a threshold was lowered, held-back deltas fire a frame later, so nothing may be skipped.
    assert not skipped[60].any()
    assert expected.events_h[61].any()
    assert not skipped[[120, 180]].any()
    # Skipped exactly where that is allowed: no event now, and no state moved in the frame before.
    events = expected.events_x + expected.events_h
    for k in range(3):
        for t in np.flatnonzero(skipped[:, k]):
            assert events[t, k] == 0
            if k < 2:
                assert np.array_equal(expected.states[k][t], expected.states[k][t - 1])


def test_a_threshold_too_large_acts_as_the_largest(simulation):
    job = Job().write(ADDRESS["THETA_X_0"], 256).read(ADDRESS["THETA_X_0"])
    job.write(ADDRESS["THETA_X_0"], 7).read(ADDRESS["THETA_X_0"])
    assert play(simulation, CORE, job).replies[:, 1].tolist() == [0, 255, 0, 7]


def test_writes_of_some_bytes_leave_the_others(simulation, job):
    now, replies = 2, []
    for n, strobe in enumerate(BYTES_IN_A_ROW):
        value = (0x0000_0031, 0x0000_0100, 0x0700_0052, 0x0000_00C4)[n % 4]
        mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
        now = min((value & mask) | (now & ~mask), 255)
        job.write(ADDRESS["THETA_H_1"], value, strobe).read(ADDRESS["THETA_H_1"])
        replies += [(OKAY, 0), (OKAY, now)]
        if now == 255:
            job.write(ADDRESS["THETA_H_1"], now := 0x2D)
            replies.append((OKAY, 0))
    frames = random_frames(MODEL, 2)
    job.frames(frames).settle()
    # Bit 0 of CONTROL's upper bytes resets nothing.
    job.write(ADDRESS["CONTROL"], 0x0101_0101, 0b1110).frames(frames).settle()
    record = play(simulation, CORE, job)
    assert list(map(tuple, record.replies.tolist())) == [*replies, (OKAY, 0)]
    network = DeltaNetwork(MODEL)
    network.layers[1].theta_h = now
    right = network.run(np.concatenate([frames, frames]))
    assert first_mismatch(right, trace_of(record, CORE)) is None


@pytest.mark.parametrize("strobe", [0, 0b101, 0b1011, 16])
def test_a_strobe_has_bytes_in_a_row(strobe):
    with pytest.raises(ValueError, match=f"strobe: found {strobe}, expected bytes 0 to 3"):
        Job().write(0, 0, strobe)


@pytest.mark.parametrize("length", every(3, [1, 2, 4, 6, 9]), ids=lambda n: f"{n} of 5 elements")
def test_a_broken_frame_is_flagged_and_the_next_is_whole(simulation, job, length):
    """Missing elements stay as they were, elements too many are dropped."""
    frames = random_frames(MODEL, 12)
    broken = np.resize(frames[5], (1, length))
    job.frames(frames[:5]).frames(broken).frames(frames[6:]).settle()
    read(job, "STATUS")
    job.write(ADDRESS["STATUS"], 1 << STATUS_FRAME_SHORT | 1 << STATUS_FRAME_LONG)
    read(job, "STATUS").frames(frames[:1])
    record = play(simulation, CORE, job)
    network = DeltaNetwork(MODEL)
    parts = [network.run(frames[:5])]
    sent = network.layers[0].encoder_x.memory.copy()
    used = min(length, 5)
    sent[0, :used] = broken[0, :used]
    parts += [network.run(sent), network.run(frames[6:]), network.run(frames[:1])]
    assert first_mismatch(Trace.joined(parts), trace_of(record, CORE)) is None
    flag = 1 << (STATUS_FRAME_SHORT if length < 5 else STATUS_FRAME_LONG)
    assert record.replies[[0, 2], 1].tolist() == [flag, 0]


def test_one_beat_frames_in_a_row(simulation, job):
    """The shortest broken frames, back to back: the encoder must not meet itself."""
    broken = random_frames(MODEL, 30)[:, :1]
    record = play(simulation, CORE, job.frames(broken))
    network = DeltaNetwork(MODEL)
    parts = []
    for frame in broken:
        x = network.layers[0].encoder_x.memory.copy()
        x[0, 0] = frame[0]
        parts.append(network.run(x))
    assert first_mismatch(Trace.joined(parts), trace_of(record, CORE)) is None


@pytest.mark.parametrize("player", ["icarus", "verilator"])
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_frames_taken_before_a_reset_are_computed_before_it(inputs, player):
    """Two elements may lie at the input when the reset is written: whole frames, if short."""
    model = random_model((inputs, 1), theta=(0, 0), scale=40)
    frames = np.repeat(np.arange(1, 11)[:, None], inputs, axis=1).astype(np.int8)
    core = CoreParameters(model.parameters, 1)
    result = simulate(core, model, [frames, frames], find_simulator(player))
    assert result.mismatch is None
