"""The record of one sequence that was learned from: all that RTL is compared with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from golden.fixed import Integers
from golden.learn.carried import Carried
from golden.learn.loss import Verdict
from golden.learn.tape import LayerTape
from golden.learn.update import Sweep


class Write(NamedTuple):
    """A master that was written: its address, and what it was and is."""

    frame: int
    layer: int
    vector: str
    column: int
    row: int
    old: int
    new: int


@dataclass(frozen=True)
class Pass:
    """One layer in one frame of the backward pass.

    Attributes
    ----------
    of_output : int64 [H]
        What comes from above and from h's later self: e of the cell.
    own, g : int64 [K, H]
        This frame's share of dL/dM, and dL/dM: the G rows.
    of_state : int64 [H]
        dL/dstate of the frame before.
    x, h
        What the lists did; h is None in a layer without one.
    """

    frame: int
    layer: int
    of_output: Integers
    own: Integers
    g: Integers
    of_state: Integers
    x: Sweep
    h: Sweep | None


@dataclass(frozen=True)
class Trace:
    """What became of a sequence, or of a chunk of one.

    Attributes
    ----------
    results : int64 [T, O]
    tapes
        Of each layer.
    verdict
        Sums, and the class that they decide.
    dropped
        Why nothing was learned: "tape full", "too many frames", "unknown label"; "" where it was.
    e, of_result : int64 [O]
        The loss' errors, and what each frame gets of them. 0 in a sequence that is dropped.
    passes
        In the order in which they are done: frames from the last, in each the upper layers first.
    saturated
        Whether a master that moved reached an end of its range.
    after
        Of each layer, what the sequence's next chunk goes on from.
    """

    results: Integers
    tapes: tuple[LayerTape, ...]
    verdict: Verdict
    dropped: str
    e: Integers
    of_result: Integers
    passes: tuple[Pass, ...]
    saturated: bool
    after: tuple[Carried, ...]

    def writes(self) -> Iterator[Write]:
        """Every master that was written, also where it stayed what it was.

        Passes are in order. Within one the order is not the core's, and no value depends on it.
        """
        for each in self.passes:
            for vector, sweep in (("x", each.x), ("h", each.h)):
                if sweep is not None:
                    for n, column in enumerate(sweep.columns.tolist()):
                        moves = np.stack([sweep.old[:, n], sweep.new[:, n]], axis=1).tolist()
                        for row, (old, new) in enumerate(moves):
                            yield Write(each.frame, each.layer, vector, column, row, old, new)
