"""The clocks that cores reach on their chips: several seeds of place and route."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median_low
from typing import Any

from rich.table import Table
from rich.text import Text

from boards.flow.place import DoesNotFitError, Placement
from boards.tool import ToolError
from deltarnn.bench.context import Bench, Context, figure
from deltarnn.bench.workshop import SUBJECTS, Subject

SEEDS = (1, 2, 3, 4, 5)  # of nextpnr


def run(
    context: Context, subjects: Sequence[Subject] = SUBJECTS, seeds: Sequence[int] = SEEDS
) -> dict[str, Any]:
    """Places and routes every core with every seed, one after the other."""
    cores: dict[str, dict[str, Any]] = {
        subject.name: {"chip": subject.chip.name, "wanted": list(subject.clocks)}
        for subject in subjects
    }
    placements: dict[str, list[Placement]] = {subject.name: [] for subject in subjects}
    work = [(subject, seed) for subject in subjects for seed in seeds]
    for subject, seed in context.track("clock", work, lambda w: f"{w[0].name}, seed {w[1]}"):
        if "failed" in cores[subject.name]:
            continue
        try:
            placement = context.workshop.placement(subject, context.seed, seed)
            placements[subject.name].append(placement)
        except (DoesNotFitError, ToolError) as error:
            cores[subject.name]["failed"] = str(error)
    for name, row in cores.items():
        if placements[name]:
            row |= summary(placements[name], row["wanted"])
    return {"cores": cores}


def summary(placements: Sequence[Placement], wanted: Sequence[float]) -> dict[str, Any]:
    """MHz of every seed, and the longest path of the one in the middle."""
    clocks = {placement.seed: placement.fmax for placement in placements}
    middle = median_low(clocks.values())
    typical = next(placement for placement in placements if placement.fmax == middle)
    return {
        "fmax": {str(seed): round(clock, 2) for seed, clock in clocks.items()},
        "median": round(middle, 2),
        "min": round(min(clocks.values()), 2),
        "max": round(max(clocks.values()), 2),
        "reached": {str(clock): middle >= clock for clock in wanted},
        "logic": typical.logic,
        "path_ns": round(typical.path_nanoseconds, 3),
        "path": [vars(hop) for hop in typical.path],
    }


def draw(report: dict[str, Any], path: Path) -> None:
    """A dot for each seed, a bar for their median, dashed lines for what is wanted."""
    cores = report["cores"]
    with figure(path, 1, 1, (9, 1.4 + 0.6 * len(cores))) as ((axes,),):
        highest = 1.0
        for n, row in enumerate(cores.values()):
            clocks = list(row.get("fmax", {}).values())
            highest = max(highest, *clocks, *row["wanted"])
            labels = ("a seed", "median", "wanted") if n == 0 else ("", "", "")  # one of each
            style = {"color": "C0", "alpha": 0.5, "markersize": 5}
            axes.plot(clocks, [n] * len(clocks), "o", label=labels[0], **style)
            if clocks:
                middle = [row["median"]] * 2
                axes.plot(middle, [n - 0.25, n + 0.25], color="C0", linewidth=2, label=labels[1])
                axes.text(row["median"], n - 0.3, f"{row['median']:.0f}", ha="center")
            else:
                axes.text(1, n, row["failed"][:100], va="center", fontsize="small")
            for clock in row["wanted"]:
                label = labels[2] if clock == row["wanted"][0] else ""
                height = [n - 0.35, n + 0.35]
                axes.plot([clock] * 2, height, "--", color="C3", linewidth=1, label=label)
        axes.set(
            xlim=(0, 1.1 * highest),
            ylim=(len(cores) - 0.4, -0.6),
            xlabel="MHz",
            title="Clock after place and route",
        )
        axes.set_yticks(range(len(cores)), list(cores))
        axes.grid(visible=True, axis="x", color="0.9")
        axes.figure.legend(loc="outside right center", frameon=False)


def tables(report: dict[str, Any]) -> list[Table]:
    """One line a core, and the longest path of each."""
    whole = Table(title="clock, MHz", title_justify="left")
    for column in ("core", "wanted", "median", "min", "max", "longest path"):
        whole.add_column(column, justify="left" if column in ("core", "longest path") else "right")
    shown = [whole]
    for name, row in report["cores"].items():
        if "median" not in row:
            whole.add_row(name, "", "", "", "", Text(row["failed"]))
            continue
        wanted = " ".join(
            f"[{'green' if row['reached'][str(clock)] else 'red'}]{clock:g}[/]"
            for clock in row["wanted"]
        )
        ends = f"{row['path_ns']:.2f} ns to {row['path'][-1]['signal']}" if row["path"] else ""
        figures = (f"{row[key]:.1f}" for key in ("median", "min", "max"))
        whole.add_row(name, wanted, *figures, Text(ends))
        path = Table(title=f"longest path of {name}", title_justify="left")
        path.add_column("signal", overflow="fold")
        path.add_column("ns", justify="right")
        for hop in row["path"]:
            path.add_row(Text(hop["signal"]), f"{hop['nanoseconds']:.2f}")
        shown.append(path)
    return shown


CLOCK = Bench(run, draw, tables)
