"""A table of a terminal as a document has it."""

from rich.table import Table


def markdown(table: Table) -> str:
    """Header, rule and rows; without title, caption and alignment."""
    rows = zip(*(column.cells for column in table.columns), strict=True)
    lines = [[column.header for column in table.columns], ["---"] * len(table.columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
