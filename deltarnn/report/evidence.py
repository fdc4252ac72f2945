"""The evidence behind every bit: the table that docs/evidence.md begins with."""

import re
from pathlib import Path
from typing import Any

from deltarnn.evidence.verify import DOCS
from golden.errors import refusal

_ROW = re.compile(r"^\| \[(\w+)\]\(\S+\) \| (.+) \| ([\d.]+) \| (\d+) \|$", re.MULTILINE)


def evidence_rows(docs: Path = DOCS) -> list[dict[str, Any]] | None:
    """For each kind its name, what was found, its share of the full run and the minutes that took;
    None where there is no such page, as in an installed package.

    Raises ValueError where the page has no such table.
    """
    page = docs / "evidence.md"
    if not page.is_file():
        return None
    rows = _ROW.findall(page.read_text(encoding="utf-8"))
    if not rows:
        raise refusal(str(page), "no table of evidence", "what `make verify` writes")
    return [
        {
            "kind": kind.replace("_", " "),
            "found": found,
            "share": float(share),
            "minutes": int(minutes),
        }
        for kind, found, share, minutes in rows
    ]
