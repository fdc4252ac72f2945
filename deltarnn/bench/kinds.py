"""What an LSTM takes beside a GRU of the same size, and the clock it reaches."""

from collections.abc import Sequence
from typing import Any

from deltarnn.bench import area, clock
from deltarnn.bench.context import Bench, Context
from deltarnn.bench.workshop import Subject, on_up5k
from sim.sweep import Shape

SUBJECTS = tuple(
    on_up5k(Shape(f"{kind.upper()} 16 -> 128, 8 lanes", (16, 128), None, 8, kind=kind))
    for kind in ("gru", "lstm")
)
SEEDS = (1, 2, 3)  # of nextpnr


def run(
    context: Context, subjects: Sequence[Subject] = SUBJECTS, seeds: Sequence[int] = SEEDS
) -> dict[str, Any]:
    """Area, with its components, and clock of each."""
    parts = area.run(context, subjects), clock.run(context, subjects, seeds)
    names = [subject.name for subject in subjects]
    return {"cores": {name: parts[0]["cores"][name] | parts[1]["cores"][name] for name in names}}


KINDS = Bench(run, area.draw, lambda report: [*area.tables(report), *clock.tables(report)])
