"""Where the weights of a core lie outside it: column by column, as events ask for them.

Words   [layer][x, then h][column][block][gate], P weights each (lane 0 first)

A column is one burst, in the order in which the lanes take its rows. A linear layer has no columns
of h. Accumulator rows lie as in any core (hw.walk.layout).

Where columns are checked two bytes stand before each one, its checksum: the CRC-16 of ITU-T
X.25's polynomial, highest bit first, begun with ones, of two bytes that fold the column's address
and of the column's words. So a column that lies elsewhere is as wrong as one with another bit.
With two lanes the checksum is a word, and the higher byte of a word counts first. With one lane
its higher byte comes first.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from amaranth.lib import crc

from golden.errors import refusal
from golden.fixed import Integers
from golden.formats import WEIGHT
from golden.model import Model
from golden.parameters import CoreParameters
from golden.recurrent import RecurrentWeights
from hw.walk.layout import CoreLayout

FOLD = 16  # bits of a word, and of an address that is folded into one
_CRC = {
    "crc_width": 16,
    "polynomial": 0x1021,
    "reflect_input": False,
    "reflect_output": False,
    "xor_output": 0,
}
_BEGUN = crc.Algorithm(initial_crc=0xFFFF, **_CRC)
CHECKSUM, BYTEWISE = _BEGUN(FOLD), _BEGUN(8)  # a word, or a byte, at a time
CHECK = FOLD // WEIGHT.width  # bytes of a checksum


@dataclass(frozen=True)
class LayerColumns:
    """One layer's columns.

    Attributes
    ----------
    base_x, base_h
        Address of the first word of column 0.
    words
        Words of a column.
    stride
        Words from a column to the next one.
    columns_x, columns_h
        How many there are.
    """

    base_x: int
    base_h: int
    words: int
    stride: int
    columns_x: int
    columns_h: int


@dataclass(frozen=True)
class ColumnLayout:
    """The weights of a core, by column.

    Parameters
    ----------
    core
        The core's parameters.
    checked
        Each column has its checksum. Raises ValueError where a word has more than its 16 bits.
    """

    core: CoreParameters
    checked: bool = False

    def __post_init__(self) -> None:
        if self.checked and self.core.lanes > CHECK:
            raise refusal("lanes of a core whose columns are checked", self.core.lanes, "1 or 2")

    @cached_property
    def layers(self) -> tuple[LayerColumns, ...]:
        """Of each layer of the network; all instances of a layer have the same."""
        columns, base = [], 0
        for layer in self.core.network.layers:
            of_x, of_h = self.core.columns(layer)
            words = layer.row_blocks(self.core.lanes)
            stride = words + self.checked * CHECK // self.core.lanes
            columns.append(LayerColumns(base, base + of_x * stride, words, stride, of_x, of_h))
            base += (of_x + of_h) * stride
        return tuple(columns)

    @property
    def words(self) -> int:
        """Words in all."""
        last = self.layers[-1]
        return last.base_h + last.columns_h * last.stride

    @property
    def longest(self) -> int:
        """Words of the longest column, without its checksum."""
        return max(layer.words for layer in self.layers)

    def weight_words(self, model: Model) -> Integers:
        """int64 [words, P]: what lies outside."""
        layout, parts = CoreLayout(self.core), []
        layers, base = layout.layers[:: self.core.streams], 0
        for here, weights in zip(layers, model.weights, strict=True):
            recurrent = isinstance(weights, RecurrentWeights)
            vectors = [weights.weight_x, *([weights.weight_h] if recurrent else [])]
            for matrix in vectors:
                rows = layout.blocked(matrix.astype(np.int64), here, here.gates)
                # [gate, block, lane, column] -> [column, block, gate, lane]
                columns = rows.transpose(3, 1, 0, 2).reshape(rows.shape[3], -1, self.core.lanes)
                if self.checked:
                    columns = _with_checksums(columns, base)
                parts.append(columns.reshape(-1, self.core.lanes))
                base += len(parts[-1])
        return np.concatenate(parts)


def _with_checksums(columns: Integers, base: int) -> Integers:
    """int64 [columns, words, P] with a checksum more before each, the first of all at ``base``."""
    count, length, lanes = columns.shape
    addresses = base + np.arange(count) * (length + CHECK // lanes)
    bytes_ = columns.astype(np.int8).view(np.uint8).astype(np.int64)
    summed = bytes_[..., ::-1].reshape(count, -1)  # the higher one of a word first
    checksum = np.full(count, CHECKSUM.algorithm.initial_crc)
    for byte in [*_bytes(folded(addresses)).T, *summed.T]:
        checksum = (checksum << 8 & 0xFFFF) ^ _TABLE[checksum >> 8 ^ byte]
    before = _bytes(checksum).reshape(count, -1, lanes)[..., ::-1]
    return np.concatenate([before, bytes_], axis=1)


def checked_bytes(address: int, content: bytes) -> bytes:
    """The checksum of a column of one lane at ``address``, and its ``content``."""
    column = np.frombuffer(content, dtype=np.int8).reshape(1, -1, 1)
    return _with_checksums(column, address).astype(np.uint8).tobytes()


def folded(address: Any) -> Any:
    """The word of an address that a checksum begins with, of a number or of a signal."""
    return (address ^ (address >> FOLD)) & ((1 << FOLD) - 1)


def _bytes(words: Integers) -> Integers:
    """int64 [n, 2]: bytes of 16 bits each, the higher one first."""
    return np.stack([words >> 8, words & 0xFF], axis=1)


_OF_BYTES = crc.Algorithm(initial_crc=0, **_CRC)(8)
_TABLE = np.array([_OF_BYTES.compute([byte]) for byte in range(256)])
