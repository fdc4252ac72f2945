"""What each file of a core takes of a board's chip, as Yosys counts it, for a page."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Fragment

from boards.board import Board
from boards.family.chip import RESOURCES
from boards.family.targets import find_target
from boards.flow.synthesis import count, synthesise
from golden.model import Model
from golden.parameters import CoreParameters
from hw.core import Core
from hw.emit.verilog import emit
from hw.target import Target

ROOMS = ("hw/", "boards/")  # a family's cells are of boards/


def area_record(core: CoreParameters, model: Model, board: Board) -> dict[str, Any]:
    """For each source file how much of each resource its parts take; they add up to the core.

    Raises ValueError where the board's target makes no such core or there is no Yosys,
    boards.tool.ToolError where that fails.
    """
    target = find_target(board.target).target
    cells = synthesise(emit(core, model, target), board.chip).cells
    origins = files_of([name for name, _ in cells], core, model, target)
    named = defaultdict(list)
    for cell, file in zip(cells, origins, strict=True):
        named[file].append(cell)
    files = {file: count(board.chip, some) for file, some in sorted(named.items())}
    used = [key for key in RESOURCES if any(counts[key] for counts in files.values())]
    return {
        "board": board.title,
        "chip": board.chip.name,
        "lanes": core.lanes,
        "resources": {key: RESOURCES[key] for key in used},
        "files": {file: {key: counts[key] for key in used} for file, counts in files.items()},
    }


def files_of(cells: Iterable[str], core: CoreParameters, model: Model, target: Target) -> list[str]:
    """The source file of each cell of a flat netlist, by the parts that its name begins with.

    A LUT between two parts counts for the one whose signal Yosys named it after.
    """
    parts: dict[str, str] = {}

    def walk(fragment: Fragment, name: str, file: str) -> None:
        for origin in fragment.origins or ():
            path = type(origin).__module__.replace(".", "/") + ".py"
            if path.startswith(ROOMS):
                file = path
        parts[name] = file
        for part, part_name, _ in fragment.subfragments:
            walk(part, f"{name}.{part_name}".lstrip("."), file)

    walk(Fragment.get(Core(core, model, target), None), "", "")

    def file_of(cell: str) -> str:
        """Of the longest name of a part that the cell's begins with; the core's has none."""
        ends = [match.start() for match in re.finditer(r"\.", cell)]
        return next((parts[cell[:end]] for end in reversed(ends) if cell[:end] in parts), parts[""])

    return [file_of(cell) for cell in cells]
