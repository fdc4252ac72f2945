"""Measurements: data and pictures."""

from pathlib import Path

import click
from rich.progress import Progress

from deltarnn.console import (
    JSON,
    SIMULATOR,
    OutputPath,
    extra,
    out,
    print_json,
    progress,
)


@click.command()
@click.option(
    "-o",
    "--output",
    type=OutputPath(),
    default=Path("docs/bench"),
    show_default=True,
    help="Folder.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="cycles, streams, memory, timeline, activity, area, clock, growth, kinds, precision, "
    "peers, training, training-core, learning, speakers or sound; may be given several times. "
    "Else all of them.",
)
@click.option("--seed", type=int, default=1, show_default=True)
@SIMULATOR
@JSON
def bench(output: Path, only: tuple[str, ...], seed: int, simulator: str, as_json: bool) -> None:
    """Measures cycles, area, clock and more; writes NAME.json and NAME.png of each to a folder."""
    with extra("sim,boards,bench"):
        import matplotlib  # noqa: F401  # missing is better known before the work than after

        from deltarnn.bench.benches import chosen, measure
        from deltarnn.bench.context import Context
        from sim.simulators import find_simulator

    benches = chosen(only)
    found = find_simulator(simulator)
    with Progress(console=progress, transient=True) as bars:
        reports, files = measure(benches, Context(seed, found, bars), output)
    if as_json:
        print_json(reports)
        return
    for name, report in reports.items():
        for each in benches[name].tables(report):
            out.print(each)
    print(*files, sep="\n")
