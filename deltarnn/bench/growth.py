"""How cycles, area and clock grow with lanes and with the size of the hidden layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from boards.flow.place import DoesNotFitError
from boards.flow.synthesis import synthesise
from boards.tool import ToolError
from deltarnn.bench.context import Bench, Context, figure
from deltarnn.bench.workshop import Subject, on_ecp5
from golden.formats import WEIGHT
from hw.walk.layout import CoreLayout
from sim.outside import emit_outside, emit_simulated
from sim.sweep import POINTS, WARM_UP, Shape, sweep

FRAMES = 10  # a point
DENSE, SPARSE = (1.0, 0), (0.1, 12)  # as in sim.sweep.POINTS
BRAM_BITS = 1 << 14  # of an ECP5's block RAM, without the ninth bits


@dataclass(frozen=True)
class Axes:
    """What is varied: lanes at one size, the size at some lanes, and occupancy for one shape.

    ``largest`` is the largest size whose weights are put into block RAM. Those of a larger one fit
    no ECP5; it is mapped with its weights outside, and not placed. ``widest`` is the widest core
    that is placed: for 128 lanes nextpnr's router went on for twenty minutes without coming nearer
    to an end (seed 1).
    """

    inputs: int = 64
    lanes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    size: int = 128
    sizes: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024)
    lanes_of_sizes: int = 8
    largest: int = 256
    widest: int = 64

    def with_lanes(self, lanes: int) -> Shape:
        # One unit a cycle leaves wide cores waiting for their activation unit, two or four do not.
        activations = max(1, lanes // 32)
        name = f"{self.inputs} -> {self.size}, {lanes} lanes"
        return Shape(name, (self.inputs, self.size), None, lanes, activations)

    def with_size(self, size: int) -> Shape:
        name = f"{self.inputs} -> {size}, {self.lanes_of_sizes} lanes"
        return Shape(name, (self.inputs, size), None, self.lanes_of_sizes)


AXES = Axes()


def run(context: Context, axes: Axes = AXES) -> dict[str, Any]:
    """Simulates, maps and places. Raises RuntimeError where RTL and golden differ in any bit."""
    shapes = {f"lanes {n}": axes.with_lanes(n) for n in axes.lanes}
    shapes |= {f"size {n}": axes.with_size(n) for n in axes.sizes}
    simulated = {
        key: sweep(shape, context.simulator, context.seed, FRAMES, (DENSE, SPARSE), emit_simulated)
        for key, shape in context.track("growth: cycles", shapes.items(), lambda s: s[1].name)
    }
    mapped = {
        key: _hardware(context, on_ecp5(shape), axes)
        for key, shape in context.track("growth: area", shapes.items(), lambda s: s[1].name)
    }
    rows = {
        key: {
            "activations": shapes[key].activations,
            "dense": _cycles(simulated[key][0]),
            "sparse": _cycles(simulated[key][1]),
            **mapped[key],
        }
        for key in shapes
    }
    occupancy = axes.with_lanes(axes.lanes_of_sizes)
    return {
        "inputs": axes.inputs,
        "frames_per_point": FRAMES - WARM_UP,
        "lanes": [{"lanes": n, "size": axes.size, **rows[f"lanes {n}"]} for n in axes.lanes],
        "sizes": [
            {"lanes": axes.lanes_of_sizes, "size": n, **rows[f"size {n}"]} for n in axes.sizes
        ],
        "occupancy": {
            "name": occupancy.name,
            "points": [
                _cycles(row)
                for row in sweep(
                    occupancy, context.simulator, context.seed, FRAMES, POINTS, emit_simulated
                )
            ],
        },
    }


def _cycles(row: dict[str, Any]) -> dict[str, float]:
    return {key: row[key] for key in ("occupancy", "ideal_cycles", "cycles")}


def _hardware(context: Context, subject: Subject, axes: Axes) -> dict[str, Any]:
    """Area and clock, or what is in the way."""
    shape = subject.shape
    row: dict[str, Any] = {}
    try:
        if shape.sizes[-1] <= axes.largest:
            netlist = context.workshop.netlist(subject, context.seed)
            if shape.lanes <= axes.widest:
                placement = context.workshop.placement(subject, context.seed, 1)
                row["fmax"] = round(placement.fmax, 2)
            else:
                row["failed"] = f"not placed: wider than {axes.widest} lanes"
        else:
            model = shape.model(context.seed)
            core = shape.core(model)
            netlist = synthesise(emit_outside(core, model, subject.target), subject.chip)
            bits = CoreLayout(core).words * core.lanes * WEIGHT.width
            needed, there = -(-bits // BRAM_BITS), subject.chip.capacity["bram"]
            row["failed"] = f"weights need {needed:,} block RAMs, there are {there}"
        row |= {"area": netlist.area, "components": netlist.components}
    except (DoesNotFitError, ToolError) as error:
        row["failed"] = str(error)
    return row


def draw(report: dict[str, Any], path: Path) -> None:
    """Above cycles, below LUTs and clock; dashed the line that each should follow."""
    lanes, sizes, occupancy = report["lanes"], report["sizes"], report["occupancy"]
    of_lanes = f"over lanes, {report['inputs']} -> {lanes[0]['size']}"
    of_sizes = f"over hidden size, {sizes[0]['lanes']} lanes"
    with figure(path, 2, 3, (14, 8)) as (above, below):
        for axes, rows, key in ((above[0], lanes, "lanes"), (above[1], sizes, "size")):
            for colour, load in (("C0", "dense"), ("C1", "sparse")):
                points = [(row[key], row[load]) for row in rows]
                _cycles_over(axes, points, colour, _percentages([row[load] for row in rows]))
            axes.set_yscale("log")
        points = [(100 * point["occupancy"], point) for point in occupancy["points"]]
        _cycles_over(above[2], sorted(points, key=lambda p: p[0]), "C0", "measured")

        for axes, rows, key in ((below[0], lanes, "lanes"), (below[1], sizes, "size")):
            built = [row for row in rows if "area" in row]
            totals = [(row[key], row["area"]["lut"]) for row in built]
            own = [(row[key], _of_lanes(row["components"])) for row in built]
            rest = [(n, total - lut) for (n, total), (_, lut) in zip(totals, own, strict=True)]
            for colour, label, drawn in (
                ("C0", "whole core", totals),
                ("C1", "lanes, readout, weights", own),
                ("C2", "all else", rest),
            ):
                if drawn:
                    axes.plot(*zip(*drawn, strict=True), "o-", color=colour, label=label)
            if len(totals) > 1:
                law = (lambda n: n) if key == "lanes" else log2
                what = "a lane" if key == "lanes" else "each doubling"
                _law(axes, totals, law, what)
        for label, rows, key in ((of_lanes, lanes, "lanes"), (of_sizes, sizes, "size")):
            placed = [(row[key], row["fmax"]) for row in rows if "fmax" in row]
            if placed:
                below[2].plot(*zip(*placed, strict=True), "o-", label=label)

        by_lanes, by_size = [row["lanes"] for row in lanes], [row["size"] for row in sizes]
        p, h = "lanes P", "hidden size H"
        for axes, title, across, up, ticks in (
            (above[0], f"Cycles {of_lanes}", p, "cycles a frame", by_lanes),
            (above[1], f"Cycles {of_sizes}", h, "cycles a frame", by_size),
            (above[2], f"Cycles, {occupancy['name']}", "occupancy, %", "cycles a frame", None),
            (below[0], f"LUT4 {of_lanes}", p, "LUT4", by_lanes),
            (below[1], f"LUT4 {of_sizes}", h, "LUT4", by_size),
            (below[2], "Clock, one seed", f"{p}, or {h}", "MHz", sorted({*by_lanes, *by_size})),
        ):
            axes.set(title=title, xlabel=across, ylabel=up)
            if ticks:
                # Lanes cost area each, so that a line over them is straight only without a log.
                if axes is not below[0]:
                    axes.set_xscale("log", base=2)
                    axes.minorticks_off()
                    axes.set_xticks(ticks, [str(tick) for tick in ticks])
                else:
                    axes.set_xticks(ticks[-4:], [str(tick) for tick in ticks[-4:]])
            if axes.get_yscale() == "linear":
                axes.set_ylim(0, 1.12 * axes.dataLim.ymax)
            axes.grid(visible=True, color="0.93")
            axes.set_axisbelow(True)
            axes.legend(frameon=False, fontsize="small")
        above[0].figure.suptitle("How a core grows: RTL simulation, and synthesis for ECP5")


_IDEAL = "ideal: events * row blocks"


def _cycles_over(axes: Any, points: Sequence[tuple[float, Any]], colour: str, label: str) -> None:
    axes.plot(
        [x for x, _ in points], [p["cycles"] for _, p in points], "o", color=colour, label=label
    )
    ideal = [(x, p["ideal_cycles"]) for x, p in points if p["ideal_cycles"]]
    if ideal:
        known = any(line.get_label() == _IDEAL for line in axes.lines)
        axes.plot(
            *zip(*ideal, strict=True), "--", color="0.6", label=None if known else _IDEAL, zorder=1
        )


def _percentages(points: Sequence[dict[str, float]]) -> str:
    values = [100 * point["occupancy"] for point in points]
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return f"measured at {low if low == high else f'{low} to {high}'} % occupancy"


def _of_lanes(components: dict[str, dict[str, int]]) -> int:
    """LUTs of what there is P times."""
    return sum(components[part]["lut"] for part in ("lanes", "readout", "weights"))


def _law(
    axes: Any, totals: Sequence[tuple[int, int]], law: Callable[[float], float], what: str
) -> None:
    """The line a + b * law(n) through the first and the last point."""
    (first, least), (last, most) = totals[0], totals[-1]
    slope = (most - least) / (law(last) - law(first))
    line = [least + slope * (law(n) - law(first)) for n, _ in totals]
    label = f"{slope:+.0f} LUT4 with {what}"
    axes.plot([n for n, _ in totals], line, "--", color="0.6", label=label)


def tables(report: dict[str, Any]) -> list[Table]:
    """One over lanes, one over sizes."""
    shown = []
    for key, title in (("lanes", "over lanes"), ("sizes", "over hidden size")):
        table = Table(title=f"growth {title}", title_justify="left", caption_justify="left")
        for column in ("P", "H", "dense", "sparse", "LUT4", "FF", "BRAM", "MHz"):
            table.add_column(column, justify="right")
        notes = ["dense, sparse: cycles a frame"]
        for row in report[key]:
            area = row.get("area", {})
            table.add_row(
                *(f"{row[k]:,}" for k in ("lanes", "size")),
                *(f"{row[load]['cycles']:,.0f}" for load in ("dense", "sparse")),
                *(f"{area[k]:,}" if area else "" for k in ("lut", "ff", "bram")),
                f"{row['fmax']:.1f}" if "fmax" in row else "",
            )
            if "failed" in row:
                notes.append(f"{row['lanes']} lanes, H {row['size']:,}: {row['failed']}")
        table.caption = Text("\n".join(notes))
        shown.append(table)
    return shown


GROWTH = Bench(run, draw, tables)
