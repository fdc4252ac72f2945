"""Tables of documents that a command fills in."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from golden.errors import refusal
from golden.files import written_aside


def lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table: header, rule and rows."""
    every = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in every)


def of_terminal(table: Table) -> str:
    """A terminal's table; without title, caption and alignment."""
    rows = zip(*(column.cells for column in table.columns), strict=True)
    return lines(
        [str(column.header) for column in table.columns],
        [[str(cell) for cell in row] for row in rows],
    )


def fill(document: Path, contents: Mapping[str, str]) -> None:
    """Replaces what lies between ``<!-- NAME -->`` and ``<!-- end -->`` by ``contents[NAME]``.

    Raises ValueError where there is no such document, or no such mark in it.
    """
    try:
        text = document.read_text()
    except OSError as error:
        raise refusal(str(document), error.strerror, "a document with marks") from None
    for name, content in contents.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not mark.search(text):
            raise refusal(str(document), "no mark", f"<!-- {name} --> and <!-- end -->")
        text = mark.sub(lambda m, content=content: f"{m[1]}\n{content}\n\n{m[2]}", text)
    with written_aside(document) as part:
        part.write_text(text)
