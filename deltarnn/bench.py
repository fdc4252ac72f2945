"""The bench: cycles over occupancy for some shapes, as JSON and as a picture."""

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from golden.files import written_aside
from sim.simulator import Simulator
from sim.sweep import SHAPES, WARM_UP, sweep

FRAMES = 16  # a point


def run_bench(simulator: Simulator, seed: int, announce: Callable[[str], None]) -> dict[str, Any]:
    """Sweeps every shape; ``announce`` is told which one is under way."""
    shapes = {}
    for shape in SHAPES:
        announce(f"{shape.name}: cycles over occupancy in {simulator.name}")
        shapes[shape.name] = sweep(shape, simulator, seed, FRAMES)
    return {
        "seed": seed,
        "frames_per_point": FRAMES - WARM_UP,
        "simulator": simulator.version,
        "deltarnn": version("deltarnn"),
        "amaranth": version("amaranth"),
        "shapes": shapes,
    }


def draw(report: dict[str, Any], path: Path) -> None:
    """Speed-up over dense against occupancy, with the bound 1 / occupancy beside it."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    bound = [0.001, 1]
    axes.plot(bound, [1 / x for x in bound], color="0.6", linestyle="--", label="1 / occupancy")
    for name, rows in report["shapes"].items():
        seen = sorted((r["occupancy"], r["speedup_over_dense"]) for r in rows if r["events"])
        axes.plot(*zip(*seen, strict=True), marker="o", markersize=4, label=name)
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(0.001, 1.2),
        ylim=(0.8, 300),
        xlabel="occupancy: fraction of columns that fired",
        ylabel="times fewer cycles than an ideal dense machine",
        title="Delta core in RTL simulation",
    )
    axes.grid(visible=True, which="major", color="0.9")
    axes.legend(frameon=False)
    with written_aside(path) as part:
        figure.savefig(part, format="png", dpi=150)
    pyplot.close(figure)


def write(report: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    """Writes cycles.json and cycles.png into ``folder``."""
    table, picture = folder / "cycles.json", folder / "cycles.png"
    with written_aside(table) as part:
        part.write_text(json.dumps(report, indent=2) + "\n")
    draw(report, picture)
    return table, picture
