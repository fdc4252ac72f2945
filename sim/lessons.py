"""What a core that trains is taught in a simulation, and what golden says that it does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from golden.errors import refusal
from golden.fixed import Integers
from golden.learn.masters import Masters
from golden.learn.sequence import LearningNetwork, Settings
from golden.learn.trace import Trace as Learned
from golden.model import Model
from golden.network import DeltaNetwork, Trace
from golden.parameters import CoreParameters
from hw.bus.registers import (
    STATUS_LABEL_UNKNOWN,
    STATUS_SATURATED,
    STATUS_TAPE_FULL,
    TRAIN_READOUT_ONLY,
    TRAIN_RECORD,
    WORD,
    register_map,
)
from hw.emit.verilog import Emission
from hw.learn.layout import LearningLayout
from sim.build import build, require_waves
from sim.compare import compared_words, first_mismatch
from sim.job import Job
from sim.run import Record, play, trace_of
from sim.simulator import Simulator

FULL = ("tape full", "too many frames")  # both are the flag TAPE_FULL
COUNTERS = ("CYCLES_LO", "LEARNING_LO")


@dataclass(frozen=True)
class Lesson:
    """A sequence, and what is said of it.

    Attributes
    ----------
    frames : int [T, I]
        In activation LSBs.
    settings
        Registers, while it is learned.
    said
        Its label, or the errors e [O] of the means of its results.
    """

    frames: Integers
    settings: Settings
    said: int | Integers


class Course:
    """Lessons one after another: steps of a job, and what golden learns from them.

    Parameters
    ----------
    core : CoreParameters
        One that trains.
    network : LearningNetwork
        What the core has, masters at power-up and thresholds as soon as they are written. It
        learns with it.
    job : Job
        To which steps are added. Those of the thresholds are, at once.
    """

    def __init__(self, core: CoreParameters, network: LearningNetwork, job: Job) -> None:
        self._core, self.network, self.job = core, network, job
        self._layout = LearningLayout(core)
        registers = register_map(core.network, trains=True)
        self._address = {register.name: register.address for register in registers}
        self._replies, self._traces = 0, []
        self._held: list[tuple[int, Integers]] = []  # replies with masters, and what they are
        self._counts: list[int] = []  # replies with counters
        self._ends: dict[str, tuple[int, int]] = {}  # replies at the end, and what they are
        self._learned: list[Learned] = []
        for k, layer in enumerate(network.layers):
            # Greater thresholds act as the greatest that a register holds.
            self._write(f"THETA_X_{k}", min(layer.theta_x, WORD))
            if layer.theta_h is not None:
                self._write(f"THETA_H_{k}", min(layer.theta_h, WORD))

    def _write(self, name: str, value: int) -> None:
        self.job.write(self._address[name], value)
        self.passed()

    def passed(self) -> int:
        """To be called where somebody else adds an access to the job: which of all replies it
        gets."""
        self._replies += 1
        return self._replies - 1

    def load(self) -> None:
        """Writes the network's masters into the core, before its first frame."""
        self._write("MASTER_INDEX", 0)
        for master in self._layout.master_words(self.network.masters).ravel().tolist():
            self._write("MASTER", master % (1 << 32))

    def lesson(self, lesson: Lesson) -> Learned:
        """Teaches one; what golden makes of it."""
        settings = lesson.settings
        train = 1 << TRAIN_RECORD | settings.readout_only << TRAIN_READOUT_ONLY
        self._write("TRAIN", train)
        self._write("RATE", settings.rate)
        self._write("KNOWN", settings.known)
        self._write("LAMBDA", settings.cost)
        self.job.frames(lesson.frames)
        if isinstance(lesson.said, int):
            self._write("LABEL", lesson.said)
        else:
            for e in lesson.said.tolist():
                self._write("ERROR", e % (1 << 32))
        inference = DeltaNetwork(self.network.model("before")).run(lesson.frames)
        learned = self.network.learn(lesson.frames, settings, lesson.said)
        self._learned.append(learned)
        deltas_x = tuple(tape.x for tape in learned.tapes)
        deltas_h = tuple(tape.h for tape in learned.tapes[:-1])
        self._traces.append(replace(inference, deltas_x=deltas_x, deltas_h=deltas_h))
        return learned

    def look(self) -> None:
        """Reads all masters, when the last lesson is over."""
        job, layout, core = self.job, self._layout, self._core
        frames = len(self._traces[-1].outputs) if self._traces else 0
        job.wait(frames * (4 * core.dense_cycles + 400) + 2000)
        self._write("MASTER_INDEX", 0)
        self._held.append((self._replies, layout.master_words(self.network.masters)))
        for _ in range(layout.words * core.lanes):
            job.read(self._address["MASTER"])
        self._replies += layout.words * core.lanes

    def count(self) -> None:
        """Reads the cycles so far."""
        for name in COUNTERS:
            self.job.read(self._address[name])
            self._counts.append(self.passed())

    def cycles(self, record: Record) -> tuple[int, int]:
        """Those of frames, and those of learning, when they were counted last."""
        forward, back = record.replies[self._counts[-len(COUNTERS) :], 1].tolist()
        return forward, back

    @property
    def trace(self) -> Trace:
        """What all frames so far do, constant columns included."""
        return Trace.joined(self._traces)

    def end(self) -> None:
        """Reads what became of the lessons, when the last one is over."""
        learned = self._learned
        flags = {
            STATUS_TAPE_FULL: any(each.dropped in FULL for each in learned),
            STATUS_LABEL_UNKNOWN: any(each.dropped == "unknown label" for each in learned),
            STATUS_SATURATED: any(each.saturated for each in learned),
        }
        values = {
            "STATUS": sum(is_so << bit for bit, is_so in flags.items()),
            "SEQUENCES": sum(not each.dropped for each in learned),
            "DECIDED": learned[-1].verdict.decided,
        }
        for name, value in values.items():
            self.job.read(self._address[name])
            self._ends[name] = self.passed(), value

    def difference(self, record: Record) -> str:
        """The first thing in which a record is not golden's; empty where there is none."""
        different = first_mismatch(self.trace, trace_of(record, self._core))
        if different is not None:
            return str(different)
        for name, (reply, expected) in self._ends.items():
            if (found := int(record.replies[reply, 1])) != expected:
                return f"{name}: {found:#x}, golden has {expected:#x}"
        try:
            self.masters(record)
        except RuntimeError as error:
            return str(error)
        return ""

    def masters(self, record: Record) -> list[tuple[Masters, ...]]:
        """The masters that were looked at. RuntimeError where they are not golden's."""
        found = []
        for nth, (first, expected) in enumerate(self._held):
            replies = record.replies[first : first + expected.size]
            if replies[:, 0].any():
                raise RuntimeError(str(refusal(f"look {nth}", "SLVERR", "masters")))
            width = self._layout.training.learning.master
            words = (replies[:, 1] << (64 - width) >> (64 - width)).reshape(expected.shape)
            wrong = np.argwhere(words != expected)
            if len(wrong):
                word, lane = wrong[0].tolist()
                where = f"look {nth}, master word {word}, lane {lane} ({len(wrong)} differ)"
                here = int(words[word, lane]), int(expected[word, lane])
                raise RuntimeError(str(refusal(where, here[0], str(here[1]))))
            found.append(self._layout.masters(words))
        return found


