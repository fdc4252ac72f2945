"""Tries one random case after another: what is accepted must equal golden in every bit."""

import itertools
import json
import os
import shutil
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from boards.family.targets import TARGETS
from deltarnn.evidence.case import Case
from deltarnn.evidence.journal import Journal, made_by
from deltarnn.evidence.space import cases
from golden.errors import refusal
from golden.files import unreadable, written_aside
from golden.model import Model
from golden.model_file import load_model, save_model
from sim.build import build, cache_folder
from sim.compare import compared_words, first_mismatch_of
from sim.fast.harness import Harness
from sim.replay import replay
from sim.run import play, traces_of
from sim.simulator import Simulator
from sim.simulators import SIMULATORS

# A core is played once, so it is not worth a compiler's while to make it quick.
QUICK = Harness(optimised=False)
ICARUS_EVERY, ICARUS_CYCLES = 10, 6000  # Icarus plays every tenth case, if it is a short one
CASE_BYTES_MAX = 1 << 20
BATCH = 25  # cases; hypothesis begins each batch with the simplest one of all
_SUMS = ("equal", "refused", "icarus", "frames", "words", "events", "seconds")


@dataclass
class Tally:
    """What a soak has tried.

    Attributes
    ----------
    equal, refused, icarus
        Cases whose RTL equals golden; that were refused by name; that Icarus played as well.
    frames, words, events
        Of those that were equal: frames played, words compared, events among them.
    seconds
        What all of it took, of all processes together.
    refusals
        What was refused how often, by name.
    features
        Cases that were equal, by what is in them.
    failure
        The smallest case that failed, and what was said of it.
    """

    equal: int = 0
    refused: int = 0
    icarus: int = 0
    frames: int = 0
    words: int = 0
    events: int = 0
    seconds: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)
    failure: tuple[Case, str] | None = None

    @property
    def tried(self) -> int:
        return self.equal + self.refused

    def add(self, other: "Tally") -> None:
        """Adds what another process has tried."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refusals.update(other.refusals)
        self.features.update(other.features)
        self.failure = self.failure or other.failure

    @classmethod
    def parse(cls, record: dict[str, Any]) -> "Tally":
        """A tally from what ``as_json`` made of it."""
        numbers: dict[str, Any] = {name: record[name] for name in _SUMS}
        refusals, features = Counter(record["refusals"]), Counter(record["features"])
        return cls(**numbers, refusals=refusals, features=features)

    def as_json(self) -> dict[str, Any]:
        """All but the failure."""
        return {
            "tried": self.tried,
            **{name: getattr(self, name) for name in _SUMS},
            "refusals": dict(self.refusals.most_common()),
            "features": dict(sorted(self.features.items())),
        }


class RefusedError(Exception):
    """A case that may not be: what was said of it."""


def check(case: Case, tally: Tally) -> None:
    """Plays a case and holds every bit against golden.

    Adds to ``tally``. Raises RuntimeError where the RTL is wrong, and whatever else goes wrong:
    but a case that is refused, in one line and before anything is made, is no failure.
    """
    try:
        model, core, emission = _made(case)
    except RefusedError as refused:
        tally.refused += 1
        tally.refusals[_kind(str(refused))] += 1
        return
    played = case.played(model, emission.to_load)
    job = played.job
    players: list[Simulator] = [QUICK]
    while players:
        player = players.pop()
        models = TARGETS[case.target].cells.models()
        simulation = build(emission, player, models=models)
        try:
            record = play(simulation, core, job)
        finally:
            shutil.rmtree(simulation.folder)
        right = [
            replay(core, model, job, record, stream) if case.on_the_way else trace
            for stream, trace in enumerate(played.traces)
        ]
        mismatch = first_mismatch_of(right, traces_of(record, core))
        if mismatch is not None:
            raise RuntimeError(f"{player.name}: {mismatch}")
        replies = list(map(tuple, record.replies.tolist()))
        if replies != played.replies:
            raise RuntimeError(f"{player.name}: replies {replies}, expected {played.replies}")
        if player is QUICK:
            cycles = int(record.finishes[-1])
            if _drawn(case) and cycles < ICARUS_CYCLES:
                players.append(SIMULATORS["icarus"])
                tally.icarus += 1
    tally.equal += 1
    for trace in right:
        tally.frames += len(trace.outputs)
        tally.words += compared_words(trace)
        tally.events += int(trace.events_x.sum() + trace.events_h.sum())
    tally.features.update(_features(case))


def soak(
    first_seed: int,
    hours: float,
    jobs: int,
    say: Callable[[Tally], None],
    most: int | None = None,
    journal: Journal | None = None,
) -> Tally:
    """Tries cases until time is up, about ``most`` are tried or one fails.

    ``jobs`` processes work side by side; ``say`` hears of what has been tried now and then. The
    same seed gives the same cases. Simulations are built in a folder that is gone at the end. Where
    it is interrupted, what was tried until then is returned. Batches that ``journal`` holds count
    and are not tried again; those that end without a failure are added to it.
    """
    end = time.time() + 3600 * hours
    total = Tally()
    numbers = itertools.count(first_seed << 20)
    with (
        tempfile.TemporaryDirectory() as cache,
        ProcessPoolExecutor(jobs, initializer=_begin, initargs=(cache,)) as pool,
    ):
        running: dict[Future[Tally], tuple[int, int]] = {}
        planned = 0
        while True:
            wanted = total.failure is None and time.time() < end
            while wanted and len(running) < jobs and (most is None or planned < most):
                batch = next(numbers), BATCH if most is None else min(BATCH, most - planned)
                planned += batch[1]
                tried = journal and journal.tally(*batch)
                if tried:
                    total.add(Tally.parse(tried))
                else:
                    running[pool.submit(_batch, *batch, end)] = batch
            if not running:
                return total
            try:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
                return total
            for future in done:
                batch, tally = running.pop(future), future.result()
                total.add(tally)
                if journal and tally.failure is None and time.time() < end:
                    journal.add(*batch, tally.as_json())
            say(total)


def _begin(cache: str) -> None:
    # Each process has a folder of its own, since two may build the same core and delete it.
    os.environ["DELTARNN_CACHE"] = str(Path(cache) / str(os.getpid()))
    # Amaranth's, of components that a refusal leaves behind.
    warnings.filterwarnings("ignore", message=".* created but never used")


def _batch(number: int, size: int, end: float) -> Tally:
    """Tries some cases until ``end``; the smallest one that fails, and why, is in the tally."""
    tally = Tally()
    begin = time.monotonic()

    @seed(number)
    @settings(
        max_examples=size,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
        report_multiple_bugs=False,
    )
    @given(cases())
    def run(case: Case) -> None:
        if time.time() > end and tally.failure is None:
            return
        try:
            # What is tried while a case shrinks is no evidence.
            check(case, tally if tally.failure is None else Tally())
        except Exception as error:
            # The last one is the smallest. One that fails now and then is a failure, too.
            tally.failure = case, f"{type(error).__name__}: {error}"
            raise

    try:
        run()
    except Exception:
        if tally.failure is None:  # not a case's, but hypothesis' own
            raise
    tally.seconds = time.monotonic() - begin
    return tally


def _made(case: Case):
    """Model, core and Verilog as a user would get them; RefusedError where that is refused."""
    try:
        model = case.model()
        core = case.core(model)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "case.safetensors"
            save_model(model, file)
            _require_same(model, load_model(file))
        return model, core, case.emission(core, model, TARGETS[case.target].target)
    except ValueError as error:
        if ": found " not in str(error) or ", expected " not in str(error):
            raise
        raise RefusedError(str(error)) from None


def _require_same(model: Model, read: Model) -> None:
    same = model.parameters == read.parameters and all(
        np.array_equal(value, vars(b)[name])
        for a, b in zip(model.weights, read.weights, strict=True)
        for name, value in vars(a).items()
        if value is not None
    )
    if not same:
        raise RuntimeError("the model file gives another model than was written")


def _drawn(case: Case) -> bool:
    """One case in ``ICARUS_EVERY``, whatever is in it: hypothesis draws some seeds too often."""
    return zlib.crc32(json.dumps(case.as_json()).encode()) % ICARUS_EVERY == 0


def _kind(refused: str) -> str:
    """What was refused, without its numbers and the file that it was in."""
    name = refused.partition(": found ")[0].rpartition(": ")[2]
    return name.partition(" with ")[0]


def _features(case: Case) -> list[str]:
    steps = {step[0] for step in case.steps}
    return [
        f"{len(case.kinds)} recurrent layers",
        f"kinds: {' and '.join(sorted(set(case.kinds)))}",
        f"target {case.target}",
        f"{case.activations} units a cycle",
        "weights inside" if case.memory is None else "weights outside",
        f"{case.streams} streams",
        f"weights: {case.weights}",
        f"biases: {case.biases}",
        "read-out" if case.outputs else "no read-out",
        "row shifts" if any(case.shifts) else "no row shifts",
        "formats of its own" if case.formats else "default formats",
        *(f"step: {step}" for step in sorted(steps)),
    ]


def save_case(case: Case, reason: str, file: Path) -> None:
    """Writes a case so that ``load_case`` reads it."""
    text = json.dumps({"reason": reason, "case": case.as_json()}, indent=1) + "\n"
    with written_aside(file) as part:
        part.write_text(text)


def load_case(file: Path) -> Case:
    """Reads what ``save_case`` wrote; ValueError names the file where it is something else."""
    expected = "a case that deltarnn soak saved"
    reason = unreadable(file, CASE_BYTES_MAX)
    if reason is not None:
        raise refusal(str(file), reason, expected)
    try:
        return Case.parse(json.loads(file.read_text())["case"])
    except (ValueError, TypeError, KeyError):
        raise refusal(str(file), "something else", expected) from None


def measure(say: Callable[[str], None], share: float = 1.0) -> dict[str, Any]:
    """``share`` of 2,300 cases, of seed 1, some of which are refused.

    It goes on where an earlier one of the same sources was stopped.
    """
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    journal = Journal(cache / f"soak-{made_by()}.jsonl")

    def tell(tally: Tally) -> None:
        say(f"soak: {tally.equal} equal, {tally.refused} refused")

    jobs = 2
    tally = soak(1, 1000, jobs, tell, max(1, round(2300 * share)), journal)
    failure = tally.failure and {"case": tally.failure[0].as_json(), "reason": tally.failure[1]}
    seconds = round(tally.seconds / jobs)
    return tally.as_json() | {"seed": 1, "failure": failure, "seconds": seconds}


def short(result: dict[str, Any]) -> str | None:
    """What was wrong with the one case that failed, if one did."""
    return result["failure"] and result["failure"]["reason"]


def found(result: dict[str, Any]) -> str:
    """What was found, in a line."""
    wrong = "one was wrong" if result["failure"] else "none was wrong"
    return (
        f"{result['tried']:,} random models, cores and jobs: {result['equal']:,} equal in every "
        f"bit, {result['refused']:,} refused by name, {wrong}"
    )


def section(result: dict[str, Any]) -> str:
    """Says how many cases were tried, and of what kinds."""
    refused = ", ".join(f"{name} ({n})" for name, n in result["refusals"].items()) or "nothing"
    rows = "".join(f"| {name} | {n:,} |\n" for name, n in result["features"].items())
    failed = result["failure"]
    found = f"**One was wrong**: {failed['reason']}" if failed else "None was wrong."
    return f"""## The space of configurations

