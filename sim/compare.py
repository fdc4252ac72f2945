"""Holds what the RTL did against the golden model, bit by bit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from golden.fixed import Integers
from golden.network import Trace


@dataclass(frozen=True)
class Mismatch:
    """The first place where two runs differ."""

    frame: int
    layer: int
    what: str
    unit: int
    expected: int
    found: int
    stream: int | None = None  # where there are several

    def __str__(self) -> str:
        of = "" if self.stream is None else f"stream {self.stream}, "
        return (
            f"{of}frame {self.frame}, layer {self.layer}, {self.what} {self.unit}: "
            f"expected {self.expected}, found {self.found}"
        )


def first_mismatch(expected: Trace, found: Trace) -> Mismatch | None:
    """The earliest mismatch of events, states and results, or None where all bits are equal.

    Within a frame causes come before effects: layer by layer its events of x and h, then its
    states, and the results at the end. Every element of every array is compared.
    """
    candidates = []
    for order, (layer, what, a, b) in enumerate(_pairs(expected, found)):
        if a.shape != b.shape:
            raise RuntimeError(f"layer {layer}, {what}: found {b.shape}, expected {a.shape}")
        places = np.argwhere(a != b)
        if len(places):
            frame, unit = (int(n) for n in places[0])
            mismatch = Mismatch(frame, layer, what, unit, int(a[frame, unit]), int(b[frame, unit]))
            candidates.append((frame, order, mismatch))
    return min(candidates, key=lambda c: c[:2])[2] if candidates else None


def first_mismatch_of(expected: Sequence[Trace], found: Sequence[Trace]) -> Mismatch | None:
    """The earliest mismatch of several streams, which it names, or None."""
    mismatches = []
    for stream, pair in enumerate(zip(expected, found, strict=True)):
        mismatch = first_mismatch(*pair)
        if mismatch is not None:
            of = stream if len(expected) > 1 else None
            mismatches.append(replace(mismatch, stream=of))
    return min(mismatches, key=lambda mismatch: mismatch.frame, default=None)


def _pairs(a: Trace, b: Trace) -> Iterator[tuple[int, str, Integers, Integers]]:
    for k in range(len(a.deltas_x)):
        yield k, "delta of x, column", a.deltas_x[k], b.deltas_x[k]
        if k < len(a.states):
            yield k, "delta of h, column", a.deltas_h[k], b.deltas_h[k]
            yield k, "state, unit", a.states[k], b.states[k]
    yield len(a.deltas_x) - 1, "output", a.outputs, b.outputs


def compared_words(trace: Trace) -> int:
    """How many words a comparison with ``trace`` looks at."""
    return sum(array.size for _, _, array, _ in _pairs(trace, trace))
