"""Chips as Yosys and nextpnr see them: commands, and what their cells are called."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from boards.family.output_registers import absorb_output_registers
from boards.tool import ECPPACK, ICEPACK, NEXTPNR_ECP5, NEXTPNR_ICE40, Tool

# What is counted: its name in data, and in tables.
RESOURCES = {
    "lut": "LUT4",
    "ff": "FF",
    "carry": "carry",
    "lutram": "LUT RAM",
    "bram": "block RAM",
    "spram": "SPRAM",
    "dsp": "multipliers",
}


def size(count: int) -> str:
    """``count`` bytes for people, such as ``1.4 MB``; a kB has 1,024."""
    return f"{count / 1024:.3g} kB" if count < 1000 * 1024 else f"{count / 1024**2:.3g} MB"


@dataclass(frozen=True)
class Chip:
    """A chip, or a family of them.

    Attributes
    ----------
    synthesis
        Yosys' command, without its ``-top``.
    cells
        For each resource a cell takes: patterns of cell types, and how many of it one takes.
    capacity
        How many there are of a resource.
    bram_bits
        What a block RAM holds of words of 8, 16, 32... bits.
    router, arguments
        nextpnr for it, and the arguments that say which chip.
    harder
        More of them, for a clock that is nearly reached: where it is far off they take for ever.
    again
        More of them, for a build's further tries: some designs gain by them, others lose.
    logic
        What nextpnr's reports call the place of a LUT and what goes with it.
    logic_of
        The resource that takes exactly one such place for each one of the wrapper's
        (boards.flow.wrapper): there a LUT never comes without its flip-flop.
    refine
        What is done to the mapped netlist, a module in Yosys' JSON form, before it is placed.
    mapped
        Pattern of what Yosys adds to a signal's name when it names cells after it.
    constraints
        Suffix of the file that says which pin is where, and name of nextpnr's argument for it.
    placed
        Suffix of what nextpnr makes, and its argument for that.
    packer, bitstream
        What makes a bitstream of that, and the suffix of its file.
    """

    name: str
    synthesis: str
    cells: dict[str, dict[str, int]]
    capacity: dict[str, int] = field(default_factory=dict)
    bram_bits: int = 0
    router: Tool | None = None
    arguments: tuple[str, ...] = ()
    harder: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    logic: str = ""
    logic_of: str = "lut"
    refine: Callable[[dict[str, Any]], None] = lambda module: None
    mapped: str = "$^"
    constraints: str = ""
    placed: tuple[str, str] = ("", "")
    packer: Tool | None = None
    bitstream: str = ""


UP5K = Chip(
    name="iCE40 UP5K",
    synthesis="synth_ice40 -device u -dffe_min_ce_use 5",
    cells={
        "lut": {r"SB_LUT4": 1},
        "ff": {r"SB_DFF\w*": 1},
        "carry": {r"SB_CARRY": 1},
        "bram": {r"SB_RAM\w*": 1},
        "spram": {r"SB_SPRAM256KA": 1},
        "dsp": {r"SB_MAC16": 1},
    },
    capacity={"lut": 5280, "ff": 5280, "bram": 30, "spram": 4, "dsp": 8},
    bram_bits=1 << 12,
    router=NEXTPNR_ICE40,
    # The placer that spreads cells like charges is worth 1 MHz of a whole board; a core by itself
    # keeps its clock. Moves of cells on late paths are worth 1 MHz more of a board, but cost a core
    # 2. nextpnr rips up no late wires of an iCE40.
    arguments=("--up5k", "--package", "sg48", "--pcf-allow-unconstrained", "--placer", "static"),
    again=("--opt-timing",),
    logic="ICESTORM_LC",
    logic_of="ff",  # a cell for each, with its LUT if it has one
    mapped=r"_(SB_\w+|DFFLC)",
    constraints="pcf",
    placed=("asc", "--asc"),
    packer=ICEPACK,
    bitstream="bin",
)

HX8K = replace(
    UP5K,
    name="iCE40 HX8K",
    synthesis="synth_ice40 -device hx -dffe_min_ce_use 5",
    capacity={"lut": 7680, "ff": 7680, "bram": 32, "spram": 0, "dsp": 0},
    # With its default placer: a board has 71.5 MHz (seed 1), where the other gives 68.4.
    arguments=("--hx8k", "--package", "ct256", "--pcf-allow-unconstrained"),
    again=(),
)

# The placer that spreads cells like charges, and a router that takes back wires which are late, are
# worth a tenth of an ECP5's clock together.
PLACING = ("--lpf-allow-unconstrained", "--placer", "static")

ECP5 = Chip(
    name="ECP5 LFE5U-85F, speed grade 6",
    synthesis="synth_ecp5",
    refine=absorb_output_registers,
    cells={
        # As nextpnr counts: a CCU2C is two, a 16 x 4 memory four and two more for its write port.
        "lut": {r"LUT4": 1, r"CCU2C": 2, r"TRELLIS_DPR16X4": 6},
        "ff": {r"TRELLIS_FF": 1},
        "carry": {r"CCU2C": 1},
        "lutram": {r"TRELLIS_DPR16X4": 1},
        "bram": {r"DP16KD|PDPW16KD": 1},
        "dsp": {r"MULT18X18D": 1},
    },
    capacity={"lut": 83640, "ff": 83640, "bram": 208, "dsp": 156},
    bram_bits=1 << 14,
    router=NEXTPNR_ECP5,
    arguments=("--85k", "--package", "CABGA756", "--speed", "6", *PLACING),
    harder=("--tmg-ripup",),
    logic="TRELLIS_COMB",
    mapped=r"_(LUT4|CCU2C|TRELLIS_\w+|PFUMX|L6MUX21|DP16KD|PDPW16KD|MULT18X18D)_\w*",
    constraints="lpf",
    placed=("config", "--textcfg"),
    packer=ECPPACK,
    bitstream="bit",
)
