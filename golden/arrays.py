"""One array from a .npy file, read with suspicion."""

import warnings
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
