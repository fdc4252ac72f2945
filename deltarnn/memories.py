"""Memories that may stand beside a core with its weights outside, in simulation."""

from dataclasses import dataclass

from boards.memory.litedram import controller
from boards.memory.simulated import CHIPS, DEVICE, MHZ, beside_sdram
from hw.emit.verilog import Emission
from sim.memory import Memory, image_file


@dataclass(frozen=True)
class Sdram:
    """Two SDR chips of 16 bits together at 100 MHz, as a ULX3S has, behind LiteDRAM."""

    interval: int = 1  # cycles that a word takes

    def beside(self, emission: Emission) -> Emission:
        """As sim.memory.Memory's. Raises ValueError where LiteDRAM is missing too."""
        image, _ = image_file(emission)
        return beside_sdram(emission, image, controller(DEVICE, CHIPS, MHZ))


# By what `--weights` calls them.
MEMORIES: dict[str, Memory | Sdram] = {"outside": Memory(), "sdram": Sdram()}
