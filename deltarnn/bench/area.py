"""What cores take of their chips: each component, and the whole beside what it may take."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from boards.family.chip import RESOURCES
from boards.flow.place import DoesNotFitError
from boards.tool import ToolError
from deltarnn.bench.context import Bench, Context, figure
from deltarnn.bench.workshop import SUBJECTS, Subject

LOGIC = "logic cells"
COLOURS = (*(f"C{n}" for n in range(10)), "#203864", "#7030a0", "0.35", "0.7")
SEEN = 0.03  # of a core: parts that are less in every core share a bar


def run(context: Context, subjects: Sequence[Subject] = SUBJECTS) -> dict[str, Any]:
    """Synthesis, and one placement for the logic cells: LUTs share theirs with flip-flops."""
    return {
        "cores": {
            subject.name: _measure(context, subject)
            for subject in context.track("area", subjects, lambda subject: subject.name)
        }
    }


def _measure(context: Context, subject: Subject) -> dict[str, Any]:
    row: dict[str, Any] = {"chip": subject.chip.name, "limits": subject.limits}
    try:
        netlist = context.workshop.netlist(subject, context.seed)
        row |= {"whole": dict(netlist.area), "components": netlist.components}
        row["whole"]["logic"] = context.workshop.placement(subject, context.seed, 1).logic
    except (DoesNotFitError, ToolError) as error:
        row["failed"] = str(error)
    whole = row.get("whole", {})
    row["within"] = {
        resource: whole[resource] <= limit
        for resource, limit in subject.limits.items()
        if resource in whole
    }
    return row


def draw(report: dict[str, Any], path: Path) -> None:
    """LUTs and flip-flops by component, one bar a core; small components share a part."""
    cores = {name: row for name, row in report["cores"].items() if "components" in row}
    parts = list(dict.fromkeys(part for row in cores.values() for part in row["components"]))
    tiny = [part for part in parts if all(_share(row, part) < SEEN for row in cores.values())]
    shown = {part: [part] for part in parts if part not in tiny}
    shown |= {f"together: {', '.join(tiny)}": tiny} if tiny else {}
    with figure(path, 1, 2, (12, 1.6 + 0.7 * len(cores))) as ((left, right),):
        for axes, resource in ((left, "lut"), (right, "ff")):
            start = dict.fromkeys(cores, 0)
            for n, (label, of) in enumerate(shown.items()):
                widths = [
                    sum(row["components"].get(part, {}).get(resource, 0) for part in of)
                    for row in cores.values()
                ]
                axes.barh(
                    list(cores),
                    widths,
                    left=list(start.values()),
                    height=0.6,
                    label=label,
                    color=COLOURS[n % len(COLOURS)],
                    edgecolor="white",
                    linewidth=0.5,
                )
                start = {name: start[name] + w for name, w in zip(cores, widths, strict=True)}
            for n, total in enumerate(start.values()):
                axes.text(total, n, f" {total:,}", va="center")
            axes.set(xlabel=RESOURCES[resource], xlim=(0, 1.12 * max(start.values(), default=1)))
            axes.invert_yaxis()
            axes.spines[["top", "right"]].set_visible(False)
        right.set_yticks([])
        left.figure.suptitle("What cores take, by component")
        left.figure.legend(
            *left.get_legend_handles_labels(), loc="outside lower center", ncol=5, frameon=False
        )


def _share(row: dict[str, Any], part: str) -> float:
    """The larger fraction of a core's LUTs or flip-flops that ``part`` takes."""
    counts = row["components"].get(part, {})
    return max(counts.get(key, 0) / max(row["whole"][key], 1) for key in ("lut", "ff"))


def tables(report: dict[str, Any]) -> list[Table]:
    """One for each core: a line for each component, the whole, and the limits."""
    shown = []
    for name, row in report["cores"].items():
        table = Table(title=f"{name}, on {row['chip']}", title_justify="left")
        table.add_column("component")
        keys = [key for key in (*RESOURCES, "logic") if row.get("whole", {}).get(key)]
        for key in keys:
            table.add_column(RESOURCES.get(key, LOGIC), justify="right")
        for part, counts in row.get("components", {}).items():
            table.add_row(part, *(f"{counts[key]:,}" if counts.get(key) else "" for key in keys))
        if keys:
            table.add_section()
            table.add_row("whole", *(f"{row['whole'][key]:,}" for key in keys))
            table.add_row("limit", *(_verdict(row, key) for key in keys))
        if "failed" in row:
            table.caption = row["failed"]
        shown.append(table)
    return shown


def _verdict(row: dict[str, Any], key: str) -> str:
    if key not in row["limits"]:
        return ""
    colour = "green" if row["within"][key] else "red"
    return f"[{colour}]{row['limits'][key]:,}[/]"


AREA = Bench(run, draw, tables)
