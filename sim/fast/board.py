"""A board without a board: its Verilog in Verilator, behind a pseudo-terminal."""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from golden.errors import refusal
from sim.build import built
from sim.verilator import ARGUMENTS, CELLS, compile_program, verilator_environment

PROGRAM = "board"
QUIET = 20_000  # cycles, of a small network
ENDING = 1.0  # seconds in which the program may end by itself


def build_board(texts: Mapping[str, str], top: str, *, cells: bool = False) -> Path:
    """The program that is the board whose Verilog is ``texts`` (files by name), from the cache.

    ``top`` has ports clk, rst, rx, tx and, for a board that boots from a flash, flash_cs_n,
    flash_sck, flash_copi and flash_cipo. ``cells`` is as in sim.verilator.compile_program. Raises
    ValueError where it cannot be built.
    """
    verilator_environment()  # refuses before anything is written
    harness = files("sim.fast").joinpath("board.cpp").read_text()

    def make(folder: Path, shared: Path) -> None:
        sources = [folder / name for name in ("board.cpp", *texts)]
        log = folder / "build.log"
        compile_program(sources, top, PROGRAM, log, shared, cells=cells)

    identity = [ARGUMENTS, top, CELLS if cells else []]
    return built({**texts, "board.cpp": harness}, identity, make, "verilator") / PROGRAM


@contextmanager
def running(
    program: Path,
    divisor: int,
    flash: bytes | None = None,
    address: int = 0,
    quiet: int = QUIET,
) -> Iterator[str]:
    """The name of the terminal behind which ``program`` (build_board) is, while it runs.

    ``divisor`` is the UART's cycles a bit; ``flash`` what its flash holds from ``address`` on. The
    clock stands still after ``quiet`` cycles in which nothing is heard of the board, more than
    whatever it is asked for may take. However the block ends, the program is gone and so is its
    folder. Raises ValueError where the system has no terminal for it.
    """
    with tempfile.TemporaryDirectory(prefix="deltarnn-") as folder:
        command = [str(program), str(divisor), str(quiet)]
        if flash is not None:
            (Path(folder) / "flash").write_bytes(flash)
            command += [str(Path(folder) / "flash"), str(address)]
        with _process(command, folder) as process:
            assert process.stdout is not None
            terminal = process.stdout.readline().decode().strip()
            if not terminal:
                raise refusal("simulated board", "no pseudo-terminal", "one of the system's")
            yield terminal


@contextmanager
def _process(command: Sequence[str], folder: str) -> Iterator[subprocess.Popen[bytes]]:
    """``command`` while it runs in ``folder``: asked to end, then told to, then killed."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder)
    try:
        yield process
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for ask in (process.stdin.close, process.terminate):
                ask()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(ENDING)
                    break
        finally:  # also where a second signal ends the waiting
            process.kill()
            process.wait()
            process.stdout.close()
