"""What the commands share: options, and how they report."""

import json
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from golden.errors import refusal
from golden.files import require_writable_file
from golden.parameters import LANES_MAX, NetworkParameters

out = Console()
if not out.is_terminal:
    out.width = 10_000  # whoever reads a file or a pipe wants its lines whole
progress = Console(stderr=True)  # so that standard output holds the result alone

LINE = 300  # characters of a message


class OutputPath(click.Path):
    """A path to write to. The empty one and ``-`` are refused: they name no file."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value) in ("", "-"):
            expected = "the name of a file or folder (./- for one called -)"
            raise refusal("output", repr(str(value)), expected)
        return super().convert(value, param, ctx)


def names_in(module: str, registry: str) -> Callable[..., list[str]]:
    """What the shell may complete to: the keys of a dictionary, imported only when it asks."""

    def complete(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
        try:
            names = getattr(import_module(module), registry)
        except ImportError:  # of an extra that is not installed
            return []
        return [name for name in names if name.startswith(begun)]

    return complete


MODEL = click.argument("model", type=click.Path(path_type=Path))
FRAMES = click.argument("frames", type=click.Path(path_type=Path))
LANES = click.option("--lanes", type=int, default=8, show_default=True, help="Lanes P.")
ACTIVATIONS = click.option(
    "--activations",
    type=int,
    default=1,
    show_default=True,
    help="Units A that the activation unit takes in a cycle, a power of two that divides P.",
)
STREAMS = click.option(
    "--streams",
    type=int,
    default=1,
    show_default=True,
    help="Sequences C that the core computes side by side, each with a state of its own.",
)
TARGET = click.option(
    "--target",
    default="generic",
    show_default=True,
    help="What the core is made of: generic, up5k or ecp5.",
    shell_complete=names_in("boards.family.targets", "TARGETS"),
)
SIMULATOR = click.option(
    "--simulator",
    default="verilator",
    show_default=True,
    help="verilator or icarus.",
    shell_complete=names_in("sim.simulators", "FASTEST"),
)


def weights_option(*places: str) -> Callable[..., Any]:
    """The option that says where weights lie, one of ``places``, the first where none is given."""
    auto = "; auto: the nearest that has room" if "auto" in places else ""
    return click.option(
        "--weights",
        type=click.Choice(places),
        default=places[0],
        show_default=True,
        help=f"Where weights lie: in the core, or outside, in columns{auto}.",
    )


JSON = click.option("--json", "as_json", is_flag=True, help="Report as JSON.")


def printable(text: str) -> str:
    """``text`` with everything that steers a terminal, and all that is not text, as escapes.

    Line ends stay. Names come from files: an escape sequence in one could hide or rewrite what is
    printed around it, and so could a mark that turns the direction of writing.
    """
    return "".join(
        c if c == "\n" or c.isprintable() or unicodedata.category(c) == "Zs" else _escaped(c)
        for c in text
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def say(message: str) -> None:
    """Prints a message on standard error: one line, of LINE characters at most."""
    click.echo(f"deltarnn: {shortened(printable(' '.join(message.split())), LINE)}", err=True)


def shortened(text: str, length: int) -> str:
    """``text``, or its beginning and its end around dots, of ``length`` characters at most.

    The end is kept because it says what was expected. It is cut between words, if there are any.
    """
    if len(text) <= length:
        return text
    dots = " ... "
    end = length // 3
    head, tail = text[: length - end - len(dots)], text[-end:]
    cut = head.rfind(" ")
    if cut > len(head) // 2:
        head = head[:cut]
    cut = tail.find(" ")
    if 0 <= cut < len(tail) // 2:
        tail = tail[cut + 1 :]
    return head + dots + tail


def brief(value: Any) -> str:
    """``value`` as JSON, but short: a list of equal values as one and how often it comes, and one
    of numbers as how many there are between which two.
    """
    if isinstance(value, list) and len(value) > 4:
        if all(each == value[0] for each in value):
            return f"{len(value)} times {brief(value[0])}"
        if all(type(each) in (int, float) for each in value):
            return f"{len(value)} numbers from {min(value):g} to {max(value):g}"
    return shortened(json.dumps(value, ensure_ascii=False), LINE)


def table(rows: dict[str, Any], title: str) -> None:
    """Prints ``rows``; whole where there is no terminal, folded where it is too narrow."""
    # Text, not markup: names and paths may hold brackets.
    table = Table(title=Text(printable(title)), show_header=False, title_justify="left")
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(Text(printable(name)), Text(printable(str(value))))
    out.print(table)


def print_json(report: dict[str, Any]) -> None:
    print(json.dumps(report, indent=2))


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turns a package that is not there into a refusal that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        expected = f"it installed: pip install 'deltarnn[{name}]'"
        raise refusal(f"extra {name}", f"no package {error.name}", expected) from None


def require_writable(*paths: Path | None) -> None:
    """Refuses a file to be written that has no folder, before the work is done and lost."""
    for path in paths:
        if path is not None:
            require_writable_file(path)


# Weights that memories outside give at once (boards.memory.system, boards.memory.quad_system).
LANES_FED = {"sdram": 2, "flash": 1}


def fitting_lanes(
    network: NetworkParameters, lanes: int, activations: int = 1, weights: str = "chip"
) -> int:
    """``lanes``, or fewer where the network has no use for so many; that is said, then.

    As many are left as its widest layer has units, rounded up to what ``activations`` divides, and
    to a power of two where ``weights`` lie outside: at most as many as the memory there feeds.
    """
    most = LANES_FED.get(weights, lanes)
    if lanes > most:
        say(f"lanes: {most} instead of {lanes}, as many as weights come from the {weights} at once")
        return most
    if not network.most_lanes < lanes <= LANES_MAX or activations < 1:
        return lanes  # CoreParameters refuses what is no number of lanes at all
    fewer = -(-network.widest // activations) * activations
    if weights != "chip":
        fewer = 1 << (fewer - 1).bit_length()
    say(f"lanes: {fewer} instead of {lanes}, the widest layer has {network.widest} units")
    return fewer
