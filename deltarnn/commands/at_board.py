"""A model at a board, real or simulated, as `run` and `eval` have it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deltarnn.commands.common import default_folder
from deltarnn.console import extra, progress
from golden.errors import refusal
from golden.model import Model
from golden.parameters import CoreParameters

if TYPE_CHECKING:
    from boards.board import Board
    from boards.flow.design import Design
    from boards.host.session import Host
    from boards.link.protocol import Link

SIMULATION = 60.0  # seconds of patience with a simulated board, which is slower than a board


def require_one(port: str | None, simulated: bool) -> None:
    """Refuses both of a port and a simulation, and neither."""
    if (port is None) == (not simulated):
        raise refusal("port", "both" if port else "neither", "--port TTY or --simulated-board")


@dataclass(frozen=True)
class AtBoard:
    """A model's bitstream at a board.

    Attributes
    ----------
    core, link
        As they were built, or would be with the board's lanes and units a cycle.
    port
        Where the board is; None where it is simulated.
    design
        What is simulated then.
    """

    model: Model
    board: "Board"
    core: CoreParameters
    link: "Link"
    port: str | None
    baud: int
    design: "Design | None"

    @classmethod
    def of(
        cls, file: Path, model: Model, name: str, port: str | None, baud: int | None = None
    ) -> "AtBoard":
        """``model`` of ``file`` at the board ``name``.

        Raises ValueError where there is no such board, or the model does not fit.
        """
        from boards.board import find_board
        from boards.family.targets import find_target
        from boards.flow.build import built_core, require_room
        from boards.flow.design import design
        from boards.link.protocol import Link
        from hw.emit.verilog import emit

        board = find_board(name)
        require_room(model, board)
        core = built_core(model, board, default_folder(file, name))
        core = core or CoreParameters(model.parameters, board.lanes, board.activations)
        target = find_target(board.target).target
        link = Link.of(core, model, target.loads)
        made = None
        if port is None:
            with progress.status("generating"):
                emission = emit(core, model, target)
                made = design(core, model, emission, board.clocks[0], board.baud, board.flash)
        return cls(model, board, core, link, port, baud or board.baud, made)

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
                prepare(host, self.model)
                yield host


@contextmanager
def simulated(made: "Design", board: "Board") -> Iterator[str]:
    """The terminal of a simulated board with that design."""
    with extra("sim"):
        from sim.fast.board import build_board, running
    from boards.family.targets import find_target
    from boards.flow.design import TOP

    with progress.status(f"building a simulated {board.title}"):
        models = find_target(board.target).cells.models()
        texts = made.verilog() | ({"models.v": models} if models else {})
        program = build_board(texts, TOP)
    with running(program, made.shell.divisor, made.flash, board.flash or 0) as terminal:
        yield terminal
