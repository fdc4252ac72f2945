"""Onto the board."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from deltarnn.commands.common import BOARD, BUILT, default_folder
from deltarnn.console import (
    MODEL,
    extra,
    progress,
)
from golden.model_file import load_model

if TYPE_CHECKING:
    pass


@click.command()
@MODEL
@BOARD
@BUILT
@click.option("--dry-run", is_flag=True, help="Only print the commands.")
def flash(model: Path, board: str, folder: Path | None, dry_run: bool) -> None:
    """Writes what `build` made to the board: bitstream, and weights where they lie in its flash."""
    with extra("boards"):
        from boards.board import find_board
        from boards.flow.flash import perform, steps

    place = folder or default_folder(model, board)
    for command in steps(load_model(model), find_board(board), place):
        print(*command)
        if not dry_run:
            with progress.status("writing"):
                perform(command)
