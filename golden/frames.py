"""Frames: an int8 .npy array [T, I] in activation LSBs; int16 for wider activations."""

import warnings
from pathlib import Path
from typing import Literal

import numpy as np

from golden.errors import refusal
from golden.files import unreadable
from golden.parameters import NetworkParameters

BYTES_MAX = 1 << 30  # of a file of frames: hours of speech

_ZIP = b"PK"  # what an .npz begins with, and no .npy


def load_frames(path: Path, network: NetworkParameters) -> np.ndarray:
    """The frames in ``path``, int8 or int16 [T, I], T >= 1, checked against the network.

    An activation of more than 8 bits takes int16, and int8 as well.

    Raises ValueError that names the file, what was found and what was expected.
    """
    wide = network.formats.activation.width > 8
    expected = f"an {'int16' if wide else 'int8'} .npy array [T, {network.inputs}]"
    reason = unreadable(path, BYTES_MAX)
    if reason is not None:
        size = f" of at most {BYTES_MAX:,} bytes" if "bytes" in reason else ""
        raise refusal(str(path), reason, expected + size)
    # Mapped first: a header that claims more than there is is refused, and not allocated for.
    mapped = _loaded(path, expected, "r")
    if mapped.dtype not in ((np.int8, np.int16) if wide else (np.int8,)):
        nan = mapped.dtype.kind == "f" and bool(np.isnan(mapped).any())
        swapped = " in big-endian bytes: use astype" if mapped.dtype.str[0] == ">" else ""
        found = f"dtype {mapped.dtype.newbyteorder('=')}{swapped}{' with NaN' if nan else ''}"
        raise refusal(str(path), found, expected)
    if mapped.ndim != 2 or mapped.shape[1] != network.inputs or len(mapped) == 0:
        raise refusal(str(path), f"shape {list(mapped.shape)}", expected)
    frames = _loaded(path, expected, None)
    activation = network.formats.activation
    for value in (int(frames.min()), int(frames.max())):
        if not activation.min <= value <= activation.max:
            raise refusal(str(path), f"value {value}", f"{activation.min}..{activation.max}")
    return frames


def _loaded(path: Path, expected: str, mode: Literal["r"] | None) -> np.ndarray:
    """The array, or its file mapped into memory; refuses all that is no .npy file of numbers."""
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
