"""An evaluation, drawn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deltarnn.evaluation.drop import Measured
from deltarnn.evaluation.evaluate import Evaluation
from golden.files import written_aside

MOST_NAMES = 24  # classes beyond which only every so many is named


def draw(evaluation: Evaluation, path: Sequence[Measured], file: Path) -> None:
    """Writes a PNG or SVG: answers beside what was wanted, and the error over cycles, if there is
    a ``path`` of thresholds.
    """
    figure = Figure(figsize=(6.4 * (1 + bool(path)), 5.2), layout="constrained", dpi=120)
    axes = figure.subplots(1, 1 + bool(path), squeeze=False)[0]
    confusion = evaluation.confusion
    if confusion is not None:
        _confusion(axes[0], confusion, evaluation.answers.labels)
    else:
        _first(axes[0], evaluation)
    if path:
        _curve(axes[1], path, evaluation)
    figure.suptitle(evaluation.model.name)
    with written_aside(file) as part:
        figure.savefig(part, format=file.suffix[1:], metadata=None)


def _confusion(axes: Axes, counts: np.ndarray, labels: Sequence[str] | None) -> None:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    classes = len(counts)
    every = -(-classes // MOST_NAMES)
    ticks = range(0, classes, every)
    names = [str(k) if labels is None else labels[k] for k in ticks]
    axes.set_xticks(ticks, names, rotation=90)
    axes.set_yticks(ticks, names)
    if every == 1:
        for (k, n), count in np.ndenumerate(counts):
            if count:
                colour = "white" if share[k, n] > 0.5 else "black"
                axes.text(n, k, str(count), ha="center", va="center", color=colour, fontsize=8)
    axes.set(
        xlabel="said", ylabel="wanted", title=f"{np.trace(counts):,} of {counts.sum():,} right"
    )


def _first(axes: Axes, evaluation: Evaluation) -> None:
    """The first recording's results over time, and what was wanted of them."""
    results = evaluation.results[0]
    axes.plot(results, lw=1)
    wanted = evaluation.recordings.wanted
    if wanted is not None and wanted[0].dtype.kind == "f":
        axes.plot(wanted[0], color="black", ls="--", lw=1, label="wanted")
        axes.legend()
    axes.set(xlabel="frame", ylabel="result", title=evaluation.recordings.names[0])


def _curve(axes: Axes, path: Sequence[Measured], evaluation: Evaluation) -> None:
    reading = evaluation.answers.reading
    assert reading is not None
    per_cent = 100 if reading.classes else 1
    axes.plot([step.cycles for step in path], [per_cent * step.error for step in path], "o-", ms=4)
    unit = f"{reading.unit}, %" if reading.classes else reading.unit
    axes.set(xlabel="cycles a frame, at least", ylabel=unit, title="rising thresholds, to the left")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
