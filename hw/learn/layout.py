"""Where everything lies in the memories of a core that learns.

Master words   [layer][block][gate][h, x][column], P masters each; the last column of x, and of a
               GRU's h, is constant. The layout of the weights of inference with these added.
G rows         [layer][block], P errors for each of up to four accumulators
Units          [layer][group], A units each
Places         [layer][column] of x and of h, whose errors come back; groups of A

Empty lanes of a layer's last block hold zeros, and stay so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Shape, Value
from amaranth.lib import data

from golden.errors import refusal
from golden.fixed import Integers
from golden.learn.cells import CELLS, Cell
from golden.learn.masters import Masters
from golden.learn.training import Training
from golden.parameters import CoreParameters, LayerParameters


@dataclass(frozen=True)
class LayerPlaces:
    """One layer.

    Attributes
    ----------
    columns
        Of x and of h, constant ones included.
    blocks, groups
        Blocks of P units, groups of A.
    base, block, group
        Its first master word, block and group, among those of all layers.
    places
        Its first group of places of x, and of h.
    """

    layer: LayerParameters
    columns: tuple[int, int]
    blocks: int
    groups: int
    base: int
    block: int
    group: int
    places: tuple[int, int]

    @property
    def cell(self) -> Cell:
        return CELLS[self.layer.kind]

    @property
    def row_words(self) -> int:
        """Words of one gate of a block."""
        return sum(self.columns)

    @property
    def words(self) -> int:
        return self.blocks * self.layer.gates * self.row_words

    def offset(self, vector: int) -> int:
        """Of the words of x (0) or of h (1) among a gate's: h comes first, as in inference."""
        return 0 if vector else self.columns[1]


@dataclass(frozen=True)
class LearningLayout:
    """The memories of a core that trains."""

    core: CoreParameters

    @property
    def training(self) -> Training:
        """The core's. Raises ValueError where it does not train."""
        if self.core.training is None:
            raise refusal("core", "one that does not train", "one that does")
        return self.core.training

    @cached_property
    def layers(self) -> tuple[LayerPlaces, ...]:
        found: list[LayerPlaces] = []
        base = block = group = of_x = of_h = 0
        a = self.core.activations
        for layer in self.core.network.layers:
            of_columns = self.core.columns(layer)
            blocks, groups = layer.blocks(self.core.lanes), -(-layer.units // a)
            here = LayerPlaces(layer, of_columns, blocks, groups, base, block, group, (of_x, of_h))
            found.append(here)
            base, block, group = base + here.words, block + blocks, group + groups
            of_x, of_h = (n + -(-k // a) for n, k in zip((of_x, of_h), of_columns, strict=True))
        return tuple(found)

    @property
    def words(self) -> int:
        """Master words in all."""
        return sum(layer.words for layer in self.layers)

    @property
    def blocks(self) -> int:
        """Blocks in all."""
        return sum(layer.blocks for layer in self.layers)

    @property
    def groups(self) -> int:
        """Groups of units in all."""
        return sum(layer.groups for layer in self.layers)

    @property
    def places(self) -> int:
        """Groups of places of x, or of h if they are more."""
        a = self.core.activations
        return max(sum(-(-each.columns[v] // a) for each in self.layers) for v in (0, 1))

    def master_words(self, masters: Sequence[Masters]) -> Integers:
        """int64 [words, P]: the memory's contents."""
        parts = []
        for here, of_layer in zip(self.layers, masters, strict=True):
            rows = np.concatenate([of_layer.h, of_layer.x], axis=1)
            gates, lanes = here.layer.gates, self.core.lanes
            padded = np.zeros((gates, here.blocks * lanes, here.row_words), np.int64)
            padded[:, : here.layer.units] = rows.reshape(gates, -1, here.row_words)
            by_lane = padded.reshape(gates, here.blocks, lanes, -1)
            parts.append(by_lane.transpose(1, 0, 3, 2).reshape(-1, lanes))
        return np.concatenate(parts)

    def masters(self, words: Integers) -> tuple[Masters, ...]:
        """What ``master_words`` made ``words`` of."""
        found = []
        for here in self.layers:
            gates, lanes, of_h = here.layer.gates, self.core.lanes, here.columns[1]
            own = words[here.base : here.base + here.words]
            by_lane = own.reshape(here.blocks, gates, here.row_words, lanes).transpose(1, 0, 3, 2)
            rows = by_lane.reshape(gates, -1, here.row_words)[:, : here.layer.units]
            rows = rows.reshape(-1, here.row_words)
            found.append(Masters(rows[:, of_h:].copy(), rows[:, :of_h].copy()))
        return tuple(found)


def of_stage(lanes: data.View, stage: range) -> Value:
    """The elements of a stage's lanes, side by side."""
    width = Shape.cast(lanes.shape().elem_shape).width
    return lanes.as_value()[stage.start * width : stage.stop * width]
