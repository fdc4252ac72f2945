"""What the commands share: options, and how they report."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from golden.errors import refusal
from golden.files import aside_folder

out = Console()
progress = Console(stderr=True)  # so that standard output holds the result alone

MODEL = click.argument("model", type=click.Path(path_type=Path))
FRAMES = click.argument("frames", type=click.Path(path_type=Path))
LANES = click.option("--lanes", type=int, default=8, show_default=True, help="Lanes P.")
ACTIVATIONS = click.option(
    "--activations",
    type=int,
    default=1,
    show_default=True,
    help="Units A that the activation unit takes in a cycle, a power of two that divides P.",
)
TARGET = click.option(
    "--target",
    default="generic",
    show_default=True,
    help="What the core is made of: generic, up5k or ecp5.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Report as JSON.")


def table(rows: dict[str, Any], title: str) -> None:
    # Text, not markup: names and paths may hold brackets.
    table = Table(title=Text(title), show_header=False, title_justify="left")
    for name, value in rows.items():
        table.add_row(name, Text(str(value)))
    out.print(table)


def print_json(report: dict[str, Any]) -> None:
    print(json.dumps(report, indent=2))


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turns a package that is not there into a refusal that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        expected = f"it installed: pip install 'deltarnn[{name}]'"
        raise refusal(f"extra {name}", f"no package {error.name}", expected) from None


def require_writable(*paths: Path | None) -> None:
    """Refuses a file to be written that has no folder, before the work is done and lost."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise refusal(str(path), "a folder", "a file that can be written")
        with aside_folder(path.parent, path.name):
            pass
