"""Plays the trials on a mutated netlist and says what, if anything, gives a mutant away."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from deltarnn.evidence.mutants.netlist import Mutation, mutated
from deltarnn.evidence.mutants.trials import LATE_COUNTERS, Subject, Trial
from golden.network import Trace
from hw.emit.verilog import Emission
from sim.build import build
from sim.compare import first_mismatch
from sim.fast.harness import Harness
from sim.replay import replay
from sim.run import Record, play, trace_of
from sim.simulator import Simulation

_TIMES = ("finishes", "first_beats", "state_cycles", "writes")  # of a record


class Sign(StrEnum):
    """What gives a mutant away, that which a user sees first."""

    HANG = "hang"
    STREAM = "stream rule"
    OUTPUTS = "outputs"
    REGISTERS = "registers"
    STATES = "states"
    EVENTS = "events"
    CYCLES = "cycles"


@dataclass(frozen=True)
class Verdict:
    """The first trial in which a mutant differs, how, and what differs."""

    trial: str
    sign: Sign
    what: str


class _Mutated(Harness):
    """The harness with one of the mutations active."""

    def __init__(self, number: int, max_cycles: int, reset_after: int) -> None:
        self.arguments = (number, max_cycles, reset_after)


class Judge:
    """A built netlist with mutations, and what it does without any.

    Raises RuntimeError where the netlist without a mutation is not golden's equal in all trials.
    """

    def __init__(
        self, subject: Subject, emission: Emission, mutations: list[Mutation], trials: list[Trial]
    ) -> None:
        self._subject, self._trials = subject, trials
        self._simulations = {
            late: build(replace(emission, verilog=verilog), Harness())
            for late, verilog in (
                (False, mutated(emission.verilog, mutations)),
                (True, mutated(emission.verilog, mutations, LATE_COUNTERS)),
            )
        }
        self.records = [self._play(0, trial, 1 << 30) for trial in trials]
        for trial, record in zip(trials, self.records, strict=True):
            if (wrong := self._unequal(trial, record, trace_of(record, subject.core))) is not None:
                raise RuntimeError(f"without a mutation, {trial.name}: {wrong}")
            for n, (right, found) in enumerate(zip(trial.replies, record.replies, strict=False)):
                if right not in (None, found[1]):
                    said = f"reply {n}: found {found[1]}, expected {right}"
                    raise RuntimeError(f"without a mutation, {trial.name}: {said}")

    @property
    def cycles(self) -> dict[str, int]:
        """In which cycle the last frame of each trial is finished, where there is no mutation."""
        return {
            trial.name: int(record.finishes[-1])
            for trial, record in zip(self._trials, self.records, strict=True)
        }

    def verdict(self, number: int) -> Verdict | None:
        """What gives mutation ``number`` away, if anything; cycles only where no bit does."""
        slower: Verdict | None = None
        for trial, right in zip(self._trials, self.records, strict=True):
            limit = 3 * int(max(right.finishes, default=0)) + 20_000
            try:
                record = self._play(number, trial, limit)
            except RuntimeError as error:
                return Verdict(trial.name, *_failure(str(error)))
            found = self._differs(trial, right, record)
            if found is None:
                continue
            if found.sign is not Sign.CYCLES:
                return found
            if slower is None or "instead" not in slower.what:
                slower = found
        return slower

    def _play(self, number: int, trial: Trial, max_cycles: int) -> Record:
        simulator = _Mutated(number, max_cycles, trial.reset_after)
        simulation: Simulation = replace(self._simulations[trial.late], simulator=simulator)
        return play(simulation, self._subject.core, trial.job)

    def _unequal(self, trial: Trial, record: Record, found: Trace) -> str | None:
        """The first bit that is not golden's."""
        core, model = self._subject.core, self._subject.model
        expected = trial.expected
        if expected is None:
            expected = replay(core, model, trial.job, record)
        mismatch = first_mismatch(expected, found)
        return None if mismatch is None else str(mismatch)

    def _differs(self, trial: Trial, right: Record, record: Record) -> Verdict | None:
        if len(record.outputs) != len(right.outputs):
            what = f"{len(record.outputs)} frames of {len(right.outputs)}"
            return Verdict(trial.name, Sign.OUTPUTS, what)
        try:
            found = trace_of(record, self._subject.core)
            wrong = self._unequal(trial, record, found)
        except (RuntimeError, ValueError, IndexError) as error:
            return Verdict(trial.name, _sign_of(str(error)), str(error))
        if trial.expected is not None and not np.array_equal(found.outputs, trial.expected.outputs):
            return Verdict(trial.name, Sign.OUTPUTS, str(wrong))
        if wrong is not None:
            return Verdict(trial.name, _sign_of(wrong), wrong)
        slower = [
            name
            for name in _TIMES
            if not np.array_equal(getattr(record, name), getattr(right, name))
        ]
        if not np.array_equal(record.replies, right.replies) and not (trial.timed and slower):
            n = int(np.flatnonzero((record.replies != right.replies).any(axis=1))[0])
            return Verdict(trial.name, Sign.REGISTERS, f"reply {n}")
        if "finishes" in slower and record.finishes[-1] != right.finishes[-1]:
            found, expected = int(record.finishes[-1]), int(right.finishes[-1])
            return Verdict(trial.name, Sign.CYCLES, f"{found} instead of {expected}")
        if slower:
            return Verdict(trial.name, Sign.CYCLES, ", ".join(slower))
        return None


def _failure(text: str) -> tuple[Sign, str]:
    """What the harness complains of."""
    line = text.splitlines()[0]
    if "changed while it waited" in line:
        return Sign.STREAM, line
    if any(words in line for words in ("stands still", "is not over")):
        return Sign.HANG, line
    return Sign.OUTPUTS, line  # too many results, of another size, in parts


def _sign_of(text: str) -> Sign:
    """Which of outputs, states and events a mismatch or a failed check speaks of."""
    if "output" in text or "results" in text:
        return Sign.OUTPUTS
    return Sign.STATES if "state" in text else Sign.EVENTS
