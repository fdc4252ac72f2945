"""From trained runs to a document: data, pictures, tables."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deltarnn.results.pictures import draw_costs, draw_raster
from deltarnn.results.report import report
from deltarnn.results.studies import LADDER, Study
from deltarnn.results.tables import fill
from golden.files import make_folder, written_aside
from sim.simulator import Simulator


def publish(
    studies: dict[str, Study],
    runs: Path,
    output: Path,
    simulator: Simulator,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], list[Path]]:
    """Writes results.json and pictures into ``output``/results; fills in ``output``/results.md.

    Returns the report and the files.
    """
    folder = output / "results"
    make_folder(folder)
    found = report(studies, runs, simulator, say)
    data, costs = folder / "results.json", folder / "cost.png"
    with written_aside(data) as part:
        part.write_text(json.dumps(found, indent=1) + "\n")
    draw_costs(found, costs)
    files = [data, costs]
    if LADDER in studies:
        shown, raster = studies[LADDER], folder / "raster.png"
        draw_raster(shown.path(runs, shown.methods[-1], shown.seeds[0]), raster)
        files.append(raster)
    fill(output / "results.md", found)
    return found, [*files, output / "results.md"]
