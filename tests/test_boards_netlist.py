"""The iCEBreaker's top, mapped to the cells of its chip, against golden."""

import pytest

from boards.board import BOARDS
from boards.family.cells import Cells
from boards.family.targets import TARGETS
from boards.flow.build import netlist
from boards.flow.design import design
from boards.link.protocol import Flag
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.emit.verilog import emit
from tests.board_player import BoardBench
from tests.networks import random_frames, random_model

pytestmark = pytest.mark.slow
BOARD, LANES = BOARDS["icebreaker"], 2
YOSYS_MODELS = (
    *("SB_IO", "SB_GB", "SB_LUT4", "SB_CARRY", "SB_RAM40_4K", "SB_SPRAM256KA", "SB_MAC16"),
    *("SB_DFF", "SB_DFFE", "SB_DFFSR", "SB_DFFSS", "SB_DFFESR", "SB_DFFESS"),
    *("SB_DFFR", "SB_DFFS", "SB_DFFER", "SB_DFFES"),
)
CELLS = Cells({"ice40/cells_sim.v": YOSYS_MODELS}, own=["sb_pll40_pad.v"])

BENCH = """
`timescale 1ns/1ps
module bench(input clk, input rst, input rx, output tx);
  wire cs, sck;
  wire [3:0] io;
  top top(.clk12_0__io(clk), .uart_0__rx__io(rx), .uart_0__tx__io(tx),
    .spi_flash_1x_0__cs__io(cs), .spi_flash_1x_0__clk__io(sck),
    .spi_flash_1x_0__copi__io(io[0]), .spi_flash_1x_0__cipo__io(io[1]),
    .spi_flash_1x_0__wp__io(), .spi_flash_1x_0__hold__io());
  qspi_flash #(.MEM_DEPTH(262144)) flash(.clk(sck), .csb(cs), .io(io));
endmodule
"""


def test_the_netlist_powers_up_and_runs_three_frames(tmp_path):
    model = random_model((4, 6), 3)
    frames = random_frames(model, 3, seed=1)
    core = CoreParameters(model.parameters, LANES)
    emission = emit(core, model, TARGETS[BOARD.target].target)
    made = design(core, model, emission, BOARD.clocks[0], BOARD.baud, BOARD.flash)
    mapped = netlist(model, BOARD, LANES)
    texts = {"top.v": mapped.verilog, "models.v": CELLS.models(), "bench.v": BENCH}
    board = BoardBench(made, texts, made.shell.divisor, flash=True)
    job = {"steps": [["frames", 0, 3]], "patience": 3000}
    found = board.play("frames", tmp_path, job, frames=frames)
    assert found["flags"] == 1 << Flag.LOADS
    assert found["outputs"] == DeltaNetwork(model).run(frames).outputs.tolist()
