"""What a core that trains is taught in a simulation, and what golden says that it does."""

from dataclasses import dataclass, replace

import numpy as np

from golden.errors import refusal
from golden.fixed import Integers
from golden.learn.masters import Masters
from golden.learn.sequence import LearningNetwork, Settings
from golden.learn.trace import Trace as Learned
from golden.network import DeltaNetwork, Trace
from golden.parameters import CoreParameters
from hw.bus.registers import TRAIN_READOUT_ONLY, TRAIN_RECORD, register_map
from hw.learn.layout import LearningLayout
from sim.job import Job
from sim.run import Record


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
        for k, layer in enumerate(network.layers):
            self._write(f"THETA_X_{k}", layer.theta_x)
            if layer.theta_h is not None:
                self._write(f"THETA_H_{k}", layer.theta_h)

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

    @property
    def trace(self) -> Trace:
        """What all frames so far do, constant columns included."""
        return Trace.joined(self._traces)

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
