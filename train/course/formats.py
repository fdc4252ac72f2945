"""Formats by measurement: the cheapest ones that lose nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from golden.formats import Formats
from train.course.score import Score


@dataclass(frozen=True)
class Candidate:
    """Formats and what the network scored in them on the validation part, at threshold 0."""

    formats: Formats
    score: Score


def cheapest(candidates: Sequence[Candidate], tolerance: float) -> Formats:
    """The first of ``candidates``, cheapest first, within ``tolerance`` of the least loss."""
    best = min(candidate.score.loss for candidate in candidates)
    return next(c.formats for c in candidates if c.score.loss <= best + tolerance)
