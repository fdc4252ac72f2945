"""The recordings of an evaluation through a board, held against golden."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deltarnn.evaluation.evaluate import Evaluation

if TYPE_CHECKING:
    from boards.host.session import Host


@dataclass(frozen=True)
class Answered:
    """What a board made of recordings.

    Attributes
    ----------
    results : per recording float64 [T, O]
        In their unit.
    cycles : float
        A frame.
    mismatch : str
        The first thing in which golden differs; empty where nothing does.
    """

    results: list[np.ndarray]
    cycles: float
    mismatch: str


def answered(host: "Host", evaluation: Evaluation, report: Callable[[int], None]) -> Answered:
    """Every recording from reset through the board of ``host``, which is ready for frames.

    ``report`` is told how many recordings are done.
    """
    from boards.host.stream import pieces, run

    names, frames = evaluation.recordings.names, evaluation.frames
    ends = np.cumsum([len(each) for each in frames])
    outputs, cycles, done, mismatch = [], 0, 0, ""
    for piece in run(host, evaluation.model, pieces(frames, host.link.frames), check=True):
        if piece.wrong and not mismatch:
            n = int(np.searchsorted(ends, done, side="right"))
            first = done - (ends[n - 1] if n else 0)
            mismatch = f"{names[n]}, frames from {first} on: {piece.wrong}"
        outputs.append(piece.outputs)
        cycles += piece.cycles
        done += len(piece.outputs)
        report(int(np.searchsorted(ends, done, side="right")))
    results = evaluation.answers.results(np.concatenate(outputs))
    return Answered(np.split(results, ends[:-1]), cycles / done, mismatch)
