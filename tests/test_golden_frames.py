import os
import pickle
import re
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from golden.fixed import Q
from golden.formats import Formats
from golden.frames import load_frames
from tests.networks import random_frames, random_model
from tests.test_golden_model import Bomb

MODEL = random_model((3, 4), 2)
NARROW = random_model((3, 4), 2, formats=Formats(activation=Q(3, 2)))  # -32..31
WIDE = random_model((3, 4), formats=Formats(activation=Q(3, 8)))


def saved(array: np.ndarray) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, array)

    return write


def with_nan(dtype: type) -> np.ndarray:
    frames = np.zeros((5, 3), dtype=dtype)
    frames[2, 1] = np.nan
    return frames


def zipped(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, frames=np.zeros((5, 3), dtype=np.int8))


def cut(kind: Callable[[Path], None], length: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        kind(path)
        path.write_bytes(path.read_bytes()[:length])

    return write


def with_header(header: str) -> Callable[[Path], None]:
    """A .npy file of version 1 with this header and hardly any data."""

    def write(path: Path) -> None:
        text = header.encode().ljust(117) + b"\n"
        path.write_bytes(b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + b"\0" * 15)

    return write


def of_shape(shape: str) -> Callable[[Path], None]:
    return with_header(f"{{'descr': '|i1', 'fortran_order': False, 'shape': {shape}, }}")


FRAMES = saved(np.zeros((5, 3), dtype=np.int8))
NO_NPY = "found no .npy file of numbers"

# What is wrong: how to write it, and what is found.
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing file": (lambda path: None, "found No such file or directory"),
    "a folder": (lambda path: path.mkdir(), "found Is a directory"),
    "an empty file": (lambda path: path.touch(), NO_NPY),
    "a text": (lambda path: path.write_text("1,2,3\n4,5,6\n"), NO_NPY),
    "a file cut in its header": (cut(FRAMES, 60), NO_NPY),
    "a file cut in its data": (cut(FRAMES, -1), NO_NPY),
    "a header that is no Python": (with_header("{'descr': '|i1'"), NO_NPY),
    "a header without a shape": (
        with_header("{'descr': '|i1', 'fortran_order': False, }"),
        NO_NPY,
    ),
    "a length that no memory holds": (of_shape("(1099511627776, 3)"), NO_NPY),
    "a length that no integer holds": (of_shape("(10000000000000000000000, 3)"), NO_NPY),
    "a negative length": (of_shape("(-5, 3)"), NO_NPY),
    "an .npz": (zipped, "found an .npz archive"),
    "an .npz cut short": (cut(zipped, 40), "found an .npz archive"),
    "a pickled object": (
        lambda path: path.write_bytes(pickle.dumps(Bomb(path.with_name("unpickled")))),
        NO_NPY,
    ),
    "an array of objects": (
        lambda path: saved(np.array([[Bomb(path.with_name("unpickled"))]]))(path),
        NO_NPY,
    ),
    "floats": (saved(np.zeros((5, 3))), "found dtype float64"),
    "the other order of bytes": (
        saved(np.zeros((5, 3), dtype=">i2")),
        "found dtype int16 in big-endian bytes: use astype",
    ),
    "floats with NaN": (saved(with_nan(np.float32)), "found dtype float32 with NaN"),
    "unsigned bytes": (saved(np.zeros((5, 3), dtype=np.uint8)), "found dtype uint8"),
    "wide integers": (saved(np.zeros((5, 3), dtype=np.int64)), "found dtype int64"),
    "booleans": (saved(np.zeros((5, 3), dtype=bool)), "found dtype bool"),
    "records": (saved(np.zeros((5, 3), dtype=[("a", "i1")])), "found dtype [('a', 'i1')]"),
    "one element too few": (saved(np.zeros((5, 2), dtype=np.int8)), "found shape [5, 2]"),
    "one element too many": (saved(np.zeros((5, 4), dtype=np.int8)), "found shape [5, 4]"),
    "a single frame without an axis": (saved(np.zeros(3, dtype=np.int8)), "found shape [3]"),
    "a number": (saved(np.int8(3)), "found shape []"),
    "a batch": (saved(np.zeros((2, 5, 3), dtype=np.int8)), "found shape [2, 5, 3]"),
    "no frames": (saved(np.zeros((0, 3), dtype=np.int8)), "found shape [0, 3]"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_frames_are_refused_by_name(case, tmp_path):
    path = tmp_path / "frames.npy"
    write, found = BROKEN[case]
    write(path)
    expected = f"{path}: {found}, expected an int8 .npy array [T, 3]"
    with (
        warnings.catch_warnings(action="error"),  # they would be lines of their own beside it
        pytest.raises(ValueError, match=f"^{re.escape(expected)}$"),
    ):
        load_frames(path, MODEL.parameters)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("value", [-128, -33, 32, 127])
def test_a_value_outside_of_a_narrow_format_is_refused(value, tmp_path):
    frames = np.zeros((5, 3), dtype=np.int8)
    frames[3, 2] = value
    path = tmp_path / "frames.npy"
    np.save(path, frames)
    with pytest.raises(ValueError, match=rf": found value {value}, expected -32..31$"):
        load_frames(path, NARROW.parameters)


@pytest.mark.parametrize("model", [MODEL, NARROW], ids=["Q3.4", "Q3.2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_good_frames_are_read_as_they_are(model, order, tmp_path):
    frames = random_frames(model, 40, saturating=True)
    path = tmp_path / "frames.npy"
    np.save(path, np.asarray(frames, order=order))
    loaded = load_frames(path, model.parameters)
    assert loaded.dtype == np.int8
    assert (loaded == frames).all()


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_a_wide_activation_takes_int16_and_int8(dtype, tmp_path):
    path = tmp_path / "frames.npy"
    frames = np.array([[-128, 0, 127], [5, -1, 0]] if dtype is np.int8 else [[-2048, 0, 2047]])
    np.save(path, frames.astype(dtype))
    loaded = load_frames(path, WIDE.parameters)
    assert loaded.dtype == dtype
    assert (loaded == frames).all()


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        (np.full((2, 3), 2048, np.int16), "value 2048, expected -2048..2047"),
        (np.zeros((2, 3), np.int32), r"dtype int32, expected an int16 .npy array \[T, 3\]"),
        (np.zeros((2, 3), np.uint16), r"dtype uint16, expected an int16 .npy array \[T, 3\]"),
        (np.zeros((2, 3)), r"dtype float64, expected an int16 .npy array \[T, 3\]"),
    ],
)
def test_a_wide_activation_takes_nothing_else(frames, found, tmp_path):
    path = tmp_path / "frames.npy"
    np.save(path, frames)
    with pytest.raises(ValueError, match=f"found {found}"):
        load_frames(path, WIDE.parameters)


def test_no_damage_to_a_header_gets_past_the_reader_as_another_error(tmp_path):
    path = tmp_path / "frames.npy"
    FRAMES(path)
    content = path.read_bytes()
    for n in range(0, 128 * 8, 3):
        damaged = bytearray(content)
        damaged[n // 8] ^= 1 << n % 8
        path.write_bytes(damaged)
        try:
            load_frames(path, MODEL.parameters)
        except ValueError as error:
            assert str(error).startswith(f"{path}: found ")  # noqa: PT017  # some damage is harmless


def of_size(path: Path, size: int) -> None:
    with path.open("ab") as file:
        file.truncate(size)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (os.mkfifo, "found a FIFO, expected an int8 .npy array [T, 3]"),
        (
            lambda path: of_size(path, 12 << 30),
            "found 12,884,901,888 bytes, expected an int8 .npy array [T, 3] of at most 1,073,741,8",
        ),
    ],
    ids=["a FIFO", "twelve gigabytes"],
)
def test_what_has_no_end_or_a_late_one_is_not_read(make, found, tmp_path):
    path = tmp_path / "frames.npy"
    make(path)
    with pytest.raises(ValueError, match=re.escape(f"{path}: {found}")):
        load_frames(path, MODEL.parameters)


@pytest.mark.parametrize("length", [10**6, 10**9, 3 * 10**10, 10**12])
def test_no_memory_is_taken_for_what_a_header_claims(length, tmp_path):
    path = tmp_path / "frames.npy"
    of_shape(f"({length}, 3)")(path)
    tracemalloc.start()
    with pytest.raises(ValueError, match=re.escape(f"{path}: {NO_NPY}")):
        load_frames(path, MODEL.parameters)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
