"""Toggles, reads and products of a design whose moves can be counted by hand."""

import io
import subprocess

import pytest

from sim.moves import count
from sim.parts import Bits, Memory, Multiplier, Parts, parts_of, traceable
from sim.vcd import cycles

# A counter of three bits reads a memory by its upper two, twice as often as its lowest bit is 0;
# one multiplication sees the whole of it, the other one only its uppermost bit.
VERILOG = """\
module core(rst, clk, a, b);
  wire [2:0] _0_;
  wire [3:0] _1_;
  wire \\goes$1 ;
  input clk;
  wire clk;
  input rst;
  wire rst;
  output [7:0] a;
  wire [7:0] a;
  output [7:0] b;
  wire [7:0] b;
  reg [2:0] \\place$2  = 3'h0;
  assign \\goes$1  = ~ \\place$2 [0];
  assign _1_ = \\place$2  + 1'h1;
  assign a = $signed({ 1'h0, \\place$2  }) * $signed(5'h03);
  assign b = $signed(\\place$2 ) * $signed(\\kept.it );
  reg [3:0] words [3:0];
  initial begin
    words[0] = 4'h0;
    words[1] = 4'hf;
    words[2] = 4'h1;
    words[3] = 4'h3;
  end
  reg [3:0] _2_ = 4'h0;
  always @(posedge clk) begin
    if (\\goes$1 ) begin
      _2_ <= words[\\place$2 [2:1]];
    end
  end
  reg [3:0] _3_ = 4'h0;
  always @(posedge clk) begin
    _3_ <= words[{ 1'h0, \\place$2 [2] }];
  end
  always @(posedge clk) begin
    if (rst)
      words[\\place$2 [1:0]] <= 4'h0;
  end
  wire [3:0] \\kept.it ;
  assign \\kept.it  = _2_ & _3_;
  always @(posedge clk)
    \\place$2  <= _0_;
  assign _0_ = rst ? 3'h0 : _1_[2:0];
endmodule
"""
BENCH = """
module TOP;
  reg clk = 0, rst = 1;
  wire [7:0] a, b;
  core core(.rst(rst), .clk(clk), .a(a), .b(b));
  initial begin
    $dumpfile("waves.vcd");
    $dumpvars(0, TOP);
    repeat (4) begin #5 clk = 1; #5 clk = 0; end
    rst = 0;
    repeat (40) begin #5 clk = 1; #5 clk = 0; end
  end
endmodule
"""


def test_parts_are_what_the_verilog_says():
    parts = parts_of(VERILOG)
    place = "core.place$2"
    assert parts == Parts(
        ("core.place$2",),
        (
            Memory("core.words", 4, Bits("core.goes$1", -1), (Bits(place, 0b110),), "core._2_"),
            Memory("core.words", 4, None, (Bits(place, 0b100),), "core._3_"),
        ),
        (Multiplier("core.kept.it", (Bits(place, -1), Bits("core.kept.it", -1))),),
    )


def test_a_vendors_cell_is_what_its_pins_say():
    text = """\
module \\core.mac (clk);
  SB_MAC16 #(
    .A_REG(1'h1)
  ) mac (
    .A({ weight[7], weight }),
    .B(\\delta$3 ),
    .CE(1'h1)
  );
  SB_SPRAM256KA spram_0_0 (
    .ADDRESS({ 1'h0, _11_ }),
    .CHIPSELECT(1'h1)
  );
endmodule
"""
    parts = parts_of(traceable(text))
    (multiplier,), (memory,) = parts.multipliers, parts.memories
    assert multiplier.path == "core.mac.mac"
    assert {bits.path for bits in multiplier.operands} == {"core.mac.weight", "core.mac.delta$3"}
    assert "core.mac.mac.rH" in parts.registers
    assert memory.enable is None
    assert memory.address == (Bits("core.mac.yosys_11", -1),)
    assert memory.output == "core.mac.spram_0_0.DATAOUT"


def test_a_clocked_process_of_another_kind_is_refused():
    text = VERILOG.replace("    \\place$2  <= _0_;", "    if (rst) \\place$2  <= _0_;")
    with pytest.raises(ValueError, match="core: found 1 other, expected clocked processes that"):
        parts_of(text)


def test_moves_are_counted_as_by_hand(tmp_path):
    verilog = traceable(VERILOG)
    (tmp_path / "all.v").write_text(verilog + BENCH)
    for command in (["iverilog", "-s", "TOP", "-o", "bench", "all.v"], ["vvp", "bench"]):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    parts = parts_of(verilog)
    with (tmp_path / "waves.vcd").open("rb") as waves:
        eight, three = count(parts, waves, [range(9, 17), range(17, 20)], "core", "core.goes$1")
    # In cycle n the counter is at n - 1, so cycle 9 is one in which it came from 7 back to 0.
    assert (eight.cycles, eight.waits) == (8, 4)
    assert eight.toggles == {"core.place$2": 8 + 4 + 2}
    # Both ports of the memory have its name.
    assert eight.reads == {"core.words": 4 + 8}
    assert eight.fresh == {"core.words": 4 + 2}
    assert eight.products == {"core.kept.it": 8}
    assert (three.cycles, three.toggles) == (3, {"core.place$2": 3 + 1 + 2})


VCD = b"""\
$timescale 1ns $end
 $scope module TOP $end
  $var wire 1 ! clk $end
  $scope module core $end
   $var wire 4 " word [3:0] $end
   $var wire 1 # bit $end
   $var wire 4 " same [3:0] $end
  $upscope $end
 $upscope $end
$enddefinitions $end
#0
$dumpvars
0!
b0000 "
0#
$end
#5
1!
#6
b1010 "
1#
#7
b1011 "
#10
0!
0#
#15
b1111 "
1!
#20
0!
#25
1!
#30
"""


def test_a_waveform_is_read_as_it_is_before_each_edge():
    signals = ["TOP.core.word", "TOP.core.bit", "TOP.core.same"]
    found = [(list(v), dict(f)) for v, f in cycles(io.BytesIO(VCD), signals, "TOP.clk")]
    # What changes with an edge is seen before the next one; a pulse between edges is not seen.
    assert found == [
        ([0, 0, 0], {}),
        ([0b1011, 0, 0b1011], {0: 0b1011, 2: 0b1011}),
        ([0b1111, 0, 0b1111], {0: 0b0100, 2: 0b0100}),
    ]


@pytest.mark.parametrize(
    ("old", "new", "naming"),
    [
        (b"wire 1 # bit", b"wire 1 # other", "waveform: found no TOP.core.bit, expected all of"),
        (b"b1010", b"b10x0", "TOP.core.bit: found 10x0, expected a number in binary"),
    ],
)
def test_a_waveform_without_a_signal_or_its_value_is_refused(old, new, naming):
    text = VCD.replace(old, new).replace(b'b10x0 "', b"b10x0 #")
    with pytest.raises(ValueError, match=naming):
        list(cycles(io.BytesIO(text), ["TOP.core.word", "TOP.core.bit"], "TOP.clk"))
