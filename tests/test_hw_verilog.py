import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from golden.model_file import save_model
from golden.parameters import CoreParameters
from hw.bus.registers import register_map
from hw.emit.verilog import TOP, emit
from hw.emit.whole import whole
from sim.verilator import verilator_environment
from tests.networks import random_model

MODEL = random_model((5, 9), 3)


@pytest.fixture(scope="module")
def emission():
    return emit(CoreParameters(MODEL.parameters, 4), MODEL)


def test_the_same_bytes_in_another_process_and_place(emission, tmp_path):
    save_model(MODEL, tmp_path / "m.safetensors")
    script = (
        "import sys, hashlib; from pathlib import Path\n"
        "from golden.model_file import load_model; from golden.parameters import CoreParameters\n"
        "from hw.emit.verilog import emit\n"
        "m = load_model(Path('m.safetensors'))\n"
        "text = emit(CoreParameters(m.parameters, 4), m).verilog.replace(m.sha256, 'none')\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "17", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(emission.verilog.encode()).hexdigest()


def test_the_text_speaks_of_the_model_alone(emission):
    assert f"module {TOP}(" in emission.verilog
    assert str(os.getcwd()) not in emission.verilog  # noqa: PTH109
    assert "SB_" not in emission.verilog  # no vendor's cells
    assert "[-1:0]" not in emission.verilog


def test_the_manifest_describes_the_text(emission):
    manifest = json.loads(json.dumps(emission.manifest))
    assert manifest["lanes"] == 4
    assert manifest["cycles"]["dense_frame"] == 9 * 14 + 9
    assert [r["name"] for r in manifest["registers"]] == [
        r.name for r in register_map(MODEL.parameters)
    ]
    for port in manifest["ports"]:
        width = f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
        assert f"  {port['direction']}put {width}{port['name']};" in emission.verilog


def test_another_weight_is_another_text(emission):
    weights = MODEL.weights[0]
    changed = np.array(weights.weight_x)
    changed[0, 0] ^= 1
    parts = (type(weights)(changed, weights.weight_h, weights.bias), *MODEL.weights[1:])
    parameters = MODEL.parameters
    other = type(MODEL).of("random", parameters.formats, parameters.layers, parts)
    assert emit(CoreParameters(other.parameters, 4), other).verilog != emission.verilog


@pytest.mark.parametrize("taken", ["deltarnn_core.v", "deltarnn_core.json", "deltarnn_core.h"])
def test_writes_every_file_or_none(emission, tmp_path, taken):
    (tmp_path / taken).mkdir()
    with pytest.raises(ValueError, match=f"{taken}: found a folder"):
        emission.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [taken]


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_verilator_has_nothing_to_say_of_a_core(kind, tmp_path):
    model = random_model((3, 4), 2, kinds=(kind,))
    emission = emit(CoreParameters(model.parameters, 2), model)
    emission.write(tmp_path)
    done = subprocess.run(
        ["verilator", "--lint-only", "-Wall", "--quiet", emission.manifest["lint"], f"{TOP}.v"],
        cwd=tmp_path,
        env={**os.environ, **verilator_environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_wide_wires_are_assigned_whole(emission):
    """Icarus takes ten times as long for a core with wires that are assigned in parts."""
    assert whole(emission.verilog) == emission.verilog
    parts = re.findall(r"^  assign (\S+) ?\[\d+:\d+\] = ", emission.verilog, re.MULTILINE)
    widths = dict(re.findall(r"^  wire (?:signed )?\[(\d+):0\] (\S+)", emission.verilog, re.M))
    assert [name for name in parts if int(widths.get(name, 0)) >= 64] == []


def test_parts_are_joined_in_their_order_and_others_are_let_be():
    module = """\
module m(a, b, y, z);
  wire [3:0] a;
  wire b;
  wire [6:0] y;
  wire [2:0] z;
  wire \\w.x ;
  wire [1:0] v;
  assign { z[1:0], y[6] } = { a[1:0], \\w.x  };
  assign y[5:4] = 2'h1;
  assign y[3:0] = a;
  assign \\w.x  = b;
  assign v[0] = a[0] & b;
  assign v[1] = b;
endmodule
"""
    expected = module.replace(
        "  assign { z[1:0], y[6] } = { a[1:0], \\w.x  };\n",
        "  assign z[1:0] = a[1:0];\n  assign y = { \\w.x , 2'h1, a };\n",
    )
    expected = expected.replace("  assign y[5:4] = 2'h1;\n  assign y[3:0] = a;\n", "")
    assert whole(module) == expected
