"""What moves in a core in a frame: registers, memories and multipliers, from dense to silent."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from boards.family.targets import find_target
from boards.flow.synthesis import COMPONENTS, component
from deltarnn.bench.area import COLOURS
from deltarnn.bench.context import Bench, Context, figure
from golden.model import Model
from golden.model_file import load_model
from golden.parameters import CoreParameters
from hw.emit.verilog import TOP, emit
from sim.build import build
from sim.compare import first_mismatch
from sim.fast.harness import Harness
from sim.job import Job
from sim.moves import Moves, count
from sim.parts import Parts, parts_of, traceable
from sim.run import play, trace_of
from sim.simulator import Simulation
from sim.sweep import Shape, driven

BUSY = f"{TOP}.engine.fetch.i__valid"  # a slot goes to the lanes
IDLE = "idle"
IDLE_CYCLES = 1000
LEAVES = 500  # cycles in which the last frame's results leave
SHIPPED = "japanese_vowels.safetensors"
# What memories hold, by the first pattern that their names begin with.
KINDS = {
    "weights": r"weights_",
    "accumulators": r"lanes\.",
    "states": r"activation\.state",
    "tables": r"activation\.",
    "lists": r"path_\w+\.lists",
    "what was sent": r"path_\w+\.encoder",
    "results": r"output",
}
MOST = 12  # registers that are named


@dataclass(frozen=True)
class Point:
    """``moving`` of the inputs move in a frame and ``theta`` is h's threshold.

    ``frames`` count, after ``settle`` that do not.
    """

    name: str
    moving: float
    theta: int
    settle: int
    frames: int


DENSE = Point("dense", 1.0, 0, 3, 4)
SILENCE = Point("silence", 0.0, 255, 60, 8)


@dataclass(frozen=True)
class Subject:
    """A core, and how often its inputs move so that 10 % and 1 % of its columns fire."""

    name: str
    model: Model
    lanes: int
    points: tuple[Point, ...]
    target: str = "up5k"


def subjects(seed: int) -> list[Subject]:
    """The shipped model, and a GRU and two LSTMs with random weights."""
    with as_file(files("models")) as folder:
        shipped = load_model(folder / SHIPPED)
    gru = Shape("GRU 40 -> 128", (40, 128), None, 8)
    lstm = Shape("LSTM 16 -> 32 -> 32", (16, 32, 32), None, 8, kind="lstm")
    return [
        Subject("shipped, 12 -> 32 -> 9", shipped, 8, _points((0.13, 11), (0.06, 16))),
        Subject(gru.name, gru.model(seed), 8, _points((0.12, 10), (0.05, 16))),
        Subject(lstm.name, lstm.model(seed), 8, _points((0.3, 8), (0.08, 20))),
    ]


def _points(some: tuple[float, int], few: tuple[float, int]) -> tuple[Point, ...]:
    return (DENSE, Point("10 %", *some, 12, 8), Point("1 %", *few, 12, 8), SILENCE)


def run(context: Context, chosen: Sequence[Subject] | None = None) -> dict[str, Any]:
    """Plays every core. Raises RuntimeError where the RTL differs from golden in any bit."""
    chosen = subjects(context.seed) if chosen is None else chosen
    said = context.track("activity", chosen, lambda subject: subject.name)
    return {"cores": {subject.name: _measure(subject, context.seed) for subject in said}}


class _Player(Harness):
    """Counts in the waveform of the job that it plays; ``spans`` say of which cycles."""

    def __init__(self, parts: Parts, spans: Any) -> None:
        super().__init__(optimised=False)
        self._parts, self._spans = parts, spans
        self.found: list[Moves] = []

    def play(
        self, simulation: Simulation, job: Job, max_idle: int, folder: Path
    ) -> dict[str, np.ndarray]:
        tables = super().play(simulation, job, max_idle, folder)
        with (folder / "waves.vcd").open("rb") as waves:
            spans = self._spans(tables["finishes"])
            self.found = count(self._parts, waves, spans, TOP, BUSY)
        return tables


def _measure(subject: Subject, seed: int) -> dict[str, Any]:
    core = CoreParameters(subject.model.parameters, subject.lanes)
    choice = find_target(subject.target)
    emission = emit(core, subject.model, choice.target)
    emission = replace(emission, verilog=traceable(emission.verilog))
    parts = parts_of(emission.verilog)
    lengths = [point.settle + point.frames for point in subject.points]
    firsts = np.cumsum([0, *(length + 1 for length in lengths)])
    counted = [
        slice(first + point.settle, first + length)
        for first, point, length in zip(firsts, subject.points, lengths, strict=False)
    ]

    def spans(finishes: np.ndarray) -> list[range]:
        """The frames that count, and cycles in which the core has been idle for a while."""
        ends = [(int(finishes[s.start - 1]), int(finishes[s.stop - 1])) for s in counted]
        idle = int(finishes[-1]) + LEAVES
        return [
            *(range(before + 1, last + 1) for before, last in ends),
            range(idle, idle + IDLE_CYCLES),
        ]

    places = [
        (point.moving, point.theta, length)
        for point, length in zip(subject.points, lengths, strict=True)
    ]
    job, (expected,) = driven(subject.model, seed, places)
    job.wait(LEAVES + IDLE_CYCLES)
    player = _Player(parts, spans)
    simulation = build(emission, player, models=choice.cells.models(), waves=".vcd")
    record = play(simulation, core, job)
    found = trace_of(record, core)
    mismatch = first_mismatch(expected, found)
    if mismatch is not None:
        raise RuntimeError(f"{subject.name}: RTL and golden model differ: {mismatch}")
    events = found.events_x + found.events_h
    columns = sum(layer.columns for layer in core.network.layers)
    rows = {}
    for point, frames, moves in zip(subject.points, counted, player.found, strict=False):
        rows[point.name] = {
            "occupancy": float(events[frames].sum(axis=1).mean()) / columns,
            "needed_products": float(core.ideal_cycles(events[frames]).mean()) * core.lanes,
            **_row(parts, moves, point.frames),
        }
    rows[IDLE] = _row(parts, player.found[-1], 1)
    widths = Counter[str]()
    for memory in parts.memories:
        widths[_short(memory.path)] += memory.width
    always = sorted({_short(m.path) for m in parts.memories if m.enable is None})
    return {"words": dict(widths), "read_in_every_cycle": always, "points": rows}


def _row(parts: Parts, moves: Moves, frames: int) -> dict[str, Any]:
    """What moved in a frame, of ``frames`` that were counted."""
    toggles = Counter(dict.fromkeys(COMPONENTS, 0))
    for path, bits in moves.toggles.items():
        toggles[component(_inside(path))] += bits
    memories: dict[str, dict[str, float]] = {}
    for memory in parts.memories:  # those with one address are one memory
        row = memories.setdefault(_short(memory.path), {"reads": 0, "fresh": 0, "bits": 0})
        row["reads"] = moves.reads[memory.path] / frames
        row["fresh"] = moves.fresh[memory.path] / frames
        row["bits"] += memory.width * moves.reads[memory.path] / frames
    products = Counter[str]()
    for multiplier in parts.multipliers:
        products[component(_inside(multiplier.path))] += moves.products[multiplier.path]
    return {
        "cycles": moves.cycles / frames,
        "without_a_slot": moves.waits / frames,
        "toggles": {part: bits / frames for part, bits in toggles.items()},
        "registers": {
            _inside(path): bits / frames for path, bits in moves.toggles.most_common(MOST)
        },
        "memories": memories,
        "products": {part: n / frames for part, n in products.items()},
    }


def _inside(path: str) -> str:
    return path.removeprefix(f"{TOP}.")


def _short(path: str) -> str:
    """A memory's name; SPRAMs side by side have one address."""
    name = re.sub(r"\.spram_\d+_\d+$", "", path).removeprefix(f"{TOP}.engine.")
    return name.removesuffix(".memory")


