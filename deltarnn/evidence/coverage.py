"""Which signals of which file toggle, both ways, while the soak's kinds of jobs are played."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Fragment

from deltarnn.evidence.case import Case
from golden.model import Model
from golden.parameters import CoreParameters
from hw.core import Core
from hw.emit.enclosed import INSIDE
from hw.emit.verilog import TOP
from hw.target import GENERIC, Target
from sim.build import build
from sim.compare import first_mismatch
from sim.fast.harness import Harness
from sim.job import Job
from sim.run import play, trace_of
from sim.simulator import Simulation

_STEPS = (
    ("frames", "some move", 60),
    ("frames", "at the ends", 30),
    ("broken", 2),
    ("broken", 9),
    ("frames", "nothing for long", 60),
    ("threshold", 0, "x", 3),
    ("threshold", 1, "h", 0),
    ("frames", "around the threshold", 60),
    ("reset",),
    ("frames", "any", 200),
    ("counters",),
)
_GRU = Case(
    kinds=("gru", "gru"),
    sizes=(5, 9, 6),
    outputs=3,
    formats={},
    weight_fracs=(5, 6, 4),
    thetas=((1, 2), (3, 1), (2, 0)),
    shifts=(0, 0),
    weights="any",
    biases="small",
    lanes=4,
    activations=1,
    target="generic",
    gaps=0.3,
    pauses=0.3,
    seed=1,
    steps=_STEPS,
)
_CASES = {
    "two GRUs and a read-out": _GRU,
    "two LSTMs, two units a cycle, row shifts": replace(
        _GRU, kinds=("lstm", "lstm"), outputs=None, activations=2, shifts=(3, 1), seed=2
    ),
    "both kinds, fine formats": replace(
        _GRU,
        kinds=("lstm", "gru"),
        formats={"activation": (3, 7), "state": (1, 14), "gate": (1, 10), "preactivation": (3, 6)},
        seed=3,
    ),
    "both kinds, weights outside": replace(_GRU, kinds=("gru", "lstm"), memory=(3, 0.3), seed=4),
}


def measure(say: Callable[[str], None], share: float = 1.0) -> dict[str, Any]:
    """Toggle points and those covered, by file; ``share`` of the cores."""
    chosen = list(_CASES.items())[: max(1, round(len(_CASES) * share))]
    total: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    for name, case in chosen:
        say(f"coverage: {name}")
        model = case.model()
        core = case.core(model)
        files = module_files(core, model, case.target_of(GENERIC))
        if case.memory:  # which stands around the core, and has no file of hw/
            files[INSIDE] = files.pop(TOP)
        for module, hit in _points(case, model, core):
            if module in files:
                total[files[module]] += 1
                covered[files[module]] += hit
    files = {file: [covered[file], total[file]] for file in sorted(total)}
    return {"cores": [name for name, _ in chosen], "files": files}


def short(result: dict[str, Any]) -> str | None:
    """Files of which nothing toggles at all."""
    return ", ".join(file for file, (hit, _) in result["files"].items() if not hit) or None


def found(result: dict[str, Any]) -> str:
    """What was found, in a line."""
    files = result["files"].values()
    hit, points = (sum(each[k] for each in files) for k in (0, 1))
    return f"{hit / points:.1%} of all bits in {len(files)} files of hw/ toggled both ways"


def section(result: dict[str, Any]) -> str:
    """A row for each file of hw/."""
    rows = "".join(
        f"| `{file}` | {hit:,} | {points:,} | {100 * hit / points:.1f} |\n"
        for file, (hit, points) in result["files"].items()
    )
    return f"""## Coverage

What toggles, both ways, in each bit of each signal, by the file that makes the signal: summed over
{len(result["cores"])} small cores ({"; ".join(result["cores"])}), each with one job of the soak's
kinds. Bits that cannot toggle count as well: constants, the upper bits of counters, codes that a
small core has no use for, ports that a core's kind leaves open.

| file | toggled | bits both ways | % |
|---|---|---|---|
{rows}"""


def module_files(core: CoreParameters, model: Model, target: Target) -> dict[str, str]:
    """The file of hw/ that each module of the emitted Verilog comes from, by the module's name."""
    files: dict[str, str] = {}

    def walk(fragment: Fragment, name: str, file: str) -> None:
        for origin in fragment.origins or ():
            path = type(origin).__module__.replace(".", "/") + ".py"
            if path.startswith("hw/"):
                file = path
        files[name] = file
        for part, part_name, _ in fragment.subfragments:
            walk(part, f"{name}.{part_name}", file)

    walk(Fragment.get(Core(core, model, target), None), TOP, "")
    return files


def _points(case: Case, model: Model, core: CoreParameters) -> Iterator[tuple[str, bool]]:
    """Module of each toggle point, and whether it was hit; RuntimeError where the RTL is wrong."""
    emission = case.emission(core, model, GENERIC)
    played = case.played(model, emission.to_load)
    player = _Player()
    record = play(build(emission, player), core, played.job)
    mismatch = first_mismatch(played.trace, trace_of(record, core))
    if mismatch is not None:
        raise RuntimeError(str(mismatch))
    # A line is C '\x01key\x02value...' count.
    for found in re.finditer(r"^C '(.*)' (\d+)$", player.data, re.MULTILINE):
        keys = dict(pair.split("\x02", 1) for pair in found[1].split("\x01") if pair)
        yield keys["page"].rpartition("/")[2], found[2] != "0"


class _Player(Harness):
    """Keeps what was counted in the last job."""

    def __init__(self) -> None:
        super().__init__(optimised=False, coverage=True)
        self.data = ""

    def play(
        self, simulation: Simulation, job: Job, max_idle: int, folder: Path
    ) -> dict[str, np.ndarray]:
        tables = super().play(simulation, job, max_idle, folder)
        self.data = (folder / "coverage.dat").read_text()
        return tables