`deltarnn soak` draws random models, cores and jobs from everything that a model file and the
command accept, and a little beyond. A case has 1 to 6 recurrent layers of either kind, sizes from 1
to 40, formats, thresholds, row shifts and weight formats that differ by layer, weights and biases
at their limits, any lanes and units a cycle, 1 to 4 streams, and one of the three targets. Its
frames are of kinds that provoke: a plateau and one jump, one element that moves, oscillation around
a threshold, all at the ends, long stillness. Between and amid them come resets, loads, broken
frames and new thresholds, with gaps and back-pressure. Weights lie inside or outside the core, in
memories that wait. The RTL runs in Verilator, and every tenth
short case in Icarus as well. Each {BATCH}th case is the simplest of all.

With seed {result["seed"]}: {result["tried"]:,} cases. {result["equal"]:,} equal golden in every
bit, {result["icarus"]:,} of them in Icarus too, and {result["refused"]:,} were refused by name
before anything was made. The equal ones have {result["frames"]:,} frames, {result["words"]:,} words
and {result["events"]:,} events. {found}

Two faults of the past are among its named cases (`tests/test_evidence_soak.py`): an engine of two
recurrent layers and two units a cycle that hung, and a wrong state where GRU and LSTM share a
read-out narrower than an index. Played on the Verilog of the source before their fix (db63a64),
both fail as they did then.

Refused: {refused}.

| equal cases with | |
|---|---|
{rows}"""
