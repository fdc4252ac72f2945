"""What a core that learns takes: cycles and block RAM (docs/training-core.md, "The core").

Two timelines: lanes, and the units behind them, which are the activation unit forward and the
ErrorUnit backward. A word of the masters is P rows of one column. Forward reads it once for an
event. Backward reads it for W^T G and writes it back changed: in one cycle where memory has two
ports, in two where it has one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from golden.errors import require_int
from golden.fixed import Integers
from golden.learn.cells import CELLS
from golden.learn.formats import LearningFormats
from golden.learn.tape import FRAMES_MAX, LayerTape, TapeSize
from golden.parameters import CoreParameters, LayerParameters

BLOCK_RAM = ((1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))  # DP16KD: words, bits
STAGE_LANES = 4  # each stage of lanes has its own part of the masters
LIST_WORD = 18  # bits: a column and a delta, or a count


@dataclass(frozen=True)
class Work:
    """What one sequence gives to do.

    Attributes
    ----------
    events_x, events_h : int64 [T, layers]
        Columns of x and of h that fired, constant ones included; 0 of h in a read-out.
    """

    events_x: Integers
    events_h: Integers

    @classmethod
    def of_tapes(cls, tapes: Sequence[LayerTape]) -> "Work":
        """The work of a sequence that was learned from."""
        of_x, of_h = (
            np.stack([(getattr(tape, name) != 0).sum(axis=1) for tape in tapes], axis=1)
            for name in ("x", "h")
        )
        return cls(of_x, of_h)

    @classmethod
    def uniform(cls, layers: Sequence[LayerParameters], frames: int, occupancy: float) -> "Work":
        """The same fraction of every layer's columns fires in every frame, as nearly as whole
        events allow: what is over goes to the next frame. Constant columns fire in frame 0.
        """
        fire = np.array([[k.inputs for k in layers], [k.columns - k.inputs for k in layers]])
        so_far = np.rint(np.arange(frames + 1)[:, None, None] * fire * occupancy)
        of_x, of_h = np.diff(so_far.astype(np.int64), axis=0).swapaxes(0, 1)
        of_x[0] += 1
        of_h[0] += [layer.has.splits for layer in layers]
        return cls(of_x, of_h)


@dataclass(frozen=True)
class Pipeline:
    """Cycles from one thing to another that depends on it.

    Attributes
    ----------
    activate
        From a block's last slot to the first slot that its first unit's event may have.
    gather
        From a list's last slot to the last D.
    errors
        From D to the first G that lanes can read.
    rewrite
        From a master's read to the first read that finds it changed.
    """

    activate: int
    gather: int
    errors: int
    rewrite: int = 8


@dataclass(frozen=True)
class Cycles:
    """Cycles of one sequence: forward, backward, and what comes once: loss and reset."""

    forward: int
    backward: int
    once: int

    @property
    def total(self) -> int:
        return self.forward + self.backward + self.once


@dataclass
class _Clock:
    """When lanes and units are free, when each block's rows of G are there, and when the masters
    of each layer and vector are as the last sweep left them."""

    lanes: int = 0
    units: int = 0
    g: dict[int, list[int]] = field(default_factory=dict)
    masters: dict[tuple[int, str], int] = field(default_factory=dict)


@dataclass(frozen=True)
class LearningCore:
    """A core that learns.

    Parameters
    ----------
    core
        The network, its lanes and units a cycle.
    pipeline
        Latencies.
    ports
        2 where a word of a memory can be read and another written in the same cycle, else 1.
    """

    core: CoreParameters
    pipeline: Pipeline
    learning: LearningFormats = LearningFormats()  # noqa: RUF009  # frozen
    ports: int = 2

    def __post_init__(self) -> None:
        require_int("ports", self.ports, 1, 2)

    @property
    def layers(self) -> tuple[LayerParameters, ...]:
        return self.core.network.layers

    def bound(self, work: Work) -> int:
        """All lanes busy: a cycle forward and one or two backward for each word of an event."""
        words = int(((work.events_x + work.events_h) @ np.array(self.core.row_blocks)).sum())
        return words * (4 - self.ports)

    def cycles(self, work: Work) -> Cycles:
        """Of one sequence that is learned from."""
        blocks = [k.blocks(self.core.lanes) for k in self.layers]
        reset = sum(n * k.accumulators for n, k in zip(blocks, self.layers, strict=True))
        halvings = (len(work.events_x) - 1).bit_length()
        results = self.pipeline.activate + self.layers[-1].units  # the last ones, and their errors
        return Cycles(self._forward(work), self._backward(work), reset + results + halvings)

    def dense_cycles(self, frames: int) -> Cycles:
        """The same core with every column in every frame."""
        return self.cycles(Work.uniform(self.layers, frames, 1.0))

    def _forward(self, work: Work) -> int:
        """Each layer's first row waits for the last event of its lists. A block's last slot waits
        for the units of the block before it."""
        clock, ready = _Clock(), [0] * len(self.layers)
        for of_x, of_h in zip(work.events_x.tolist(), work.events_h.tolist(), strict=True):
            below = 0
            for k, layer in enumerate(self.layers):
                rows = self._rows(layer, of_x[k], of_h[k])
                first = max(clock.lanes + rows[0], below, ready[k])
                clock.lanes = first - rows[0]
                for units in self._blocks(layer):
                    clock.lanes = max(clock.lanes + sum(rows), clock.units)
                    if layer.recurrent:
                        clock.units = max(clock.lanes, clock.units) + units
                below = ready[k] = clock.units + self.pipeline.activate if layer.recurrent else 0
        return clock.lanes

    def _rows(self, layer: LayerParameters, of_x: int, of_h: int) -> list[int]:
        """Slots of each row of a block: at least one, so that it is read."""
        both = max(of_x + of_h, 1)
        if layer.has.splits:
            return [both] * (layer.gates - 1) + [max(of_x, 1), max(of_h, 1)]
        return [both] * layer.gates

    def _blocks(self, layer: LayerParameters) -> list[int]:
        """Cycles that the units of each block take."""
        lanes, a = self.core.lanes, self.core.activations
        sizes = [min(lanes, layer.units - first) for first in range(0, layer.units, lanes)]
        return [-(-size // a) for size in sizes]

    def _backward(self, work: Work) -> int:
        """Upper layers x, then h; the first layer h, then the frame before's last layer, then x,
        which nobody waits for: behind it the next errors are made."""
        clock, last = _Clock(), len(self.layers) - 1
        of_x, of_h = work.events_x.tolist(), work.events_h.tolist()
        returned = [0] * len(self.layers)  # when the errors of a layer's h are there
        above = self._sweep(clock, last, "x", of_x[-1][last])
        for t in reversed(range(len(of_x))):
            for k in reversed(range(last)):
                self._errors(clock, k, max(above, returned[k]))
                if k:
                    above = self._sweep(clock, k, "x", of_x[t][k])
                returned[k] = self._sweep(clock, k, "h", of_h[t][k])
                if k == 0:
                    if t:
                        above = self._sweep(clock, last, "x", of_x[t - 1][last])
                    self._sweep(clock, 0, "x", of_x[t][0])
        return clock.lanes

    def _errors(self, clock: _Clock, k: int, ready: int) -> None:
        """Makes a layer's G, block by block."""
        start, rows = max(clock.units, ready), []
        for units in self._blocks(self.layers[k]):
            start += units
            rows.append(start + self.pipeline.errors)
        clock.units, clock.g[k] = start, rows

    def _sweep(self, clock: _Clock, k: int, vector: str, events: int) -> int:
        """Goes through a list for every row of every block; when its errors are there."""
        layer, cycles = self.layers[k], 3 - self.ports
        rows = clock.g.get(k, [0] * layer.blocks(self.core.lanes))
        clock.lanes = max(clock.lanes, clock.masters.get((k, vector), 0))
        if not events:
            clock.lanes = max(clock.lanes, rows[0]) + 1
        for ready in rows if events else ():
            clock.lanes = max(clock.lanes, ready) + layer.gates * events * cycles
        clock.masters[k, vector] = clock.lanes + self.pipeline.rewrite
        return clock.lanes + self.pipeline.gather

    # Memory -------------------------------------------------------------------------------------

    def master_words(self) -> int:
        """Words of P masters."""
        return sum(k.row_blocks(self.core.lanes) * sum(k.trained_columns) for k in self.layers)

    def kept_bits(self, layer: LayerParameters) -> int:
        """Bits of slopes and gates that the tape keeps of a unit and a frame."""
        names = CELLS[layer.kind].kept
        gate, slope = self.core.network.formats.gate.width, self.learning.slope.width
        return sum(slope if name.startswith("s_") else gate for name in names)

    def tape(self, frames: int, occupancy: float) -> TapeSize:
        """Stacks for lists of this fraction of the columns."""
        return TapeSize.of(self.layers, frames, occupancy)

    def block_rams(self, frames: int, occupancy: float) -> dict[str, int]:
        """DP16KD by what they hold, for sequences of at most so many frames."""
        a, master = self.core.activations, self.learning.master
        tape, slopes = self.tape(frames, occupancy), 0
        for layer in self.core.network.recurrent:
            groups = -(-layer.units // a)
            slopes += block_rams(frames * groups, a * self.kept_bits(layer))
        lists = sum(block_rams(n, LIST_WORD) for n in (tape.input, tape.h, tape.above))
        stages, lanes = -(-self.core.lanes // STAGE_LANES), min(self.core.lanes, STAGE_LANES)
        masters = stages * block_rams(self.master_words(), lanes * master)
        return {"masters": masters, "slopes": slopes, "lists": lists}

    def longest(self, has: int, others: int, occupancy: float) -> int:
        """Frames of the longest sequence for which ``has`` block RAMs do; 0: not even one."""
        fits = (
            frames
            for frames in range(FRAMES_MAX, 0, -1)
            if sum(self.block_rams(frames, occupancy).values()) + others <= has
        )
        return next(fits, 0)


def block_rams(words: int, bits: int) -> int:
    """The DP16KD that hold so many words, cut as takes the fewest."""
    return min(-(-words // deep) * -(-bits // wide) for deep, wide in BLOCK_RAM)
