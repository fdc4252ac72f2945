"""The Verilog of a listener or a front end in Verilator: bits in, words or frames out."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from amaranth.lib.wiring import Component

from golden.files import temporary_folder
from golden.fixed import Integers
from golden.processes import run
from golden.sound.front_end import FrontEnd
from hw.core import bus_width
from hw.emit.verilog import TOP, converted
from hw.sound.listener import Listener
from hw.sound.path import SoundPath
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
    *words, (dropped, lost) = _played(listener, bits, cycles, weights, models)
    return Heard(tuple(words), dropped, lost)


def frames_of(path: SoundPath, front: FrontEnd, bits: Integers, cycles: int) -> Integers:
    """int64 [frames, bands] that a front end makes of bits [n], taken as they come.

    Raises as ``listen``, and RuntimeError where an element is missing or a sample lost.
    """
    *elements, strobes = _played(path, bits, cycles)
    values = np.array([value for value, _ in elements], dtype=np.int64)
    ends = np.flatnonzero([last for _, last in elements])
    whole = np.arange(front.bands - 1, len(values), front.bands)
    if any(strobes) or len(values) % front.bands or not np.array_equal(ends, whole):
        raise RuntimeError(f"the front end: {len(values)} elements, dropped and lost {strobes}")
    bus = bus_width(front.activation.width)
    return (values - (values >> (bus - 1) << bus)).reshape(-1, front.bands)


def _played(
    component: Component,
    bits: Integers,
    cycles: int,
    weights: bytes | None = None,
    models: str = "",
) -> list[tuple[int, int]]:
    """The lines that sim/fast/listener.cpp writes."""
    source = files("sim.fast").joinpath("listener.cpp").read_text()
    kind = {"LOADS": weights is not None, "FRAMES": isinstance(component, SoundPath)}
    texts = {
        "listener.cpp": "".join(f"#define {name} {int(is_so)}\n" for name, is_so in kind.items())
        + source,
        f"{TOP}.v": converted(component, TOP),
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
    lines = (line.split() for line in done.stdout.splitlines())
    return [(int(first), int(second)) for first, second in lines]
