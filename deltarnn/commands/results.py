"""Every task, method and seed."""

from pathlib import Path

import click

from deltarnn.commands.common import DATA, tell_recordings
from deltarnn.console import (
    JSON,
    OutputPath,
    extra,
    print_json,
    progress,
)


@click.command()
@click.option(
    "-o",
    "--output",
    type=OutputPath(),
    default=Path("docs"),
    show_default=True,
    help="Folder of results.md, whose tables are replaced; data and pictures go into its results/.",
)
@click.option(
    "--runs",
    type=OutputPath(),
    default=Path("build/results"),
    show_default=True,
    help="Folder of the trained models; what is there is not trained again.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="STUDY",
    help="These alone; what is reported of others stays.  [default: all]",
)
@DATA
@JSON
def results(
    output: Path, runs: Path, only: tuple[str, ...], data: Path | None, as_json: bool
) -> None:
    """Trains every task by several methods and seeds, and reports them: hours of work."""
    with extra("train,sim,bench"):
        tell_recordings(data)
        import matplotlib  # noqa: F401  # missing is better known before the work than after

        from deltarnn.results.publish import publish
        from deltarnn.results.studies import chosen, complete
        from sim.simulators import find_simulator

        studies = chosen(only)
        verilator = find_simulator("verilator")
        complete(studies, runs, not as_json)
    with progress.status("simulating") as status:
        found, files = publish(
            studies, runs, output, verilator, lambda name: status.update(f"RTL of {name}")
        )
    if as_json:
        print_json(found)
    else:
        print(*files, sep="\n")
