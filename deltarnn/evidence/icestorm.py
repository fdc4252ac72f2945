"""Project IceStorm's readers of bitstreams, which know nothing of Yosys or nextpnr."""

import re
import shutil
from pathlib import Path

from boards.board import Board
from boards.flow.build import Routed
from golden.errors import refusal
from golden.files import temporary_folder
from golden.processes import run

LIMIT = 900  # seconds of one program
_DEVICES = {"iCE40 UP5K": ("up5k", "sg48"), "iCE40 HX8K": ("hx8k", "ct256")}


def require_icestorm() -> None:
    """Refuses where one of its programs is missing."""
    for program in ("iceunpack", "icebox_vlog", "icetime"):
        if shutil.which(program) is None:
            package = "apt-get install fpga-icestorm fpga-icestorm-chipdb"
            raise refusal(program, "none on PATH", f"it installed: {package}")


def read_back(made: Routed) -> str:
    """Verilog of the module ``chip``, made of the bitstream and the names of its pins alone."""
    require_icestorm()
    with temporary_folder() as folder:
        (folder / "top.bin").write_bytes(made.bitstream)
        (folder / "top.pcf").write_text(made.constraints)
        _said(["iceunpack", "top.bin", "top.asc"], folder)
        return _once(_said(["icebox_vlog", "-s", "-p", "top.pcf", "top.asc"], folder))


def slowest(made: Routed, board: Board) -> float | None:
    """MHz that icetime finds for the placement; None for a chip that it does not know."""
    if board.chip.name not in _DEVICES:
        return None
    require_icestorm()
    device, package = _DEVICES[board.chip.name]
    with temporary_folder() as folder:
        (folder / "top.asc").write_text(made.placed)
        (folder / "top.pcf").write_text(made.constraints)
        arguments = ["-d", device, "-P", package, "-p", "top.pcf", "-t", "top.asc"]
        said = _said(["icetime", *arguments], folder)
    found = re.search(r"^Total path delay: .*\((\d+\.\d+) MHz\)", said, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"icetime says no clock: {said[-200:]}")
    return float(found[1])


def _said(command: list[str], folder: Path) -> str:
    done = run(command, cwd=folder, limit=LIMIT)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()[-200:]}")
    return done.stdout


def _once(verilog: str) -> str:
    """``verilog`` without the wires that icebox_vlog declares a second time: those of the ports."""
    ports = re.search(r"^module \w+ \((.*?)\);", verilog, re.MULTILINE)
    assert ports is not None
    names = "|".join(re.findall(r"\w+(?=,|$)", ports[1]))
    again = re.compile(rf"\b(?:{names})\b(?: = 0)?(?:, )?")
    declared = re.compile(r"^(?:wire|reg) [^;\[]*;$", re.MULTILINE)
    return declared.sub(lambda line: again.sub("", line[0]).replace(", ;", ";"), verilog)
