"""A .csv file of frames: a row a frame, under a line of names or none."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from golden.errors import refusal

Row = tuple[int, list[str]]  # its line, and its cells


@dataclass(frozen=True)
class Rows:
    """The recordings of a file, one for each of ``names``.

    Attributes
    ----------
    names
        The lines of each.
    sequences
        float64 [T, I].
    wanted
        In each frame a text, or float64 [T, O]; None where no column says it.
    """

    names: tuple[str, ...]
    sequences: tuple[np.ndarray, ...]
    wanted: tuple[np.ndarray, ...] | None


def read_rows(path: Path) -> Rows:
    """Raises ValueError that names the file, the line and the column."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            rows = [
                (n, [cell.strip() for cell in row])
                for n, row in enumerate(csv.reader(file), 1)
                if any(map(str.strip, row))
            ]
    except csv.Error as error:
        raise refusal(str(path), f"no table ({error})", "a row a frame") from None
    if not rows:
        raise refusal(str(path), "no line", "a row a frame")
    names = _names(path, rows)
    width = len(rows[0][1])
    columns = {
        what: [n for n, name in enumerate(names or ()) if name.split("_")[0] == what]
        for what in ("recording", "label", "target")
    }
    for what in ("recording", "label"):
        columns[what] = [n for n in columns[what] if names and names[n] == what]
        if len(columns[what]) > 1:
            raise refusal(str(path), f"two columns {what}", "one")
    if columns["label"] and columns["target"]:
        raise refusal(str(path), "columns label and target", "one of them")
    rows = rows[names is not None :]
    apart = {n for each in columns.values() for n in each}
    features = [n for n in range(width) if n not in apart]
    if not features or not rows:
        found = "no feature" if rows else "no frame"
        raise refusal(str(path), found, "columns of features, a row a frame")
    for n, row in rows:
        if len(row) != width:
            raise refusal(f"{path}, line {n}", f"{len(row)} columns", f"{width}, as above")
    ids = [row[columns["recording"][0]] for _, row in rows] if columns["recording"] else []
    starts = [n for n in range(1, len(ids)) if ids[n] != ids[n - 1]]
    pieces = [slice(*each) for each in pairwise([0, *starts, len(rows)])]
    wanted: np.ndarray | None = None
    if columns["target"]:
        wanted = _numbers(path, rows, columns["target"])
    elif columns["label"]:
        wanted = np.array([row[columns["label"][0]] for _, row in rows])
        if "" in wanted:
            n = rows[int(np.argmax(wanted == ""))][0]
            raise refusal(f"{path}, line {n}, column label", "nothing", "a class")
    numbers = _numbers(path, rows, features)
    return Rows(
        tuple(f"{path}, lines {rows[p.start][0]} to {rows[p.stop - 1][0]}" for p in pieces),
        tuple(numbers[p] for p in pieces),
        None if wanted is None else tuple(wanted[p] for p in pieces),
    )


def _names(path: Path, rows: Sequence[Row]) -> list[str] | None:
    """Those of the columns, where the first line holds some: no cell of it is a number, then."""
    line, first = rows[0]
    if any(_number(cell) is not None for cell in first):
        return None
    if "" in first:
        where = f"{path}, line {line}, column {first.index('') + 1}"
        raise refusal(where, "no name", "a name for each column, or numbers in all of them")
    return [name.lower() for name in first]


def _numbers(path: Path, rows: Sequence[Row], columns: Sequence[int]) -> np.ndarray:
    found = np.empty((len(rows), len(columns)))
    for k, (n, row) in enumerate(rows):
        for c, column in enumerate(columns):
            number = _number(row[column])
            if number is None or not np.isfinite(number):
                where = f"{path}, line {n}, column {column + 1}"
                raise refusal(where, repr(row[column][:40]), "a number")
            found[k, c] = number
    return found


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)  # Python would take 1_000
    except ValueError:
        return None
