"""A model at a board, real or simulated, as `run`, `eval` and `learn` have it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deltarnn.commands.common import default_folder
from deltarnn.console import extra, progress
from golden.errors import refusal
from golden.learn.masters import learned, of_model, widened
from golden.model import Model
from golden.parameters import CoreParameters

if TYPE_CHECKING:
    from boards.board import Board
    from boards.flow.design import Design
    from boards.flow.stores import Store
    from boards.host.session import Host
    from boards.link.protocol import Link

PORT = click.option("--port", help="Serial port that the board is at.")
SIMULATED = click.option(
    "--simulated-board", is_flag=True, help="Simulate the board in place of that."
)
BAUD = click.option("--baud", type=int, help="Default: the board's.")
SIMULATION = 60.0  # seconds of patience with a simulated board, which is slower than a board
DIVISOR = 4  # its UART's cycles a bit: no board's has so few, but each one costs time


def require_one(port: str | None, simulated: bool) -> None:
    """Refuses both of a port and a simulation, and neither."""
    if (port is None) == (not simulated):
        raise refusal("port", "both" if port else "neither", "--port TTY or --simulated-board")


@dataclass(frozen=True)
class AtBoard:
    """A model's bitstream at a board.

    Attributes
    ----------
    model
        With the accumulators of the core.
    store
        Where its weights are (boards.flow.stores).
    core, link
        As they were built, or would be with the board's lanes and units a cycle.
    port
        Where the board is; None where it is simulated.
    design
        What is simulated then.
    """

    model: Model
    board: "Board"
    store: "Store"
    core: CoreParameters
    link: "Link"
    port: str | None
    baud: int
    design: "Design | None"

    @classmethod
    def of(
        cls,
        file: Path,
        model: Model,
        name: str,
        port: str | None,
        baud: int | None = None,
        frames: int | None = None,
        weights: str = "auto",
    ) -> "AtBoard":
        """``model`` of ``file`` at the board ``name``; with ``frames``, on a core that trains.

        ``weights`` is as boards.flow.stores.stores takes it.

        A simulated one's sequences have at most so many frames where it was not built.

        Raises ValueError where there is no such board, the model does not fit, or the core at a
        port does not train though it is to.
        """
        from boards.board import find_board
        from boards.flow.build import built_core, cores
        from boards.flow.design import design
        from boards.flow.stores import first_with_room
        from boards.link.protocol import Link

        board = find_board(name)
        folder = default_folder(file, name)
        built = built_core(model, board, folder, weights)
        if frames is not None and (built is None or not built[1].trains):
            if port is not None:
                expected = f"one of deltarnn build {file} --board {name} --train"
                raise refusal(str(folder), "no core that trains", expected)
            built = None
        if built is None:
            store = first_with_room(model, board, weights, trains=frames is not None)
            built = store, next(cores(model, store, frames=frames))
        store, core = built
        model = replace(model, parameters=core.network)
        link = Link.of(core, model, store.target.loads)
        made = None
        if port is None:
            with progress.status("generating"):
                mhz, emission = store.clocks[0], store.simulated(core, model)
                rate, flash = round(mhz * 1e6 / DIVISOR), store.flash(emission)
                made = design(core, model, emission, mhz, rate, flash)
        return cls(model, board, store, core, link, port, baud or board.baud, made)

    @property
    def computed(self) -> Model:
        """What the board computes: where the core trains biases are weights."""
        if self.core.training is None:
            return self.model
        learning = self.core.training.learning
        return widened(learned(self.model, of_model(self.model, learning), learning))

    @property
    def title(self) -> str:
        return self.port or f"a simulated {self.board.title}, {self.core.lanes} lanes"

    @contextmanager
    def session(self) -> Iterator["Host"]:
        """The board, ready for the first frame."""
        from boards.host.session import PATIENCE, Host
        from boards.host.stream import prepare

        patience = SIMULATION if self.port is None else PATIENCE
        with (
            nullcontext(self.port) if self.design is None else simulated(self.design, self.board)
        ) as terminal:
            assert terminal is not None
            with Host(terminal, self.link, self.baud, patience) as host:
                with progress.status("preparing") as status:
                    prepare(host, self.model, self.core.training, self.store.target, status.update)
                yield host


@contextmanager
def simulated(made: "Design", board: "Board") -> Iterator[str]:
    """The terminal of a simulated board with that design."""
    with extra("sim"):
        from sim.fast.board import QUIET, build_board, running
    from boards.family.targets import find_target
    from boards.flow.design import TOP

    with progress.status(f"building a simulated {board.title}"):
        models = find_target(board.target).cells.models()
        texts = made.verilog() | ({"models.v": models} if models else {})
        program = build_board(texts, TOP)
    shell, quiet = made.shell, QUIET + 4 * (made.link.cycles + made.link.learning)
    with running(program, shell.divisor, made.flash, shell.address, quiet) as terminal:
        yield terminal
