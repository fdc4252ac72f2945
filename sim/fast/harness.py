"""Verilator without cocotb: a small program in C++ plays the jobs, as fast as the model runs."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from golden.fixed import Integers
from golden.processes import run
from hw.bus.registers import CONTROL, CONTROL_RESET_STATE
from hw.emit.verilog import TOP
from sim.job import WHOLE, Job
from sim.simulator import Simulation
from sim.verilator import VerilatorBase, compile_program

# What a step begins with; sim/fast/harness.cpp has the same numbers.
_FRAMES, _COMMAND, _WRITE, _READ, _SETTLE, _LOAD, _WRITE_AT_ONCE, _WAIT = range(8)


class Harness(VerilatorBase):
    """Verilator with sim/fast/harness.cpp around the core.

    One that is not ``optimised`` builds in less than half the time, for a core that is played once.
    With ``coverage`` a played job leaves coverage.dat in its folder.
    """

    def __init__(self, *, optimised: bool = True, coverage: bool = False) -> None:
        self._optimised, self._coverage = optimised, coverage

    arguments: tuple[int, ...] = ()  # what its program gets beside the job: see there

    @property
    def identity(self) -> list[Any]:
        return [harness_source(), self._optimised, self._coverage]

    def build(
        self, sources: list[Path], ports: Mapping[str, int], log: Path, shared: Path, *, waves: str
    ) -> None:
        harness = sources[0].with_name("harness.cpp")
        harness.write_text(harness_source())
        compile_program(
            [harness, *sources],
            TOP,
            TOP,
            log,
            shared,
            waves=bool(waves),
            optimised=self._optimised,
            coverage=self._coverage,
        )

    def play(
        self, simulation: Simulation, job: Job, max_idle: int, folder: Path
    ) -> dict[str, np.ndarray]:
        with (folder / "job").open("wb") as file:
            for words in _encoded(job, max_idle, simulation.ports["s_axis_tdata"]):
                np.asarray(words, dtype=np.int64).tofile(file)
        done = run([simulation.folder / TOP, folder, *map(str, self.arguments)])
        if done.returncode:
            text = (done.stderr + done.stdout).strip()
            reason = text.splitlines()[-1] if text else f"exit status {done.returncode}"
            raise RuntimeError(f"the harness failed: {reason}\n{text}")
        columns = {
            "events": 5,
            "states": 2 + -(-simulation.ports["monitor_state_value"] // 32),
            "skips": 2,
            "replies": 2,
        }
        tables = {
            name: np.fromfile(folder / name, dtype=np.int64)
            for name in (
                *("output_lengths", "finishes", "first_beats", "state_cycles", "writes"),
                *columns,
            )
        }
        for name, n in columns.items():
            tables[name] = tables[name].reshape(-1, n)
        return tables | {"outputs": np.fromfile(folder / "outputs", dtype=np.uint8)}


def harness_source() -> str:
    """The C++ that goes around the core, of which a build is made anew where it changes."""
    return files("sim.fast").joinpath("harness.cpp").read_text()


def _encoded(job: Job, max_idle: int, width: int) -> Iterator[list[int] | Integers]:
    """The job as sim/fast/harness.cpp reads it: runs of integers, elements as ``width`` bits."""
    yield [max_idle, job.streams]
    for n, fraction in enumerate((job.gaps, job.pauses, job.gaps, job.gaps, job.pauses)):
        yield [round(fraction * 2**32), job.seed + n]
    for step, *arguments in job.steps:
        yield from _STEPS[step](job, width, *arguments)


def _frames(job: Job, width: int, key: str) -> Iterator[list[int] | Integers]:
    frames = job.arrays[key]
    yield [_FRAMES, *frames.shape]
    yield frames.astype(f"u{width // 8}").astype(np.int64).ravel()


def _load(job: Job, width: int, key: str) -> Iterator[list[int] | Integers]:
    weights = job.arrays[key]
    yield [_LOAD, len(weights)]
    yield weights.astype(np.int64)


_STEPS = {
    "frames": _frames,
    "load": _load,
    "reset": lambda job, width: [[_COMMAND, CONTROL, 1 << CONTROL_RESET_STATE, WHOLE]],
    "write": lambda job, width, *access: [[_WRITE, *access]],
    "write_at_once": lambda job, width, *access: [[_WRITE_AT_ONCE, *access]],
    "wait": lambda job, width, cycles: [[_WAIT, cycles]],
    "read": lambda job, width, address: [[_READ, address]],
    "settle": lambda job, width: [[_SETTLE]],
}