def toggled(row: Mapping[str, Any]) -> float:
    """Bits of registers that toggled in a frame."""
    return sum(row["toggles"].values())


def bits_read(row: Mapping[str, Any]) -> float:
    """Bits that memories were read of in a frame."""
    return sum(memory["bits"] for memory in row["memories"].values())


def draw(report: dict[str, Any], path: Path) -> None:
    """Toggles by component, and bits read by kind of memory, of each core."""
    cores = report["cores"]
    with figure(path, len(cores), 2, (13, 2 + 2 * len(cores))) as panels:
        for (left, right), (name, core) in zip(panels, cores.items(), strict=True):
            rows = core["points"]
            toggles = {point: row["toggles"] for point, row in rows.items()}
            reads = {point: _by_kind(row["memories"]) for point, row in rows.items()}
            _stack(left, toggles, f"{name}: register bits that toggle")
            _stack(right, reads, f"{name}: bits read from memories")
        for axes in panels[-1]:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncol=5, frameon=False)
        panels[0][0].figure.suptitle(f"A frame; idle: {IDLE_CYCLES:,} cycles without one")


def _by_kind(memories: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Bits read of each of KINDS."""
    found = dict.fromkeys(KINDS, 0.0)
    for name, memory in memories.items():
        found[next(k for k, pattern in KINDS.items() if re.match(pattern, name))] += memory["bits"]
    return found


def _stack(axes: Any, rows: Mapping[str, Mapping[str, float]], title: str) -> None:
    """A bar for each of ``rows``, with its total behind it."""
    start = dict.fromkeys(rows, 0.0)
    for n, part in enumerate(next(iter(rows.values()))):
        widths = [row[part] for row in rows.values()]
        colour = COLOURS[n % len(COLOURS)]
        axes.barh(list(rows), widths, left=list(start.values()), color=colour, label=part)
        start = {point: start[point] + row[part] for point, row in rows.items()}
    for n, total in enumerate(start.values()):
        axes.text(total, n, f" {total:,.0f}", va="center", fontsize="small")
    axes.set(xlim=(0, 1.15 * max(*start.values(), 1)))
    axes.locator_params(axis="x", nbins=6)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title(title, loc="left", fontsize="medium")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def tables(report: dict[str, Any]) -> list[Table]:
    """One for each core: a column for each point."""
    shown = []
    for name, core in report["cores"].items():
        rows = core["points"]
        table = Table(title=f"{name}, a frame (idle: {IDLE_CYCLES:,} cycles)", title_justify="left")
        table.add_column("")
        for point in rows:
            table.add_column(point, justify="right")

        def line(label: str, values: Any, table: Table = table) -> None:
            table.add_row(label, *(f"{value:,.0f}" for value in values))

        fired = (row.get("occupancy") for row in rows.values())
        table.add_row("columns that fire", *("" if f is None else f"{f:.1%}" for f in fired))
        line("clock cycles", (row["cycles"] for row in rows.values()))
        line("without a slot", (row["without_a_slot"] for row in rows.values()))
        table.add_section()
        line("register bits toggled", map(toggled, rows.values()))
        for part in COMPONENTS:
            line(f"  {part}", (row["toggles"][part] for row in rows.values()))
        table.add_section()
        line("bits read", map(bits_read, rows.values()))
        for memory, width in core["words"].items():
            of = [row["memories"][memory] for row in rows.values()]
            label = f"  {memory}, {width} bits: reads / of a new address"
            table.add_row(label, *(f"{m['reads']:,.0f} / {m['fresh']:,.0f}" for m in of))
        table.add_section()
        for part in next(iter(rows.values()))["products"]:
            line(f"products in {part}", (row["products"][part] for row in rows.values()))
        needed = (row.get("needed_products", 0) for row in rows.values())
        line("  that lanes need", needed)
        shown.append(table)
    return shown


ACTIVITY = Bench(run, draw, tables)
