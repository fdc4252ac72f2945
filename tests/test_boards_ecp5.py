"""ECP5 block RAM: where its contents lie, its output registers, and what becomes it."""

import copy
import json
import random
from dataclasses import replace

import pytest

from boards.family.ecp5 import EBR_BITS, EBR_SHAPES, ECP5, ebr_lists
from boards.family.output_registers import absorb_output_registers
from boards.tool import YOSYS
from golden.parameters import CoreParameters
from hw.emit.verilog import emit
from tests.networks import random_model
from tests.slow import every

_ROM = """\
module top(input clk, input [{high}:0] a, output [{top}:0] q);
  reg [{top}:0] memory [0:{last}];
  reg [{top}:0] fetched, kept;
  initial $readmemh("rom.hex", memory);
  always @(posedge clk) begin
    fetched <= memory[a];
    kept <= fetched;
  end
  assign q = {result};
endmodule
"""


def mapped(folder, values, width, result):
    """The module that Yosys makes of a ROM with a register behind it."""
    depth = len(values)
    (folder / "rom.hex").write_text("\n".join(f"{value:x}" for value in values))
    sizes = {"high": (depth - 1).bit_length() - 1, "top": width - 1, "last": depth - 1}
    (folder / "rom.v").write_text(_ROM.format(**sizes, result=result))
    (folder / "rom.ys").write_text("read_verilog rom.v\nsynth_ecp5 -top top -json rom.json\n")
    YOSYS.run(["-s", "rom.ys"], folder, 300)
    return json.loads((folder / "rom.json").read_text())["modules"]["top"]


def memories(module):
    return [cell for cell in module["cells"].values() if cell["type"] == "DP16KD"]


def registers(module):
    return sum(cell["type"] == "TRELLIS_FF" for cell in module["cells"].values())


@pytest.mark.parametrize("width", every(9, (*EBR_SHAPES, 9, 18)))
def test_contents_lie_where_yosys_puts_them(width, tmp_path):
    rng = random.Random(width)
    values = [rng.randrange(1 << width) for _ in range(EBR_BITS // (width - width // 9))]
    module = mapped(tmp_path, values, width, "kept")
    (memory,) = memories(module)
    found = {
        name: int(value, 2)
        for name, value in memory["parameters"].items()
        if name.startswith("INITVAL_")
    }
    assert found == ebr_lists(values, width)

    # Both registers are plain, so the one behind goes into the memory.
    assert registers(module) == width
    behind = [c for c in module["cells"].values() if c["type"] == "TRELLIS_FF"]
    absorb_output_registers(module)
    assert registers(module) == 0
    assert memory["parameters"]["REGMODE_A"] == memory["parameters"]["REGMODE_B"] == "OUTREG"
    outputs = {memory["connections"][f"DO{p}{n}"][0] for p in "AB" for n in range(18)}
    assert {cell["connections"]["Q"][0] for cell in behind} <= outputs


@pytest.mark.parametrize("result", ["fetched ^ kept", "fetched"])
def test_what_something_else_reads_stays(result, tmp_path):
    """A value that is also needed early, or that no register follows."""
    module = mapped(tmp_path, [1, 2, 3] * 100 + [0] * (EBR_BITS // 2 - 300), 2, result)
    before = copy.deepcopy(module)
    absorb_output_registers(module)
    assert memories(module)
    assert module == before


@pytest.mark.parametrize("wide", [4, 3])
def test_accumulators_of_up_to_so_many_lanes_shall_be_block_ram(wide):
    model = random_model((2, 4))
    core = CoreParameters(model.parameters, 4)
    asked = emit(core, model, replace(ECP5, block_rows=wide)).verilog.count('ram_style = "block"')
    assert asked == (1 if wide == 4 else 0)  # one for each four lanes
