"""A model of a network trained elsewhere, tuned to its deltas."""

import math
from pathlib import Path
from typing import Any

import click

from deltarnn.commands.common import layer_row
from deltarnn.console import (
    JSON,
    MODEL,
    OutputPath,
    extra,
    print_json,
    progress,
    require_writable,
    table,
)
from golden.errors import refusal
from golden.files import require_distinct
from golden.model_file import load_model, save_model

FEWER = 5  # times the dense network's fetches: what training for it reaches, and more


@click.command()
@MODEL
@click.option(
    "--network",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="What MODEL was imported from.",
)
@click.option(
    "--data",
    "recordings",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    metavar="DATA",
    help="Recordings as FILE's network takes them; may be given more than once.",
)
@click.option("-o", "--output", type=OutputPath(), required=True, help="TUNED")
@click.option(
    "--error",
    "limit",
    type=float,
    metavar="ERROR",
    help="What the results' error may be, as a fraction of their spread.  "
    "[default: 1.5 times that at thresholds 0]",
)
@click.option("--seed", type=int, default=0, show_default=True)
@JSON
def tune(
    model: Path,
    file: Path,
    recordings: tuple[Path, ...],
    output: Path,
    limit: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Trains MODEL to follow FILE's network with fewer weight fetches. No labels are needed.

    The last fifth of the recordings, or of the only one, is held out and measured on.
    """
    if limit is not None and not (math.isfinite(limit) and limit > 0):
        raise refusal("error", f"{limit:g}", "a number above 0")
    inputs = {f"--data {n}": path for n, path in enumerate(recordings, 1)}
    require_distinct({"-o": output}, {"MODEL": model, "--network": file, **inputs})
    require_writable(output)
    start = load_model(model)
    with extra("train"), extra("import"):
        from train.course.distil import Parts, distil, require_same
        from train.importers import read_network
        from train.importers.conversion import load_calibration
        from train.importers.suspicion import source_of

        network = read_network(file)
    require_same(start, network, f"layers of {source_of(file)}")
    parts = Parts.of(
        {
            f"{source_of(path)}, recording {n}": each
            for path in recordings
            for n, each in enumerate(load_calibration(path, network).recordings)
        }
    )
    with progress.status("tuning") as status:
        found = distil(start, network, parts, limit=limit, seed=seed, report=status.update)
    record = {"seed": seed, **found.record()}
    save_model(found.saved(record), output)
    if as_json:
        print_json(
            {
                "model": str(output),
                "layers": [vars(layer) for layer in found.model.parameters.layers],
                **record,
            }
        )
        return
    rows: dict[str, Any] = {"model": str(output)}
    for k, layer in enumerate(found.model.parameters.layers):
        rows[f"layer {k}"] = layer_row(layer)
    rows["error limit"] = f"{found.limit:.2%} of the results' spread"
    for name, score in found.scores.items():
        rows[name] = (
            f"error {score.error:.2%}, {score.macs:.1%} of the weight fetches, "
            f"fired {score.occupancy_x:.1%} of x, {score.occupancy_h:.1%} of h"
        )
    for name, error in found.at(FEWER).items():
        rows[f"{FEWER} times fewer fetches, {name}"] = (
            "out of reach" if error is None else f"error {error:.1%}"
        )
    table(rows, f"tune {model.name}")
