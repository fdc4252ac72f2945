"""Networks trained elsewhere."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

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
from golden.files import require_distinct
from golden.formats import ACTIVATION_BITS_MAX, Formats
from golden.model_file import save_model
from golden.readings import READINGS, require_names, with_meaning

if TYPE_CHECKING:
    from train.importers.conversion import Calibration, Converted
    from train.importers.parts import Reading
    from train.importers.verdict import Verdict
    from train.quantised.float_network import FloatNetwork


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=OutputPath(), help="MODEL")
@click.option("--list", "listing", is_flag=True, help="Lists FILE's recurrent parts, no more.")
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="NAME",
    help="Imports this part of FILE alone; several make a chain.",
)
@click.option(
    "--calibration",
    "calibrations",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DATA",
    help="Recordings as FILE's network takes them: they choose formats and scales.",
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
    output: Path | None,
    listing: bool,
    nodes: tuple[str, ...],
    calibrations: tuple[Path, ...],
    theta_x: int | None,
    theta_h: int | None,
    budget: float | None,
    readout: str | None,
    labels: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Makes a model of a GRU or LSTM trained elsewhere: ONNX, Keras, or a PyTorch state_dict."""
    if listing:
        _list(file, as_json)
        return
    if output is None:
        raise refusal("-o", "no output", "-o MODEL, or --list")
    theta = (theta_x, theta_h)
    _require_thresholds(theta, budget, bool(calibrations))
    inputs = {f"--calibration {path}": path for path in calibrations}
    require_distinct({"-o": output}, {"FILE": file, **inputs})
    require_writable(output)
    names = None if labels is None else names_of(labels)
    with extra("import"):
        from train.importers import read_file
        from train.importers.conversion import convert, load_calibration
        from train.importers.suspicion import source_of
        from train.importers.verdict import USABLE, judge

        reading = read_file(file, nodes)
    network = reading.network
    if names is not None:
        require_names(names, network.layers[-1].units, readout)
    frames = load_calibration(calibrations, network) if calibrations else None
    with progress.status("quantising") as status:
        try:
            found = convert(output.stem, network, frames, theta, budget, status.update)
        except ValueError as error:
            # A scale makes a first layer's weights smaller or larger, and no others.
            scales = frames is None and str(error).startswith("layer 0")
            hint = "; --calibration RECORDING finds an input scale" if scales else ""
            raise ValueError(f"{source_of(file)}: {error}{hint}") from None
        status.update("judging")
        verdict = None if frames is None else judge(found, frames)
        int8 = None if frames is None else _int8(network, frames)
    if verdict is not None and not verdict.usable and not force:
        expected = f"at most {USABLE:.0%} (a longer recording may help; --force goes on)"
        raise refusal(f"results of {source_of(file)}", verdict.text, expected)
    save_model(with_meaning(found.model, readout, names), output)
    report: dict[str, Any] = {
        "file": str(file),
        "model": str(output),
        "nodes": list(nodes),
        "fed_by": reading.fed,
        "states": list(reading.states),
        "left_to_host": list(reading.left),
        "input_scale": found.input_scale.tolist(),
        "input_offset": found.model.extra.get("input_offset"),
        "layers": [vars(layer) for layer in found.model.parameters.layers],
        "dense": found.dense and vars(found.dense),
        "delta": found.delta and vars(found.delta),
        "verdict": verdict and vars(verdict),
        "onnxruntime_int8": int8,
    }
    if as_json:
        print_json(report)
    else:
        rows = {"model": str(output), **_around(reading, nodes), **_made(found, verdict)}
        if int8 is not None:
            rows["onnxruntime's int8"] = f"error {int8:.2%} on the same frames"
        table(rows, f"import {file.name}")


def _int8(network: "FloatNetwork", frames: "Calibration") -> float | None:
    """The error of onnxruntime's int8 on the same frames, where it is installed and has LSTMs."""
    from train.importers.onnxruntime_int8 import int8_results

    try:
        results = int8_results(network, frames.recordings)
    except ModuleNotFoundError:
        return None
    return None if results is None else frames.loss_of(results)


