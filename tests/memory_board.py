"""A simulated board whose weights lie beside the core, with a fault somewhere if need be."""

from collections.abc import Iterator
from contextlib import contextmanager

from boards.board import Board
from boards.family.targets import TARGETS
from boards.flow.design import TOP, Design
from boards.flow.stores import Store
from boards.host.session import Host
from boards.host.stream import prepare, run
from golden.model import Model
from sim.fast.board import build_board, running
from tests.networks import random_frames


@contextmanager
def at_board(
    made: Design, board: Board, right: str = "", wrong: str = "", flash: bytes | None = None
) -> Iterator[Host]:
    """A host at the board of ``made``, its Verilog's only ``right`` replaced by ``wrong``, its
    flash with other content than it should have.
    """
    texts = made.verilog() | {"models.v": TARGETS[board.target].cells.models()}
    if right:
        assert texts["core.v"].count(right) == 1
        texts["core.v"] = texts["core.v"].replace(right, wrong)
    program, content = build_board(texts, TOP), made.flash if flash is None else flash
    with (
        running(program, made.shell.divisor, content, made.shell.address) as terminal,
        Host(terminal, made.link, patience=60.0) as host,
    ):
        yield host


def frames_equal(host: Host, model: Model, store: Store) -> bool:
    """Whether two recordings' results are golden's."""
    prepare(host, model, target=store.target)
    frames = random_frames(model, 30, moving=0.5)
    pieces = run(host, model, [frames[:20], frames[20:]], True)
    return all(not piece.wrong for piece in pieces)
