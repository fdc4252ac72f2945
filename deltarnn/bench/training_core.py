"""A core that learns: what its integers cost in accuracy, and what leaving out columns gains."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from deltarnn.bench.context import Bench, Context, figure
from golden.fixed import Q
from golden.formats import Formats
from golden.learn.fixed_point import TrainingFormats
from golden.learn.noise import Nearest, Stochastic
from golden.parameters import CoreParameters, LayerParameters, NetworkParameters
from golden.predict.learning_core import Cycles, TrainingCore, Work

SEEDS = (1, 2, 3)
SPARSITIES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
FRAMES = 100  # of a sequence in the cycle model
ACCUMULATOR = 24  # bits, of shapes without weights


@dataclass(frozen=True)
class Variant:
    """Formats to learn with: None is a float backward pass."""

    name: str
    training: TrainingFormats | None
    stochastic: bool = False


def _formats(error: Q, gradient: Q, master: Q) -> TrainingFormats:
    return TrainingFormats(error, gradient, master=master)


E16, G16, M16 = Q(1, 14), Q(3, 12), Q(2, 13)
VARIANTS = (
    Variant("float", None),
    Variant("all 16 bits", _formats(E16, G16, M16)),
    Variant("all 16 bits, stochastic", _formats(E16, G16, M16), True),
    Variant("errors up to 1", _formats(Q(0, 15), G16, M16)),
    Variant("errors of 12 bits", _formats(Q(1, 10), G16, M16)),
    Variant("errors of 8 bits", _formats(Q(1, 6), G16, M16)),
    Variant("errors of 6 bits", _formats(Q(1, 4), G16, M16)),
    Variant("gradients of 12 bits", _formats(E16, Q(3, 8), M16)),
    Variant("gradients of 8 bits", _formats(E16, Q(3, 4), M16)),
    Variant("gradients of 6 bits", _formats(E16, Q(3, 2), M16)),
    Variant("masters of 20 bits", _formats(E16, G16, Q(2, 17))),
    Variant("masters of 12 bits", _formats(E16, G16, Q(2, 9))),
    Variant("masters of 12 bits, stochastic", _formats(E16, G16, Q(2, 9)), True),
    Variant("masters of 8 bits", _formats(E16, G16, Q(2, 5))),
    Variant("masters of 8 bits, stochastic", _formats(E16, G16, Q(2, 5)), True),
    Variant("all 12 bits", _formats(Q(1, 10), Q(3, 8), Q(2, 9))),
    Variant("all 12 bits, stochastic", _formats(Q(1, 10), Q(3, 8), Q(2, 9)), True),
    Variant("all 8 bits", _formats(Q(1, 6), Q(3, 4), Q(2, 5))),
    Variant("all 8 bits, stochastic", _formats(Q(1, 6), Q(3, 4), Q(2, 5)), True),
)


@dataclass(frozen=True)
class Chip:
    """What a chip has: bits of memory, multipliers, ports of a word that is rewritten."""

    name: str
    bits: int
    multipliers: int
    ports: int
    lanes: int


CHIPS = (
    Chip("UP5K", (128 + 15) * 1024 * 8, 8, 1, 8),
    Chip("ECP5-85k", 208 * 18 * 1024, 156, 2, 32),
)


@dataclass(frozen=True)
class Shape:
    """A network by its sizes: inputs, units of each recurrent layer, results."""

    kind: str
    sizes: tuple[int, ...]
    outputs: int

    @property
    def name(self) -> str:
        return f"{self.kind} {' -> '.join(map(str, (*self.sizes, self.outputs)))}"

    def core(self, chip: Chip) -> TrainingCore:
        layers = [
            LayerParameters(self.kind, inputs, units, 6, 0, 0)
            for inputs, units in pairwise(self.sizes)
        ]
        layers.append(LayerParameters("linear", self.sizes[-1], self.outputs, 6, 0))
        network = NetworkParameters(Formats(), tuple(layers), ACCUMULATOR)
        return TrainingCore(CoreParameters(network, chip.lanes), TrainingFormats(), chip.ports)


JAPANESE_VOWELS = Shape("gru", (12, 32), 9)
SHAPES = (
    JAPANESE_VOWELS,
    Shape("gru", (40, 64), 10),
    Shape("gru", (40, 128), 10),
    Shape("lstm", (40, 128), 10),
    Shape("gru", (64, 256), 12),
)


def run(
    context: Context,
    variants: Sequence[Variant] = VARIANTS,
    seeds: Sequence[int] = SEEDS,
    shapes: Sequence[Shape] = SHAPES,
) -> dict[str, Any]:
    """Learns Japanese Vowels in every variant and seed, and counts cycles and memory."""
    from train.course.integer_training import Course, InFloat, InIntegers, learn
    from train.tasks.japanese_vowels import load

    data, course, learned = load(), Course(), []
    for variant in context.track("training-core", variants, lambda variant: variant.name):

        def make(network: Any, variant: Variant = variant) -> Any:
            if variant.training is None:
                return InFloat(network, course)
            rounding = Stochastic() if variant.stochastic else Nearest()
            return InIntegers(network, course, variant.training, rounding)

        found = [learn(data, course, seed, make) for seed in seeds]
        learned.append(
            {
                "name": variant.name,
                "formats": _named(variant.training),
                "rounding": "stochastic" if variant.stochastic else "nearest",
                "errors": [each.error for each in found],
                "losses": [each.loss for each in found],
                "occupancy": float(np.mean([each.learner.occupancy(each.mask) for each in found])),
                **_taken(found),
            }
        )
    return {
        "course": {name: value for name, value in vars(course).items() if name != "formats"},
        "seeds": list(seeds),
        "accuracy": learned,
        "frames": FRAMES,
        "cores": [_core(shape, chip) for shape in shapes for chip in CHIPS],
    }


def _named(training: TrainingFormats | None) -> dict[str, str] | None:
    return training and {name: str(q) for name, q in vars(training).items()}


def _taken(found: Sequence[Any]) -> dict[str, Any]:
    """Cycles a test sequence would take to learn from, of what learned in integers."""
    from train.course.integer_training import InIntegers

    works = [
        work
        for each in found
        if isinstance(each.learner, InIntegers)
        for work in each.learner.work(each.mask)
    ]
    if not works:
        return {}
    core = JAPANESE_VOWELS.core(CHIPS[0])
    sparse = np.mean([core.cycles(work).total for work in works])
    dense = np.mean([core.dense_cycles(len(work.events_x)).total for work in works])
    return {"cycles": float(sparse), "dense_cycles": float(dense)}


def _core(shape: Shape, chip: Chip) -> dict[str, Any]:
    core = shape.core(chip)
    dense = core.dense_cycles(FRAMES)
    layers = core.core.network.layers
    points = []
    for sparsity in SPARSITIES:
        sparse = core.cycles(Work.uniform(layers, FRAMES, 1 - sparsity))
        points.append(
            {
                "sparsity": sparsity,
                "cycles": _parts(sparse),
                "speedup": dense.total / sparse.total,
                "speedup_of_products": _products(dense) / _products(sparse),
            }
        )
    return {
        "shape": shape.name,
        "chip": chip.name,
        "lanes": chip.lanes,
        "points": points,
        "fixed_bits": core.fixed_bits(),
        "frame_bits": {str(occupancy): core.frame_bits(occupancy) for occupancy in (1.0, 0.25)},
        "chip_bits": chip.bits,
        "longest": {
            str(occupancy): core.longest(chip.bits, occupancy) for occupancy in (1.0, 0.25)
        },
    }


def _parts(cycles: Cycles) -> dict[str, int]:
    return {**vars(cycles), "total": cycles.total}


def _products(cycles: Cycles) -> int:
    return cycles.forward + cycles.error + cycles.gradient


def draw(report: dict[str, Any], path: Path) -> None:
    """Errors and losses of the variants, and the speed-up over sparsity."""
    rows = report["accuracy"]
    with figure(path, 1, 3, (17, 5.5)) as ((errors, losses, speed),):
        for axes, key, scale in ((errors, "errors", 100), (losses, "losses", 1)):
            for n, row in enumerate(rows):
                found = [scale * value for value in row[key]]
                axes.plot(found, [n] * len(found), "o", color="C0", alpha=0.5, markersize=5)
                axes.plot([np.mean(found)] * 2, [n - 0.3, n + 0.3], color="C0", linewidth=2)
            axes.set(xlim=(0, None), ylim=(len(rows) - 0.5, -0.5))
            axes.grid(visible=True, axis="x", color="0.9")
        errors.set_yticks(range(len(rows)), [row["name"] for row in rows])
        errors.set(
            xlabel="test utterances wrong, %; a dot a seed, bar: mean",
            title="Japanese Vowels learned in integers",
        )
        losses.set_yticks([])
        losses.set(xlabel="nats, last epoch of learning", title="and the loss")
        one_chip = [core for core in report["cores"] if core["chip"] == CHIPS[0].name]
        for core in one_chip:
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
    """Accuracy, speed-up, memory."""
    accuracy = Table(title="Japanese Vowels learned in integers", title_justify="left")
    columns = (
        "backward pass",
        "error",
        "gradient",
        "master",
        "wrong",
        "from - to",
        "loss",
        "fired",
    )
    for column in columns:
        accuracy.add_column(column, justify="left" if column == "backward pass" else "right")
    for row in report["accuracy"]:
        formats = row["formats"] or {}
        low, high = min(row["errors"]), max(row["errors"])
        accuracy.add_row(
            row["name"],
            *(formats.get(name, "") for name in ("error", "gradient", "master")),
            f"{np.mean(row['errors']):.2%}",
            f"{100 * low:.2f} - {100 * high:.2f}",
            f"{np.mean(row['losses']):.3f}",
            f"{row['occupancy']:.1%}",
        )
    speed = Table(title=f"times fewer cycles, {report['frames']} frames", title_justify="left")
    speed.add_column("network, lanes")
    for sparsity in SPARSITIES[1:]:
        speed.add_column(f"{sparsity:.0%}", justify="right")
    memory = Table(title="memory, kbit", title_justify="left")
    columns = ("network", "chip", "has", "fixed", "a frame", "frames", "a frame, 1/4", "frames")
    for column in columns:
        memory.add_column(column, justify="left" if column in ("network", "chip") else "right")
    for core in report["cores"]:
        speed.add_row(
            f"{core['shape']}, {core['lanes']}",
            *(f"{point['speedup']:.2f}" for point in core["points"][1:]),
        )
        memory.add_row(
            core["shape"],
            core["chip"],
            f"{core['chip_bits'] / 1024:,.0f}",
            f"{sum(core['fixed_bits'].values()) / 1024:,.0f}",
            *(
                text
                for occupancy in core["longest"]
                for text in (
                    f"{sum(core['frame_bits'][occupancy].values()) / 1024:.1f}",
                    f"{core['longest'][occupancy]:,}",
                )
            ),
        )
    return [accuracy, speed, memory]


TRAINING_CORE = Bench(run, draw, tables, ("accuracy", "speed", "memory"), ("torch", "aeon"))
