"""A page that shows what a model does with recordings, and computes it itself."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import Progress

from deltarnn.console import (
    JSON,
    LANES,
    MODEL,
    OutputPath,
    extra,
    fitting_lanes,
    names_in,
    print_json,
    progress,
    require_writable,
    table,
)
from golden.errors import refusal
from golden.files import require_distinct
from golden.model_file import load_model
from golden.parameters import CoreParameters

if TYPE_CHECKING:
    from boards.board import Board
    from deltarnn.evaluation.evaluate import Evaluation


@click.command()
@MODEL
@click.argument("recordings", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=OutputPath(), required=True, help="OUT.html: the page.")
@LANES
@click.option(
    "--timeline",
    type=click.IntRange(min=0),
    metavar="FRAMES",
    help="Frames of the longest recording that the RTL is simulated for, to show who is busy when; "
    "0 leaves that out. Default: as many as take some 3,000 cycles.",
)
@click.option(
    "--board",
    metavar="NAME",
    help="Also shows what each file takes of this board's chip: synthesis takes a minute or more.",
    shell_complete=names_in("boards.board", "BOARDS"),
)
@JSON
def report(
    model: Path,
    recordings: tuple[Path, ...],
    output: Path,
    lanes: int,
    timeline: int | None,
    board: str | None,
    as_json: bool,
) -> None:
    """Writes a page that plays RECORDINGS through MODEL: one file, for any browser.

    RECORDINGS are any data that `eval` takes; without them those that lie beside MODEL, as in
    NAME.frames.npz. The page computes the integer network itself, at any thresholds.
    """
    from deltarnn.evaluation.evaluate import evaluate
    from deltarnn.report.evidence import evidence_rows
    from deltarnn.report.page import page_of, read_recordings, shown_on_page, write_page

    with extra("boards") if board is not None else nullcontext():
        chosen = None if board is None else _board(board)
    loaded = load_model(model)
    paths = recordings or (_beside(model),)
    read = {f"RECORDINGS {n}": path for n, path in enumerate(paths, 1)}
    require_distinct({"-o": output}, {"MODEL": model, **read})
    require_writable(output)
    core = CoreParameters(loaded.parameters, fitting_lanes(loaded.parameters, lanes))
    given = read_recordings(loaded, paths)
    shown = shown_on_page(loaded, given)
    with Progress(console=progress, transient=True, disable=not progress.is_terminal) as bar:
        task = bar.add_task("golden", total=len(shown.names))
        found = evaluate(loaded, shown, lambda done: bar.update(task, completed=done))
    sections: dict[str, Any] = {"evidence": evidence_rows()}
    if timeline != 0:
        sections["timeline"] = _timeline(found, core, timeline)
    if chosen is not None:
        sections["area"] = _area(found, core, chosen)
    size = write_page(page_of(found, len(given.names), core, sections), output)
    said = {
        "output": str(output),
        "bytes": size,
        "model": loaded.name,
        "recordings": len(shown.names),
        "recordings_given": len(given.names),
        "frames": sum(shown.lengths),
        "sections": [name for name, section in sections.items() if section],
    }
    if as_json:
        print_json(said)
    else:
        rows = {k: f"{v:,}" if isinstance(v, int) else v for k, v in said.items()}
        table({**rows, "sections": ", ".join(said["sections"]) or "none"}, "report")


def _timeline(found: "Evaluation", core: CoreParameters, frames: int | None) -> dict[str, Any]:
    """The engine's, of the recording that the page opens with."""
    from deltarnn.report.engine import frames_for, timeline_record
    from deltarnn.report.page import first_shown

    recording = first_shown(found.recordings)
    shown = found.frames[recording]
    with progress.status("simulating the RTL, cycle by cycle"):
        frames = frames or frames_for(core, found.model, shown)
        return timeline_record(core, found.model, shown[:frames], recording)


def _board(name: str) -> "Board":
    from boards.board import find_board

    return find_board(name)


def _area(found: "Evaluation", core: CoreParameters, board: "Board") -> dict[str, Any]:
    from deltarnn.report.area import area_record

    with progress.status(f"synthesis for {board.title}: a minute or more"):
        return area_record(core, found.model, board)


def _beside(model: Path) -> Path:
    """The recordings that `train` writes beside a model."""
    path = model.with_name(f"{model.name.split('.')[0]}.frames.npz")
    if not path.is_file():
        raise refusal("RECORDINGS", f"none, and no {path}", "some: any data that eval takes")
    return path
