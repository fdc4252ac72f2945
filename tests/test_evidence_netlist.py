"""What stands between a tool's netlist and a simulator, and block RAM's model."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from boards.board import find_board
from boards.family.cells import Cells
from boards.flow.unsaid import say
from boards.tool import YOSYS
from deltarnn.evidence import icestorm, netlist

PAGE = Path(__file__).parents[1] / "docs/evidence/netlist.json"

RAM = """\
module {name}(input clk, input we, input [9:0] w, r, input [8:0] d, output reg [8:0] q);
  reg [8:0] memory [0:1023];
  integer n;
  initial for (n = 0; n < 1024; n = n + 1) memory[n] = n * 37;
  always @(posedge clk) begin
    if (we) memory[w] <= d;
    q <= memory[r];
  end
endmodule
"""
COMPARE = """\
module compare;
  reg clk = 0, we;
  reg [9:0] w, r;
  reg [8:0] d;
  wire [8:0] expected, found;
  plain plain(clk, we, w, r, d, expected);
  mapped mapped(clk, we, w, r, d, found);
  integer n, wrong = 0, written = 0;
  initial begin
    for (n = 0; n < 4000; n = n + 1) begin
      we = $random; w = $random; r = n % 2 ? w : $random; d = $random;
      #1 clk = 1;
      #1 if (found !== expected) wrong = wrong + 1;
      written = written + we;
      clk = 0;
    end
    $display("%0d wrong, %0d written", wrong, written);
  end
endmodule
"""


def test_block_ram_of_an_ecp5_is_written_and_read(tmp_path):
    (tmp_path / "ram.v").write_text(RAM.format(name="mapped"))
    script = "read_verilog ram.v\nsynth_ecp5 -top mapped -json ram.json\nwrite_verilog mapped.v\n"
    (tmp_path / "ram.ys").write_text(script)
    YOSYS.run(["-s", "ram.ys"], tmp_path, 300)
    cells = json.loads((tmp_path / "ram.json").read_text())["modules"]["mapped"]["cells"]
    assert "DP16KD" in {cell["type"] for cell in cells.values()}
    names = ["LUT4", "PFUMX", "TRELLIS_FF"]
    models = Cells({"ecp5/common_sim.vh": names}, own=["dp16kd.v"]).models()
    models = re.sub(r"specify.*?endspecify", "", models, flags=re.DOTALL)  # Icarus 11 knows not all
    (tmp_path / "all.v").write_text(
        models + (tmp_path / "mapped.v").read_text() + RAM.format(name="plain") + COMPARE
    )
    run = ["iverilog", "-g2012", "-s", "compare", "-o", "run", "all.v"]
    subprocess.run(run, cwd=tmp_path, check=True)
    done = subprocess.run(["./run"], cwd=tmp_path, capture_output=True, text=True, check=True)
    wrong, _, written, _ = done.stdout.split()
    assert wrong == "0"
    assert int(written) > 1000


def cell(kind, connections):
    directions = dict.fromkeys(connections, "input")
    return {
        "type": kind,
        "connections": connections,
        "port_directions": directions,
    }


def test_pins_without_a_wire_get_what_the_chip_gives_them():
    cells = {
        "logic": cell("ICESTORM_LC", {"I0": [5]}),
        "buffer": cell("SB_GB", {"USER_SIGNAL_TO_GLOBAL_BUFFER": []}),
        "driven": cell("SB_GB", {"USER_SIGNAL_TO_GLOBAL_BUFFER": [8]}),
    }
    module = {"ports": {"clk": {"bits": [2]}}, "cells": cells}
    say(module, "clk")
    pins = {name: each["connections"] for name, each in cells.items()}
    assert (pins["logic"]["I0"], pins["logic"]["I1"], pins["logic"]["CEN"]) == ([5], ["0"], ["1"])
    assert pins["buffer"]["USER_SIGNAL_TO_GLOBAL_BUFFER"] == [2]
    assert pins["driven"]["USER_SIGNAL_TO_GLOBAL_BUFFER"] == [8]


def test_a_bench_finds_the_pins_and_a_port_is_declared_once():
    pins = "uart_0__rx__io, uart_0__tx__io, clk12_0__io, spi_flash_1x_0__cs__io"
    pins += ", spi_flash_1x_0__clk__io, spi_flash_1x_0__cipo__io, spi_flash_1x_0__wp__io"
    text = netlist.bench("top", f"module top({pins});")
    for port in ("input clk", "input rx", "output tx", "output flash_cs_n", "output flash_sck"):
        assert port in text
    assert ".spi_flash_1x_0__cipo__io(pin_flash_cipo)" in text
    assert "wp" not in text
    verilog = "module chip (input a, output b);\nwire n1, a, n2;\nreg b = 0, n3 = 0;\n"
    expected = "module chip (input a, output b);\nwire n1, n2;\nreg n3 = 0;\n"
    assert icestorm._once(verilog) == expected


def test_a_missing_program_is_said(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ValueError, match="iceunpack: found none on PATH, expected it installed"):
        icestorm.require_icestorm()
    assert icestorm.slowest(None, find_board("ulx3s-25f")) is None  # type: ignore[arg-type]


def test_the_section_has_a_row_for_each_run():
    result = json.loads(PAGE.read_text())
    text = netlist.section(result)
    for each in result["designs"]:
        assert all(run["frames"] >= 1000 for run in each["runs"])
        assert each["chip"] in text
