"""Below the RTL: a board's netlist, its placement and its bitstream, against the golden model.

Each is a whole board in Verilator, with a host at the other end of its UART.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from boards.board import Board, find_board
from boards.family.cells import Cells
from boards.flow.build import Routed, routed
from boards.host.session import Host
from boards.host.stream import pieces, prepare
from boards.host.stream import run as stream
from deltarnn.evidence.icestorm import read_back, slowest
from deltarnn.markdown import lines
from golden.fixed import Integers
from golden.model import Model
from golden.parameters import CoreParameters
from sim.fast.board import build_board, running
from sim.sweep import Shape, moving_frames, with_thresholds

SEED = 1
FRAMES = 1200  # of each form of each design
RECORDING = 100  # frames from one reset to the next
THETAS = (0, 3, 12)  # of h, in turn
MOVING = (1.0, 0.3, 0.05, 0.0)  # fractions of the elements that move, in turn
PATIENCE = 60.0  # seconds for an answer of the simulated board
TOP = "bench"

_FLIP_FLOPS = [
    "SB_DFF" + kind for kind in ("", "E", "SR", "R", "SS", "S", "ESR", "ER", "ESS", "ES")
]
ICE40 = Cells(
    {
        "ice40/cells_sim.v": [
            *("SB_GB", "SB_LUT4", "SB_CARRY", "SB_RAM40_4K", "SB_SPRAM256KA", "SB_MAC16"),
            *("ICESTORM_LC", "ICESTORM_RAM"),
            *_FLIP_FLOPS,
        ]
    },
    own=["pins.v", "plls.v", "sb_pll40_pad.v"],
)
ECP5 = Cells(
    {
        "ecp5/common_sim.vh": [
            *("LUT4", "LUT2", "PFUMX", "L6MUX21", "TRELLIS_DPR16X4"),
            "TRELLIS_FF",
        ],
        "ecp5/ccu2c_sim.vh": ["CCU2C"],
    },
    own=["pins.v", "plls.v", "dp16kd.v", "mult18x18d.v"],
)


@dataclass(frozen=True)
class Design:
    """A network of ``kind`` on a board.

    Attributes
    ----------
    cells
        Models of its chip's.
    clock
        MHz, slow: a bit of the UART then takes few cycles.
    forms
        Which are run: of Yosys ("synthesised"), of nextpnr ("placed"), of the packer ("bitstream").
    """

    board: str
    kind: str
    activations: int
    cells: Cells
    clock: float
    forms: tuple[str, ...]

    @property
    def shape(self) -> Shape:
        name = f"{self.kind} on {self.board}"
        return Shape(name, (3, 6), 2, 2, self.activations, self.kind, shift_max=3)


# An HX8K has everything in tables and block RAM, which is what a bitstream can be read back as.
DESIGNS = (
    Design("ice40-hx8k-b-evn", "gru", 2, ICE40, 24, ("synthesised", "placed", "bitstream")),
    Design("ulx3s-25f", "lstm", 2, ECP5, 60, ("synthesised",)),
    Design("icebreaker", "gru", 1, ICE40, 24, ("synthesised",)),
    Design("ice40-hx8k-b-evn", "lstm", 1, ICE40, 24, ("synthesised", "placed", "bitstream")),
    Design("ulx3s-25f", "gru", 1, ECP5, 60, ("synthesised",)),
    Design("icebreaker", "lstm", 1, ICE40, 24, ("synthesised",)),
)


def measure(say: Callable[[str], None], share: float = 1.0) -> dict:
    """Runs ``share`` of the designs, and of the frames of each, but at least one of 300.

    Raises ValueError where a tool is missing.
    """
    begun = time.monotonic()
    count = max(1, round(share * len(DESIGNS)))
    frames = max(300, round(share * FRAMES))
    rows = [_measured(each, frames, say) for each in DESIGNS[:count]]
    return {"designs": rows, "seconds": round(time.monotonic() - begun)}


def _measured(design: Design, frames: int, say: Callable[[str], None]) -> dict:
    board, model = find_board(design.board), design.shape.model(SEED)
    core = design.shape.core(model)
    say(f"netlist: {design.shape.name}, synthesis and placement")
    begun = time.monotonic()
    made = routed(model, board, core.lanes, design.clock, core.activations)
    seconds = round(time.monotonic() - begun)
    runs = []
    for form in design.forms:
        with board_of(form, made, board, design.cells) as terminal:
            runs.append({"form": form, **_compared(terminal, core, model, made, frames)})
        say(f"netlist: {design.shape.name}, {form}: {runs[-1]['frames']:,} frames")
    return {
        "board": board.name,
        "chip": board.chip.name,
        "kind": design.kind,
        "activations": core.activations,
        "seconds": seconds,
        "resources": {name: used for name, (used, _) in made.netlist.resources.items() if used},
        "delays": {kind: made.delays.count(f"({kind} ") for kind in ("INTERCONNECT", "IOPATH")},
        "mhz_nextpnr": round(made.fmax, 2),
        "mhz_icetime": slowest(made, board),
        "runs": runs,
    }


@contextmanager
def board_of(form: str, made: Routed, board: Board, cells: Cells) -> Iterator[str]:
    """The terminal behind which ``board`` is, simulated as ``form`` says (Design.forms)."""
    top, verilog = {
        "synthesised": lambda: ("top", made.netlist.verilog),
        "placed": lambda: ("top", made.verilog),
        "bitstream": lambda: ("chip", read_back(made)),
    }[form]()
    # A pin's cell has both ways, whatever the port is: Verilator wants it so at the top, too.
    verilog = re.sub(r"^  input (\w+__io;)$", r"  inout \1", verilog, flags=re.MULTILINE)
    texts = {"board.v": verilog, "cells.v": driven(cells.models()), "bench.v": bench(top, verilog)}
    program = build_board(texts, TOP, cells=True)
    design = made.netlist.design
    with running(program, design.shell.divisor, design.flash, board.flash or 0) as terminal:
        yield terminal


def driven(models: str) -> str:
    """``models`` for Verilator: no pin of them floats."""
    return re.sub(r"\(\w+ === 1'bz\)", "1'b0", models)


def bench(top: str, verilog: str) -> str:
    """Verilog of TOP, with the ports that sim.fast.board wants, around the pins of ``top``."""
    pins = set(re.findall(r"\b(clk\d*_0__io|(?:uart|spi_flash)\w+__io)\b", verilog))
    ports, wires, connections = ["input clk", "input rst"], [], []
    for pin in sorted(pins):
        role = pin.split("__")[-2] if pin.count("__") > 1 else "clk"
        name = {"cs": "flash_cs_n", "clk": "flash_sck", "copi": "flash_copi", "cipo": "flash_cipo"}
        name = name.get(role, role) if pin.startswith("spi") else role
        if name in ("wp", "hold"):
            continue
        way = "input" if name in ("clk", "rx", "flash_cipo") else "output"
        if name != "clk":
            ports.append(f"{way} {name}")
        # An input goes through a wire, because the pin could drive it.
        if way == "input":
            wires.append(f"  wire pin_{name};\n  assign pin_{name} = {name};\n")
        connections.append(f".{pin}({'pin_' if way == 'input' else ''}{name})")
    ends = f"  {top} board({', '.join(connections)});\nendmodule\n"
    return f"module {TOP}({', '.join(ports)});\n{''.join(wires)}{ends}"


def _compared(terminal: str, core: CoreParameters, model: Model, made: Routed, frames: int) -> dict:
    """Results and counts of events of ``frames`` frames, each equal to golden's.

    Raises RuntimeError where one is not.
    """
    link = made.netlist.design.link
    rng = np.random.default_rng(SEED)
    begun, done, events, resets = time.monotonic(), 0, 0, 0
    with Host(terminal, link, patience=PATIENCE) as host:
        for theta in THETAS:
            here = with_thresholds(model, theta)
            prepare(host, here)
            recordings = list(_recordings(rng, core, frames // len(THETAS)))
            resets += len(recordings)
            for piece in stream(host, here, pieces(recordings, link.frames), check=True):
                if piece.wrong:
                    raise RuntimeError(f"theta {theta}, after {done} frames: {piece.wrong}")
                done += len(piece.outputs)
                events += piece.events
        retries = host.retries
    seconds = round(time.monotonic() - begun, 1)
    return {
        "frames": done,
        "results": done * core.network.outputs,
        "events": events,
        "resets": resets,
        "retries": retries,
        "seconds": seconds,
    }


def _recordings(rng: np.random.Generator, core: CoreParameters, frames: int) -> Iterator[Integers]:
    for n, low in enumerate(range(0, frames, RECORDING)):
        length = min(RECORDING, frames - low)
        moving = MOVING[n % len(MOVING)]
        yield moving_frames(rng, length, core.network.inputs, moving).astype(np.int64)


def short(result: dict) -> str | None:
    """Whether nothing was compared; what differs raises an error before."""
    return None if result["designs"] else "no designs"


def found(result: dict) -> str:
    """What was found, in a line."""
    words = sum(run["results"] for design in result["designs"] for run in design["runs"])
    return f"{words:,} results of mapped, placed and packed boards, none other than golden's"


def section(result: dict) -> str:
    """The section of docs/evidence.md."""
    rows, clocks = [], []
    for each in result["designs"]:
        name = f"{each['kind'].upper()}, A = {each['activations']}, {each['chip']}"
        for run in each["runs"]:
            figures = (f"{run[key]:,}" for key in ("frames", "results", "events"))
            rows.append([name, run["form"], *figures, "0", f"{run['seconds']:.0f}"])
        if each["mhz_icetime"] is not None:
            clocks.append([name, f"{each['mhz_nextpnr']:.1f}", f"{each['mhz_icetime']:.1f}"])
    wires, cells = result["designs"][0]["delays"].values()
    header = ["design", "form", "frames", "results", "events", "that differ", "seconds"]
    return f"""\
