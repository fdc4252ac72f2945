"""What learning keeps of a sequence, and whether there is room for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from golden.errors import require_int
from golden.fixed import Integers

if TYPE_CHECKING:
    from golden.parameters import LayerParameters

BLOCK = 1024  # words of a block RAM, as wide as those of a tape are
FRAMES_MAX = 256  # dL/dresult of an error of 1 then still has 64 LSBs


@dataclass(frozen=True)
class LayerTape:
    """What a layer's backward pass needs.

    Attributes
    ----------
    x : int64 [T, I + 1], h : int64 [T, columns of h]
        Deltas in activation LSBs, 0 where nothing fired. A constant column fires in frame 0.
    kept : int64 [T, kept, H]
        Slopes and gates, as the layer's cell names them.
    """

    x: Integers
    h: Integers
    kept: Integers


@dataclass(frozen=True)
class TapeSize:
    """The room that a core has.

    Attributes
    ----------
    frames
        Frames of slopes.
    input, h, above
        Words of the three stacks of lists: of the network's x, of every h, of every other x. A list
        takes a word for each event and one for their number.
    """

    frames: int
    input: int
    h: int
    above: int

    def __post_init__(self) -> None:
        require_int("frames of the tape", self.frames, 1, FRAMES_MAX)

    @classmethod
    def of(
        cls, layers: "Sequence[LayerParameters]", frames: int, occupancy: float = 1.0
    ) -> "TapeSize":
        """Room for ``frames`` frames, of each of which this fraction of a list's columns fires."""

        def lists(columns: Iterable[int], constants: Iterable[int]) -> int:
            return sum(frames * (ceil(n * occupancy) + 1) for n in columns) + sum(constants)

        first, *above = layers
        least = layers[-1].inputs + 2  # what the read-out alone takes
        recurrent = [layer for layer in layers if layer.recurrent]
        return cls(
            frames,
            lists([first.inputs], [first.constants[0]]),
            lists(
                (layer.units for layer in recurrent), (layer.constants[1] for layer in recurrent)
            ),
            max(least, lists((k.inputs for k in above), (k.constants[0] for k in above))),
        )

    def in_blocks(self, least: "TapeSize") -> "TapeSize":
        """As large as this, or as the block RAM that ``least`` takes have room for.

        A stack lies in whole ones of BLOCK words.
        """

        def room(stack: str) -> int:
            blocks = -(-getattr(least, stack) // BLOCK)
            return min(getattr(self, stack), blocks * BLOCK)

        return TapeSize(self.frames, *(room(stack) for stack in ("input", "h", "above")))

    def holds(self, tapes: Sequence[LayerTape]) -> bool:
        """Whether these tapes, of all layers of one sequence, find room."""
        need = words(tapes)
        return len(tapes[0].x) <= self.frames and all(
            need[stack] <= getattr(self, stack) for stack in need
        )


def words(tapes: Sequence[LayerTape]) -> dict[str, int]:
    """The words that the lists of a sequence take on each stack."""
    first, *above = tapes
    return {
        "input": _words(first.x),
        "h": sum(_words(tape.h) for tape in tapes),
        "above": sum(_words(tape.x) for tape in above),
    }


def _words(deltas: Integers) -> int:
    frames, size = deltas.shape
    return int(np.count_nonzero(deltas)) + frames if size else 0