@dataclass(frozen=True)
class Taught:
    """What became of lessons in a simulation.

    Attributes
    ----------
    found, expected
        What all frames did, and what they do in golden.
    lessons, learned
        What was taught, and what golden makes of each.
    mismatch
        The first thing in which the RTL differs: what its frames did, what became of the lessons,
        its masters at the end. Empty where nothing does.
    forward, back
        Cycles of all frames, and of learning.
    masters
        How many there are.
    """

    core: CoreParameters
    simulator: str
    found: Trace
    expected: Trace
    lessons: Sequence[Lesson]
    learned: tuple[Learned, ...]
    mismatch: str
    forward: int
    back: int
    masters: int

    def report(self) -> dict[str, Any]:
        """The figures, ready for JSON; ``mismatch`` is None where every bit is equal."""
        core, frames = self.core, len(self.expected.outputs)
        mistaken = [
            each.verdict.decided != lesson.said
            for each, lesson in zip(self.learned, self.lessons, strict=True)
        ]
        return {
            "equal": not self.mismatch,
            "mismatch": self.mismatch or None,
            "words_compared": compared_words(self.expected),
            "masters_compared": self.masters,
            "simulator": self.simulator,
            "lanes": core.lanes,
            "sequences": len(self.learned),
            "dropped": sum(bool(each.dropped) for each in self.learned),
            "saturated": sum(each.saturated for each in self.learned),
            "wrong": sum(mistaken) / len(mistaken),
            "frames": frames,
            "layers": [
                {
                    "kind": layer.kind,
                    "events_x": int(self.found.events_x[:, k].sum()),
                    "events_h": int(self.found.events_h[:, k].sum()),
                    "columns": (layer.columns + sum(layer.constants)) * frames,
                }
                for k, layer in enumerate(core.network.layers)
            ],
            "cycles_per_frame": self.forward / frames,
            "learning_cycles_per_frame": self.back / frames,
        }


def teach(
    core: CoreParameters,
    model: Model,
    lessons: Sequence[Lesson],
    simulator: Simulator,
    *,
    emission: Emission,
    models: str = "",
    waves: Path | None = None,
) -> Taught:
    """Teaches lessons one after another at full speed; the rest is as sim.simulate.simulate has it.

    Raises as that does.
    """
    if waves is not None:
        require_waves(simulator, waves)
    assert core.training is not None
    suffix = waves.suffix if waves is not None else ""
    simulation = build(emission, simulator, models=models, waves=suffix)
    network = LearningNetwork.of(model, core.training.learning, core.training.tape)
    course = Course(core, network, Job())
    learned = tuple(course.lesson(lesson) for lesson in lessons)
    course.look()
    course.count()
    course.end()
    record = play(simulation, core, course.job, waves)
    found, mismatch = trace_of(record, core), course.difference(record)
    size = sum(m.x.size + m.h.size for m in network.masters)
    forward, back = course.cycles(record)
    return Taught(
        core,
        simulator.name,
        found,
        course.trace,
        lessons,
        learned,
        mismatch,
        forward,
        back,
        size,
    )
