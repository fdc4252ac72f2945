"""Frames through a board."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deltarnn.commands.at_board import BAUD, PORT, SIMULATED, AtBoard, require_one
from deltarnn.commands.common import recording_arrays
from deltarnn.console import (
    JSON,
    MODEL,
    OutputPath,
    extra,
    names_in,
    out,
    print_json,
    progress,
    require_writable,
    weights_option,
)
from golden.errors import refusal
from golden.features import Features
from golden.files import require_distinct, written_aside
from golden.fixed import Integers
from golden.model import Model
from golden.model_file import load_model
from golden.readings import Answers
from golden.recordings import load

SHORT_LINE, ELEMENT = 1024, 32  # bytes of a line of input: as many in any case, and for a number
READER_GONE = 141  # the exit status of what SIGPIPE ends


@contextmanager
def _until_nobody_reads() -> Iterator[None]:
    """Ends without a word where what reads the results has ended, as SIGPIPE would."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is still in a buffer goes nowhere, and not into a second error on the way out.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        sys.exit(READER_GONE)


@click.command()
@MODEL
@click.argument("frames", type=click.Path(path_type=Path, allow_dash=True))
@PORT
@SIMULATED
@click.option(
    "--board",
    default="icebreaker",
    show_default=True,
    help="Which one.",
    shell_complete=names_in("boards.board", "BOARDS"),
)
@weights_option("auto", "chip", "sdram", "flash")
@BAUD
@click.option("--floats", is_flag=True, help="Lines are features, and results come in their unit.")
@click.option("--check", is_flag=True, help="Hold every answer against the golden model.")
@click.option("-o", "--output", type=OutputPath(), help="OUT.npz: the results.")
@JSON
@_until_nobody_reads()
def run(
    model: Path,
    frames: Path,
    port: str | None,
    simulated_board: bool,
    board: str,
    weights: str,
    baud: int | None,
    floats: bool,
    check: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Streams FRAMES through a board: any data that `eval` takes, or - for lines of numbers.

    A line is a frame, in activation LSBs; the line `reset` begins another recording.
    """
    with extra("boards"):
        from boards.host.session import require_baud
        from boards.host.stream import pieces
        from boards.host.stream import run as stream

    require_one(port, simulated_board)
    require_distinct({"-o": output}, {"MODEL": model, "FRAMES": frames})
    if baud is not None:
        require_baud(baud)
    live = str(frames) == "-"
    if floats and not live:
        raise refusal(
            "--floats", f"it beside {frames}", "it with - alone: files say what they hold"
        )
    if live and sys.stdin is None:
        raise refusal("standard input", "it closed", "lines of numbers")
    require_writable(output)
    loaded = load_model(model)
    place = AtBoard.of(model, loaded, board, port, baud, weights=weights)
    loaded = place.computed
    recordings = [] if live else load(frames).frames(loaded)
    lengths = [len(each) for each in recordings]
    source = _lines(loaded, floats, lengths) if live else pieces(recordings, place.link.frames)
    columns = sum(layer.inputs for layer in loaded.parameters.layers)
    columns += sum(layer.units for layer in loaded.parameters.recurrent)
    answers = Answers.of(loaded)
    done = _Done(f"{loaded.name} at {place.title}", columns, check, output is not None)
    with place.session() as host, Live(console=progress, transient=True) as shown:
        done.begin()
        for piece in stream(host, loaded, source, check):
            done.add(piece.outputs, piece.events, piece.cycles, piece.wrong)
            shown.update(done.table())
            if live and not as_json:
                for row in answers.results(piece.outputs) if floats else piece.outputs:
                    print(*row, flush=True)
            if piece.wrong:
                break
        done.retries = host.retries
    if not done.frames:
        raise refusal(str(frames), "no frame", "at least one")
    if output is not None:
        with written_aside(output) as part, part.open("wb") as file:
            outputs = np.concatenate(done.outputs)
            arrays = {"results": answers.results(outputs)} if floats else {"outputs": outputs}
            np.savez(file, **arrays, **recording_arrays(lengths))  # type: ignore[arg-type]
    if as_json:
        print_json(done.report())
    elif not live:
        out.print(done.table())
    elif check and not done.wrong:
        what = f"{done.frames:,} frames, board and golden model equal in every bit"
        print(f"deltarnn: {what}", file=sys.stderr)
    if done.wrong:
        print(f"deltarnn: board and golden model differ: {done.wrong}", file=sys.stderr)
        sys.exit(1)


@dataclass
class _Done:
    """What a run has come to so far."""

    title: str
    columns: int
    check: bool
    keeps: bool  # all results, else those of the last piece: a live run may have no end
    frames: int = 0
    events: int = 0
    cycles: int = 0
    retries: int = 0
    wrong: str = ""
    seconds: float = 0.0
    outputs: list[Integers] = field(default_factory=list)

    def begin(self) -> None:
        self._since = time.monotonic()

    def add(self, outputs: Integers, events: int, cycles: int, wrong: str) -> None:
        if not self.keeps:
            self.outputs.clear()
        self.outputs.append(outputs)
        self.frames += len(outputs)
        self.events += events
        self.cycles += cycles
        self.wrong = self.wrong or wrong
        self.seconds = time.monotonic() - self._since

    def report(self) -> dict[str, Any]:
        frames = max(self.frames, 1)
        return {
            "frames": self.frames,
            "events": self.events,
            "cycles": self.cycles,
            "occupancy": self.events / (frames * self.columns),
            "cycles_per_frame": self.cycles / frames,
            "frames_per_second": self.frames / max(self.seconds, 1e-9),
            "retries": self.retries,
            "equal": not self.wrong if self.check else None,
        }

    def table(self) -> Table:
        report = self.report()
        rows = Table(title=Text(self.title), show_header=False, title_justify="left")
        rows.add_row("frames", f"{self.frames:,}")
        rows.add_row("columns that fired", f"{report['occupancy']:.1%}")
        rows.add_row("cycles a frame", f"{report['cycles_per_frame']:.1f}")
        rows.add_row("frames/s over the link", f"{report['frames_per_second']:,.0f}")
        if self.outputs:
            rows.add_row("last results", " ".join(map(str, self.outputs[-1][-1])))
        if self.check:
            rows.add_row("golden", "differs" if self.wrong else "equal in every bit")
        return rows


def _lines(model: Model, floats: bool, lengths: list[int]) -> Iterator[Integers | None]:
    """A frame a line from standard input; None for the line `reset`. ``lengths`` gets the frames of
    each recording so far.
    """
    formats, inputs, features = (
        model.parameters.formats,
        model.parameters.inputs,
        Features.of(model),
    )
    low, high = formats.activation.min, formats.activation.max
    expected = f"{inputs} finite numbers" if floats else f"{inputs} integers from {low} to {high}"
    longest = SHORT_LINE + ELEMENT * inputs
    # Bytes, for any may come, and so many of a line at most, for its end may never come.
    for n, line in enumerate(iter(lambda: sys.stdin.buffer.readline(longest + 1), b""), 1):
        name = f"standard input, line {n}"
        if len(line) > longest:
            raise refusal(name, f"more than {longest:,} bytes", expected)
        words = line.replace(b",", b" ").split()
        if words == [b"reset"] and lengths:
            lengths.append(0)
            yield None
        if words in ([], [b"reset"]):
            continue
        try:
            numbers = np.array([[float(word) if floats else int(word) for word in words]])
            if b"_" in line or not np.isfinite(numbers).all():  # Python would take 1_000
                raise ValueError
            frame = features.frames(numbers) if floats and len(words) == inputs else numbers
        except (ValueError, OverflowError, TypeError):
            frame = np.empty((1, 0), int)
        if frame.shape[1] != inputs or frame.min() < low or frame.max() > high:
            raise refusal(name, repr(line.strip()[:40]).removeprefix("b"), expected)
        lengths[:] = lengths or [0]
        lengths[-1] += 1
        yield frame
