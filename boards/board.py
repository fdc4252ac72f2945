"""The boards by name: a description each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from amaranth.build import Attrs, Platform, Resource
from amaranth_boards.ecp5_5g_evn import ECP55GEVNPlatform
from amaranth_boards.ice40_hx8k_b_evn import ICE40HX8KBEVNPlatform
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform
from amaranth_boards.resources import SPIFlashResources, UARTResource
from amaranth_boards.ulx3s import ULX3S_25F_Platform, ULX3S_85F_Platform
from amaranth_boards.upduino_v3 import UpduinoV3Platform

from boards.family.chip import ECP5, HX8K, PLACING, UP5K, Chip
from boards.family.pll import Ecp5Pll, Ice40PadPll, Ice40Pll, Pll
from boards.link.protocol import BAUD
from golden.errors import refusal

WEIGHTS_IN_FLASH = 0x20000  # behind the bitstream of a UP5K, which has 104,161 bytes


@dataclass(frozen=True)
class Sdram:
    """SDR chips beside a board's, 16 bits wide together; 32 MB of them are used.

    Attributes
    ----------
    device, chips
        As LiteDRAM calls the board's chip, and the memory's.
    clocks
        MHz to try with them, highest first.
    flash
        Where in the board's flash the weights go that are copied at power-up, if they fit.
    resource
        The pins' name.
    """

    device: str
    chips: str
    clocks: Sequence[float]
    flash: int
    resource: str = "sdram"


@dataclass(frozen=True)
class QuadFlash:
    """A flash that weights may stay in, read with four lines at the clock of the core.

    Attributes
    ----------
    ids
        What it may say it is: maker, kind and size, as JEDEC numbers them.
    address
        Where in it they begin, behind the bitstream.
    size
        Bytes that it has.
    clocks
        MHz to try with it, highest first.
    resource
        The pins' name.
    """

    ids: Sequence[int]
    address: int
    size: int
    clocks: Sequence[float]
    resource: str = "spi_flash_4x"


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board.

    Attributes
    ----------
    name, title
        What commands call it, and what its maker does.
    platform
        Its pins, of amaranth-boards; ``more`` are those that it lacks there.
    chip, target
        Its chip, and the name of the target for that (boards.family.targets).
    clk, source
        The clock's resource and its MHz.
    pll
        What makes another clock of that.
    clocks
        MHz to try, highest first.
    lanes
        How many to try first; half as many, and so on, where those do not fit.
    activations
        How many units a cycle to try first, likewise. A unit multiplies four to six times, which is
        cheap where the chip has multipliers to spare, and costs lanes or clock where it has not.
    training
        Both of a core that trains, which takes some three times the logic.
    baud
        The fastest that its bridge to the host can do, up to 3 M.
    flash
        Where in its flash the weights go, where they cannot be in the bitstream.
    spi
        Name and number of the flash's resource.
    sdram, quad
        The memory beside the chip, and the flash, where there is one that weights may be in.
    loader
        Arguments of openFPGALoader that say which board or cable; None where another tool
        programs it: ``programmer`` then says how, FILE being the bitstream.
    """

    name: str
    title: str
    platform: Callable[[], Platform]
    more: Sequence[Resource] = ()
    chip: Chip
    target: str
    clk: str
    source: float
    pll: type[Pll]
    clocks: Sequence[float]
    lanes: int
    activations: int = 1
    training: tuple[int, int] = (16, 2)
    baud: int = BAUD
    flash: int | None = None
    spi: tuple[str, int] = ("spi_flash_1x", 0)
    sdram: Sdram | None = None
    quad: QuadFlash | None = None
    loader: Sequence[str] | None = None
    programmer: Sequence[str] = ()

    def most(self, trains: bool) -> tuple[int, int]:
        """Lanes and units a cycle to try first."""
        return self.training if trains else (self.lanes, self.activations)


def _ecp5(name: str, *arguments: str, **capacity: int) -> Chip:
    return replace(
        ECP5,
        name=name,
        arguments=(*arguments, *PLACING),
        capacity={**ECP5.capacity, **capacity},
    )


_SMALL = {"lut": 24288, "ff": 24288, "bram": 56, "dsp": 28}
_UP5K_CLOCKS = (48, 45, 42, 39, 36, 33, 30, 27, 24)
_ECP5_CLOCKS = (150, 140, 130, 125, 120, 115, 110, 105, 100, 95, 90, 80, 70, 60)

# W25Q128JV, -IQ and -IM.
_ICEBREAKER = QuadFlash(
    ids=(0xEF4018, 0xEF7018),
    address=WEIGHTS_IN_FLASH,
    size=1 << 24,
    clocks=_UP5K_CLOCKS,
)

