"""Puts all packages below `deltarnn` in a wheel: no `train` or `sim` of ours meets the user's own.

In a clone, and so in an editable install, the packages keep their short names.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).parent
PARTS = ("golden", "hw", "sim", "boards", "train", "models")  # beside deltarnn in a clone
PART = re.compile(rf"({'|'.join(PARTS)})\b")


def packages_of(*names: str) -> list[str]:
    """These packages of the clone and all within them."""
    return find_packages(str(ROOT), include=[n for name in names for n in (name, f"{name}.*")])


class Clone(editable_wheel):
    """An editable install: the packages as they lie in the clone."""

    def finalize_options(self) -> None:
        self.distribution.packages = packages_of("deltarnn", *PARTS)
        self.distribution.package_dir = {}
        super().finalize_options()


class Namespaced(build_py):
    """Modules whose imports say where the wheel has what they import."""

    def run(self) -> None:
        if not self.editable_mode:
            # What an earlier build left there would go into the wheel, too.
            rmtree(self.build_lib, ignore_errors=True)
        super().run()

    def build_module(self, module: str, module_file: str, package: str) -> tuple[str, bool]:
        written, copied = super().build_module(module, module_file, package)
        if not self.editable_mode:
            source = Path(module_file).read_text(encoding="utf-8")
            Path(written).write_text(namespaced(source, module_file), encoding="utf-8")
        return written, copied


def namespaced(source: str, name: str) -> str:
    """The text of a module whose imports, and strings that name modules, say deltarnn.PART for
    PART.

    A string names a module if it is the whole dotted name of one, if it is an f-string that begins
    so, or if `import_module` or `files` is called with it. Raises ValueError where the text does
    not look as expected.
    """
    text = source.encode()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    changes = sorted(
        (starts[node.lineno - 1] + node.col_offset + skipped, node.lineno, old, new)
        for node, skipped, old, new in _changes(ast.parse(source))
    )
    for at, line, old, new in reversed(changes):
        if not text.startswith(old.encode(), at):
            raise ValueError(f"{name}:{line}: found something else, expected {old}")
        text = text[:at] + new.encode() + text[at + len(old.encode()) :]
    return text.decode()


def _changes(tree: ast.Module) -> Iterator[tuple[ast.stmt | ast.expr, int, str, str]]:
    """Nodes, how far into each a text stands, that text, and what takes its place."""
    loaded = {id(node.args[0]) for node in ast.walk(tree) if _loads(node)}
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), level=0) if PART.match(module):
                yield node, 0, f"from {module}", f"from deltarnn.{module}"
            case ast.Import(names=names) if any(PART.match(alias.name) for alias in names):
                yield node, 0, ast.unparse(node), "; ".join(map(_imported, names))
            case ast.Constant(value=str(text)) if PART.match(text):
                if id(node) in loaded or _is_module(text):
                    yield node, 1, text, f"deltarnn.{text}"
            case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
                if re.fullmatch(rf"{PART.pattern}\.[\w.]*", text):
                    yield node, 2, text, f"deltarnn.{text}"


def _loads(node: ast.AST) -> bool:
    """Whether it is a call with the name of a module or package."""
    match node:
        case ast.Call(func=ast.Name(id="import_module" | "files"), args=[_, *_]):
            return True
    return False


def _imported(alias: ast.alias) -> str:
    """One name of an `import`. Without another name for it, it binds the part alone."""
    if not PART.match(alias.name):
        return ast.unparse(ast.Import([alias]))
    if alias.asname:
        return f"import deltarnn.{alias.name} as {alias.asname}"
    return f"import deltarnn.{alias.name}; from deltarnn import {alias.name.partition('.')[0]}"


def _is_module(text: str) -> bool:
    """Whether it is the dotted name of a module in the clone."""
    path = ROOT.joinpath(*text.split("."))
    found = path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
    return found and re.fullmatch(r"\w+(\.\w+)+", text) is not None


if __name__ == "__main__":
    setup(
        packages=[
            *packages_of("deltarnn"),
            *(f"deltarnn.{package}" for package in packages_of(*PARTS)),
        ],
        package_dir={f"deltarnn.{part}": part for part in PARTS},
        cmdclass={"build_py": Namespaced, "editable_wheel": Clone},
    )
