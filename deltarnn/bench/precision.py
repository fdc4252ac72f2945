"""What each precision that an import may choose takes of a chip, and the clock that is left."""

from collections.abc import Callable, Sequence
from typing import Any

from deltarnn.bench import area, clock, kinds
from deltarnn.bench.context import Bench, Context
from deltarnn.bench.workshop import Subject, on_ecp5, on_up5k
from sim.sweep import Shape
from train.importers.conversion import PRECISIONS, Precision


def _shape(kind: str, inputs: int, lanes: int, precision: Precision) -> Shape:
    return Shape(
        f"{kind.upper()} {inputs} -> 128, {lanes} lanes, {precision.name}",
        (inputs, 128),
        None,
        lanes,
        kind=kind,
        formats=precision.formats,
        shift_max=precision.shift_max,
    )


CHIPS: tuple[tuple[Callable[[Shape], Subject], int], ...] = ((on_up5k, 8), (on_ecp5, 32))  # lanes
SUBJECTS = tuple(
    on_chip(_shape(kind, inputs, lanes, precision))
    for on_chip, lanes in CHIPS
    for kind, inputs in (("gru", 40), ("lstm", 16))
    for precision in PRECISIONS
)


def run(
    context: Context, subjects: Sequence[Subject] = SUBJECTS, seeds: Sequence[int] = kinds.SEEDS
) -> dict[str, Any]:
    """Area, with its components, and clock of each."""
    return kinds.run(context, subjects, seeds)


PRECISION = Bench(run, area.draw, lambda report: [*area.tables(report), *clock.tables(report)])
