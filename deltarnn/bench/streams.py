"""What several streams on one core win in cycles, and what each takes of the chip."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from boards.family.chip import RESOURCES
from deltarnn.bench.context import Bench, Context, figure
from deltarnn.bench.workshop import on_ecp5, on_up5k
from sim.sweep import SHAPES, WARM_UP, Shape, sweep

FRAMES = 16  # a point, of each stream
COUNTS = (1, 4)  # of streams, whose cycles are measured
NEAR = (0.05, 0.01)  # occupancies of which the table shows the nearest point
WIDER = (
    Shape("16 -> 16 -> 16, 8 lanes, 8 units a cycle", (16, 16, 16), None, 8, 8),
    Shape("LSTM 16 -> 128, 8 lanes, 4 units a cycle", (16, 128), None, 8, 4, kind="lstm"),
)
GRU = Shape("40 -> 128, 8 lanes", (40, 128), None, 8)
READ_OUT = Shape("40 -> 128 -> 10, 32 lanes", (40, 128), 10, 32)
AREA_COUNTS = (1, 2, 4, 8)
AREAS = tuple(
    of(replace(shape, streams=streams, name=f"{shape.name}, streams: {streams}"))
    for of, shape in ((on_up5k, GRU), (on_ecp5, READ_OUT))
    for streams in AREA_COUNTS
)


def run(
    context: Context, shapes: Sequence[Shape] = (*SHAPES, *WIDER), areas: Sequence = AREAS
) -> dict[str, Any]:
    """Sweeps every shape with each of COUNTS, and synthesises ``areas``.

    ``units``: cycles a frame that the activation unit needs where all units move. Raises
    RuntimeError where the RTL differs from golden in any bit.
    """
    networks = {}
    for shape in context.track("streams", shapes, lambda shape: shape.name):
        networks[shape.name] = {
            "units": sum(-(-units // shape.activations) for units in shape.sizes[1:]),
            "streams": {
                streams: sweep(
                    replace(shape, streams=streams), context.simulator, context.seed, FRAMES
                )
                for streams in COUNTS
            },
        }
    cores = {}
    for subject in context.track("area of streams", areas, lambda subject: subject.name):
        area = context.workshop.netlist(subject, context.seed).area
        cores[subject.name] = {"streams": subject.shape.streams, **area}
    return {"frames_per_point": FRAMES - WARM_UP, "networks": networks, "cores": cores}


def draw(report: dict[str, Any], path: Path) -> None:
    """Utilisation over occupancy: broken lines for one stream, whole ones for the most."""
    with figure(path, 1, 1, (10, 4.5)) as ((axes,),):
        for n, (name, network) in enumerate(report["networks"].items()):
            for streams, style in zip(COUNTS, ("--", "-"), strict=True):
                rows = sorted(_of(network, streams), key=lambda row: row["occupancy"])
                axes.plot(
                    [row["occupancy"] for row in rows],
                    [row["utilisation"] for row in rows],
                    style,
                    color=f"C{n}",
                    label=name if style == "-" else None,
                )
        axes.set(
            xscale="log",
            xlim=(0.001, 1.2),
            ylim=(0, 1.05),
            xlabel="occupancy: fraction of columns that fired",
            ylabel="utilisation: ideal cycles / cycles",
            title=f"{COUNTS[-1]} streams on one core (whole lines) beside one (broken lines)",
        )
        axes.grid(visible=True, color="0.9")
        axes.figure.legend(loc="outside right center", frameon=False)


def _of(network: dict[str, Any], streams: int) -> list[dict[str, Any]]:
    """The rows of so many streams, also of a report that was read from JSON."""
    by_streams = {int(key): rows for key, rows in network["streams"].items()}
    return [row for row in by_streams[streams] if row["events"]]


def tables(report: dict[str, Any]) -> list[Table]:
    """Cycles near the occupancies of NEAR, and what the cores take."""
    cycles = Table(title="cycles a frame of each stream", title_justify="left")
    for key in ("network", "streams", "occupancy", "ideal", "units", "cycles", "utilisation"):
        cycles.add_column(key, justify="left" if key == "network" else "right")
    for name, network in report["networks"].items():
        for near in NEAR:
            for streams in COUNTS:
                row = min(_of(network, streams), key=lambda row: abs(row["occupancy"] - near))
                figures = (row["occupancy"], row["ideal_cycles"], network["units"], row["cycles"])
                shown = (f"{value:.4g}" for value in (*figures, row["utilisation"]))
                cycles.add_row(name, str(streams), *shown)
    areas = Table(title="what they take", title_justify="left")
    keys = [key for key in RESOURCES if any(core.get(key) for core in report["cores"].values())]
    areas.add_column("core")
    for key in keys:
        areas.add_column(RESOURCES[key], justify="right")
    for name, core in report["cores"].items():
        areas.add_row(name, *(f"{core.get(key, 0):,}" for key in keys))
    return [cycles, areas]


STREAMS = Bench(run, draw, tables)
