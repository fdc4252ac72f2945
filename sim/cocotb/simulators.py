"""The simulators with cocotb in them, where sim.cocotb.bench plays the jobs."""

import json
import os
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import cocotb_tools.config
import numpy as np
from cocotb_tools.runner import Icarus as IcarusRunner
from cocotb_tools.runner import Runner
from cocotb_tools.runner import Verilator as VerilatorRunner

from golden.errors import refusal
from golden.files import is_plain
from golden.processes import run
from hw.emit.verilog import TOP
from sim.job import Job
from sim.simulator import Simulation, Simulator
from sim.verilator import ARGUMENTS, VerilatorBase, runtime_folder, with_runtime


class _OwnProcesses(Runner):
    """cocotb's runner, whose programs end with this one."""

    def _execute_cmds(
        self, cmds: Sequence[list[str]], cwd: str | Path, stdout: TextIO | None = None
    ) -> None:
        for command in cmds:
            if run(command, cwd=Path(cwd), env=self.env, log=stdout).returncode:
                raise RuntimeError(f"{command[0]} failed")


class CocotbSimulator(Simulator):
    """A simulator that cocotb can drive."""

    @abstractmethod
    def runner(self, shared: Path, waves: str) -> Runner:
        """A fresh cocotb runner, which may keep in ``shared`` what all its builds share.

        ``waves`` as in Simulation.
        """

    def build_arguments(self, folder: Path, ports: Mapping[str, int]) -> dict[str, Any]:
        """Arguments for Runner.build beside the source; files it needs go into ``folder``."""
        return {}

    @property
    def identity(self) -> list[Any]:
        """Also where cocotb lies, since a build is linked to it by its full path."""
        return [version("cocotb"), str(cocotb_tools.config.libs_dir)]

    def build(
        self, sources: list[Path], ports: Mapping[str, int], log: Path, shared: Path, *, waves: str
    ) -> None:
        folder = sources[0].parent
        arguments = self.build_arguments(folder, ports)
        with working_environment(self.environment()):
            self.runner(shared, waves).build(
                sources=[*sources, *arguments.pop("extra_sources", [])],
                hdl_toplevel=TOP,
                build_dir=folder,
                timescale=("1ns", "1ps"),
                waves=bool(waves),
                log_file=log,
                **arguments,
            )

    def play(
        self, simulation: Simulation, job: Job, max_idle: int, folder: Path
    ) -> dict[str, np.ndarray]:
        record = {
            "gaps": job.gaps,
            "pauses": job.pauses,
            "seed": job.seed,
            "streams": job.streams,
            "steps": job.steps,
            "max_idle": max_idle,
        }
        (folder / "job.json").write_text(json.dumps(record))
        np.savez(folder / "frames.npz", **job.arrays)  # type: ignore[arg-type]
        results = folder / "results.xml"
        variables = {
            **self.environment(),
            "PYTHONPATH": os.pathsep.join(str(Path(p).resolve()) for p in sys.path if p),
        }
        # The runner would exit where the simulator crashed: the reason comes below.
        with working_environment(variables), suppress(SystemExit):
            self.runner(simulation.folder.parent, simulation.waves).test(
                test_module="sim.cocotb.bench",
                hdl_toplevel=TOP,
                hdl_toplevel_lang="verilog",
                build_dir=simulation.folder,
                test_dir=folder,
                results_xml=str(results),
                seed=1,
                waves=bool(simulation.waves),
                plusargs=[f"+dumpfile_path={folder / 'waves'}{simulation.waves}"]
                if simulation.waves
                else [],
                timescale=("1ns", "1ps"),
                extra_env={"DELTARNN_JOB": str(folder), "COCOTB_LOG_LEVEL": "WARNING"},
                log_file=folder / "log",
            )
        _require_passed(results, folder / "log")
        with np.load(folder / "record.npz", allow_pickle=False) as tables:
            return dict(tables)


@contextmanager
def working_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """os.environ with ``variables``, for the programs that cocotb's runner starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _require_passed(results: Path, log: Path) -> None:
    """cocotb's own verdict: a filter that matches nothing, or a crash, must not pass."""
    tests = list(ElementTree.parse(results).iter("testcase")) if results.exists() else []
    failures = [
        test for test in tests if test.find("failure") is not None or test.find("error") is not None
    ]
    if len(tests) == 1 and not failures:
        return
    text = log.read_text() if log.exists() else ""
    lines = [line for line in text.splitlines() if "Error" in line or "ERROR" in line]
    raise RuntimeError(f"the bench failed: {lines[-1].strip() if lines else 'no result'}\n{text}")


class Icarus(CocotbSimulator):
    """Icarus Verilog from the system: starts at once, runs slowly."""

    name = "icarus"
    waves = (".vcd", ".fst")

    @cached_property
    def version(self) -> str:
        done = run(["iverilog", "-V"])
        return done.stdout.splitlines()[0].split(" (")[0] if done.stdout else "unknown"

    def environment(self) -> Mapping[str, str]:
        if shutil.which("iverilog") is None:
            raise refusal(
                "simulator icarus", "no iverilog on PATH", "it installed: apt-get install iverilog"
            )
        return {"PATH": os.environ.get("PATH", os.defpath)}

    def runner(self, shared: Path, waves: str) -> Runner:
        return _IcarusRunner(waves)


class _IcarusRunner(_OwnProcesses, IcarusRunner):
    """cocotb's runner, which writes waveforms in either format."""

    def __init__(self, waves: str) -> None:
        super().__init__()
        self._suffix = waves

    def _test_command(self) -> list[list[str]]:
        chosen = {"-fst": "-vcd"} if self._suffix == ".vcd" else {}
        commands = super()._test_command()
        return [[chosen.get(word, word) for word in command] for command in commands]


class _LeanVerilatorRunner(_OwnProcesses, VerilatorRunner):
    """cocotb's runner, less the flag that makes every signal public and the model slow."""

    def __init__(self, shared: Path) -> None:
        super().__init__()
        self._shared = shared

    def _build_command(self) -> list[list[str]]:
        verilate, make = (
            [word for word in command if word != "--public-flat-rw"]
            for command in super()._build_command()
        )
        runtime = runtime_folder(self._shared, "-cocotb-waves" if self.waves else "-cocotb")
        # Python takes most of the time of a cycle, so a quick model is not worth its compilation.
        make += ["OPT_FAST=-O0", "OPT_SLOW=-O0"]
        return with_runtime(verilate, make, Path(self.build_dir), runtime)


class Verilator(VerilatorBase, CocotbSimulator):
    """Verilator with cocotb: Python in every cycle."""

    def environment(self) -> Mapping[str, str]:
        libraries = Path(cocotb_tools.config.libs_dir)
        if not is_plain(libraries):  # they go to the linker by way of make
            expected = "a path of letters, digits and ._-+@ for Verilator with cocotb"
            raise refusal("folder of cocotb", repr(str(libraries)), expected)
        return super().environment()

    def runner(self, shared: Path, waves: str) -> Runner:
        return _LeanVerilatorRunner(shared)

    def build_arguments(self, folder: Path, ports: Mapping[str, int]) -> dict[str, Any]:
        control = folder / "public.vlt"
        lines = [f'public_flat_rw -module "{TOP}" -var "{port}"' for port in ports]
        control.write_text("\n".join(["`verilator_config", *lines]) + "\n")
        return {"build_args": ARGUMENTS, "extra_sources": [control]}
