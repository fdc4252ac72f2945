"""Cycles and bytes of cores with their weights outside, over occupancy, beside four memories."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from boards.family.chip import RESOURCES
from boards.family.ecp5 import ECP5
from boards.family.targets import find_target
from deltarnn.bench.context import Bench, Context, figure
from deltarnn.bench.workshop import on_ecp5
from deltarnn.memories import Flash, Sdram
from golden.model import Model
from golden.parameters import CoreParameters
from hw.emit.verilog import Emission, emit
from hw.target import GENERIC
from sim.memory import Memory
from sim.sweep import WARM_UP, Shape, sweep

FRAMES = 10  # a point
# Two lanes for the two bytes of a 16-bit SDRAM, one for a flash.
SHAPES = (
    Shape("40 -> 128", (40, 128), None, 2),
    Shape("40 -> 256 -> 12", (40, 256), 12, 2),
    Shape("40 -> 1024", (40, 1024), None, 2),
    Shape("40 -> 768 -> 768", (40, 768, 768), None, 2),
)
FLASH = "flash"
MEMORIES: dict[str, Memory | Sdram | Flash] = {
    "a word a cycle": Memory(),
    # A column at a time, whose latency nothing hides but what the core asks ahead.
    "10 cycles a column": Memory(latency=10),
    "LiteDRAM": Sdram(),
    FLASH: Flash(),
}
PLACED = (SHAPES[0], SHAPES[-1])  # on an ECP5-85F
WANTED = 110.0  # MHz, of nextpnr
# Fraction of inputs that move, and the threshold of h.
POINTS = ((1.0, 0), (0.4, 8), (0.1, 12), (0.05, 16), (0.0, 255))


def run(
    context: Context,
    shapes: Sequence[Shape] = SHAPES,
    points: Sequence[tuple[float, int]] = POINTS,
    memories: Mapping[str, Memory | Sdram | Flash] = MEMORIES,
    placed: Sequence[Shape] = PLACED,
) -> dict[str, Any]:
    """Sweeps every shape beside every memory, and places ``placed``.

    ``bytes``: that were fetched in a frame; ``utilisation``: their share of what the memory can
    give in the frame's cycles. Dense is what fetches all columns at that rate. Raises RuntimeError
    where the RTL differs from golden in any bit.
    """
    pairs = [(shape, name) for shape in shapes for name in memories]
    networks: dict[str, Any] = {}
    for shape, name in context.track("memory", pairs, lambda pair: f"{pair[0].name}, {pair[1]}"):
        lanes = 1 if name == FLASH else shape.lanes
        beside = _emitted(memories[name])
        of = replace(shape, lanes=lanes)
        rows = sweep(of, context.simulator, context.seed, FRAMES, points, beside)
        for row in rows:
            row["bytes"] = row["ideal_cycles"] * lanes
            for key in ("utilisation", "speedup_over_dense"):  # both as the memory allows
                row[key] *= memories[name].interval
        core = of.core(of.model(context.seed))
        network = networks.setdefault(shape.name, {"weights": core.network.weights, "memories": {}})
        network["memories"][name] = {"lanes": lanes, "rows": rows}
    cores = {
        shape.name: _placed(context, shape)
        for shape in context.track("area", placed, lambda shape: shape.name)
    }
    return {"frames_per_point": FRAMES - WARM_UP, "networks": networks, "cores": cores}


def _placed(context: Context, shape: Shape) -> dict[str, Any]:
    """What a core takes of an ECP5-85F, without its memory, and the clock of one placement."""
    subject = replace(on_ecp5(shape), target=ECP5.with_columns(), clocks=(WANTED,))
    area = context.workshop.netlist(subject, context.seed).area
    placement = context.workshop.placement(subject, context.seed, 1)
    return {**area, "MHz": placement.fmax, "path": [vars(hop) for hop in placement.path]}


def _emitted(memory: Memory | Sdram | Flash):
    def emitted(core: CoreParameters, model: Model) -> Emission:
        if not isinstance(memory, Flash):
            return memory.beside(emit(core, model, memory.made_of(GENERIC)))
        # A UP5K's, whose M is in SPRAM: its slots take two cycles.
        choice = find_target("up5k")
        emission = memory.beside(emit(core, model, memory.made_of(choice.target)))
        return replace(emission, verilog=emission.verilog + choice.cells.models())

    return emitted


def draw(report: dict[str, Any], path: Path) -> None:
    """Cycles over occupancy, a panel for each network; broken: what its bytes take at the least."""
    networks = report["networks"]
    with figure(path, 1, len(networks), (4.2 * len(networks), 4.2)) as (panels,):
        for axes, (name, network) in zip(panels, networks.items(), strict=True):
            for n, (memory, found) in enumerate(network["memories"].items()):
                rows = sorted(_firing(found), key=lambda row: row["occupancy"])
                occupancy = [row["occupancy"] for row in rows]
                axes.plot(
                    occupancy, [row["cycles"] for row in rows], "o-", color=f"C{n}", label=memory
                )
                least = [row["cycles"] * row["utilisation"] for row in rows]
                axes.plot(occupancy, least, "--", color=f"C{n}")
            axes.set(
                xscale="log",
                yscale="log",
                title=f"{name}, {network['weights'] / 1e6:.2g} M weights",
                xlabel="occupancy",
            )
            axes.grid(visible=True, color="0.9")
        panels[0].set_ylabel("cycles a frame; broken: of its bytes alone")
        panels[0].legend(frameon=False)


def _firing(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in found["rows"] if row["events"]]


def tables(report: dict[str, Any]) -> list[Table]:
    """A row for each network, memory and point."""
    table = Table(title="weights outside", title_justify="left")
    keys = ("network", "memory", "occupancy", "bytes", "cycles", "bandwidth", "than dense")
    for n, key in enumerate(keys):
        table.add_column(key, justify="right" if n > 1 else "left")
    for name, network in report["networks"].items():
        for memory, found in network["memories"].items():
            for row in found["rows"]:
                share = f"{row['utilisation']:.3f}" if row["events"] else "-"
                table.add_row(
                    name,
                    memory,
                    f"{100 * row['occupancy']:.1f} %",
                    f"{row['bytes']:,.0f}",
                    f"{row['cycles']:,.0f}",
                    share,
                    f"{row['speedup_over_dense']:.3g}",
                )
    cores = Table(title="on an ECP5-85F", title_justify="left")
    resources = [key for key in RESOURCES if any(c.get(key) for c in report["cores"].values())]
    for n, key in enumerate(("network", "MHz", *(RESOURCES[key] for key in resources))):
        cores.add_column(key, justify="right" if n else "left")
    for name, core in report["cores"].items():
        cores.add_row(name, f"{core['MHz']:.1f}", *(f"{core[key]:,}" for key in resources))
    return [table, cores]


MEMORY = Bench(run, draw, tables, needs=("litedram",), extra="sdram")
