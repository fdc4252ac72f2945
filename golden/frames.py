"""Frames: an int8 .npy array [T, I] in activation LSBs."""

import warnings
from pathlib import Path

import numpy as np

from golden.errors import refusal
from golden.parameters import NetworkParameters


def load_frames(path: Path, network: NetworkParameters) -> np.ndarray:
    """The frames in ``path`` as int8 [T, I], T >= 1, checked against the network.

    Raises ValueError that names the file, what was found and what was expected.
    """
    expected = f"an int8 .npy array [T, {network.inputs}]"
    try:
        # Its warnings are ignored: what they are about is refused anyway.
        with path.open("rb") as file, warnings.catch_warnings(action="ignore"):
            frames = np.load(file, allow_pickle=False)
    except OSError as error:
        raise refusal(str(path), error.strerror or str(error), expected) from None
    except Exception:  # a broken header or archive raises nearly anything, MemoryError included
        raise refusal(str(path), "no .npy file of numbers", expected) from None
    if not isinstance(frames, np.ndarray):
        raise refusal(str(path), "an .npz archive", expected)
    if frames.dtype != np.int8:
        nan = frames.dtype.kind == "f" and bool(np.isnan(frames).any())
        raise refusal(str(path), f"dtype {frames.dtype}{' with NaN' if nan else ''}", expected)
    if frames.ndim != 2 or frames.shape[1] != network.inputs or len(frames) == 0:
        raise refusal(str(path), f"shape {list(frames.shape)}", expected)
    activation = network.formats.activation
    for value in (int(frames.min()), int(frames.max())):
        if not activation.min <= value <= activation.max:
            raise refusal(str(path), f"value {value}", f"{activation.min}..{activation.max}")
    return frames
