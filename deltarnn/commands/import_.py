"""Networks trained elsewhere."""

import math
from pathlib import Path
from typing import Any

import click

from deltarnn.commands.common import layer_row, names_of
from deltarnn.console import (
    JSON,
    OutputPath,
    extra,
    print_json,
    progress,
    require_writable,
    table,
)
from golden.errors import refusal, require_int
from golden.files import (
    require_distinct,
)
from golden.formats import ACTIVATION_BITS_MAX, Formats
from golden.model_file import save_model
from golden.readings import READINGS, with_meaning

USABLE = 0.3  # of the results' spread: with a larger error nobody would know the network again


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=OutputPath(), required=True, help="MODEL")
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="FLOAT_FRAMES.npy",
    help="A recording [T, I] as FILE's network takes it: chooses the input scale.",
)
@click.option("--theta-x", type=int, help="Threshold of every x in activation LSBs.  [default: 0]")
@click.option("--theta-h", type=int, help="Threshold of every h.  [default: 0]")
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    metavar="LOSS",
    help="Instead: what thresholds may add to the results' error, as a fraction of their spread.",
)
@click.option(
    "--readout",
    type=click.Choice(list(READINGS)),
    help="How results are read: a class by the largest sum over a recording, or by its last frame, "
    "or in every frame; a string of labels; or values.",
)
@click.option(
    "--labels",
    metavar="NAMES",
    help="What the classes are called: a,b,c, or a text file with a name a line.",
)
@click.option("--force", is_flag=True, help="Writes a model that follows its network badly, too.")
@JSON
def import_(
    file: Path,
    output: Path,
    calibration: Path | None,
    theta_x: int | None,
    theta_h: int | None,
    budget: float | None,
    readout: str | None,
    labels: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Makes a model of a GRU or LSTM trained elsewhere: ONNX, Keras, or a PyTorch state_dict."""
    # Without calibration the format is known; with it, no activation has more than 16 bits.
    width = Formats().activation.width if calibration is None else ACTIVATION_BITS_MAX
    for name, theta in (("theta_x", theta_x), ("theta_h", theta_h)):
        if theta is not None:
            require_int(name, theta, 0, (1 << width) - 1)
    if budget is not None:
        if not math.isfinite(budget):
            raise refusal("budget", budget, "a finite number")
        if (theta_x, theta_h) != (None, None):
            expected = "one of them: a budget chooses them"
            raise refusal("thresholds", "some beside a budget", expected)
        if calibration is None:
            raise refusal("budget", "no calibration frames", "some to measure the loss on")
    require_distinct({"-o": output}, {"FILE": file, "--calibration": calibration})
    require_writable(output)
    with extra("import"):
        from train.importers import read_network
        from train.importers.conversion import convert, load_calibration
        from train.importers.suspicion import source_of

        network = read_network(file)
    frames = None if calibration is None else load_calibration(calibration, network)
    with progress.status("quantising") as status:
        try:
            found = convert(output.stem, network, frames, (theta_x, theta_h), budget, status.update)
        except ValueError as error:
            raise ValueError(f"{source_of(file)}: {error}") from None
    if found.dense is not None and found.dense.loss > USABLE and not force:
        lost = f"an error of {found.dense.loss:.0%} of their spread"
        expected = f"at most {USABLE:.0%} (a longer recording may help; --force goes on)"
        raise refusal(f"results of {source_of(file)}", lost, expected)
    named = with_meaning(found.model, readout, None if labels is None else names_of(labels))
    save_model(named, output)
    report: dict[str, Any] = {
        "file": str(file),
        "model": str(output),
        "input_scale": found.input_scale.tolist(),
        "layers": [vars(layer) for layer in found.model.parameters.layers],
        "dense": found.dense and vars(found.dense),
        "delta": found.delta and vars(found.delta),
    }
    if as_json:
        print_json(report)
        return
    low, high = found.input_scale.min(), found.input_scale.max()
    scale = f"{high:.6g}" if low == high else f"{low:.6g} to {high:.6g}, by feature"
    rows = {"model": str(output), "input scale": scale}
    formats = found.model.parameters.formats
    rows["formats"] = f"activation {formats.activation}, gate {formats.gate}"
    for k, layer in enumerate(found.model.parameters.layers):
        rows[f"layer {k}"] = layer_row(layer)
    for name, fidelity in (("thresholds 0", found.dense), ("as it is", found.delta)):
        if fidelity is not None:
            rows[name] = (
                f"error {fidelity.loss:.2%} of the results' spread "
                f"({fidelity.worst:.2%} in the worst of them), "
                f"{fidelity.macs:.1%} of the MACs, "
                f"fired {fidelity.occupancy_x:.1%} of x, {fidelity.occupancy_h:.1%} of h"
            )
    table(rows, f"import {file.name}")
