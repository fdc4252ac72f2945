"""A bitstream for a board."""

from pathlib import Path

import click

from deltarnn.commands.common import BOARD, BUILT, default_folder
from deltarnn.commands.lessons import TRAIN, TRAIN_FRAMES, tape_frames
from deltarnn.console import (
    JSON,
    MODEL,
    extra,
    fitting_lanes,
    print_json,
    progress,
    table,
    weights_option,
)
from golden.model_file import load_model

_STORES = {"chip": "the chip", "sdram": "the SDRAM", "flash": "the flash"}
OCCUPANCY = (1.0, 0.1)  # at which frames a second are reported


@click.command()
@MODEL
@BOARD
@BUILT
@click.option("--lanes", type=int, help="Lanes P. Default: the board's, or fewer if they must be.")
@click.option("--activations", type=int, help="Units a cycle A. Default: likewise.")
@click.option("--clock", type=float, help="MHz. Default: the board's highest that closes.")
@weights_option("auto", "chip", "sdram", "flash")
@TRAIN
@TRAIN_FRAMES
@JSON
def build(
    model: Path,
    board: str,
    folder: Path | None,
    lanes: int | None,
    activations: int | None,
    clock: float | None,
    weights: str,
    train: bool,
    frames: int | None,
    as_json: bool,
) -> None:
    """Builds a bitstream for a board, and says what it takes and how fast it is."""
    with extra("boards"):
        from boards.board import find_board
        from boards.family.chip import RESOURCES
        from boards.flow.build import build as run
        from boards.flow.stores import stores

    frames = tape_frames(train, frames)
    chosen = find_board(board)
    loaded = load_model(model)
    place = folder or default_folder(model, board)
    lanes = lanes and fitting_lanes(loaded.parameters, lanes, activations or 1)
    with progress.status("beginning") as status:
        how = (status.update, activations, frames, weights)
        built = run(loaded, chosen, place, lanes, clock, *how)
    speed = {
        occupancy: built.clock * 1e6 / max(built.dense_cycles * occupancy, 1)
        for occupancy in OCCUPANCY
    }
    if as_json:
        print_json({**vars(built), "frames_per_second": speed})
        return
    (store,) = stores(chosen, built.store)
    most, units = (tries(frames is not None)[0] for tries in (store.lanes, store.activations))
    rows = {
        "lanes": _of(built.lanes, most, built.fewer),
        "units a cycle": _of(built.activations, units, built.slower),
        "clock": f"{built.clock:g} MHz ({built.fmax:.1f} would be possible)",
        "weights": f"{built.weights:,} bytes in {_STORES[built.store]}"
        + (f": the chip lacks {built.further}" if built.further else ""),
        **{
            RESOURCES[name]: f"{used:,} of {there:,}"
            for name, (used, there) in built.resources.items()
            if there
        },
        **{f"frames/s, {o:.0%} of columns fire": f"{n:,.0f}, at most" for o, n in speed.items()},
        "baud": f"{built.baud:,}",
        "time": f"{built.seconds:.0f} s",
    }
    table(rows, f"{loaded.name} on {chosen.title}")
    print(*built.files, sep="\n")


def _of(some: int, most: int, why: str) -> str:
    return f"{some} of the board's {most}: {why}" if why else str(some)
