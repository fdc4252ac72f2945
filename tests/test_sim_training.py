"""A core that trains, as Verilog: events, states, results, masters equal golden's on both simulators.

Several sequences one after another, labelled or with errors of the host, at full speed, with gaps
and with back-pressure. All masters are read back after some of them.
"""

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
    STATUS,
    STATUS_LABEL_UNKNOWN,
    STATUS_SATURATED,
    STATUS_TAPE_FULL,
    register_map,
)
from hw.emit.verilog import emit
from sim.build import build
from sim.compare import first_mismatch
from sim.lessons import Course, Lesson
from sim.run import Job, play, trace_of
from sim.simulators import SIMULATORS
from tests.networks import random_frames, random_model

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


CONFIGURATIONS = {
    "one unit": Configuration((1, 1), 1, 1),
    "odd sizes": Configuration((5, 7), 3, 3),
    "ecp5, two units a cycle": Configuration((4, 9), 4, 6, 2, target="ecp5"),
    "ecp5, both kinds": Configuration((3, 6, 5), 3, 4, 1, ("lstm", "gru"), (2, 0), target="ecp5"),
}


def course_of(configuration, seed=1, count=6):
    """A course of ``count`` lessons, of which golden has learned; its core, and how they ended."""
    c, rng = configuration, np.random.default_rng(seed)
    model = random_model(
        c.sizes, c.outputs, kinds=c.kinds, theta=c.theta, formats=c.formats, scale=30
    )
    model = widened(model)
    training = Training(TapeSize.whole(model.parameters.layers, FRAMES), c.learning)
    core = CoreParameters(model.parameters, c.lanes, c.activations, training=training)
    golden = LearningNetwork.of(model, c.learning, training.tape)
    course, q = Course(core, golden, Job(seed=seed)), c.learning.error
    ended = []
    for n in range(count):
        length = FRAMES + 1 if n == 4 else int(rng.integers(1, FRAMES + 1))
        frames = random_frames(model, length, seed=seed + n, moving=c.moving)
        known = int(rng.integers(1, c.outputs + 1))
        settings = Settings(int(rng.choice([8, 6, 3])), known, int(rng.choice([0, 64])))
        label = known if n == 2 else int(rng.integers(known))
        said = rng.integers(q.min, q.max + 1, c.outputs) if n % 3 == 1 else label
        ended.append(course.lesson(Lesson(frames, settings, said)))
        if n in (0, count - 1):
            course.look()
    return model, core, course, ended


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_equals_golden(name, simulator):
    configuration = CONFIGURATIONS[name]
    model, core, course, ended = course_of(configuration)
    target = TARGETS[configuration.target]
    emission = emit(core, model, target.target)
    simulation = build(emission, SIMULATORS[simulator], models=target.cells.models())
    address = {
        register.name: register.address for register in register_map(core.network, trains=True)
    }
    job = course.job.read(STATUS).read(address["SEQUENCES"]).read(address["DECIDED"])
    for gaps, pauses in ((0, 0), (0.3, 0), (0, 0.5), (0.4, 0.4)):
        job.gaps, job.pauses = gaps, pauses
        record = play(simulation, core, job)
        assert first_mismatch(course.trace, trace_of(record, core)) is None
        course.masters(record)
        status, sequences, decided = record.replies[-3:, 1].tolist()
        reasons = [learned.dropped for learned in ended]
        assert sequences == reasons.count("")
        assert decided == ended[-1].verdict.decided
        assert status >> STATUS_TAPE_FULL & 1 == ("tape full" in reasons)
        assert status >> STATUS_LABEL_UNKNOWN & 1 == ("unknown label" in reasons)
        assert status >> STATUS_SATURATED & 1 == any(learned.saturated for learned in ended)