# Behind the largest bitstream, and the bootloader that some of these boards have.
_ULX3S = Sdram(
    device="LFE5U-85F-6BG381C",
    chips="MT48LC16M16",
    clocks=(100, 95, 90, 80, 70, 60),
    flash=0x300000,
)

_ALL = (
    Board(
        name="icebreaker",
        title="iCEBreaker",
        platform=ICEBreakerPlatform,
        chip=UP5K,
        target="up5k",
        clk="clk12",
        source=12,
        pll=Ice40PadPll,
        clocks=_UP5K_CLOCKS,
        lanes=8,
        flash=WEIGHTS_IN_FLASH,
        quad=_ICEBREAKER,
        loader=("-b", "ice40_generic"),
    ),
    Board(
        name="upduino-v3",
        title="UPduino v3 (OSC jumper closed; UART on pins 3, to the host, and 4)",
        platform=UpduinoV3Platform,
        more=[
            UARTResource(0, rx="4", tx="3", attrs=Attrs(IO_STANDARD="SB_LVCMOS")),
            # Its own flash resource takes the clock's pin, for a fourth line.
            *SPIFlashResources(
                1, cs_n="16", clk="15", copi="14", cipo="17", attrs=Attrs(IO_STANDARD="SB_LVCMOS")
            ),
        ],
        spi=("spi_flash_1x", 1),
        chip=UP5K,
        target="up5k",
        clk="clk12",
        source=12,
        pll=Ice40Pll,
        clocks=_UP5K_CLOCKS,
        lanes=8,
        flash=WEIGHTS_IN_FLASH,
        loader=("-b", "ice40_generic"),
    ),
    Board(
        name="ice40-hx8k-b-evn",
        title="iCE40-HX8K Breakout Board",
        platform=ICE40HX8KBEVNPlatform,
        chip=HX8K,
        target="generic",
        clk="clk12",
        source=12,
        pll=Ice40Pll,
        clocks=(72, 66, 60, 54, 48, 42, 36, 30, 24),
        lanes=8,
        loader=("-b", "ice40_generic"),
    ),
    Board(
        name="ulx3s-25f",
        title="ULX3S with LFE5U-25F",
        platform=ULX3S_25F_Platform,
        chip=_ecp5("LFE5U-25F", "--25k", "--package", "CABGA381", "--speed", "6", **_SMALL),
        target="ecp5",
        clk="clk25",
        source=25,
        pll=Ecp5Pll,
        clocks=_ECP5_CLOCKS,
        lanes=16,
        activations=4,
        spi=("spi_flash", 0),
        sdram=_ULX3S,
        loader=("-b", "ulx3s"),
    ),
    Board(
        name="ulx3s-85f",
        title="ULX3S with LFE5U-85F",
        platform=ULX3S_85F_Platform,
        chip=_ecp5("LFE5U-85F", "--85k", "--package", "CABGA381", "--speed", "6"),
        target="ecp5",
        clk="clk25",
        source=25,
        pll=Ecp5Pll,
        clocks=_ECP5_CLOCKS,
        lanes=32,
        activations=4,
        spi=("spi_flash", 0),
        sdram=_ULX3S,
        loader=("-b", "ulx3s"),
    ),
    Board(
        name="orangecrab-r0.2",
        title="OrangeCrab r0.2 with LFE5U-25F (UART on its pins 1, to the host, and 0)",
        platform=OrangeCrabR0_2_25FPlatform,
        more=[
            UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33")),
        ],
        chip=_ecp5("LFE5U-25F", "--25k", "--package", "CSFBGA285", "--speed", "8", **_SMALL),
        target="ecp5",
        clk="clk",
        source=48,
        pll=Ecp5Pll,
        clocks=_ECP5_CLOCKS,
        lanes=16,
        activations=4,
        programmer=("dfu-util", "-d", "1209:5af0", "-a", "0", "-D", "FILE"),
    ),
    Board(
        name="ecp5-5g-evn",
        title="ECP5-5G Evaluation Board (its UART's resistors swapped)",
        platform=ECP55GEVNPlatform,
        chip=_ecp5("LFE5UM5G-85F", "--um5g-85k", "--package", "CABGA381", "--speed", "8"),
        target="ecp5",
        clk="clk12",
        source=12,
        pll=Ecp5Pll,
        clocks=_ECP5_CLOCKS,
        lanes=32,
        activations=4,
        loader=("-b", "ecp5_evn"),
    ),
)
BOARDS = {board.name: board for board in _ALL}


def find_board(name: str) -> Board:
    """The board called ``name``; ValueError where there is none."""
    if name not in BOARDS:
        raise refusal("board", repr(name), " or ".join(BOARDS))
    return BOARDS[name]
