"""What the front end takes of a chip, alone and in a listener, and the clock that it reaches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
from amaranth.lib import wiring
from rich.table import Table
from rich.text import Text

import boards.family.chip
import boards.family.ice40
from boards.family.chip import RESOURCES, Chip
from boards.flow.place import place
from boards.flow.synthesis import count, synthesise
from deltarnn.bench.context import Bench, Context, figure
from golden.sound.decision import Decision
from golden.sound.front_end import FrontEnd
from hw.emit.verilog import TOP, Emission, converted, ports
from hw.sound.listener import Listener
from hw.sound.path import SoundPath
from hw.target import Target
from sim.sweep import Shape

SEEDS = (1, 2, 3)  # of nextpnr
WANTED = 24.0  # MHz
NETWORK = Shape("32 -> 96 -> 7, 8 lanes", (32, 96), 7, 8)  # that of the wake words
PARTS = {  # of a component: what its cells' names begin with
    "decimator": ("decimator.", "path.decimator."),
    "bank": ("bank.", "path.bank."),
    "logarithm": ("logarithm.", "path.logarithm."),
    "scale": ("scale.", "path.scale."),
    "decision": ("decider.",),
    "core": ("core.",),
    "between": ("",),
}


@dataclass(frozen=True)
class Heard:
    """A component with a front end in it, made for a seed, and the chip that it is for."""

    name: str
    front: FrontEnd
    chip: Chip
    made: Callable[[FrontEnd, int], wiring.Component]


def _alone(front: FrontEnd, seed: int) -> SoundPath:
    return SoundPath(front)


def _listener(front: FrontEnd, seed: int, target: Target = boards.family.ice40.UP5K) -> Listener:
    model = NETWORK.model(seed)
    network = model.parameters
    decision = Decision(
        classes=network.outputs,
        background=network.outputs - 1,
        result_width=network.output_width,
    )
    return Listener(front, NETWORK.core(model), model, decision, target)


UP5K, ECP5 = boards.family.chip.UP5K, boards.family.chip.ECP5
SUBJECTS = (
    Heard("16 bands", FrontEnd(bands=16), UP5K, _alone),
    Heard("32 bands", FrontEnd(), UP5K, _alone),
    Heard("32 bands, ECP5", FrontEnd(), ECP5, _alone),
    Heard(f"listener: 32 bands, {NETWORK.name}", FrontEnd(), UP5K, _listener),
)


def run(
    context: Context, subjects: Sequence[Heard] = SUBJECTS, seeds: Sequence[int] = SEEDS
) -> dict[str, Any]:
    """Synthesis of each, and a placement for each seed of nextpnr."""
    return {
        "wanted": WANTED,
        "subjects": {
            subject.name: _measured(subject, context.seed, seeds)
            for subject in context.track("sound", subjects, lambda subject: subject.name)
        },
    }


def _measured(subject: Heard, seed: int, seeds: Sequence[int]) -> dict[str, Any]:
    # As a model's would be: all alike would make multiplications by one number of them.
    scale = np.random.default_rng(seed).uniform(0.4, 0.8, subject.front.bands)
    front = subject.front.scaled(scale)
    component = subject.made(front, seed)
    emission = Emission(converted(component, TOP), {"ports": ports(component)})
    netlist = synthesise(emission, subject.chip)
    placements = [place(netlist, n, WANTED) for n in seeds]
    clocks = [placement.fmax for placement in placements]
    typical = next(p for p in placements if p.fmax == median_low(clocks))
    cells: dict[str, list[tuple[str, str]]] = {part: [] for part in PARTS}
    for cell in netlist.cells:
        cells[_part(cell[0])].append(cell)
    cycles = SoundPath(front).cycles
    return {
        "chip": subject.chip.name,
        "bands": front.bands,
        "word": front.word,
        "cycles_per_sample": cycles,
        "least_MHz": round(cycles * front.sample_rate / 1e6, 2),
        "area": netlist.area,
        "logic": typical.logic,
        "components": {part: count(subject.chip, cells[part]) for part in PARTS if cells[part]},
        "fmax": {str(n): round(clock, 2) for n, clock in zip(seeds, clocks, strict=True)},
        "median": round(median_low(clocks), 2),
        "path": [vars(hop) for hop in typical.path],
    }


def _part(name: str) -> str:
    return next(part for part, begin in PARTS.items() if name.startswith(begin))


def draw(report: dict[str, Any], path: Path) -> None:
    """What each band lets through, and LUTs by component."""
    with figure(path, 2, 1, (9, 7)) as ((above,), (below,)):
        front = FrontEnd()
        hertz, decibels = responses(front)
        for band in decibels:
            above.plot(hertz, band, linewidth=0.8)
        above.set(
            xscale="log",
            xlim=(60, 8000),
            ylim=(-40, 30),
            xlabel="Hz",
            ylabel="dB",
            title=f"{front.bands} bands, each less the one below",
        )
        above.grid(visible=True, color="0.9")
        rows = report["subjects"]
        start = dict.fromkeys(rows, 0)
        for n, part in enumerate(PARTS):
            widths = [row["components"].get(part, {}).get("lut", 0) for row in rows.values()]
            below.barh(
                list(rows),
                widths,
                left=list(start.values()),
                label=part,
                color=f"C{n}",
                edgecolor="white",
                linewidth=0.5,
            )
            start = {name: start[name] + w for name, w in zip(rows, widths, strict=True)}
        for n, total in enumerate(start.values()):
            below.text(total, n, f" {total:,}", va="center")
        below.set(xlabel=RESOURCES["lut"], xlim=(0, 1.1 * max(start.values())))
        below.invert_yaxis()
        below.spines[["top", "right"]].set_visible(False)
        below.legend(frameon=False, loc="upper right")


def responses(front: FrontEnd) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies [n] in Hz, and what each band less the one below passes, in dB [bands, n]."""
    hertz = np.geomspace(60, front.sample_rate / 2, 600)
    z = np.exp(-2j * np.pi * hertz / front.sample_rate)  # of one sample's delay
    of = np.array([(band.f, band.h) for band in front.resonators]) / 2**front.coefficient_frac
    f, h = of.T[..., None]
    bands = f * (1 - z) / (1 - (1 + h - f * f) * z + h * z * z)
    less = np.diff(bands, axis=0, prepend=0)
    return hertz, 20 * np.log10(np.abs(less) + 1e-9)


def tables(report: dict[str, Any]) -> list[Table]:
    """A row for each subject."""
    table = Table(title="front end", title_justify="left")
    rows = report["subjects"]
    keys = [key for key in RESOURCES if any(row["area"].get(key) for row in rows.values())]
    heads = ("", "chip", *(RESOURCES[key] for key in keys), "logic cells")
    heads += ("MHz, median (range)", "cycles a sample", "least MHz")
    for n, head in enumerate(heads):
        table.add_column(head, justify="right" if n > 1 else "left")
    for name, row in rows.items():
        clocks = row["fmax"].values()
        table.add_row(
            name,
            Text(row["chip"]),
            *(f"{row['area'][key]:,}" for key in keys),
            f"{row['logic']:,}",
            f"{row['median']:.1f} ({min(clocks):.1f} - {max(clocks):.1f})",
            f"{row['cycles_per_sample']:,}",
            f"{row['least_MHz']:.1f}",
        )
    return [table]


SOUND = Bench(run, draw, tables, marks=("area",))