def _require_thresholds(
    theta: tuple[int | None, int | None], budget: float | None, calibrated: bool
) -> None:
    """Refuses thresholds that no model can have, before anything is read."""
    # Without calibration the format is known; with it, no activation has more than 16 bits.
    width = ACTIVATION_BITS_MAX if calibrated else Formats().activation.width
    for name, value in zip(("theta_x", "theta_h"), theta, strict=True):
        if value is not None:
            require_int(name, value, 0, (1 << width) - 1)
    if budget is None:
        return
    if not math.isfinite(budget):
        raise refusal("budget", budget, "a finite number")
    if theta != (None, None):
        raise refusal("thresholds", "some beside a budget", "one of them: a budget chooses them")
    if not calibrated:
        raise refusal("budget", "no calibration frames", "some to measure the loss on")


def _made(found: "Converted", verdict: "Verdict | None") -> dict[str, str]:
    """The model, and how good it is."""
    rows = {"input scale": _spread(found.input_scale)}
    if "input_offset" in found.model.extra:
        rows["input offset"] = _spread(np.array(found.model.extra["input_offset"]))
    network = found.model.parameters
    rows["formats"] = f"activation {network.formats.activation}, gate {network.formats.gate}"
    for k, layer in enumerate(network.layers):
        rows[f"layer {k}"] = layer_row(layer)
    for name, fidelity in (("thresholds 0", found.dense), ("as it is", found.delta)):
        if fidelity is not None:
            rows[name] = (
                f"error {fidelity.loss:.2%} of the results' spread "
                f"({fidelity.worst:.2%} in the worst of them), "
                f"{fidelity.macs:.1%} of the MACs, "
                f"fired {fidelity.occupancy_x:.1%} of x, {fidelity.occupancy_h:.1%} of h"
            )
    if verdict is None:
        q = network.formats.activation
        rows["verdict"] = (
            f"unknown; inputs beyond {q.min / q.scale:g} to {q.max / q.scale:g} are cut off: "
            "--calibration RECORDING finds formats and scales, and measures the error"
        )
    else:
        rows["error after each layer"] = ", ".join(f"{loss:.2%}" for loss in verdict.layers)
        rows["verdict"] = verdict.text
    return rows


def _spread(values: np.ndarray) -> str:
    low, high = values.min(), values.max()
    return f"{high:.6g}" if low == high else f"{low:.6g} to {high:.6g}, by feature"


def _around(reading: "Reading", nodes: tuple[str, ...]) -> dict[str, str]:
    """What of the file is not in the model."""
    rows = {}
    if nodes:
        rows["part"] = ", ".join(nodes) + (f", fed by {reading.fed}" if reading.fed else "")
    if reading.states:
        rows["states"] = f"{', '.join(reading.states)}: 0 at reset"
    if reading.left:
        most = 8
        more = f" and {len(reading.left) - most} more" if len(reading.left) > most else ""
        rows["left to the host"] = ", ".join(reading.left[:most]) + more
    return rows


def _list(file: Path, as_json: bool) -> None:
    with extra("import"):
        from train.importers import parts_in

        parts = parts_in(file)
    if as_json:
        print_json({"file": str(file), "parts": [vars(part) for part in parts]})
        return
    rows = {}
    for part in parts:
        shape = f"{part.kind} {_size(part.inputs)} -> {_size(part.units)}"
        layers = f", {part.layers} layers" if part.layers > 1 else ""
        takes = "can be imported" if part.problem is None else f"cannot: {part.problem}"
        rows[part.name or "(all of it)"] = f"{shape}{layers}, {part.direction}; {takes}"
    table(rows or {"recurrent parts": "none"}, f"recurrent parts of {file.name}")


def _size(size: int | None) -> str:
    return "?" if size is None else str(size)
