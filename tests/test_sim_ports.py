"""What takes too many cycles for slow simulators: all addresses, all bits, rst at all times."""

from dataclasses import fields, replace

import numpy as np
import pytest

from golden.network import DeltaNetwork, Trace
from golden.parameters import CoreParameters
from hw.bus.registers import ADDRESS_WIDTH, CONTROL, CONTROL_RESET_STATE, register_map
from hw.emit.verilog import emit
from sim.build import build
from sim.compare import first_mismatch
from sim.fast.harness import Harness
from sim.run import Job, play, trace_of
from tests.networks import random_frames, random_model

OKAY, SLVERR = 0, 2
MODEL = random_model((3, 4), theta=(1, 2))
CORE = CoreParameters(MODEL.parameters, 2)
ADDRESS = {register.name: register.address for register in register_map(MODEL.parameters)}
# Three layers: x of the next frame is walked early.
DEEP = random_model((3, 5, 4), 3)
DEEP_CORE = CoreParameters(DEEP.parameters, 2)


@pytest.fixture(scope="module")
def simulation():
    return build(emit(CORE, MODEL), Harness())


@pytest.fixture(scope="module")
def deep():
    return build(emit(DEEP_CORE, DEEP), Harness(optimised=False))


class Interrupted(Harness):
    """Begins a job, cuts it off by rst, and plays it from its start."""

    def __init__(self, cycles: int) -> None:
        self.arguments = (0, 1 << 40, cycles)


def test_of_all_addresses_only_those_of_registers_answer(simulation):
    """A frame now and then shows that the core lives."""
    frame = random_frames(MODEL, 1)
    for start in range(0, 1 << ADDRESS_WIDTH, 256):
        probed = [a for a in range(start, start + 256, 4) if a not in ADDRESS.values()]
        job = Job()
        for address in probed:
            job.read(address).write(address, 1)
        for name in ADDRESS:
            job.read(ADDRESS[name])
        replies = play(simulation, CORE, job.frames(frame)).replies
        assert set(replies[: 2 * len(probed), 0].tolist()) == {SLVERR}
        assert set(replies[2 * len(probed) :, 0].tolist()) == {OKAY}


@pytest.mark.parametrize("name", ["THETA_X_0", "THETA_H_0"])
def test_each_bit_of_a_threshold(simulation, name):
    other = {"THETA_X_0": "THETA_H_0", "THETA_H_0": "THETA_X_0"}[name]
    job = Job()
    for bit in range(32):
        job.write(ADDRESS[name], 1 << bit).read(ADDRESS[name]).read(ADDRESS[other])
    replies = play(simulation, CORE, job.frames(random_frames(MODEL, 1))).replies
    assert set(replies[:, 0].tolist()) == {OKAY}
    found = replies[:, 1].reshape(32, 3)
    assert found[:, 1].tolist() == [min(1 << bit, 255) for bit in range(32)]
    assert len(set(found[:, 2].tolist())) == 1


def test_rst_at_any_time_starts_over(simulation):
    """Whatever is under way, the record behind it is that of a core that was just switched on."""
    job = Job(0.2, 0.2, seed=2).read(ADDRESS["FRAMES"]).frames(random_frames(MODEL, 3))
    for name in ("THETA_X_0", "THETA_H_0"):
        job.write(ADDRESS[name], 9).read(ADDRESS[name])
    job.frames(random_frames(MODEL, 8, moving=0.3)[:, :1]).reset().frames(random_frames(MODEL, 5))
    for name in ADDRESS:
        job.settle().read(ADDRESS[name])
    expected = play(simulation, CORE, job)
    last = int(expected.finishes[-1])
    for cycles in [*range(1, 40, 3), *range(40, last, 23)]:
        found = play(replace(simulation, simulator=Interrupted(cycles)), CORE, job)
        for table in fields(expected):
            here, there = getattr(found, table.name), getattr(expected, table.name)
            same = all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))
            assert same, f"{table.name}, rst after {cycles} cycles"


@pytest.mark.slow
def test_rst_at_any_time_of_an_early_walk_starts_over(deep):
    job = Job().frames(random_frames(DEEP, 5)).settle()
    expected = play(deep, DEEP_CORE, job)
    right = trace_of(expected, DEEP_CORE)
    first, last = int(expected.first_beats[0]), int(expected.finishes[-1])
    for cycles in range(first + 1, last, 5):
        found = play(replace(deep, simulator=Interrupted(cycles)), DEEP_CORE, job)
        assert first_mismatch(right, trace_of(found, DEEP_CORE)) is None, cycles
        assert np.array_equal(found.finishes, expected.finishes), cycles


@pytest.mark.slow
def test_a_state_reset_asked_for_at_any_time_comes_between_two_frames(deep):
    """The later it is asked for, the later; frames stream on, and x of some is walked early."""
    frames = random_frames(DEEP, 8, moving=0.6)
    possible = []
    for border in range(len(frames) + 1):
        network = DeltaNetwork(DEEP)
        before = network.run(frames[:border])
        network.reset()
        possible.append(Trace.joined([before, network.run(frames[border:])]))
    borders = []
    for cycles in range(1, 200, 5):
        job = Job().frames(frames).wait(cycles).write_at_once(CONTROL, 1 << CONTROL_RESET_STATE)
        found = trace_of(play(deep, DEEP_CORE, job.settle()), DEEP_CORE)
        equal = [n for n, right in enumerate(possible) if first_mismatch(right, found) is None]
        assert len(equal) == 1, cycles
        borders += equal
    assert borders == sorted(borders)
    assert len(set(borders)) >= 5


def test_counters_count_thousands(simulation):
    """Past their lower halves, what golden counts; and a cycle for each one with a frame in it."""
    frames = random_frames(MODEL, 3000)
    names = ["FRAMES", "EVENTS_X_0", "EVENTS_H_0", "CYCLES_LO", "CYCLES_HI"]
    job = Job().frames(frames).settle()
    for name in names:
        job.read(ADDRESS[name])
    record = play(simulation, CORE, job)
    trace = DeltaNetwork(MODEL).run(frames)
    expected = [3000, trace.events_x.sum(), trace.events_h.sum()]
    *found, cycles, high = record.replies[:, 1].tolist()
    assert found == expected
    assert high == 0
    # Frames back to back: from the first one to the last, but for some cycles at both ends.
    assert cycles > 1 << 16
    assert abs(cycles - (record.finishes[-1] - record.first_beats[0])) < 40
