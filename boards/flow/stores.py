"""Where a board keeps a model's weights: in its chip, in an SDRAM beside it, or in its flash."""

from collections.abc import Sequence
from dataclasses import dataclass

from boards.board import Board, QuadFlash, Sdram
from boards.family.chip import size
from boards.family.ice40 import SPRAM_DEPTH
from boards.family.targets import find_target
from boards.flow.place import DoesNotFitError
from boards.link.protocol import TAG
from boards.memory.boot import FLASH_ADDRESS, image
from boards.memory.litedram import controller
from boards.memory.native import ADDRESS
from boards.memory.quad_system import LANES as FLASH_LANES
from boards.memory.quad_system import room, with_flash
from boards.memory.simulated import awake, with_chips, with_flash_chip
from boards.memory.system import LANES, with_sdram
from golden.errors import refusal
from golden.formats import WEIGHT
from golden.model import Model
from golden.parameters import CoreParameters
from hw.emit.verilog import Emission, emit
from hw.primitive.columns import CheckedColumns, LoadedColumns
from hw.target import Target
from hw.walk.layout import CoreLayout

SPRAM_BITS = 16 * SPRAM_DEPTH
SIMULATED_MHZ = 1.0  # of a flash that need not be waited for


@dataclass(frozen=True)
class InChip:
    """In the bitstream, or in memory on the chip that is loaded.

    Attributes
    ----------
    board
        Whose chip.
    """

    board: Board
    name = "chip"
    late = False  # a clock that is a quarter of a cycle behind is wanted

    @property
    def target(self) -> Target:
        """What cores are made of."""
        return find_target(self.board.target).target

    @property
    def clocks(self) -> Sequence[float]:
        """MHz to try, highest first."""
        return self.board.clocks

    @property
    def way_out(self) -> str:
        """What helps beside fewer of something where there is no room."""
        if self.board.sdram is not None:
            return ", a board with a larger chip, or --weights sdram"
        if self.board.quad is not None:
            return ", a board with a larger chip or an SDRAM, or --weights flash"
        return " or a board with a larger chip or an SDRAM"

    def flash(self, emission: Emission) -> int | None:
        """Where in the board's flash the weights go, if they do."""
        return self.board.flash

    def lanes(self, trains: bool) -> list[int]:
        """How many to try, the most first."""
        return _halves(self.board.most(trains)[0])

    def activations(self, trains: bool) -> list[int]:
        """How many units a cycle to try, likewise."""
        return _halves(self.board.most(trains)[1])

    def require(self, lanes: int | None, trains: bool) -> None:
        """Refuses what no core with its weights there can be."""
        if trains:
            self.target.require_training()

    def require_room(self, model: Model) -> None:
        """Refuses a model that no memory holds, before anything else is tried."""
        chip, layout = self.board.chip, CoreLayout(CoreParameters(model.parameters, 1))
        kind, bits = ("spram", SPRAM_BITS) if self.target.loads else ("bram", chip.bram_bits)
        needed, there = -(-layout.words * WEIGHT.width // bits), chip.capacity[kind]
        if needed > there:
            what = f"{size(layout.words)} of weights on {self.board.name}"
            advice = f" ({size(there * bits // 8)}): fewer units{self.way_out}"
            raise DoesNotFitError(what, {kind: (needed, there)}, advice)

    def emission(self, core: CoreParameters, model: Model, mhz: float) -> Emission:
        """The core for a clock of ``mhz``."""
        return emit(core, model, self.target)

    def simulated(self, core: CoreParameters, model: Model) -> Emission:
        """The core, and what a simulated board has beside it."""
        return emit(core, model, self.target)


@dataclass(frozen=True)
class InSdram:
    """In an SDRAM, which is filled after power-up. The members are those of InChip.

    Attributes
    ----------
    board
        Beside whose chip.
    sdram
        Its memory.
    """

    board: Board
    sdram: Sdram
    name = "sdram"
    late = True
    way_out = " or a board with a larger chip"

    @property
    def target(self) -> Target:
        return find_target(self.board.target).target.with_columns(LoadedColumns)

    @property
    def clocks(self) -> Sequence[float]:
        return self.sdram.clocks

    def flash(self, emission: Emission) -> int | None:
        # More than a flash has addresses for is loaded by the host.
        assert emission.weights is not None
        fits = self.sdram.flash + len(image(bytes(TAG), emission.weights)) <= 1 << FLASH_ADDRESS
        return self.sdram.flash if fits else None

    def lanes(self, trains: bool) -> list[int]:
        return [LANES]

    def activations(self, trains: bool) -> list[int]:
        return [1]  # more of them do not make two lanes' blocks any shorter

    def require(self, lanes: int | None, trains: bool) -> None:
        if trains:
            raise refusal("weights of a core that trains", self.name, "chip")
        if lanes not in (None, LANES):
            raise refusal("lanes of a core with an SDRAM", lanes, LANES)

    def require_room(self, model: Model) -> None:
        layout = self.target.layout(CoreParameters(model.parameters, LANES))
        words, there = layout.words, 1 << ADDRESS
        if words > there:
            what = f"weights of {model.name} in the SDRAM of {self.board.name}"
            raise refusal(what, size(2 * words), f"at most {size(2 * there)}")

    def emission(self, core: CoreParameters, model: Model, mhz: float) -> Emission:
        sdram = self.sdram
        return with_sdram(
            emit(core, model, self.target), controller(sdram.device, sdram.chips, mhz)
        )

    def simulated(self, core: CoreParameters, model: Model) -> Emission:
        sdram = self.sdram
        beside = awake(controller(sdram.device, sdram.chips, sdram.clocks[0]))
        return with_chips(with_sdram(emit(core, model, self.target), beside))


@dataclass(frozen=True)
class InFlash:
    """In the flash, which they never leave. The members are those of InChip.

    Attributes
    ----------
    board
        Whose.
    quad
        The flash.
    """

    board: Board
    quad: QuadFlash
    name = "flash"
    late = False
    way_out = " or a board with a larger chip or an SDRAM"

    @property
    def target(self) -> Target:
        return find_target(self.board.target).target.with_slow_columns(CheckedColumns)

    @property
    def clocks(self) -> Sequence[float]:
        return self.quad.clocks

    def flash(self, emission: Emission) -> int | None:
        return self.quad.address

    def lanes(self, trains: bool) -> list[int]:
        return [FLASH_LANES]

    def activations(self, trains: bool) -> list[int]:
        return [1]

    def require(self, lanes: int | None, trains: bool) -> None:
        if trains:
            raise refusal("weights of a core that trains", self.name, "chip")
        if lanes not in (None, FLASH_LANES):
            raise refusal("lanes of a core with its weights in a flash", lanes, FLASH_LANES)

    def require_room(self, model: Model) -> None:
        needed = room(CoreParameters(model.parameters, FLASH_LANES))
        there = self.quad.size - self.quad.address
        if needed > there:
            what = f"weights of {model.name} in the flash of {self.board.name}"
            raise refusal(what, size(needed), f"at most {size(there)}")

    def emission(self, core: CoreParameters, model: Model, mhz: float) -> Emission:
        return with_flash(emit(core, model, self.target), self.quad, mhz)

    def simulated(self, core: CoreParameters, model: Model) -> Emission:
        return with_flash_chip(self.emission(core, model, SIMULATED_MHZ), self.quad)


def _halves(most: int) -> list[int]:
    return [most >> n for n in range(most.bit_length())]


Store = InChip | InSdram | InFlash
AUTO = "auto"  # the nearest that has room


def stores(
    board: Board,
    name: str = AUTO,
    lanes: int | None = None,
    activations: int | None = None,
    trains: bool = False,
) -> list[Store]:
    """Where a board may keep the weights of such a core, the nearest first; or only in ``name``.

    What is asked for by numbers, or trains, is not moved elsewhere. Raises ValueError where there
    is no such place.
    """
    there: list[Store] = [InChip(board)]
    if board.sdram is not None:
        there.append(InSdram(board, board.sdram))
    if board.quad is not None:
        there.append(InFlash(board, board.quad))
    if name == AUTO:
        nearest, *others = there
        nearest.require(lanes, trains)
        return [nearest] if lanes or activations or trains else [nearest, *others]
    for store in there:
        if store.name == name:
            store.require(lanes, trains)
            return [store]
    raise refusal(f"weights of {board.name}", name, " or ".join(store.name for store in there))


def first_with_room(model: Model, board: Board, name: str = AUTO, *, trains: bool = False) -> Store:
    """The nearest of ``stores`` that may hold the model. Raises ValueError where none does."""
    places = stores(board, name, trains=trains)
    for store in places:
        try:
            store.require_room(model)
        except DoesNotFitError:
            if store is places[-1]:
                raise
        else:
            return store
    raise AssertionError
