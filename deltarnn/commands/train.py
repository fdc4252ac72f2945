"""A delta network for a task."""

from pathlib import Path
from typing import Any

import click

from deltarnn.commands.common import DATA, layer_row, tell_recordings
from deltarnn.console import (
    JSON,
    OutputPath,
    extra,
    names_in,
    print_json,
    require_writable,
    table,
)
from golden.files import require_distinct
from golden.parameters import LayerParameters


@click.command()
@click.argument("task")
@click.option("-o", "--output", type=OutputPath(), required=True, help="MODEL")
@click.option(
    "--method",
    default="sparse",
    show_default=True,
    help="What training knows of deltas: plain, rounded, noisy, delta or sparse; or from scratch: "
    "scratch, or dense beside it.",
    shell_complete=names_in("train.course.methods", "METHODS"),
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--units", type=click.IntRange(min=1), help="H of each recurrent layer.")
@click.option("--layers", type=click.IntRange(min=1), help="Recurrent layers.")
@click.option("--cell", type=click.Choice(["gru", "lstm"]), help="Their kind.")
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Of the float network, and as many of the delta network.",
)
@DATA
@JSON
def train(
    task: str,
    output: Path,
    method: str,
    seed: int,
    units: int | None,
    layers: int | None,
    cell: str | None,
    epochs: int | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Trains the network of TASK and writes its model file.

    TASK is one of those that deltarnn has, or your own recordings: .npz, .csv or a folder
    (docs/training.md). Without sizes a task takes its own; for recordings, that is one GRU layer
    of 32 units. An interrupted run goes on where it was when the same is asked for again.
    """
    with extra("train"):
        tell_recordings(data)
        from train.course.pipeline import train_task
        from train.course.writing import frames_path
        from train.tasks import find_task, resized

        require_writable(output)
        outputs = {"-o": output, "held-out recordings": frames_path(output)}
        require_distinct(outputs, {"TASK": Path(task)})
        wanted = resized(find_task(task), epochs, units=units, layers=layers, cell=cell)
        report = train_task(wanted, method, output, seed, not as_json)
    if as_json:
        print_json(report)
        return
    scores = report["scores"]
    rows: dict[str, Any] = {"model": report["model"], "held-out recordings": report["frames"]}
    rows["formats"] = ", ".join(f"{name} {q}" for name, q in report["formats"].items())
    for k, layer in enumerate(report["layers"]):
        rows[f"layer {k}"] = layer_row(LayerParameters(**layer))
    for name in ("float", "quantised", "delta"):
        if name in scores:
            rows[f"{name}: {scores['unit']}"] = f"{scores[name]:.4g}"
    rows["fired"] = f"{scores['occupancy_x']:.1%} of x, {scores['occupancy_h']:.1%} of h"
    rows["weight fetches"] = f"{scores['mac_reduction']:.2f} times fewer than dense"
    if "epochs" in report["training"]:
        last = report["training"]["epochs"][-1]
        share = last["operations"] / last["dense"]
        rows["training"] = f"{last['operations']:.3g} multiply-accumulates, {share:.1%} of dense"
    table(rows, f"train {task}")
