"""A core that trains, as Verilog: what it does and learns equals golden, on both simulators.

Several sequences one after another, labelled or with errors of the host, at full speed, with gaps
and with back-pressure. All masters are read back after some of them.
"""

import sys
from dataclasses import dataclass, field

import numpy as np
import pytest

from boards.family.targets import TARGETS
from golden.fixed import Q
from golden.formats import Formats
from golden.learn.formats import LearningFormats
from golden.learn.masters import widened
from golden.learn.sequence import LearningNetwork, Settings
from golden.learn.tape import TapeSize
from golden.learn.training import Training
from golden.parameters import CoreParameters
from hw.bus.registers import (
    register_map,
)
from hw.emit.verilog import emit
from hw.learn.layout import LearningLayout
from sim.build import build
from sim.fast.harness import Harness
from sim.lessons import Course, Lesson
from sim.run import Job, play
from sim.simulators import SIMULATORS
from tests.networks import LEARNING, random_frames, random_model
from tests.slow import quick

FRAMES = 8
GRU, LSTM = ("gru",), ("lstm",)


@dataclass(frozen=True)
class Configuration:
    sizes: tuple[int, ...]
    outputs: int
    lanes: int
    activations: int = 1
    kinds: tuple[str, ...] = GRU
    theta: tuple[int, int] = (1, 1)
    formats: Formats = field(default_factory=Formats)
    learning: LearningFormats = field(default_factory=LearningFormats)
    moving: float = 0.6
    target: str = "generic"


BOTH = ("lstm", "gru")
Q2_5 = Formats(activation=Q(2, 5), state=Q(1, 10))
CONFIGURATIONS = {
    "one unit": Configuration((1, 1), 1, 1),
    "odd sizes": Configuration((5, 7), 3, 3),
    "one lane": Configuration((3, 5), 2, 1),
    "lanes above H": Configuration((4, 6), 3, 8, 4),
    "H a multiple of P": Configuration((3, 8), 2, 4, 2, theta=(0, 0)),
    "an LSTM": Configuration((4, 6), 3, 4, kinds=LSTM),
    "an LSTM, one unit": Configuration((1, 1), 2, 2, 2, LSTM),
    "an LSTM, four units a cycle": Configuration((5, 9), 4, 8, 4, LSTM, (3, 0)),
    "both kinds": Configuration((3, 5, 4), 2, 2, kinds=BOTH),
    "two GRUs": Configuration((2, 7, 3), 4, 4, 2, theta=(0, 2)),
    "two LSTMs, a wide read-out": Configuration((2, 3, 4), 11, 3, kinds=LSTM),
    "three layers": Configuration((3, 4, 5, 2), 3, 4, 1, ("gru", "lstm", "gru")),
    "thresholds above everything": Configuration((5, 6), 2, 4, theta=(255, 1 << 40)),
    "hardly anything moves": Configuration((6, 8), 3, 4, theta=(3, 3), moving=0.05),
    "Q2.5": Configuration((4, 5), 2, 2, formats=Q2_5),
    "coarse learning": Configuration((3, 4, 3), 2, 2, kinds=BOTH, learning=LEARNING["narrow"]),
    "fine learning": Configuration((4, 5), 3, 4, learning=LEARNING["wide"]),
    "ecp5, two units a cycle": Configuration((4, 9), 4, 6, 2, target="ecp5"),
    "ecp5, both kinds": Configuration((3, 6, 5), 3, 4, 1, BOTH, (2, 0), target="ecp5"),
    "ecp5, stages": Configuration((2, 13, 5), 6, 12, 4, LSTM, (1, 3), target="ecp5"),
}
ON_ICARUS = ("both kinds", "ecp5, two units a cycle")


def course_of(configuration, seed=1, count=7):
    """A course of ``count`` lessons, of which golden has learned, and its core."""
    c, rng = configuration, np.random.default_rng(seed)
    model = random_model(
        c.sizes, c.outputs, kinds=c.kinds, theta=c.theta, formats=c.formats, scale=30
    )
    model = widened(model)
    training = Training(TapeSize.of(model.parameters.layers, FRAMES), c.learning)
    core = CoreParameters(model.parameters, c.lanes, c.activations, training=training)
    golden = LearningNetwork.of(model, c.learning, training.tape)
    course, q = Course(core, golden, Job(seed=seed)), c.learning.error
    for n in range(count):
        length = FRAMES + 1 if n == 4 else int(rng.integers(1, FRAMES + 1))
        frames = random_frames(model, length, seed=seed + n, moving=c.moving)
        known = int(rng.integers(1, c.outputs + 1))
        rate, cost = int(rng.choice([8, 6, 3, 0])), int(rng.choice([0, 64]))
        settings = Settings(rate, known, cost, readout_only=n in (3, 5))
        label = known if n == 2 else int(rng.integers(known))
        said = rng.integers(q.min, q.max + 1, c.outputs) if n % 3 == 1 else label
        course.lesson(Lesson(frames, settings, said))
    course.look()
    return model, core, course


