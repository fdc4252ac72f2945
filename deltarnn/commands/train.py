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
@DATA
@JSON
def train(
    task: str, output: Path, method: str, seed: int, data: Path | None, as_json: bool
) -> None:
    """Trains the network of TASK and writes its model file.

    An interrupted run goes on where it was when the same is asked for again.
    """
    with extra("train"):
        tell_recordings(data)
        from train.course.pipeline import train_task
        from train.tasks import find_task

        wanted = find_task(task)
        require_writable(output)
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
