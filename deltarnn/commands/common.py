"""What several commands say, take or write."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from deltarnn.console import (
    OutputPath,
    names_in,
)
from golden.errors import refusal
from golden.files import unreadable, written_aside
from golden.network import Trace
from golden.parameters import LayerParameters

if TYPE_CHECKING:  # a command that needs none is quicker without
    from hw.target import Target

NAMES_MAX = 1 << 20  # bytes of a file of names
BOARD = click.option(
    "--board",
    required=True,
    help="Which one: see docs/boards.md.",
    shell_complete=names_in("boards.board", "BOARDS"),
)
BUILT = click.option(
    "-o",
    "--output",
    "folder",
    type=OutputPath(),
    help="Folder of the build. Default: build/MODEL-BOARD.",
)
DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the recordings that no package holds.  [default: $DELTARNN_DATA]",
)


def placed(target: "Target", weights: str, train: bool) -> "Target":
    """``target``, with the weights where the option says. Raises ValueError where a core that
    trains would have them outside.
    """
    if weights == "chip":
        return target
    if train:
        raise refusal("weights of a core that trains", weights, "chip")
    from deltarnn.memories import MEMORIES

    return MEMORIES[weights].made_of(target)


def layer_row(layer: LayerParameters) -> str:
    theta = f"theta_x {layer.theta_x}" + (f", theta_h {layer.theta_h}" if layer.recurrent else "")
    shape = f"{layer.kind} {layer.inputs} -> {layer.units}"
    shifts = f" and up to {layer.shift_max} bits finer" if layer.shift_max else ""
    return f"{shape}, weights Q{7 - layer.weight_frac}.{layer.weight_frac}{shifts}, {theta}"


def names_of(text: str) -> list[str]:
    """Names between commas, or one a line in the file of that name."""
    path = Path(text)
    if not path.is_file():
        return [name.strip() for name in text.split(",")]
    reason = unreadable(path, NAMES_MAX)
    if reason is not None:
        raise refusal(text, reason, f"names, a line each, at most {NAMES_MAX:,} bytes")
    try:
        return [
            name.strip()
            for name in path.read_text(encoding="utf-8-sig").splitlines()
            if name.strip()
        ]
    except (OSError, UnicodeDecodeError):
        raise refusal(text, "what cannot be read", "names in UTF-8, a line each") from None


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with written_aside(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def trace_arrays(trace: Trace) -> dict[str, np.ndarray]:
    return {
        "outputs": trace.outputs,
        "state": trace.state,
        "events_x": trace.events_x,
        "events_h": trace.events_h,
    }


def recording_arrays(lengths: list[int]) -> dict[str, np.ndarray]:
    """Frames of each recording, where there are several in a row."""
    return {"lengths": np.array(lengths)} if len(lengths) > 1 else {}


def tell_recordings(data: Path | None) -> None:
    """Tells the loaders where recordings lie, unless the environment does.

    Raises ValueError where that is no folder: better before hours of work than after.
    """
    from train.data.places import VARIABLE

    if data is not None:
        if not data.is_dir():
            raise refusal(str(data), "no folder", "the folder of the recordings")
        os.environ[VARIABLE] = str(data)


def default_folder(model: Path, board: str) -> Path:
    return Path("build") / f"{model.name.split('.')[0]}-{board}"
