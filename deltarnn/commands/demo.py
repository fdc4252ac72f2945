"""The main job, end to end."""

import sys

import click

from deltarnn.console import (
    JSON,
    LANES,
    SIMULATOR,
    extra,
    out,
    print_json,
    progress,
    table,
)


@click.command()
@LANES
@SIMULATOR
@JSON
def demo(lanes: int, simulator: str, as_json: bool) -> None:
    """The main job, end to end, on the shipped model and real held-out recordings."""
    with extra("sim,boards"):
        from deltarnn.demo import run_demo

    report, rows, closing = run_demo(lanes, simulator, progress)
    if as_json:
        print_json(report)
    else:
        table(rows, "deltarnn demo")
        out.print(f"[bold]{closing}[/bold]" if report["equal"] else f"[bold red]{closing}[/]")
    if not report["equal"]:
        sys.exit(1)
