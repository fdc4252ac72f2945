"""Tensors of an ONNX graph whose data lie in a file beside it, as exporters put large ones."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from golden.errors import refusal
from train.importers.parts import Given
from train.importers.suspicion import FILE_BYTES, content_of, quoted, shown

_EXPECTED = "a plain file in the same folder"
_KEYS = ("location", "offset", "length", "checksum")
_DIGITS = 12


def take_beside(tensors: Sequence[tuple[onnx.TensorProto, str]], given: Given) -> None:
    """Puts data from other files into the tensors that name them, each with the name it is
    refused by.

    Raises ValueError where such a file is none, lies elsewhere, is a link or too large, or where a
    place in it is none.
    """
    contents: dict[str, bytes] = {}
    left = FILE_BYTES - len(given.content)
    for tensor, name in tensors:
        said = {entry.key: entry.value for entry in tensor.external_data}
        if len(said) < len(tensor.external_data) or not set(said) <= set(_KEYS):
            raise refusal(name, "a place of its data said in an unusual way", ", ".join(_KEYS))
        place = said.get("location", "")
        path = _beside(place, given.path, name)
        if place not in contents:
            contents[place] = content_of(path, f"{name}: data in {quoted(place)}", _EXPECTED, left)
            left -= len(contents[place])
        whole = contents[place]
        size = math.prod(tensor.dims) * _item_size(tensor.data_type)
        offset = _number(said.get("offset", "0"), f"{name}: offset")
        length = _number(said.get("length", str(size)), f"{name}: length")
        if length != size:
            raise refusal(name, f"{length:,} bytes of data", f"{size:,} for its shape")
        if offset + length > len(whole):
            found = f"bytes {offset:,} to {offset + length:,} of {quoted(place)}"
            raise refusal(name, found, f"at most {len(whole):,}, which it has")
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = whole[offset : offset + length]


def _beside(place: str, path: Path, name: str) -> Path:
    plain = place and place not in (".", "..") and not set("/\\:\0") & set(place)
    if not plain or len(place.encode(errors="replace")) > 255:
        raise refusal(name, f"data in another file, {quoted(place)}", _EXPECTED)
    beside = path.parent / place
    if beside.is_symlink():
        raise refusal(name, f"data in a link, {quoted(place)}", _EXPECTED)
    return beside


def _item_size(data_type: int) -> int:
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(data_type)).itemsize


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise refusal(name, shown(text), f"a number of at most {_DIGITS} digits")
    return int(text)
