"""Cores to be built for chips, and what has been built of them."""

from dataclasses import dataclass, field

import boards.family.chip
import boards.family.ecp5
import boards.family.ice40
from boards.family.chip import Chip
from boards.flow.place import Placement, place
from boards.flow.synthesis import Netlist, synthesise
from hw.emit.verilog import emit
from hw.target import Target
from sim.sweep import Shape


@dataclass(frozen=True, eq=False)
class Subject:
    """A core on a chip.

    Attributes
    ----------
    clocks
        MHz, rising: what is wanted. The last one is what nextpnr is asked for.
    limits
        What it may take, at most: resources of boards.family.chip.RESOURCES, or ``logic`` for
        nextpnr's logic cells.
    """

    shape: Shape
    target: Target
    chip: Chip
    clocks: tuple[float, ...]
    limits: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.target.name}: {self.shape.name}"


def on_up5k(shape: Shape) -> Subject:
    limits = {"logic": 3200, "dsp": 8, "spram": 4, "bram": 24}
    return Subject(shape, boards.family.ice40.UP5K, boards.family.chip.UP5K, (48.0,), limits)


def on_ecp5(shape: Shape, limits: dict[str, int] | None = None) -> Subject:
    return Subject(
        shape, boards.family.ecp5.ECP5, boards.family.chip.ECP5, (125.0, 150.0), limits or {}
    )


SUBJECTS = (
    on_up5k(Shape("40 -> 128, 8 lanes", (40, 128), None, 8)),
    on_ecp5(Shape("64 -> 256 -> 12, 32 lanes", (64, 256), 12, 32), {"lut": 4500}),
    on_ecp5(Shape("64 -> 256 -> 12, 64 lanes", (64, 256), 12, 64)),
)


class Workshop:
    """Builds subjects, each once, however many measurements ask for it."""

    def __init__(self) -> None:
        self._netlists: dict[tuple[Subject, int], Netlist] = {}
        self._placements: dict[tuple[Subject, int, int], Placement] = {}

    def netlist(self, subject: Subject, model_seed: int) -> Netlist:
        """Raises as boards.flow.synthesis.synthesise does."""
        key = subject, model_seed
        if key not in self._netlists:
            model = subject.shape.model(model_seed)
            emission = emit(subject.shape.core(model), model, subject.target)
            self._netlists[key] = synthesise(emission, subject.chip)
        return self._netlists[key]

    def placement(self, subject: Subject, model_seed: int, seed: int) -> Placement:
        """With nextpnr's own ``seed``. Raises as boards.flow.place.place does."""
        key = subject, model_seed, seed
        if key not in self._placements:
            netlist = self.netlist(subject, model_seed)
            self._placements[key] = place(netlist, seed, subject.clocks[-1])
        return self._placements[key]
