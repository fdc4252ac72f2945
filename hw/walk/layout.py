"""Where everything lies in a core's memories, and the memory images of a model.

A core of several streams walks *instances*: layer k of stream s is instance k * C + s
(golden.parameters.CoreParameters). All of a layer take their weights from the same words.

Row-block order: a layer's units are cut into blocks of P, one unit a lane. For each block the
lanes sweep the layer's gates; a sweep walks the events of the layer's two vectors, one *segment*
each, and takes one weight word per event.

Weight words   [layer][block][gate][segment][column], P weights each (lane 0 in the low bits)
Accumulator rows   [layer][stream][block][row], P accumulators each; of a GRU r, u, c of segment 0
                   and c of segment 1, of an LSTM i, f, g and o, of a linear layer M

Empty lanes of a layer's last block hold zeros.

What the accumulators of a recurrent layer hold is M and the halves that its readout rounds with, so
that rounding takes no adders: R(M) and the table index of a gate are shifts of what is there.
Where layers have row shifts, the lowest bits of each accumulator are its own, and M is above them:
products are added there, so that they stay as they are, and a row brings its shift along.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.utils import bits_for, ceil_log2

from golden.fixed import Integers
from golden.kinds import ROWS
from golden.model import Model
from golden.parameters import CoreParameters, LayerParameters
from golden.recurrent import RecurrentWeights
from hw.fixed import half


@dataclass(frozen=True)
class LayerLayout:
    """One instance of a layer as the sequencer walks it.

    Attributes
    ----------
    recurrent
        A recurrent layer; else linear.
    splits
        The last gate has a row for each segment (c of a GRU); all others have one for both.
    blocks, last_units
        Blocks of P units, and the units in the last one.
    segment_columns
        Columns of segment 0 and of segment 1. A linear layer's segment 0 is empty.
    base
        Address of its first weight word.
    row
        Number of its first accumulator row.
    accumulators, gates
        Rows of accumulators, and sweeps, of each block.
    first_row
        What the first of a block's rows is called: 0 of four, and the last one is always 3.
    """

    recurrent: bool
    splits: bool
    blocks: int
    last_units: int
    segment_columns: tuple[int, int]
    base: int
    row: int
    accumulators: int
    gates: int
    first_row: int

    @property
    def columns(self) -> int:
        return sum(self.segment_columns)

    @property
    def whole_gates(self) -> int:
        """Gates, the first ones, whose row takes both segments."""
        return self.gates - self.splits

    @property
    def words(self) -> int:
        return self.blocks * self.gates * self.columns

    @property
    def rows(self) -> int:
        return self.blocks * self.accumulators


@dataclass(frozen=True)
class CoreLayout:
    """The memories of a core.

    Parameters
    ----------
    core
        The core's parameters.
    """

    core: CoreParameters

    @property
    def x_last(self) -> bool:
        """Segment 1 is x (else h).

        The vector whose last events arrive last comes last, so that the lanes have work until
        then. Behind another layer that is x: it is that layer's output. In a network of a single
        layer it is h, which the frame before has just finished.
        """
        return len(self.core.network.layers) > 1

    @property
    def early(self) -> bool:
        """x of the next frame is walked early (hw.walk.sequencer), over the first layer's rows that
        take both segments, save the very first.

        The layer above must be there to wait for its x: where there are several streams it does
        not wait, for theirs are walked in between. A row is far enough from where it was last
        opened, and will be next, where a block has four.
        """
        first = self.layers[0]
        waits = self.x_last and self.core.streams == 1
        return waits and first.accumulators == ROWS and first.whole_gates > 1

    @cached_property
    def layers(self) -> tuple[LayerLayout, ...]:
        """Of each instance."""
        layouts: list[LayerLayout] = []
        base = row = 0
        for n, layer in enumerate(self.core.instances, 1):
            blocks = layer.blocks(self.core.lanes)
            of_x, of_h = self.core.columns(layer)
            columns = (of_h, of_x) if self.x_last else (of_x, of_h)
            layout = LayerLayout(
                recurrent=layer.recurrent,
                splits=layer.has.splits,
                blocks=blocks,
                last_units=layer.units - (blocks - 1) * self.core.lanes,
                segment_columns=columns,
                base=base,
                row=row,
                accumulators=layer.accumulators,
                gates=layer.gates,
                # A linear layer's only gate is final before its number is looked at.
                first_row=layer.has.first_row if layer.recurrent else 0,
            )
            layouts.append(layout)
            row += layout.rows
            if n % self.core.streams == 0:
                base += layout.words
        return tuple(layouts)

    @property
    def words(self) -> int:
        """Weight words in all."""
        return sum(layer.words for layer in self.layers[:: self.core.streams])

    @property
    def rows(self) -> int:
        """Accumulator rows in all."""
        return sum(layer.rows for layer in self.layers)

    @property
    def begin_bytes(self) -> int:
        """Bytes of what one lane's accumulator begins with, where that is loaded."""
        return -(-self.row_width // 8)

    def begin_image(self, model: Model) -> bytes:
        """What the rows begin with, as it is loaded: row by row, lane by lane, low byte first."""
        rows = self.bias_rows(model).astype("<i8")[..., None].view(np.uint8)
        return rows[..., : self.begin_bytes].tobytes()

    @property
    def clears(self) -> int:
        """Addresses of the largest memory that a state reset clears: of x, or of all h."""
        core = self.core
        units = max(layer.units for layer in core.recurrent)
        of_x = core.streams << ceil_log2(core.network.inputs)
        return max(of_x, len(core.recurrent) << ceil_log2(units))

    @property
    def reset_cycles(self) -> int:
        """Cycles of a state reset: one for each row, or for each address to clear."""
        return max(self.rows, self.clears)

    def rounding(self, layer: LayerParameters, shift: int = 0) -> tuple[int, ...]:
        """What is added to each of a layer's accumulators, in the order of the specification, if
        its row shift is ``shift``.

        R(M) = sat(rshift(M, n)) is then sat(M' >> n). The index of a gate is rshift(R(M), s), and
        floor((floor((M + 2^(n-1)) / 2^n) + 2^(s-1)) / 2^s) = floor(M' / 2^(n+s)) with both halves
        in M'.
        """
        if not layer.recurrent:
            return (0,)
        formats = self.core.network.formats
        n, s = formats.readout_shift(layer.weight_frac + shift), formats.index_shift
        index = half(n) + (half(n + s) if s > 0 else 0)
        return tuple(index if indexes else half(n) for indexes in layer.has.indexes)

    @staticmethod
    def reading(layer: LayerParameters, row: int) -> bool | None:
        """How row ``row``, 0 to 3, of a block is read: as an index into a table, or as R(M).

        None where a recurrent layer has no such row.
        """
        n = row - layer.has.first_row
        return layer.has.indexes[n] if n >= 0 else None

    def order(self, layer: LayerParameters) -> tuple[int, ...]:
        """Which accumulator of the specification lies in which row."""
        rows = tuple(range(layer.accumulators))
        swaps = layer.has.splits and self.x_last  # c of h before c of x
        return (*rows[:-2], rows[-1], rows[-2]) if swaps else rows

    @property
    def row_width(self) -> int:
        """Bits of an accumulator, sign included: M, what it is rounded with, and its row shift."""
        network = self.core.network
        most = max(max(self.rounding(layer, layer.shift_max)) for layer in network.layers)
        widest = (1 << (network.accumulator_width - 1)) - 1 + most
        return 1 + bits_for(widest) + network.shift_bits

    def weight_words(self, model: Model) -> Integers:
        """int64 [words, P]: the weight memory's contents."""
        parts = []
        for layout, weights in zip(self.layers[:: self.core.streams], model.weights, strict=True):
            if isinstance(weights, RecurrentWeights):
                pair = [weights.weight_h, weights.weight_x]
                matrix = np.concatenate(pair if self.x_last else pair[::-1], axis=1)
            else:
                matrix = weights.weight_x
            rows = self.blocked(matrix.astype(np.int64), layout, layout.gates)
            # [gate, block, lane, column] -> [block, gate, column, lane]
            parts.append(rows.transpose(1, 0, 3, 2).reshape(-1, self.core.lanes))
        return np.concatenate(parts)

    def bias_rows(self, model: Model) -> Integers:
        """int64 [rows, P]: what the accumulators hold at reset, rounding and row shift included.

        In a core that trains, without biases: they come with the constant columns.
        """
        parts = []
        network = self.core.network
        streams, begins = self.core.streams, not self.core.trains
        layouts = self.layers[::streams]
        for layer, layout, weights in zip(network.layers, layouts, model.weights, strict=True):
            bias, shifts = (
                self.blocked(of_units[:, None], layout, layout.accumulators)[..., 0]
                for of_units in (weights.bias.astype(np.int64) * begins, weights.shifts)
            )
            rounding = np.array([self.rounding(layer, s) for s in range(layer.shift_max + 1)])
            rows = bias + rounding[shifts, np.arange(layout.accumulators)[:, None, None]]
            rows = ((rows << network.shift_bits) + shifts)[list(self.order(layer))]
            parts += [rows.transpose(1, 0, 2).reshape(-1, self.core.lanes)] * streams
        return np.concatenate(parts)

    def blocked(self, rows: Integers, layout: LayerLayout, gates: int) -> Integers:
        """[gates * units, n] to [gates, blocks, P, n], empty lanes zero."""
        units = len(rows) // gates
        padded = np.zeros((gates, layout.blocks * self.core.lanes, rows.shape[1]), dtype=np.int64)
        padded[:, :units] = rows.reshape(gates, units, -1)
        return padded.reshape(gates, layout.blocks, self.core.lanes, -1)
