"""What training gains from leaving out columns on a CPU: time and memory over sparsity."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.table import Table

from deltarnn.bench.context import Bench, Context, figure

KINDS = ("gru", "lstm")
SIZES = (128, 256, 512)
SPARSITIES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
REPETITIONS = 15
FRAMES = 100


def run(
    context: Context,
    sizes: Sequence[int] = SIZES,
    sparsities: Sequence[float] = SPARSITIES,
    repetitions: int = REPETITIONS,
    frames: int = FRAMES,
) -> dict[str, Any]:
    """Times every cell, size and sparsity (train.course.bptt_timing)."""
    from train.course.bptt_timing import Setup, measure

    setups = [Setup(kind, units, frames) for kind in KINDS for units in sizes]
    work = context.track("training", setups, lambda setup: f"{setup.kind} of {setup.units}")
    layers = []
    for setup in work:
        points = [measure(setup, s, repetitions, context.seed) for s in sparsities]
        layers.append({**vars(setup), "points": points, "pays_from": pays_from(points)})
    return {"repetitions": repetitions, "layers": layers}


def pays_from(points: Sequence[dict[str, Any]]) -> float | None:
    """The sparsity at which dense takes as long as sparse, between the points; None: nowhere."""
    if points[0]["dense_over_sparse"] >= 1:
        return points[0]["sparsity"]
    for before, after in pairwise(points):
        low, high = before["dense_over_sparse"], after["dense_over_sparse"]
        if low < 1 <= high:
            share = (1 - low) / (high - low)
            return before["sparsity"] + share * (after["sparsity"] - before["sparsity"])
    return None


def draw(report: dict[str, Any], path: Path) -> None:
    """Times faster than its dense twin and than PyTorch's layer, and memory, over sparsity."""
    with figure(path, 1, 3, (15, 4.5)) as ((*panels, memory),):
        for axes, kind in zip(panels, KINDS, strict=True):
            for n, layer in enumerate(_of(report, kind)):
                x = [100 * point["sparsity"] for point in layer["points"]]
                for key, style, whom in (
                    ("dense_over_sparse", "o-", "its dense twin"),
                    ("native_over_sparse", "--", "PyTorch's layer"),
                ):
                    y = [point[key] for point in layer["points"]]
                    label = f"H = {layer['units']}, than {whom}"
                    axes.plot(x, y, style, color=f"C{n}", markersize=4, label=label)
            axes.axhline(1, color="0.6", linewidth=1)
            axes.set(
                ylim=(0, None), ylabel="times faster", title=f"{kind.upper()}: time of training"
            )
            axes.legend(frameon=False, fontsize="small")
        for n, kind in enumerate(KINDS):
            *_, layer = _of(report, kind)
            x = [100 * point["sparsity"] for point in layer["points"]]
            for name, style in (("sparse", "o-"), ("dense", ":"), ("native", "--")):
                y = [point["kept_bytes"][name] / layer["frames"] for point in layer["points"]]
                label = f"{kind.upper()}, {'PyTorch' if name == 'native' else name}"
                # Some are equal in both kinds: the first is wide, and the second lies on it.
                wide = {"linewidth": 4, "alpha": 0.4} if n == 0 else {}
                memory.plot(x, y, style, color=f"C{n}", markersize=4, label=label, **wide)
        units = max(layer["units"] for layer in report["layers"])
        memory.set(ylim=(0, None), ylabel="bytes a frame", title=f"Kept for backward, H = {units}")
        memory.legend(frameon=False, fontsize="small", handlelength=5)
        for axes in (*panels, memory):
            axes.set_xlabel("columns that do not fire, %")
            axes.grid(visible=True, color="0.9")


def _of(report: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [layer for layer in report["layers"] if layer["kind"] == kind]


def tables(report: dict[str, Any]) -> list[Table]:
    """One for each layer."""
    shown = []
    for layer in report["layers"]:
        title = f"training a {layer['kind']} of {layer['units']}, {layer['frames']} frames"
        table = Table(title=title, title_justify="left", caption_justify="left")
        columns = ("left out", "sparse ms", "dense ms", "PyTorch", "ratio", "kept kB", "dense kB")
        for column in columns:
            table.add_column(column, justify="right")
        for point in layer["points"]:
            table.add_row(
                f"{1 - point['fired_h']:.1%}",
                *(f"{point['milliseconds'][name]:.2f}" for name in ("sparse", "dense", "native")),
                f"{point['dense_over_sparse']:.2f}",
                *(f"{point['kept_bytes'][name] / 1e3:,.0f}" for name in ("sparse", "dense")),
            )
        start = layer["pays_from"]
        table.caption = "faster than its dense twin " + (
            "nowhere" if start is None else f"from {start:.0%} on"
        )
        shown.append(table)
    return shown


TRAINING = Bench(run, draw, tables, needs=("torch",))
