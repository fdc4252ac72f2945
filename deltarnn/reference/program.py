"""The C99 file of a model, compiled by the machine's own compiler and run on frames."""

import subprocess
from pathlib import Path

import numpy as np

from deltarnn.reference.emit import emit
from golden.fixed import Integers
from golden.model import Model

# Every warning is an error, and what C leaves undefined ends the program.
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
CHECKED = ("-fsanitize=undefined,address", "-fno-sanitize-recover=all")


def compiled(model: Model, folder: Path, flags: tuple[str, ...] = ("-O1", *CHECKED)) -> Path:
    """The program of ``model``, made in ``folder``; RuntimeError with what the compiler said."""
    source, program = folder / "model.c", folder / "model"
    source.write_text(emit(model), encoding="ascii")
    command = ["cc", *STRICT, *flags, "-DDELTARNN_MAIN", str(source), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr}")
    return program


def answers(program: Path, model: Model, frames: Integers) -> dict[str, Integers]:
    """What ``program`` gives for int [T, I] frames, from reset on.

    ``outputs`` [T, O], ``state`` [T, H] and ``events_x``, ``events_h`` [T, layers], as
    `deltarnn golden` writes them. RuntimeError with what the program said.
    """
    network = model.parameters
    dtype = "<i1" if network.formats.activation.width <= 8 else "<i2"
    done = subprocess.run(
        program, input=frames.astype(dtype).tobytes(), capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{program.name}: {done.stderr.decode(errors='replace')}")
    layers = len(network.layers)
    widths = (network.outputs, network.recurrent[-1].units, layers, layers)
    rows = np.frombuffer(done.stdout, dtype="<i8").reshape(len(frames), sum(widths))
    parts = np.split(rows, np.cumsum(widths)[:-1], axis=1)
    return dict(zip(("outputs", "state", "events_x", "events_h"), parts, strict=True))
