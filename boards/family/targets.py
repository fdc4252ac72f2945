"""The targets by name."""

from dataclasses import dataclass

from boards.family.cells import Cells
from boards.family.ecp5 import ECP5
from boards.family.ice40 import UP5K
from golden.errors import refusal
from hw.target import GENERIC, Target


@dataclass(frozen=True)
class Choice:
    """A target, and the cells that its Verilog uses."""

    target: Target
    cells: Cells


TARGETS = {
    "generic": Choice(GENERIC, Cells()),
    "up5k": Choice(UP5K, Cells({"ice40/cells_sim.v": ["SB_MAC16", "SB_SPRAM256KA"]})),
    "ecp5": Choice(
        ECP5,
        Cells(
            {"ecp5/common_sim.vh": ["LUT4", "LUT2"], "ecp5/ccu2c_sim.vh": ["CCU2C"]},
            own=["mult18x18d.v", "dp16kd.v"],
        ),
    ),
}


def find_target(name: str) -> Choice:
    """The target called ``name``; ValueError where there is none."""
    if name not in TARGETS:
        raise refusal("target", repr(name), " or ".join(TARGETS))
    return TARGETS[name]
