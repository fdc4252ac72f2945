"""Arrays from .npy and .npz files, read with suspicion."""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from golden.errors import refusal

_ZIP = b"PK"  # what an .npz begins with, and no .npy


def load_array(path: Path, expected: str, mode: Literal["r"] | None) -> np.ndarray:
    """The array in a .npy file, or the file mapped into memory; refuses all else."""
    try:
        with path.open("rb") as file:
            zipped = file.read(len(_ZIP)) == _ZIP
        # Its warnings are ignored: what they are about is refused anyway.
        with warnings.catch_warnings(action="ignore"):
            array = None if zipped else np.load(path, mmap_mode=mode, allow_pickle=False)
    except OSError as error:
        raise refusal(str(path), error.strerror or str(error), expected) from None
    except Exception:  # a broken header raises nearly anything, MemoryError included
        raise refusal(str(path), "no .npy file of numbers", expected) from None
    if array is None:
        raise refusal(str(path), "an .npz archive", expected)
    return array


def load_arrays(
    path: Path, expected: str, most: int, forms: Sequence[tuple[str, ...]]
) -> dict[str, np.ndarray]:
    """The arrays in a .npz file of at most ``most`` bytes unpacked; none is pickled.

    ``forms`` are the arrays that may be there: those of the form whose first one is. Raises
    ValueError that names the file or the array, what was found and expected.
    """
    with _unbroken(str(path), "a broken archive", expected), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    unpacked = sum(each.file_size for each in members)
    if unpacked > most:
        raise refusal(str(path), f"{unpacked:,} bytes unpacked", f"at most {most:,}")
    # Other methods may ask for gigabytes before they give a byte.
    if any(
        each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for each in members
    ):
        raise refusal(str(path), "an unusual compression", "arrays stored or deflated")
    names = [each.filename.removesuffix(".npy") for each in members]
    form = next((form for form in forms if form[0] in names), forms[0])
    for n, name in enumerate(names):
        if name not in form or name in names[:n]:
            found = f"an array {name[:40]!r}{' twice' * (name in form)}"
            raise refusal(str(path), found, f"no others than {', '.join(form)}")
    if form[0] not in names:
        found = f"arrays {', '.join(names) or 'none'}"
        raise refusal(str(path), found, f"an array {form[0]} (docs/data.md)")
    return {name: _member(path, name) for name in names}


def _member(path: Path, name: str) -> np.ndarray:
    expected = "numbers or texts"
    with (
        _unbroken(f"{path}, {name}", "a broken array, or one of objects", expected),
        np.load(path, allow_pickle=False) as archive,
    ):
        array = archive[name]
        if not isinstance(array, np.ndarray):  # bytes that are no array come as they are
            raise TypeError
        return array


@contextmanager
def _unbroken(name: str, found: str, expected: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise refusal(name, error.strerror or str(error), expected) from None
    except Exception:  # a broken archive raises nearly anything
        raise refusal(name, found, expected) from None
