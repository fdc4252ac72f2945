"""Sequences that a board learns from: what `deltarnn learn` does."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from boards.host.session import TRIES, Host, LinkError
from golden.fixed import Integers
from golden.learn.masters import Masters
from golden.learn.sequence import LearningNetwork, Settings
from golden.learn.training import Training
from golden.parameters import CoreParameters, NetworkParameters
from hw.bus.registers import (
    LANES,
    STATUS,
    STATUS_LABEL_UNKNOWN,
    STATUS_LEARNING,
    STATUS_SATURATED,
    STATUS_TAPE_FULL,
    TRAIN_READOUT_ONLY,
    TRAIN_RECORD,
    TRAINING,
    WORD,
)
from hw.learn.layout import LearningLayout

_ADDRESS = {name: address for name, address, *_ in TRAINING}
_DROPS = {STATUS_TAPE_FULL: "tape full", STATUS_LABEL_UNKNOWN: "unknown label"}
_FLAGS = sum(1 << bit for bit in (*_DROPS, STATUS_SATURATED))


@dataclass(frozen=True)
class Learned:
    """What became of one sequence.

    Attributes
    ----------
    decided
        The class that its results decided, before it was learned.
    dropped
        Why nothing was learned from it; empty where something was.
    saturated
        A master moved to an end of its range.
    cycles
        From its last frame to the reset of the state.
    wrong
        The first thing in which golden/ differs; empty where nothing does or it was not asked.
    """

    decided: int
    dropped: str
    saturated: bool
    cycles: int
    wrong: str = ""


def layout_at(host: Host, network: NetworkParameters, training: Training) -> LearningLayout:
    """Where the masters lie at the board, whose lanes it says itself."""
    return LearningLayout(CoreParameters(network, host.read(LANES), training=training))


def begin(host: Host, layout: LearningLayout, masters: tuple[Masters, ...]) -> None:
    """Writes all masters, and lets nothing be recorded. No frame may be under way."""
    host.write(_ADDRESS["TRAIN"], 0)
    words = layout.master_words(masters)
    host.write(_ADDRESS["MASTER_INDEX"], 0)
    host.write(_ADDRESS["MASTER"], *(words.ravel() & WORD).tolist())


def learned_masters(host: Host, layout: LearningLayout) -> tuple[Masters, ...]:
    """Reads all masters. No frame may be under way."""
    lanes = layout.core.lanes
    host.write(_ADDRESS["MASTER_INDEX"], 0)
    values = host.read_all(_ADDRESS["MASTER"], layout.words * lanes)
    words = np.array(values, dtype=np.uint32).astype(np.int32).astype(np.int64)
    return layout.masters(words.reshape(-1, lanes))


def settle(host: Host) -> int:
    """Waits until nothing is being learned: STATUS of then, whose flags of learning are cleared.

    Raises boards.host.session.LinkError where that does not end.
    """
    patience = TRIES * host.limit(0, 0, 1)
    end = time.monotonic() + patience
    while (status := host.read(STATUS)) >> STATUS_LEARNING & 1:
        if time.monotonic() > end:
            raise LinkError(f"the board still learns after {patience:.0f} s")
    if status & _FLAGS:
        host.write(STATUS, status & _FLAGS)
    return status


def teach(
    host: Host,
    network: LearningNetwork,
    settings: Settings,
    lessons: Iterable[tuple[Integers, int]],
    check: bool,
) -> Iterator[Learned]:
    """Teaches sequences [T, I] and their classes one after another, after ``prepare``.

    With ``check`` the results, decisions and what was dropped are held against ``network``, which
    has the masters that the core began with and learns beside it.
    """
    host.write(_ADDRESS["TRAIN"], 1 << TRAIN_RECORD | settings.readout_only << TRAIN_READOUT_ONLY)
    for name, value in (
        ("RATE", settings.rate),
        ("KNOWN", settings.known),
        ("LAMBDA", settings.cost),
    ):
        host.write(_ADDRESS[name], value)
    before = host.read(_ADDRESS["LEARNING_LO"])
    for frames, label in lessons:
        size = host.link.frames
        results = [
            host.frames(frames[low : low + size]).outputs for low in range(0, len(frames), size)
        ]
        host.write(_ADDRESS["LABEL"], label)
        status = settle(host)
        cycles = host.read(_ADDRESS["LEARNING_LO"])
        found = Learned(
            decided=host.read(_ADDRESS["DECIDED"]),
            dropped=next((why for bit, why in _DROPS.items() if status >> bit & 1), ""),
            saturated=bool(status >> STATUS_SATURATED & 1),
            cycles=cycles - before & WORD,
        )
        before = cycles
        if check:
            wrong = _difference(network, settings, frames, label, np.concatenate(results), found)
            found = replace(found, wrong=wrong)
        yield found


def _difference(
    network: LearningNetwork,
    settings: Settings,
    frames: Integers,
    label: int,
    results: Integers,
    found: Learned,
) -> str:
    expected = network.learn(frames, settings, label)
    differ = np.argwhere(expected.results != results)
    if len(differ):
        frame, result = differ[0]
        here, there = results[frame, result], expected.results[frame, result]
        return f"frame {frame}, result {result}: {here}, golden has {there}"
    dropped = "tape full" if expected.dropped == "too many frames" else expected.dropped
    for name, here, there in (
        ("decided", found.decided, expected.verdict.decided),
        ("dropped", found.dropped, dropped),
        ("saturated", found.saturated, expected.saturated),
    ):
        if here != there:
            return f"{name}: {here!r}, golden has {there!r}"
    return ""