## Below the RTL

A small network (3 -> 6 -> 2, 2 lanes, row shifts) on a board goes through all of the flow. What
comes out at each step is simulated in Verilator as a whole board, from power-up; a host streams
frames over its UART, rewrites thresholds and resets the state. Each result, and each layer's count
of events, is compared with the golden model.

- *synthesised*: Yosys' netlist, in Yosys' models of the chip's cells;
- *placed*: the netlist that nextpnr wrote after routing, with the cells that it made;
- *bitstream*: the bytes for the chip, unpacked by `iceunpack`, made Verilog by `icebox_vlog`.
  Neither Yosys nor nextpnr takes part in that.

{lines(header, rows)}

**How far it goes.** Wires have no delays here. nextpnr writes delays as SDF: of the first design
{wires:,} of wires and {cells:,} of cells. Icarus 11, Debian's, puts only those of cells in, and
does not check set-up times, so that a simulation with them would say nothing about clocks. The PLL
passes its clock on, and pins are wires. Yosys has no models of DP16KD and MULT18X18D: these are the
project's own, and so is what nextpnr's netlist does not say about pins without a wire
(`boards/flow/unsaid.py`). On 2026-11-30 an ECP5's netlist differed: the model of DP16KD lacked the
shape of 36 bits that accumulators had got two days before. A ULX3S with its weights in an SDRAM is
simulated in the same way, controller and chips included (`tests/test_boards_sdram.py`).

Only an HX8K's placement is simulated. There are no models of nextpnr's
ICESTORM_DSP and ICESTORM_SPRAM, which a UP5K's has; of an ECP5's it is not known what all its pins
are without a wire. The bitstreams of both cannot be read back as Verilog with what Debian and PyPI
have: `icebox_vlog` knows neither SB_MAC16 nor SB_SPRAM256KA, and nothing of an ECP5.

**Clocks.** `icetime` is another timing analyser than nextpnr's. The two say of the same
placement, in MHz:

{lines(["design", "nextpnr", "icetime"], clocks)}
"""
