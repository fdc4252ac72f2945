"""A board learns from recordings, and what it has learned becomes a model file."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.progress import Progress

from deltarnn.commands.at_board import BAUD, PORT, SIMULATED, AtBoard, require_one
from deltarnn.commands.lessons import Lessons, learning_options, settings_of
from deltarnn.console import (
    JSON,
    MODEL,
    OutputPath,
    extra,
    names_in,
    print_json,
    progress,
    require_writable,
    say,
    table,
)
from golden.files import require_distinct
from golden.learn.masters import learned
from golden.learn.sequence import LearningNetwork, Settings, order
from golden.learn.tape import FRAMES_MAX
from golden.model import Model
from golden.model_file import load_model, save_model

if TYPE_CHECKING:
    from boards.host.lessons import Learned

# What a model file says of the weights that it had: how they were made, and how good they were.
MEASURED = (
    "training",
    "tuning",
    "validation",
    "formats_tried",
    "calibration",
    "scores",
    "sweep",
    "held_out",
)


@click.command()
@MODEL
@click.argument("recordings", type=click.Path(path_type=Path), nargs=-1, required=True)
@PORT
@SIMULATED
@click.option(
    "--board",
    default="ulx3s-85f",
    show_default=True,
    help="Which one.",
    shell_complete=names_in("boards.board", "BOARDS"),
)
@BAUD
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="How often all recordings are learned, in another order each time.",
)
@learning_options
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the order.")
@click.option("--check", is_flag=True, help="Hold all that it does and learns against golden.")
@click.option("-o", "--output", type=OutputPath(), required=True, help="NEW: the model file.")
@JSON
def learn(
    model: Path,
    recordings: tuple[Path, ...],
    port: str | None,
    simulated_board: bool,
    board: str,
    baud: int | None,
    epochs: int,
    rate: int,
    known: int | None,
    cost: int,
    readout_only: bool,
    seed: int,
    check: bool,
    output: Path,
    as_json: bool,
) -> None:
    """A board learns from RECORDINGS, and what it has learned is written as a model file.

    RECORDINGS are files or folders as `eval` takes them, each recording with its class. So that
    classes learned before are not forgotten, recordings of these belong among them. MODEL stays as
    it is; the core begins with its weights.
    """
    with extra("boards"):
        from boards.host.lessons import layout_at, learned_masters, teach
        from boards.host.session import require_baud

    require_one(port, simulated_board)
    inputs = {"MODEL": model} | {f"RECORDINGS {n}": each for n, each in enumerate(recordings, 1)}
    require_distinct({"-o": output}, inputs)
    if baud is not None:
        require_baud(baud)
    require_writable(output)
    loaded = load_model(model)
    settings = settings_of(loaded, rate, known, cost, readout_only)
    lessons = Lessons.of(loaded, recordings, settings.known)
    lessons.require_room(FRAMES_MAX)
    place = AtBoard.of(model, loaded, board, port, baud, lessons.longest)
    training = place.core.training
    assert training is not None
    lessons.require_room(FRAMES_MAX if readout_only else training.tape.frames)
    network = LearningNetwork.of(place.model, training.learning, training.tape)
    count, done = len(lessons.names), _Done(len(lessons.names), check)
    with (
        place.session() as host,
        Progress(console=progress, transient=True, disable=not progress.is_terminal) as bar,
    ):
        task = bar.add_task(place.title, total=epochs * count)
        shown = ((lessons.frames[n], lessons.labels[n]) for n in order(count, epochs, seed))
        taught = teach(host, network, settings, shown, check)
        for n, found in zip(order(count, epochs, seed), taught, strict=True):
            done.add(found, len(lessons.frames[n]), lessons.labels[n])
            bar.update(task, advance=1, description=done.words(place.title))
            if found.wrong:
                break
        masters = learned_masters(host, layout_at(host, place.model.parameters, training))
        done.retries = host.retries
    if check and not done.wrong:
        done.wrong = _difference(network, masters)
    if not done.wrong and done.dropped == done.sequences:
        raise RuntimeError("nothing was learned: the tape had no room for any sequence")
    if not done.wrong:
        made = learned(place.model, masters, training.learning)
        save_model(replace(made, extra=_extra(loaded, settings, epochs, seed, done)), output)
    report = done.report() | {"output": None if done.wrong else str(output)}
    if as_json:
        print_json(report)
    else:
        table(done.rows(report), f"{loaded.name} at {place.title}")
    if done.wrong:
        say(f"board and golden model differ: {done.wrong}; nothing is written")
        sys.exit(1)


def _difference(network: LearningNetwork, masters: Any) -> str:
    for k, (expected, found) in enumerate(zip(network.masters, masters, strict=True)):
        for vector in ("x", "h"):
            wrong = np.argwhere(getattr(expected, vector) != getattr(found, vector))
            if len(wrong):
                row, column = wrong[0].tolist()
                return f"{len(wrong)} masters, the first of layer {k}, {vector} [{row}, {column}]"
    return ""


def _extra(
    model: Model, settings: Settings, epochs: int, seed: int, done: "_Done"
) -> dict[str, Any]:
    record = {
        "model": model.sha256,
        **vars(settings),
        "epochs": epochs,
        "seed": seed,
        "recordings": done.recordings,
        "sequences": done.sequences,
        "dropped": done.dropped,
    }
    kept = {key: value for key, value in model.extra.items() if key not in MEASURED}
    return kept | {"learned": record}


@dataclass
class _Done:
    """What a board has done so far."""

    recordings: int
    check: bool
    sequences: int = 0
    frames: int = 0
    cycles: int = 0
    dropped: int = 0
    saturated: int = 0
    retries: int = 0
    wrong: str = ""

    def __post_init__(self) -> None:
        self._mistaken: list[bool] = []

    def add(self, found: "Learned", frames: int, label: int) -> None:
        self.sequences += 1
        self.frames += frames
        self.cycles += found.cycles
        self.dropped += bool(found.dropped)
        self.saturated += found.saturated
        self.wrong = self.wrong or found.wrong
        self._mistaken.append(found.decided != label)

    def words(self, title: str) -> str:
        last = self._mistaken[-self.recordings :]
        return f"{title}: {sum(last)} of the last {len(last)} wrong"

    def report(self) -> dict[str, Any]:
        first, last = self._mistaken[: self.recordings], self._mistaken[-self.recordings :]
        return {
            "recordings": self.recordings,
            "sequences": self.sequences,
            "dropped": self.dropped,
            "saturated": self.saturated,
            "wrong_first_epoch": sum(first) / max(len(first), 1),
            "wrong_last_epoch": sum(last) / max(len(last), 1),
            "learning_cycles_per_frame": self.cycles / max(self.frames, 1),
            "retries": self.retries,
            "equal": not self.wrong if self.check else None,
        }

    def rows(self, report: dict[str, Any]) -> dict[str, str]:
        """The report for people."""
        rows = {
            "recordings": f"{self.recordings:,}",
            "sequences that were learned": f"{self.sequences - self.dropped:,}",
            "wrong before they were learned": f"{report['wrong_first_epoch']:.1%} in the first "
            f"epoch, {report['wrong_last_epoch']:.1%} in the last",
            "cycles of learning": f"{report['learning_cycles_per_frame']:.1f} a frame",
        }
        if self.dropped:
            rows["dropped"] = f"{self.dropped:,} sequences that the tape had no room for"
        if self.saturated:
            rows["masters at an end of their range"] = f"after {self.saturated:,} sequences"
        if self.check:
            rows["golden"] = "differs" if self.wrong else "equal in every bit"
        return rows if self.wrong else rows | {"model file": report["output"]}
