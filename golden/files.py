"""Output files that are whole or absent: write aside, then rename."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from golden.errors import refusal


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yields a path to write to; it becomes ``path`` when the block ends without an error.

    Raises ValueError where the folder or the file cannot be written to.
    """
    with aside_folder(path.parent, path.name) as folder:
        part = folder / path.name
        try:
            yield part
            part.replace(path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise refusal(str(path), reason, "a file that can be written") from None


def make_folder(path: Path) -> None:
    """Makes a folder that can be written to, unless it is there; ValueError where it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refusal(str(path), error.strerror, "a folder that can be written to") from None
    with aside_folder(path, "probe"):
        pass


@contextmanager
def aside_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder beside the final place, so that renaming out of it is atomic; gone at the end."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=parent))
    except OSError as error:
        raise refusal(str(parent), error.strerror, "a folder that can be written to") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
