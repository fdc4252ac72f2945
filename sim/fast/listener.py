"""A listener's Verilog in Verilator: a microphone's bits in, words out."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from golden.files import temporary_folder
from golden.fixed import Integers
from golden.processes import run
from hw.emit.verilog import TOP, converted
from hw.sound.listener import Listener
from sim.build import built
from sim.fast.harness import Harness
from sim.verilator import compile_program, verilator_environment


@dataclass(frozen=True)
class Heard:
    """What a listener told.

    Attributes
    ----------
    words : tuple of (int, int)
        After how many bits, and which.
    dropped, lost
        Frames and samples.
    """

    words: tuple[tuple[int, int], ...]
    dropped: int
    lost: int


def listen(
    listener: Listener,
    bits: Integers,
    cycles: int,
    *,
    weights: bytes | None = None,
    models: str = "",
) -> Heard:
    """Plays bits [n], ``cycles`` cycles each, after ``weights``, if they must be loaded.

    ``models`` is the Verilog of the cells that its target uses. Raises ValueError where Verilator
    is missing or cannot build, RuntimeError where what it built fails.
    """
    loads = weights is not None
    source = files("sim.fast").joinpath("listener.cpp").read_text()
    texts = {
        "listener.cpp": f"#define LOADS {int(loads)}\n{source}",
        f"{TOP}.v": converted(listener, TOP),
        **({"models.v": models} if models else {}),
    }

    def make(folder: Path, shared: Path) -> None:
        sources = [folder / name for name in texts]
        log = folder / "build.log"
        compile_program(sources, TOP, "listener", log, shared, optimised=False)

    verilator_environment()  # refuses before anything is written
    place = built(texts, [Harness().version, "listener"], make, "verilator")
    with temporary_folder() as folder:
        (folder / "bits").write_bytes(np.asarray(bits, dtype=np.uint8).tobytes())
        (folder / "weights").write_bytes(weights or b"")
        done = run([place / "listener", folder / "bits", folder / "weights", str(cycles)])
    if done.returncode:
        raise RuntimeError(f"the listener failed: exit status {done.returncode}")
    *words, (dropped, lost) = (tuple(map(int, line.split())) for line in done.stdout.splitlines())
    return Heard(tuple((at, word) for at, word in words), dropped, lost)
