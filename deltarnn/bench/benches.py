"""All measurements by name."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deltarnn.bench.activity import ACTIVITY
from deltarnn.bench.area import AREA
from deltarnn.bench.clock import CLOCK
from deltarnn.bench.context import Bench, Context
from deltarnn.bench.cycles import CYCLES
from deltarnn.bench.growth import GROWTH
from deltarnn.bench.kinds import KINDS
from deltarnn.bench.learning import LEARNING
from deltarnn.bench.memory import MEMORY
from deltarnn.bench.peers import PEERS
from deltarnn.bench.precision import PRECISION
from deltarnn.bench.sound import SOUND
from deltarnn.bench.speakers import SPEAKERS
from deltarnn.bench.streams import STREAMS
from deltarnn.bench.timeline import TIMELINE
from deltarnn.bench.training import TRAINING
from deltarnn.bench.training_core import TRAINING_CORE
from deltarnn.markdown import fill, of_terminal
from golden.errors import refusal
from golden.files import make_folder, written_aside

BENCHES = {
    "cycles": CYCLES,
    "streams": STREAMS,
    "memory": MEMORY,
    "timeline": TIMELINE,
    "activity": ACTIVITY,
    "area": AREA,
    "clock": CLOCK,
    "growth": GROWTH,
    "kinds": KINDS,
    "precision": PRECISION,
    "peers": PEERS,
    "training": TRAINING,
    "training-core": TRAINING_CORE,
    "learning": LEARNING,
    "speakers": SPEAKERS,
    "sound": SOUND,
}


def chosen(names: Sequence[str]) -> dict[str, Bench]:
    """Those called for, or all; ValueError where there is none of that name."""
    for name in names:
        if name not in BENCHES:
            raise refusal("bench", repr(name), " or ".join(BENCHES))
    return {name: bench for name, bench in BENCHES.items() if not names or name in names}


def measure(
    benches: dict[str, Bench], context: Context, folder: Path
) -> tuple[dict[str, Any], list[Path]]:
    """Runs ``benches`` and writes NAME.json and NAME.png of each into ``folder`` as it is done, and
    into the document NAME.md beside ``folder`` its tables.

    Returns the reports by name, and the files. Raises ValueError where a tool or a package is
    missing or the folder cannot be written to, RuntimeError where RTL and golden differ.
    """
    for extra, package in ((each.extra, name) for each in benches.values() for name in each.needs):
        if find_spec(package) is None:
            wanted = f"it installed: pip install 'deltarnn[{extra}]'"
            raise refusal(f"extra {extra}", f"no package {package}", wanted)
    make_folder(folder)
    header = context.header()
    reports: dict[str, Any] = {}
    files: list[Path] = []
    for name, bench in benches.items():
        report = reports[name] = {**header, **bench.run(context)}
        table, picture = folder / f"{name}.json", folder / f"{name}.png"
        with written_aside(table) as part:
            part.write_text(json.dumps(report, indent=2) + "\n")
        bench.draw(report, picture)
        files += [table, picture]
        document = folder.parent / f"{name}.md"
        if bench.marks and document.exists():
            shown = map(of_terminal, bench.tables(report))
            fill(document, dict(zip(bench.marks, shown, strict=True)))
            files.append(document)
    return reports, files
