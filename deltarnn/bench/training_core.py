"""A core that learns: what its integers cost in accuracy, and what leaving out columns gains."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from deltarnn.bench.context import Bench, Context, figure
from golden.fixed import Q
from golden.formats import Formats
from golden.learn.formats import LearningFormats
from golden.parameters import CoreParameters, LayerParameters, NetworkParameters
from golden.predict.learning_core import LearningCore, Pipeline, Work

SEEDS = (1, 2, 3, 4, 5)
SPARSITIES = (0.0, 0.5, 0.8, 0.9, 0.95)
FRAMES = 150  # of a sequence in the cycle model
ACCUMULATOR = 24  # bits, of shapes without weights
OCCUPANCY = 0.5  # of the columns: what lists have room for


@dataclass(frozen=True)
class Variant:
    """How errors are made: ``loss`` None is a float backward pass, which takes batches.

    ``so_far`` and ``opens`` are those of train.course.integer_training.InIntegers.
    """

    name: str
    loss: str | None
    cost: int = 0
    learning: LearningFormats = LearningFormats()  # noqa: RUF009  # frozen
    course: dict[str, Any] = field(default_factory=dict)
    so_far: bool = False
    opens: bool = True


VARIANTS = (
    Variant("float, batches of 9", None),
    Variant("errors from the host", "softmax"),
    Variant("label alone", "hinge"),
    Variant("errors from the host, L1 of 64", "softmax", 64),
    Variant("label alone, L1 of 64", "hinge", 64),
    Variant("label alone, slopes of 16 bits", "hinge", 0, LearningFormats(slope=Q(1, 14))),
    Variant("label alone, weights up to 4", "hinge", 0, course={"weight_frac": 5}),
)
FOUR, EIGHT = {"window": 4}, {"window": 8}
CHUNKS = (
    Variant("whole sequences", "hinge"),
    Variant("chunks of 12", "hinge", course={"window": 12}),
    Variant("chunks of 8", "hinge", course=EIGHT),
    Variant("chunks of 4", "hinge", course=FOUR),
    Variant("chunks of 8, judged by all frames so far", "hinge", course=EIGHT, so_far=True),
    Variant("chunks of 4, judged by all frames so far", "hinge", course=FOUR, so_far=True),
    Variant("chunks of 8 that keep M", "hinge", course=EIGHT, opens=False),
    Variant("chunks of 4 that keep M", "hinge", course=FOUR, opens=False),
)


@dataclass(frozen=True)
class Chip:
    """A chip: its latencies, ports of a word that is rewritten, lanes, units a cycle."""

    name: str
    pipeline: Pipeline
    ports: int
    lanes: int
    activations: int


# Forward latencies are those of the engine's pipelines with the target's reads and multiply-adds.
ECP5 = Chip("ECP5-85F", Pipeline(activate=32, gather=16, errors=20), 2, 16, 2)
WIDE = replace(ECP5, lanes=32)
SMALL = replace(ECP5, lanes=8, activations=1)
UP5K = Chip("UP5K", Pipeline(activate=24, gather=12, errors=20), 1, 4, 1)
BLOCK_RAMS, OTHERS = 208, 28  # of an ECP5-85F; and those for lists, M, v^, tables and results


@dataclass(frozen=True)
class Shape:
    """A network by its sizes: inputs, units of each recurrent layer, results."""

    kind: str
    sizes: tuple[int, ...]
    outputs: int

    @property
    def name(self) -> str:
        return f"{self.kind} {' -> '.join(map(str, (*self.sizes, self.outputs)))}"

    def core(self, chip: Chip) -> LearningCore:
        layers = [
            LayerParameters(self.kind, inputs, units, 6, 0, 0)
            for inputs, units in pairwise(self.sizes)
        ]
        layers.append(LayerParameters("linear", self.sizes[-1], self.outputs, 6, 0))
        network = NetworkParameters(Formats(), tuple(layers), ACCUMULATOR)
        core = CoreParameters(network, chip.lanes, chip.activations)
        return LearningCore(core, chip.pipeline, ports=chip.ports)


JAPANESE_VOWELS = Shape("gru", (12, 32), 9)
DIGITS, WORDS = Shape("gru", (40, 128), 10), Shape("lstm", (16, 64, 64), 31)
CORES = (
    (DIGITS, ECP5),
    (DIGITS, WIDE),
    (WORDS, ECP5),
    (WORDS, WIDE),
    (Shape("lstm", (40, 128), 10), ECP5),
    (Shape("gru", (64, 160), 12), ECP5),
    (JAPANESE_VOWELS, SMALL),
    (Shape("gru", (40, 64), 10), UP5K),
)


def run(
    context: Context,
    variants: Sequence[Variant] = VARIANTS,
    seeds: Sequence[int] = SEEDS,
    cores: Sequence[tuple[Shape, Chip]] = CORES,
    chunks: Sequence[Variant] = CHUNKS,
) -> dict[str, Any]:
    """Learns Japanese Vowels in every variant and seed, and counts cycles and memory."""
    from train.course.integer_training import Course
    from train.tasks.japanese_vowels import load

    data, course = load(), Course()
    learned = [
        _learned(data, course, variant, seeds)
        for variant in context.track("training-core", (*variants, *chunks), lambda each: each.name)
    ]
    return {
        "course": {
            name: value for name, value in vars(course).items() if name not in ("formats", "window")
        },
        "seeds": list(seeds),
        "accuracy": learned[: len(variants)],
        "chunks": learned[len(variants) :],
        "frames": FRAMES,
        "cores": [_core(shape, chip) for shape, chip in cores],
    }


def _learned(data: Any, course: Any, variant: Variant, seeds: Sequence[int]) -> dict[str, Any]:
    from train.course.integer_training import InFloat, InIntegers, learn

    course = replace(course, **variant.course)

    def make(network: Any) -> Any:
        if variant.loss is None:
            return InFloat(network, course)
        return InIntegers(
            network,
            course,
            variant.loss,
            variant.cost,
            variant.learning,
            so_far=variant.so_far,
            opens=variant.opens,
        )

    found = [learn(data, course, seed, make) for seed in seeds]
    return {
        "name": variant.name,
        "errors": [each.error for each in found],
        "losses": [each.loss for each in found],
        "occupancy": float(np.mean([each.tested.fired for each in found])),
        **_taken(found),
    }


def _taken(found: Sequence[Any]) -> dict[str, Any]:
    """Cycles that learning from test sequences or their chunks would take, if in integers."""
    tapes = [of_layers for each in found for of_layers in each.tested.tapes]
    if not tapes:
        return {}
    core = JAPANESE_VOWELS.core(SMALL)
    works = [Work.of_tapes(of_layers) for of_layers in tapes]
    frames = sum(len(work.events_x) for work in works)
    sparse = sum(core.cycles(work).total for work in works)
    dense = sum(core.dense_cycles(len(work.events_x)).total for work in works)
    return {"cycles": sparse / frames, "dense_cycles": dense / frames}


def _core(shape: Shape, chip: Chip) -> dict[str, Any]:
    core = shape.core(chip)
    dense, points = core.dense_cycles(FRAMES), []
    for sparsity in SPARSITIES:
        work = Work.uniform(core.layers, FRAMES, 1 - sparsity)
        sparse = core.cycles(work)
        points.append(
            {
                "sparsity": sparsity,
                "cycles": {**vars(sparse), "total": sparse.total},
                "speedup": dense.total / sparse.total,
                "utilisation": core.bound(work) / sparse.total,
            }
        )
    counted: dict[str, Any] = {}
    if chip.ports == 2:
        counted = {
            "block_rams": core.block_rams(FRAMES, OCCUPANCY),
            "longest": core.longest(BLOCK_RAMS, OTHERS, OCCUPANCY),
        }
    return {
        "shape": shape.name,
        "chip": chip.name,
        "lanes": chip.lanes,
        "activations": chip.activations,
        "points": points,
        **counted,
    }


def draw(report: dict[str, Any], path: Path) -> None:
    """Errors and losses of the variants, and the speed-up over sparsity."""
    rows = report["accuracy"]
    with figure(path, 1, 3, (17, 5.5)) as ((errors, fired, speed),):
        for axes, values in (
            (errors, [[100 * value for value in row["errors"]] for row in rows]),
            (fired, [[100 * row["occupancy"]] for row in rows]),
        ):
            for n, found in enumerate(values):
                axes.plot(found, [n] * len(found), "o", color="C0", alpha=0.5, markersize=5)
                axes.plot([np.mean(found)] * 2, [n - 0.3, n + 0.3], color="C0", linewidth=2)
            axes.set(xlim=(0, None), ylim=(len(rows) - 0.5, -0.5))
            axes.grid(visible=True, axis="x", color="0.9")
        errors.set_yticks(range(len(rows)), [row["name"] for row in rows])
        errors.set(
            xlabel="test utterances wrong, %; a dot a seed, bar: mean",
            title="Japanese Vowels learned in integers",
        )
        fired.set_yticks([])
        fired.set(xlabel="weights that test frames fetch, %", title="and what then fires")
        for core in report["cores"]:
            x = [100 * point["sparsity"] for point in core["points"]]
            y = [point["speedup"] for point in core["points"]]
            speed.plot(x, y, "o-", markersize=4, label=f"{core['shape']}, {core['lanes']} lanes")
        x = [100 * sparsity for sparsity in SPARSITIES]
        speed.plot(x, [100 / (100 - s) for s in x], ":", color="0.6", label="1 / occupancy")
        speed.set(
            xlabel="columns that do not fire, %",
            ylabel="times fewer cycles than dense",
            title=f"Predicted: learning from a sequence of {report['frames']} frames",
            yscale="log",
        )
        speed.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
        speed.grid(visible=True, color="0.9")
        speed.legend(frameon=False, fontsize="small")


def tables(report: dict[str, Any]) -> list[Table]:
    """Accuracy, speed-up, memory, chunks."""
    title = f"cycles a frame, {report['frames']} frames"
    speed = Table(title=title, title_justify="left")
    speed.add_column("network, lanes, units a cycle")
    for sparsity in SPARSITIES:
        speed.add_column("dense" if sparsity == 0 else f"{sparsity:.0%}", justify="right")
    memory = Table(title=f"block RAM, {report['frames']} frames", title_justify="left")
    columns = ("network, lanes, units a cycle", "masters", "slopes", "lists", "others", "sum")
    for column in (*columns, "longest"):
        memory.add_column(column, justify="left" if column == columns[0] else "right")
    for core in report["cores"]:
        name = f"{core['shape']}, {core['lanes']}, {core['activations']}"
        dense, *others = core["points"]
        speed.add_row(
            f"{name} ({core['chip']})",
            f"{dense['cycles']['total'] / report['frames']:,.0f}",
            *(
                f"{point['cycles']['total'] / report['frames']:,.0f} "
                f"({point['speedup']:.2f}x, {point['utilisation']:.2f})"
                for point in others
            ),
        )
        if "block_rams" in core:
            counts = core["block_rams"].values()
            total = sum(counts) + OTHERS
            row = (*map(str, counts), str(OTHERS), str(total), str(core["longest"]))
            memory.add_row(name, *row)
    return [
        _accuracy("Japanese Vowels learned in integers", "errors", report["accuracy"]),
        speed,
        memory,
        _accuracy("and in chunks", "learned in", report["chunks"]),
    ]


def _accuracy(title: str, first: str, rows: Sequence[dict[str, Any]]) -> Table:
    """What was learned, a variant a row; ``first`` is the heading of their names."""
    table = Table(title=title, title_justify="left")
    for column in (first, "wrong", "from - to", "loss", "fired", "cycles a frame", "dense"):
        table.add_column(column, justify="left" if column == first else "right")
    for row in rows:
        low, high = min(row["errors"]), max(row["errors"])
        table.add_row(
            row["name"],
            f"{np.mean(row['errors']):.2%}",
            f"{100 * low:.2f} - {100 * high:.2f}",
            f"{np.mean(row['losses']):.3f}",
            f"{row['occupancy']:.1%}",
            *(f"{row[key]:.0f}" if key in row else "" for key in ("cycles", "dense_cycles")),
        )
    return table


MARKS = ("accuracy", "speed", "memory", "chunks")
TRAINING_CORE = Bench(run, draw, tables, MARKS, ("torch", "aeon"))
