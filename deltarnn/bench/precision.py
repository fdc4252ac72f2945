"""What each precision that an import may choose takes of a chip, and the clock that is left."""

from collections.abc import Sequence
from typing import Any

from deltarnn.bench import area, clock, kinds
from deltarnn.bench.context import Bench, Context
from deltarnn.bench.workshop import Subject, on_up5k
from sim.sweep import Shape
from train.importers.conversion import PRECISIONS


def _subject(kind: str, inputs: int, n: int) -> Subject:
    precision = PRECISIONS[n]
    name = f"{kind.upper()} {inputs} -> 128, 8 lanes, {precision.name}"
    sizes = (inputs, 128)
    return on_up5k(
        Shape(
            name,
            sizes,
            None,
            8,
            kind=kind,
            formats=precision.formats,
            shift_max=precision.shift_max,
        )
    )


SUBJECTS = tuple(
    _subject(kind, inputs, n)
    for kind, inputs in (("gru", 40), ("lstm", 16))
    for n in range(len(PRECISIONS))
)


def run(
    context: Context, subjects: Sequence[Subject] = SUBJECTS, seeds: Sequence[int] = kinds.SEEDS
) -> dict[str, Any]:
    """Area, with its components, and clock of each."""
    return kinds.run(context, subjects, seeds)


PRECISION = Bench(run, area.draw, lambda report: [*area.tables(report), *clock.tables(report)])
