"""Cycles over occupancy: the speed-up over an ideal dense machine."""

from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from deltarnn.bench.context import Bench, Context, figure
from sim.sweep import SHAPES, WARM_UP, sweep

FRAMES = 16  # a point


def run(context: Context) -> dict[str, Any]:
    """Sweeps every shape. Raises RuntimeError where the RTL differs from golden in any bit."""
    return {
        "frames_per_point": FRAMES - WARM_UP,
        "shapes": {
            shape.name: sweep(shape, context.simulator, context.seed, FRAMES)
            for shape in context.track("cycles", SHAPES, lambda shape: shape.name)
        },
    }


def draw(report: dict[str, Any], path: Path) -> None:
    """Speed-up over dense against occupancy, with the bound 1 / occupancy beside it."""
    with figure(path, 1, 1, (10, 4.5)) as ((axes,),):
        bound = [0.001, 1]
        axes.plot(bound, [1 / x for x in bound], color="0.6", linestyle="--", label="1 / occupancy")
        for name, rows in report["shapes"].items():
            seen: dict[float, list[float]] = {}
            for r in sorted((r for r in rows if r["events"]), key=lambda r: r["occupancy"]):
                seen.setdefault(r["occupancy"], []).append(r["speedup_over_dense"])
            means = [fmean(each) for each in seen.values()]
            (line,) = axes.plot(list(seen), means, label=name)
            dots = [(x, y) for x, each in seen.items() for y in each]
            axes.plot(*zip(*dots, strict=True), "o", markersize=4, color=line.get_color())
        axes.set(
            xscale="log",
            yscale="log",
            xlim=(0.001, 1.2),
            ylim=(0.8, 300),
            xlabel="occupancy: fraction of columns that fired\n"
            "(two dots at one occupancy: the upper one's layers stood still more often)",
            ylabel="times fewer cycles than an ideal dense machine",
            title="Delta core in RTL simulation",
        )
        axes.grid(visible=True, which="major", color="0.9")
        axes.figure.legend(loc="outside right center", frameon=False)


def tables(report: dict[str, Any]) -> list[Table]:
    """One for each shape."""
    keys = ("occupancy", "events", "ideal_cycles", "cycles", "utilisation", "speedup_over_dense")
    shown = []
    for name, rows in report["shapes"].items():
        table = Table(title=name, title_justify="left")
        for key in keys:
            table.add_column(key.replace("_", " "), justify="right")
        for row in rows:
            table.add_row(*(f"{row[key]:.4g}" for key in keys))
        shown.append(table)
    return shown


CYCLES = Bench(run, draw, tables)
