"""Memories that may stand beside a core with its weights outside, in simulation."""

from dataclasses import dataclass

from boards.board import find_board
from boards.flow.stores import SIMULATED_MHZ
from boards.memory.litedram import controller
from boards.memory.quad_system import with_flash
from boards.memory.simulated import CHIPS, DEVICE, MHZ, awake, with_chips, with_flash_chip
from boards.memory.system import SAID, with_sdram
from hw.emit.verilog import Emission
from hw.primitive.columns import CheckedColumns
from hw.target import Target
from sim.memory import Memory, cached, image_file


@dataclass(frozen=True)
class Sdram:
    """Two SDR chips of 16 bits together at 100 MHz, as a ULX3S has, behind LiteDRAM."""

    interval: int = 1  # cycles that a word takes

    def made_of(self, target: Target) -> Target:
        """As sim.memory.Memory's."""
        return target.with_columns(CheckedColumns)

    def beside(self, emission: Emission) -> Emission:
        """As sim.memory.Memory's. Raises ValueError where LiteDRAM is missing too."""
        image, _ = image_file(emission)
        whole = with_sdram(emission, awake(controller(DEVICE, CHIPS, MHZ)))
        return with_chips(whole, image, [str(said["name"]) for said in SAID])


@dataclass(frozen=True)
class Flash:
    """A W25Q128JV with four lines at the core's clock, as an iCEBreaker has."""

    interval: int = 2

    def made_of(self, target: Target) -> Target:
        """As sim.memory.Memory's."""
        return target.with_slow_columns(CheckedColumns)

    def beside(self, emission: Emission) -> Emission:
        """As sim.memory.Memory's. Raises ValueError where the core has more than one lane."""
        whole = with_flash(emission, _FLASH, SIMULATED_MHZ)
        assert whole.weights is not None
        hidden = [str(said["name"]) for said in SAID]
        return with_flash_chip(whole, _FLASH, cached(whole.weights), hidden)


_BOARD = find_board("icebreaker").quad
assert _BOARD is not None
_FLASH = _BOARD
# By what `--weights` calls them.
MEMORIES: dict[str, Memory | Sdram | Flash] = {
    "outside": Memory(),
    "sdram": Sdram(),
    "flash": Flash(),
}
