"""What a core that learns would take: cycles and memory (docs/training-core.md).

P lanes, and words of P rows of one column, for the masters and for the gradient alike. One word
serves all three products of a column that fired: lanes multiply it with the column's delta
(forward), with P errors whose products are summed up (error), and P errors with the delta make the
P sums that are added to the word of the gradient. So each product takes an event's row blocks.

The f_w of a layer is the least of its columns' own, which are kept: an update makes those of the
columns that it rewrites anew and then passes them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from golden.errors import require_int
from golden.fixed import Integers
from golden.formats import WEIGHT_FRAC_MAX
from golden.learn.fixed_point import TrainingFormats
from golden.parameters import CoreParameters, LayerParameters


@dataclass(frozen=True)
class Work:
    """What one sequence gives to do.

    Attributes
    ----------
    events_x, events_h : int64 [T, layers]
        Columns of x and of h that fired; 0 of h in a read-out.
    touched : int64 [layers]
        Columns, of x and h together, that fired in any frame: those whose gradient is not 0.
    """

    events_x: Integers
    events_h: Integers
    touched: Integers

    @classmethod
    def of_deltas(cls, deltas_x: Sequence[Integers], deltas_h: Sequence[Integers]) -> "Work":
        """The work of each layer's deltas [T, columns], 0 where nothing fired."""
        fired = [[d != 0 for d in each] for each in (deltas_x, deltas_h)]
        of_x, of_h = (np.stack([f.sum(axis=1) for f in each], axis=1) for each in fired)
        touched = [x.any(axis=0).sum() + h.any(axis=0).sum() for x, h in zip(*fired, strict=True)]
        return cls(of_x, of_h, np.array(touched))

    @classmethod
    def uniform(cls, layers: Sequence[LayerParameters], frames: int, occupancy: float) -> "Work":
        """The same fraction of every layer's columns fires in every frame, as nearly as whole
        events allow: what is over goes to the next frame. Each column fires at some time.
        """
        columns = np.array([[k.inputs for k in layers], [k.columns - k.inputs for k in layers]])
        so_far = np.rint(np.arange(frames + 1)[:, None, None] * columns * occupancy)
        of_x, of_h = np.diff(so_far.astype(np.int64), axis=0).swapaxes(0, 1)
        return cls(of_x, of_h, columns.sum(axis=0) * (occupancy > 0))


@dataclass(frozen=True)
class Cycles:
    """Cycles of one sequence: three products, what is elementwise, the update of the weights."""

    forward: int
    error: int
    gradient: int
    elementwise: int
    update: int

    @property
    def total(self) -> int:
        return sum(getattr(self, each.name) for each in fields(self))


@dataclass(frozen=True)
class TrainingCore:
    """A core that learns.

    Parameters
    ----------
    core
        The network and its lanes.
    training
        Formats beside those of inference.
    ports
        2 where a word of a memory can be read and another written in the same cycle, 1 where that
        takes two cycles (the UP5K's large memories).
    """

    core: CoreParameters
    training: TrainingFormats
    ports: int = 2

    def __post_init__(self) -> None:
        require_int("ports", self.ports, 1, 2)

    def cycles(self, work: Work) -> Cycles:
        """The bound, of all lanes busy: as CoreParameters.ideal_cycles is for inference."""
        layers, lanes = self.core.network.layers, self.core.lanes
        frames, rows = len(work.events_x), np.array(self.core.row_blocks)
        events = (work.events_x + work.events_h) @ rows
        unasked = work.events_x[:, 0] * rows[0]  # the error of the network's input
        blocks = np.array([layer.blocks(lanes) for layer in layers])
        biases = np.array([layer.accumulators for layer in layers]) @ blocks
        words = int(work.touched @ rows + biases)
        columns = sum(layer.columns for layer in layers)
        return Cycles(
            forward=int(events.sum()),
            error=int((events - unasked).sum()),
            gradient=self._rewritten(int(events.sum())),
            elementwise=frames * int(np.array([k.has.elementwise for k in layers]) @ blocks),
            update=self._rewritten(words) + columns,
        )

    def dense_cycles(self, frames: int) -> Cycles:
        """The same core with every column in every frame."""
        return self.cycles(Work.uniform(self.core.network.layers, frames, 1.0))

    def _rewritten(self, words: int) -> int:
        """Cycles to read, change and write back this many words."""
        return words * (3 - self.ports)

    def fixed_bits(self) -> dict[str, int]:
        """Memory that does not depend on how long a sequence is, by what it holds."""
        network, training = self.core.network, self.training
        layers, error = network.layers, training.error.width
        units = sum(layer.units for layer in network.recurrent)
        sums = sum(layer.accumulators * layer.units for layer in layers)
        columns = sum(layer.columns for layer in layers)
        return {
            "masters": (network.weights + sums) * training.master.width,
            "gradients": (network.weights + sums) * training.gradient.width,
            "accumulators": sums * (network.accumulator_width + error),
            "encoders": columns * (network.formats.activation.width + error),
            "fractions": columns * WEIGHT_FRAC_MAX.bit_length(),
            "state": units * (network.state_width + 2 * error),
        }

    def frame_bits(self, occupancy: float) -> dict[str, int]:
        """Memory for each frame of the longest sequence, lists sized for this fraction of columns.

        A GRU's gates are r, u, c, R(M_hc) and h; an LSTM's are i, f, g, o and c.
        """
        network = self.core.network
        formats, lists, gates = network.formats, 0, 0
        for layer in network.layers:
            for columns in (layer.inputs, layer.columns - layer.inputs):
                index = columns.bit_length()
                held = -int(-columns * occupancy // 1)
                lists += held * (index + formats.activation.width + 1) + index
            kept = (getattr(formats, name).width for name in layer.has.remembers)
            gates += layer.units * sum(kept)
        return {"lists": lists, "gates": gates}

    def longest(self, bits: int, occupancy: float) -> int:
        """Frames of the longest sequence that a memory of so many bits holds; 0: not even one."""
        left = bits - sum(self.fixed_bits().values())
        return max(0, left // sum(self.frame_bits(occupancy).values()))
