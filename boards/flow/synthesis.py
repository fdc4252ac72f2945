"""What a core takes of a chip, as Yosys counts it, and the netlist for nextpnr."""

import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from boards.family.chip import RESOURCES, Chip
from boards.flow.memories import apart
from boards.flow.wrapper import INSTANCE, stub, wrapper
from boards.tool import YOSYS
from hw.emit.verilog import TOP, Emission

LIMIT = 3600  # seconds: no synthesis takes so long, unless it takes for ever

MAP_CORE = """\
read_verilog core.v
delete -output {core}/w:monitor_*
{synthesis} -top {core}
"""

# The core is mapped by itself and only then put into its wrapper, which has been mapped around a
# black box: so no cell belongs to both. The monitors are left open.
_SCRIPT = (
    MAP_CORE
    + """\
design -stash core
read_verilog top.v
{synthesis} -top top
delete {core}
design -copy-from core -as {core} {core}
hierarchy -top top
flatten -noscopeinfo
write_json top.json
"""
)

# Where a cell belongs, by the first signal that its name starts with; a LUT between two components
# counts for the one whose signal Yosys named it after.
COMPONENTS = {
    "reader": r"engine\.reader\.",
    "encoders": r"engine\.path_\w+?\.(encoder|merge)\.",
    "lists": r"engine\.path_\w+?\.",
    "sequencer": r"engine\.sequencer\.",
    "standstill": r"engine\.standstill\.",
    "fetch": r"engine\.fetch\.",
    "weights": r"engine\.weights_\d+\.",
    "lanes": r"engine\.lanes\.",
    "readout": r"engine\.readout\.",
    "activation": r"engine\.activation\.",
    "output": r"engine\.output\.",
    "reset": r"engine\.(reset|quiesce)\.",
    "engine": r"engine\.",  # what lies between them
    "buses": r"",  # AXI ports and registers
}


@dataclass(frozen=True)
class Netlist:
    """A core mapped to a chip's cells, in its wrapper.

    Attributes
    ----------
    json
        The netlist of ``top`` as nextpnr reads it.
    cells
        Name and type of every cell of the core, names as they are inside it.
    around
        The same of the wrapper.
    """

    chip: Chip
    json: str
    cells: tuple[tuple[str, str], ...]
    around: tuple[tuple[str, str], ...]

    @property
    def area(self) -> dict[str, int]:
        """How many of each resource the core takes, without its wrapper."""
        return count(self.chip, self.cells)

    @property
    def components(self) -> dict[str, dict[str, int]]:
        """The same for each of COMPONENTS; they add up to the whole."""
        parts: dict[str, list[tuple[str, str]]] = {name: [] for name in COMPONENTS}
        for cell in self.cells:
            parts[component(cell[0])].append(cell)
        return {name: count(self.chip, cells) for name, cells in parts.items()}


def component(name: str) -> str:
    """Which of COMPONENTS the cell called ``name`` counts for."""
    return next(part for part, pattern in COMPONENTS.items() if re.match(pattern, name))


def count(chip: Chip, cells: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How many of each resource ``cells`` (name, type) take."""
    found = dict.fromkeys(RESOURCES, 0)
    for _, kind in cells:
        for resource, patterns in chip.cells.items():
            found[resource] += sum(n for p, n in patterns.items() if re.fullmatch(p, kind))
    return found


def synthesise(emission: Emission, chip: Chip) -> Netlist:
    """Maps a core to ``chip``.

    Raises ValueError where there is no Yosys, boards.tool.ToolError where it fails.
    """
    ports = emission.manifest["ports"]
    with tempfile.TemporaryDirectory(prefix="deltarnn-") as folder:
        place = Path(folder)
        core, memories = apart(emission.verilog)
        for name, text in {"core.v": core, **memories}.items():
            (place / name).write_text(text)
        (place / "top.v").write_text(stub(TOP, ports) + wrapper(TOP, ports))
        (place / "script.ys").write_text(_SCRIPT.format(core=TOP, synthesis=chip.synthesis))
        YOSYS.run(["-s", "script.ys"], place, LIMIT)
        design = json.loads((place / "top.json").read_text())
    top = design["modules"]["top"]
    chip.refine(top)
    cells, around = [], []
    prefix = re.compile(rf"(\$flatten\\)?{INSTANCE}\.")
    for name, cell in top["cells"].items():
        inside = prefix.match(name)
        part, short = (cells, name[inside.end() :]) if inside else (around, name)
        part.append((short, cell["type"]))
    return Netlist(chip, json.dumps(design), tuple(cells), tuple(around))
