"""What the rest of sim/ asks of a simulator."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sim.job import Job


@dataclass(frozen=True)
class Simulation:
    """A built simulation, ready to be run any number of times, also at once.

    Attributes
    ----------
    folder
        Where its program lies.
    ports
        Width in bits of each of the core's ports.
    waves
        The suffix of the waveforms that it writes; empty where it writes none.
    weights
        What must be loaded before the core takes a frame, if anything.
    """

    simulator: "Simulator"
    folder: Path
    waves: str
    ports: Mapping[str, int]
    weights: bytes | None = None


class Simulator(ABC):
    """A Verilog simulator, and something in it that plays jobs."""

    name: str
    waves: tuple[str, ...] = (".vcd",)  # the suffixes of waveforms that it can write

    @property
    @abstractmethod
    def version(self) -> str:
        """Name and version, for reports and as part of a build's identity."""

    @property
    @abstractmethod
    def identity(self) -> list[Any]:
        """What a build depends on beside the simulator and the Verilog, ready for JSON."""

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Variables under which the simulator's programs run.

        Raises ValueError that says how to install it where it is not there.
        """

    @abstractmethod
    def build(
        self, sources: list[Path], ports: Mapping[str, int], log: Path, shared: Path, *, waves: str
    ) -> None:
        """Builds ``sources``, of which the first has the top, in the folder where they lie.

        ``log`` says what happens. ``waves`` as in Simulation.

        ``shared`` is a folder for what all builds may share. Raises RuntimeError, OSError or
        SystemExit where it fails.
        """

    @abstractmethod
    def play(
        self, simulation: Simulation, job: Job, max_idle: int, folder: Path
    ) -> dict[str, np.ndarray]:
        """Plays ``job`` in an empty ``folder``; waveforms lie there afterwards.

        Returns the tables of the record as the core sent them: the bytes of all results in
        ``outputs`` (uint8) and those of each frame counted in ``output_lengths``; ``events``,
        ``states``, ``skips``, ``finishes``, ``first_beats``, ``replies``, ``state_cycles`` and
        ``writes`` as in sim.run.Record, but values without their sign, and those of a state as
        words of 32 bits of the port, lowest first: int64 [n, 2 + words].

        Raises RuntimeError where it fails, as where the core shows no sign of life for
        ``max_idle`` cycles.
        """
