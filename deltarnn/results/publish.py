"""From trained runs to a document: data, pictures, tables."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deltarnn.markdown import fill
from deltarnn.results.pictures import draw_costs, draw_raster
from deltarnn.results.report import report
from deltarnn.results.studies import CLIMBER, Study
from deltarnn.results.tables import TABLES
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

    What results.json says of other studies stays. Returns the report and the files.
    """
    folder = output / "results"
    make_folder(folder)
    data, costs = folder / "results.json", folder / "cost.png"
    found = report(studies, runs, simulator, say)
    found["studies"] = {**_reported(data), **found["studies"]}
    with written_aside(data) as part:
        part.write_text(json.dumps(found, indent=1) + "\n")
    draw_costs(found, costs)
    files = [data, costs]
    if CLIMBER in studies:
        shown, raster = studies[CLIMBER], folder / "raster.png"
        draw_raster(shown.path(runs, shown.methods[-1], shown.seeds[0]), raster)
        files.append(raster)
    fill(output / "results.md", {name: table(found) for name, table in TABLES.items()})
    return found, [*files, output / "results.md"]


def _reported(data: Path) -> dict[str, Any]:
    """The studies of an earlier report."""
    return json.loads(data.read_text())["studies"] if data.exists() else {}
