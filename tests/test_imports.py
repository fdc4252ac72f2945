"""Imports run one way: deltarnn -> boards, sim -> hw -> golden, and train -> golden."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "golden": set(),
    "hw": {"golden"},
    "sim": {"golden", "hw"},
    "boards": {"golden", "hw"},
    "train": {"golden"},
    "models": set(),
    "deltarnn": {"golden", "hw", "sim", "boards", "train", "models"},
}
# Rooms within a folder, each of which may import those before it and its folder's own files.
ROOMS = {
    "golden": ("learn", "predict", "sound"),
    "hw": ("primitive", "walk", "events", "lanes", "unit", "learn", "bus", "sound", "emit"),
    "sim": ("cocotb", "fast"),
    "boards": ("family", "link", "memory", "host", "flow"),
    "train": ("data", "quantised", "nets", "course", "importers", "tasks"),
}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_what_lies_below_it(folder):
    for path in (ROOT / folder).rglob("*.py"):
        for module in imported(path):
            target = module.partition(".")[0]
            if target in FOLDERS:
                assert target in FOLDERS[folder] | {folder}, f"{path.relative_to(ROOT)}: {module}"


def arrows(folder: str) -> dict[str, set[str]]:
    """Which rooms of a folder each of its rooms imports."""
    found: dict[str, set[str]] = {room: set() for room in ROOMS[folder]}
    for room in found:
        for path in (ROOT / folder / room).rglob("*.py"):
            for module in imported(path):
                parts = module.split(".")
                if parts[0] == folder and len(parts) > 2 and parts[1] != room:
                    found[room].add(parts[1])
    return found


@pytest.mark.parametrize("folder", ROOMS)
def test_a_room_imports_only_those_before_it(folder):
    """The list above can be read as a picture of the house, and has no circle."""
    rooms = {p.parent.name for p in (ROOT / folder).glob("*/__init__.py")}
    assert rooms == set(ROOMS[folder])
    for n, room in enumerate(ROOMS[folder]):
        later = arrows(folder)[room] & set(ROOMS[folder][n + 1 :])
        assert not later, f"{folder}/{room} imports {sorted(later)}"