def check(configuration, simulator, paces, seed=1):
    model, core, course = course_of(configuration, seed)
    target = TARGETS[configuration.target]
    simulation = build(emit(core, model, target.target), simulator, models=target.cells.models())
    course.end()
    for course.job.gaps, course.job.pauses in paces:
        assert course.difference(play(simulation, core, course.job)) == ""


@pytest.mark.parametrize("name", quick({n: n for n in CONFIGURATIONS}, ("both kinds",)))
def test_equals_golden_on_verilator(name):
    check(CONFIGURATIONS[name], Harness(optimised=False), ((0, 0), (0.3, 0), (0, 0.5), (0.4, 0.4)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_ICARUS)
def test_equals_golden_on_icarus(name):
    check(CONFIGURATIONS[name], SIMULATORS["icarus"], ((0.3, 0.3),))


def drawn(seed):
    """Any configuration, and the seed of its course."""
    rng = np.random.default_rng(seed)

    def some(low, high):
        return int(rng.integers(low, high + 1))

    kinds = tuple(rng.choice(["gru", "lstm"], some(1, 3)).tolist())
    sizes = tuple(some(1, 12) for _ in range(len(kinds) + 1))
    activations = int(rng.choice([1, 2, 4]))
    lanes = activations * some(1, max(1, 16 // activations))
    theta = [(some(0, 6), some(0, 6)) for _ in range(len(kinds) + 1)]
    return Configuration(
        sizes,
        some(1, 12),
        lanes,
        activations,
        kinds,
        theta,
        Q2_5 if rng.random() < 0.3 else Formats(),
        rng.choice([LearningFormats(), *LEARNING.values()]),
        float(rng.choice([0.05, 0.3, 0.9])),
        str(rng.choice(["generic", "ecp5"])),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_any_core_learns_as_golden(seed):
    """A few of them; ``python -m tests.test_sim_training FIRST COUNT`` goes on."""
    check(drawn(seed), Harness(optimised=False), ((0.3, 0.4),), seed)


def test_what_a_host_may_do_wrong():
    """Values out of range, words in part, errors that nobody ends, RECORD taken back at once."""
    model, core, course = course_of(Configuration((2, 3), 2, 3), count=0)
    address = {r.name: r.address for r in register_map(core.network, trains=True)}
    job, network, layout = course.job, course.network, LearningLayout(core)
    settings, frames = Settings(8, 2), random_frames(model, 5)
    begin, expected = layout.master_words(network.masters), {}

    def write(name, value, strobe=0b1111):
        job.write(address[name], value % (1 << 32), strobe)
        course.passed()

    def reads(name, value):
        expected[course.passed()] = value % (1 << 32)
        job.read(address[name])

    job.wait(200)
    write("TRAIN", 1)
    for name, value, found in (
        ("RATE", 300, 8),
        ("KNOWN", 0, 1),
        ("KNOWN", 9, 2),
        ("LAMBDA", 0, 0),
    ):
        write(name, value)
        reads(name, found)
    last = (layout.words - 1) << 10 | 2
    write("MASTER_INDEX", 0xFFFFFFFF)
    reads("MASTER_INDEX", last)
    for value, strobe, found in (
        (40000, 0b1111, 32767),
        (-40000, 0b1111, -32768),
        (5, 0b0001, -32768),
        (5, 0b0110, -32768),
        (int(begin[-1, -1]), 0b1111, int(begin[-1, -1])),
    ):
        write("MASTER_INDEX", last)
        write("MASTER", value, strobe)
        write("MASTER_INDEX", last)
        reads("MASTER", found)
    # Errors that nobody ends, and a reset behind them.
    write("ERROR", 77)
    job.reset()
    job.frames(frames)
    write("LABEL", 1, 0b0001)
    write("ERROR", 1, 0b0011)
    write("ERROR", 40000)
    write("ERROR", -40000)
    write("TRAIN", 0)
    q = core.training.learning.error
    network.learn(frames, settings, np.array([q.max, q.min]))
    job.wait(20000)
    reads("SEQUENCES", 1)
    course.look()
    record = play(build(emit(core, model), Harness(optimised=False)), core, job)
    found = {n: int(record.replies[n, 1]) for n in expected}
    assert found == expected
    assert not record.replies[:, 0].any()
    course.masters(record)


if __name__ == "__main__":
    for nth in range(int(sys.argv[1]), int(sys.argv[1]) + int(sys.argv[2])):
        print(nth, drawn(nth), flush=True)
        check(drawn(nth), Harness(optimised=False), ((0, 0), (0.3, 0.4)), nth)
