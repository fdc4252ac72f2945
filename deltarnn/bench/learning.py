"""A core that learns, in RTL: Japanese Vowels from scratch, and cycles over what stands still."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from boards.family.targets import TARGETS
from deltarnn.bench.context import Bench, Context, figure
from golden.learn.masters import widened
from golden.learn.sequence import LearningNetwork, Settings
from golden.learn.tape import TapeSize
from golden.learn.training import Training
from golden.parameters import CoreParameters
from hw.emit.verilog import emit
from sim.build import build
from sim.fast.harness import Harness
from sim.job import Job
from sim.lessons import Course, Lesson
from sim.run import Record, play
from sim.simulator import Simulation
from sim.sweep import Shape, moving_frames, with_thresholds

TARGET = TARGETS["ecp5"]
SHAPES = (
    Shape("gru 40 -> 128 -> 10", (40, 128), 10, 16, 2),
    Shape("lstm 16 -> 64 -> 64 -> 31", (16, 64, 64), 31, 16, 2, "lstm"),
)
STILL = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)  # columns that do not fire; 0: thresholds 0
FRAMES = 50
THRESHOLDS = (*range(24), *range(24, 64, 2))
LOSSES = {"label alone": "hinge", "errors from the host": "softmax"}
LANES, SEED = 8, 1  # of the core that learns Japanese Vowels


def run(
    context: Context,
    shapes: Sequence[Shape] = SHAPES,
    still: Sequence[float] = STILL,
    frames: int = FRAMES,
    losses: Sequence[str] = tuple(LOSSES),
    epochs: int | None = None,
) -> dict[str, Any]:
    """Teaches cores, in Verilator's harness whatever simulator is asked for: millions of cycles.

    Raises RuntimeError where one differs from golden in any bit.
    """
    points = [(shape, fraction) for shape in shapes for fraction in still]
    cores = {shape.name: _Subject(shape, context.seed, frames) for shape in shapes}
    rows = [
        cores[shape.name].point(fraction)
        for shape, fraction in context.track(
            "learning", points, lambda point: f"{point[0].name}, {point[1]:.0%} still"
        )
    ]
    for row in rows:
        dense = next(each for each in rows if each["shape"] == row["shape"])
        row["speedup"] = dense["cycles"] / row["cycles"]
    taught = [
        _vowels(loss, epochs)
        for loss in context.track("japanese vowels", losses, lambda loss: loss)
    ]
    return {"frames": frames, "cycles": rows, "japanese_vowels": taught}


class _Subject:
    """A network with random weights on a core that trains, and its simulation."""

    def __init__(self, shape: Shape, seed: int, frames: int) -> None:
        self._shape, self._seed, self._frames = shape, seed, frames
        self._model = widened(shape.model(seed))
        layers = self._model.parameters.layers
        self._training = Training(TapeSize.of(layers, frames))
        self._core = replace(shape.core(self._model), training=self._training)
        self._simulation: Simulation | None = None

    def point(self, still: float) -> dict[str, Any]:
        """One sequence in which this fraction of the columns does not fire, learned."""
        if self._simulation is None:
            emission = emit(self._core, self._model, TARGET.target)
            self._simulation = build(emission, Harness(), models=TARGET.cells.models())
        core, network = self._core, self._model.parameters
        rng = np.random.default_rng(self._seed)
        frames = moving_frames(rng, self._frames, network.inputs, 1 - still)
        model = with_thresholds(self._model, self._theta(frames, still) if still else 0)
        course = Course(core, LearningNetwork.of(model, tape=self._training.tape), Job())
        learned = course.lesson(Lesson(frames, Settings(1, network.outputs), 0))
        course.look()
        course.count()
        course.end()
        record = play(self._simulation, core, course.job)
        _require_equal(course, record)
        forward, back = course.cycles(record)
        rows = np.array(core.row_blocks)
        events = [np.count_nonzero(t.x) + np.count_nonzero(t.h) for t in learned.tapes]
        columns = sum(layer.columns for layer in network.layers)
        bound = 2 * int(np.dot(events, rows))
        return {
            "shape": self._shape.name,
            "lanes": self._shape.lanes,
            "activations": self._shape.activations,
            "still": 1 - sum(events) / (columns * self._frames),
            "cycles": (forward + back) / self._frames,
            "forward": forward / self._frames,
            "back": back / self._frames,
            "utilisation": bound / (forward + back),
            "speedup_over_dense": 2 * core.dense_cycles * self._frames / (forward + back),
        }

    def _theta(self, frames: np.ndarray, still: float) -> int:
        """The threshold at which that fraction of all columns stands still."""

        def fires(theta: int) -> float:
            model = with_thresholds(self._model, theta)
            tapes = LearningNetwork.of(model, tape=self._training.tape).infer(frames)[1]
            events = sum(np.count_nonzero(t.x) + np.count_nonzero(t.h) for t in tapes)
            return events / (len(frames) * sum(k.columns for k in model.parameters.layers))

        return min(THRESHOLDS, key=lambda theta: abs(1 - still - fires(theta)))


def _require_equal(course: Course, record: Record) -> None:
    mismatch = course.difference(record)
    if mismatch:
        raise RuntimeError(f"RTL and golden model differ: {mismatch}")


def _vowels(loss: str, epochs: int | None) -> dict[str, Any]:
    """Japanese Vowels from scratch in the RTL, then its test part with rate 0."""
    from train.course import integer_training
    from train.tasks.japanese_vowels import load

    told: list[tuple[np.ndarray, int | np.ndarray, int]] = []
    begin: list[LearningNetwork] = []

    def make(network: Any) -> Any:
        learner = integer_training.InIntegers(
            network, how, LOSSES[loss], tell=lambda *each: told.append(each)
        )
        now = learner.network
        begin.append(LearningNetwork(now.formats, now.layers, now.masters, now.learning))
        return learner

    data, how = load(), integer_training.Course()
    if epochs is not None:
        how = replace(how, epochs=epochs)
    found = integer_training.learn(data, how, SEED, make)
    network, labels = begin[0], np.asarray(data.test.labels)
    longest = max(len(frames) for frames in (*(each[0] for each in told), *found.frames))
    model = widened(network.model("japanese vowels"))
    training = Training(TapeSize.of(network.layers, longest))
    core = CoreParameters(model.parameters, LANES, training=training)
    course, outputs = Course(core, network, Job()), model.parameters.outputs
    course.load()
    for frames, said, rate in told:
        course.lesson(Lesson(frames, Settings(rate, outputs), said))
    for frames, label in zip(found.frames, labels.tolist(), strict=True):
        course.lesson(Lesson(frames, Settings(0, outputs), label))
    course.look()
    course.count()
    course.end()
    record = play(build(emit(core, model), Harness()), core, course.job)
    _require_equal(course, record)
    ends = np.cumsum([len(frames) for frames in found.frames])
    results = np.array(record.outputs[-ends[-1] :])
    sums = np.add.reduceat(results, [0, *ends[:-1]], axis=0)
    wrong = float((sums.argmax(axis=1) != labels).mean())
    if wrong != found.error:
        raise RuntimeError(f"{loss}: {wrong} of the test part wrong, golden says {found.error}")
    return {
        "errors": loss,
        "epochs": how.epochs,
        "sequences": len(told) + len(found.frames),
        "frames": len(record.outputs),
        "masters": sum(m.x.size + m.h.size for m in network.masters),
        "wrong": wrong,
        "cycles": sum(course.cycles(record)) / len(record.outputs),
    }


def draw(report: dict[str, Any], path: Path) -> None:
    """Times fewer cycles than a bound for all columns, over what stands still."""
    shapes = list(dict.fromkeys(row["shape"] for row in report["cycles"]))
    with figure(path, 1, 2, (11, 4.5)) as ((speed, parts),):
        for n, shape in enumerate(shapes):
            rows = [row for row in report["cycles"] if row["shape"] == shape]
            x = [100 * row["still"] for row in rows]
            speed.plot(x, [row["speedup_over_dense"] for row in rows], "o-", label=shape)
            for key, style in (("forward", "--"), ("back", "-")):
                label = f"{shape}, {key}"
                parts.plot(x, [row[key] for row in rows], style, color=f"C{n}", label=label)
        x = np.linspace(0, 92, 50)
        speed.plot(x, 100 / (100 - x), ":", color="0.6", label="1 / occupancy")
        speed.set(ylabel="times fewer cycles than all columns would take", yscale="log")
        speed.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        parts.set(ylabel="cycles a frame", yscale="log")
        for axes in (speed, parts):
            axes.set(xlabel="columns that do not fire, %")
            axes.grid(visible=True, color="0.9")
            axes.legend(frameon=False, fontsize="small")


def tables(report: dict[str, Any]) -> list[Table]:
    """Cycles, and what was learned."""
    cycles = Table(title=f"cycles a frame, {report['frames']} frames", title_justify="left")
    names = ("still", "forward", "back", "sum", "times fewer", "than all columns", "utilisation")
    cycles.add_column("network, lanes, units a cycle")
    for name in names:
        cycles.add_column(name, justify="right")
    for row in report["cycles"]:
        cycles.add_row(
            f"{row['shape']}, {row['lanes']}, {row['activations']}",
            f"{row['still']:.1%}",
            *(f"{row[key]:,.0f}" for key in ("forward", "back", "cycles")),
            f"{row['speedup']:.2f}x",
            f"{row['speedup_over_dense']:.2f}x",
            f"{row['utilisation']:.3f}",
        )
    vowels = Table(title="Japanese Vowels from scratch", title_justify="left")
    for name in ("errors", "sequences", "frames", "masters", "wrong", "cycles a frame"):
        vowels.add_column(name, justify="left" if name == "errors" else "right")
    for row in report["japanese_vowels"]:
        counts = (f"{row[key]:,}" for key in ("sequences", "frames", "masters"))
        vowels.add_row(row["errors"], *counts, f"{row['wrong']:.2%}", f"{row['cycles']:.0f}")
    return [cycles, vowels]


LEARNING = Bench(run, draw, tables, ("cycles", "vowels"), ("torch", "aeon"))
