"""Memories that may stand beside a core with its weights outside, in simulation."""

from dataclasses import dataclass, replace

from boards.memory.litedram import controller
from boards.memory.simulated import CHIPS, DEVICE, MHZ, awake, with_chips
from boards.memory.system import SAID, with_sdram
from hw.emit.verilog import Emission
from hw.primitive.columns import CheckedColumns, ColumnWeights
from sim.memory import Memory, image_file


@dataclass(frozen=True)
class Sdram:
    """Two SDR chips of 16 bits together at 100 MHz, as a ULX3S has, behind LiteDRAM."""

    interval: int = 1  # cycles that a word takes
    store: type[ColumnWeights] = CheckedColumns  # what the core's target needs

    def beside(self, emission: Emission) -> Emission:
        """As sim.memory.Memory's. Raises ValueError where LiteDRAM is missing too."""
        image, _ = image_file(emission)
        whole = with_sdram(emission, awake(controller(DEVICE, CHIPS, MHZ)))
        return replace(with_chips(whole, image, [str(said["name"]) for said in SAID]), weights=None)


# By what `--weights` calls them.
MEMORIES: dict[str, Memory | Sdram] = {"outside": Memory(), "sdram": Sdram()}
