"""Verilog, its manifest and its C header."""

from pathlib import Path

import click

from deltarnn.commands.common import placed
from deltarnn.commands.lessons import TRAIN, TRAIN_FRAMES, tape_frames
from deltarnn.console import (
    ACTIVATIONS,
    JSON,
    LANES,
    MODEL,
    STREAMS,
    TARGET,
    OutputPath,
    fitting_lanes,
    print_json,
    progress,
    weights_option,
)
from golden.files import (
    require_distinct,
    require_writable_folder,
)
from golden.learn.masters import trainable
from golden.model_file import load_model
from golden.parameters import CoreParameters


@click.command()
@MODEL
@click.option("-o", "--output", type=OutputPath(), required=True, help="Folder.")
@LANES
@ACTIVATIONS
@STREAMS
@TARGET
@weights_option("chip", "outside")
@TRAIN
@TRAIN_FRAMES
@JSON
def generate(
    model: Path,
    output: Path,
    lanes: int,
    activations: int,
    streams: int,
    target: str,
    weights: str,
    train: bool,
    frames: int | None,
    as_json: bool,
) -> None:
    """Writes the core's Verilog, its manifest and its C header into a folder.

    Also weights.bin, where weights are not in the Verilog: the target's must be loaded, or they lie
    outside.
    """
    from boards.family.targets import find_target
    from hw.emit.verilog import emit

    made_of = placed(find_target(target).target, weights, train)
    files = (
        "deltarnn_core.v",
        "deltarnn_core.json",
        "deltarnn_core.h",
        "deltarnn_core.vlt",
        "weights.bin",
    )
    require_distinct({name: output / name for name in files}, {"MODEL": model})
    require_writable_folder(output, files)
    loaded = load_model(model)
    lanes = fitting_lanes(loaded.parameters, lanes, activations, weights)
    training, frames = None, tape_frames(train, frames)
    if frames is not None:
        loaded, training = trainable(loaded, frames)
    core = CoreParameters(loaded.parameters, lanes, activations, streams, training)
    with progress.status("generating"):
        emission = emit(core, loaded, made_of)
        kinds = ("verilog", "manifest", "header", "lint", "weights")
        paths = dict(zip(kinds, emission.write(output), strict=False))
    report = {name: str(path) for name, path in paths.items()}
    report |= {"lanes": lanes, "activations": activations, "streams": streams, "target": target}
    report |= {"outside": weights == "outside"}
    if as_json:
        print_json(report)
    else:
        print(*paths.values(), sep="\n")
