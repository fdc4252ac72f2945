"""Where the weights of a core lie outside it: column by column, as events ask for them.

Words   [layer][x, then h][column][block][gate], P weights each (lane 0 first)

A column is one burst, in the order in which the lanes take its rows. A linear layer has no columns
of h. Accumulator rows lie as in any core (hw.walk.layout).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from golden.fixed import Integers
from golden.model import Model
from golden.parameters import CoreParameters
from golden.recurrent import RecurrentWeights
from hw.walk.layout import CoreLayout


@dataclass(frozen=True)
class LayerColumns:
    """One layer's columns.

    Attributes
    ----------
    base_x, base_h
        Address of the first word of column 0.
    words
        Words of a column.
    columns_x, columns_h
        How many there are.
    """

    base_x: int
    base_h: int
    words: int
    columns_x: int
    columns_h: int


@dataclass(frozen=True)
class ColumnLayout:
    """The weights of a core, by column.

    Parameters
    ----------
    core
        The core's parameters.
    """

    core: CoreParameters

    @cached_property
    def layers(self) -> tuple[LayerColumns, ...]:
        """Of each layer of the network; all instances of a layer have the same."""
        columns, base = [], 0
        for layer in self.core.network.layers:
            of_x, of_h = self.core.columns(layer)
            words = layer.row_blocks(self.core.lanes)
            columns.append(LayerColumns(base, base + of_x * words, words, of_x, of_h))
            base += (of_x + of_h) * words
        return tuple(columns)

    @property
    def words(self) -> int:
        """Words in all."""
        return CoreLayout(self.core).words

    @property
    def longest(self) -> int:
        """Words of the longest column."""
        return max(layer.words for layer in self.layers)

    def weight_words(self, model: Model) -> Integers:
        """int64 [words, P]: what lies outside."""
        layout, parts = CoreLayout(self.core), []
        layers = layout.layers[:: self.core.streams]
        for here, weights in zip(layers, model.weights, strict=True):
            recurrent = isinstance(weights, RecurrentWeights)
            vectors = [weights.weight_x, *([weights.weight_h] if recurrent else [])]
            for matrix in vectors:
                rows = layout.blocked(matrix.astype(np.int64), here, here.gates)
                # [gate, block, lane, column] -> [column, block, gate, lane]
                parts.append(rows.transpose(3, 1, 0, 2).reshape(-1, self.core.lanes))
        return np.concatenate(parts)
