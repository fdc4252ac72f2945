"""A speaker more: each of nine in turn is learned by a network that never heard him."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from deltarnn.bench.context import Bench, Context, figure
from golden.learn.sequence import LearningNetwork

NINE = tuple(range(9))
KEYS = ("before", "old", "new", "all")
SEEDS = (0, 1, 2)  # of weights, order, and which utterances are drawn


def run(
    context: Context, speakers: Sequence[int] = NINE, seeds: Sequence[int] = SEEDS
) -> dict[str, Any]:
    """By golden/, which a core equals in every bit. Fractions are means over the seeds."""
    from train.course.new_class import NewClass, beginning, last, learn, wrong
    from train.tasks.japanese_vowels import LABELS, load

    data, how, rows = load(), NewClass(), []
    for speaker in context.track("a speaker more", speakers, lambda n: LABELS[n]):
        found = []
        for seed in seeds:
            begun = beginning(last(data, speaker), how, seed)
            is_new = np.asarray(begun.test.labels) == len(LABELS) - 1
            before = wrong(LearningNetwork.of(begun.model), begun.test, len(LABELS) - 1)
            after = wrong(learn(begun, how, seed), begun.test, len(LABELS))
            parts = (before[~is_new], after[~is_new], after[is_new], after)
            found.append([each.mean() for each in parts])
        means = np.mean(found, axis=0).tolist()
        rows.append({"speaker": LABELS[speaker], **dict(zip(KEYS, means, strict=True))})
    return {"how": vars(how), "seeds": list(seeds), "speakers": rows}


def draw(report: dict[str, Any], path: Path) -> None:
    """Wrong of the new speaker and of all, one after another."""
    rows = report["speakers"]
    with figure(path, 1, 1, (8, 4)) as ((axes,),):
        x = np.arange(len(rows))
        for n, (key, label) in enumerate((("new", "the new speaker"), ("all", "all speakers"))):
            axes.bar(x + 0.35 * n, [100 * row[key] for row in rows], 0.35, label=label)
        before = [100 * row["before"] for row in rows]
        axes.plot(x + 0.17, before, "k_", markersize=18, label="the others, before")
        axes.set_xticks(x + 0.17, [row["speaker"] for row in rows], rotation=30)
        axes.set(ylabel="utterances taken for another speaker's, %")
        axes.grid(visible=True, axis="y", color="0.9")
        axes.set_axisbelow(True)
        axes.legend(frameon=False)


def tables(report: dict[str, Any]) -> list[Table]:
    """One row a speaker, and their mean."""
    table = Table(title="a speaker more", title_justify="left")
    for name in ("new speaker", "others before", "others", "new one", "all"):
        table.add_column(name, justify="left" if name == "new speaker" else "right")
    rows = report["speakers"]
    mean = {key: float(np.mean([row[key] for row in rows])) for key in KEYS}
    for row in [*rows, {"speaker": "mean", **mean}]:
        table.add_row(row["speaker"], *(f"{row[key]:.1%}" for key in KEYS))
    return [table]


SPEAKERS = Bench(run, draw, tables, ("speakers",), ("torch", "aeon"))
