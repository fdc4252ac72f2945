"""A core beside what would be taken instead of it: the same network as a program on a Cortex-M.

Both work on the same frames, and both must give golden's bits. A processor's instructions are
counted, not its cycles: a Cortex-M takes a cycle for each at the least.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from rich.table import Table

from deltarnn.bench.context import Bench, Context, figure
from deltarnn.bench.cortex_m.machine import M0_PLUS, M4, Machine, Processor, compiled
from deltarnn.bench.cortex_m.sources import DENSE, PROGRAMS, REFERENCE, Program
from deltarnn.demo import held_out
from golden.fixed import Integers
from golden.model import Model
from golden.network import DeltaNetwork
from hw.emit.verilog import Emission, emit
from sim.simulate import simulate
from sim.simulator import Simulator
from sim.sweep import WARM_UP, Shape, moving_frames, sweep, with_thresholds


class Shipped(Shape):
    """The shape of the shipped model, with its own weights."""

    def model(self, seed: int) -> Model:
        """The same whatever ``seed``."""
        return held_out()[0]


RANDOM = Shape("40 -> 128", (40, 128), None, 8)
SHIPPED = Shipped("12 -> 32 -> 9", (12, 32), 9, 8)
FRAMES = 16  # a point
UTTERANCES = 10
OCCUPANCIES = (0.1, 0.01)  # that are sought; besides there is as much as can be
THRESHOLDS = range(32)  # of h: beyond them nothing fires
CORE_CLOCKS = (24, 48)  # MHz: a UP5K's oscillator by half, and whole
CPUS = (*((M4, program) for program in PROGRAMS), (M0_PLUS, DENSE), (M0_PLUS, REFERENCE))
COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "0.75", "0.5")
CORE_COLOUR = "#ee6677"


@dataclass(frozen=True)
class Work:
    """Sequences of frames, each from reset on, for a network; and what its core takes for them.

    Attributes
    ----------
    model
        With the thresholds that hold.
    skipped
        Frames at each sequence's beginning that do not count.
    cycles
        The core's for a frame, once they are measured.
    """

    name: str
    model: Model
    sequences: Sequence[Integers]
    skipped: int
    cycles: float = 0.0

    @property
    def occupancy(self) -> float:
        """The fraction of columns that fire in the frames that count."""
        columns = sum(layer.columns for layer in self.model.parameters.layers)
        traces = (DeltaNetwork(self.model).run(frames) for frames in self.sequences)
        events = [(trace.events_x + trace.events_h)[self.skipped :].sum(axis=1) for trace in traces]
        return float(np.concatenate(events).mean()) / columns


def run(
    context: Context,
    shapes: Sequence[Shape] = (RANDOM, SHIPPED),
    occupancies: Sequence[float] = OCCUPANCIES,
    utterances: int = UTTERANCES,
) -> dict[str, Any]:
    """Core and processors on the same frames, for each of ``shapes``.

    The shipped model also hears ``utterances`` of its recordings. Raises RuntimeError where anybody
    differs from golden in any bit.
    """
    networks = {}
    for shape in context.track("peers", shapes, lambda shape: shape.name):
        own = shape.model(context.seed)
        emission = emit(shape.core(own), own)
        works = [_moving(shape, emission, context, wanted) for wanted in (None, *occupancies)]
        if isinstance(shape, Shipped):
            works.append(_heard(shape, emission, context.simulator, utterances))
        networks[shape.name] = {
            "dense_cycles": shape.core(own).dense_cycles,
            "works": [_compared(work) for work in works],
        }
    return {
        "compiler": f"ziglang {version('ziglang')}",
        "emulator": f"unicorn {version('unicorn')}",
        "networks": networks,
    }


def _moving(shape: Shape, emission: Emission, context: Context, wanted: float | None) -> Work:
    """Frames that let about a fraction ``wanted`` of all columns fire; None: as many as can be."""
    own = shape.model(context.seed)

    def work(moving: float, theta: int) -> Work:
        rng = np.random.default_rng(context.seed)
        frames = moving_frames(rng, FRAMES, own.parameters.inputs, moving)  # sim.sweep.sweep's
        return Work(name, with_thresholds(own, theta), [frames], WARM_UP)

    if wanted is None:
        name, chosen = "all inputs move", (1.0, 0)
    else:
        name = f"about {100 * wanted:g} %"
        points = product((wanted, 2 * wanted, 4 * wanted), THRESHOLDS)
        chosen = min(points, key=lambda point: abs(work(*point).occupancy - wanted))
    (row,) = sweep(shape, context.simulator, context.seed, FRAMES, [chosen], lambda *_: emission)
    found = replace(work(*chosen), cycles=row["cycles"])
    if not np.isclose(found.occupancy, row["occupancy"]):
        raise RuntimeError(f"{shape.name}, {name}: core and processors had other frames")
    return found


def _heard(shape: Shape, emission: Emission, simulator: Simulator, utterances: int) -> Work:
    """Recordings, at the thresholds that training chose."""
    model, sequences, _ = held_out()
    sequences = sequences[:utterances]
    found = simulate(shape.core(model), model, sequences, simulator, emission=emission)
    if found.mismatch is not None:
        raise RuntimeError(f"{shape.name}: RTL and golden model differ: {found.mismatch}")
    return Work("its recordings", model, sequences, 1, found.report()["cycles_per_frame"])


def _compared(work: Work) -> dict[str, Any]:
    return {
        "name": work.name,
        "occupancy": work.occupancy,
        "core_cycles": work.cycles,
        "instructions": {
            f"{processor.name}: {program.name}": instructions(program, processor, work)
            for processor, program in CPUS
        },
    }


def instructions(program: Program, processor: Processor, work: Work) -> float:
    """Instructions a frame, of the frames that count.

    Raises RuntimeError where ``program`` cannot be compiled, or gives another bit than golden in
    any frame.
    """
    model = work.model if program.delta else with_thresholds(work.model, 0)
    machine = Machine(compiled(program, model, processor), processor, model)
    counted: list[int] = []
    for frames in work.sequences:
        machine.reset()
        expected = DeltaNetwork(model).run(frames)
        for n, x in enumerate(frames):
            results, kept, taken = machine.frame(x)
            same = np.array_equal(results, expected.outputs[n])
            if not (same and np.array_equal(kept, expected.state[n])):
                where = f"{processor.name}, {program.name}: frame {n}"
                raise RuntimeError(f"{where}: program and golden model differ")
            if n >= work.skipped:
                counted.append(taken)
    return fmean(counted)


def _rows(report: dict[str, Any]) -> dict[str, list[float]]:
    """What each takes a frame, by name, the core last: instructions or cycles of every work."""
    works = [work for each in report["networks"].values() for work in each["works"]]
    rows = {
        name: [work["instructions"][name] for work in works] for name in works[0]["instructions"]
    }
    return {**rows, "core": [work["core_cycles"] for work in works]}


def _headings(report: dict[str, Any]) -> list[str]:
    return [
        f"{network}, {work['name']} ({100 * work['occupancy']:.1f} %)"
        for network, each in report["networks"].items()
        for work in each["works"]
    ]


def draw(report: dict[str, Any], path: Path) -> None:
    """A panel for each network: bars for each work, instructions or cycles."""
    networks = report["networks"]
    with figure(path, len(networks), 1, (11, 4 * len(networks))) as panels:
        for (axes,), (network, each) in zip(panels, networks.items(), strict=True):
            part = {"networks": {network: each}}
            rows = _rows(part)
            places = np.arange(len(each["works"]))
            width = 0.85 / len(rows)
            for n, (name, values) in enumerate(rows.items()):
                colour = CORE_COLOUR if name == "core" else COLOURS[n]
                bars = axes.bar(places + n * width, values, width, label=name, color=colour)
                axes.bar_label(bars, [f"{value:,.0f}" for value in values], size=6, rotation=60)
            labels = [
                f"{work['name']}\n{100 * work['occupancy']:.1f} % of columns fire"
                for work in each["works"]
            ]
            axes.set_xticks(places + 0.425 - width / 2, labels)
            axes.set(yscale="log", title=f"GRU {network}", ylabel="a frame")
            axes.margins(y=0.15)
            axes.spines[["top", "right"]].set_visible(False)
        top = panels[0][0]
        top.figure.suptitle("Instructions of a processor, cycles of the core with 8 lanes")
        handles, names = top.get_legend_handles_labels()
        top.figure.legend(handles, names, loc="outside lower center", ncol=3, frameon=False)


def tables(report: dict[str, Any]) -> list[Table]:
    """Instructions or cycles, then microseconds at usual clocks."""
    rows = _rows(report)
    clocks = {processor.name: processor.clocks for processor, _ in CPUS} | {"core": CORE_CLOCKS}
    counts = Table(title="instructions a frame; of the core, cycles", title_justify="left")
    times = Table(title="microseconds a frame; of a processor, at least", title_justify="left")
    for table in (counts, times):
        table.add_column("who")
        for heading in _headings(report):
            table.add_column(heading, justify="right")
    for name, values in rows.items():
        counts.add_row(name, *(f"{value:,.0f}" for value in values))
        owner = name.partition(":")[0]
        for clock in clocks[owner]:
            who = name.replace(owner, f"{owner} at {clock} MHz", 1)
            times.add_row(who, *(f"{value / clock:,.1f}" for value in values))
    return [counts, times]


PEERS = Bench(run, draw, tables, needs=("ziglang", "unicorn"), extra="peers")
