import json
import re
from collections import Counter, defaultdict
from dataclasses import replace

import pytest

import boards.family.ecp5
import boards.family.ice40
from boards.family.chip import ECP5, UP5K, Chip
from boards.flow.memories import apart
from boards.flow.synthesis import COMPONENTS, component, count, synthesise
from boards.flow.wrapper import stub, used, wrapper
from boards.tool import YOSYS, ToolError
from golden.parameters import CoreParameters
from hw.emit.verilog import TOP, emit
from tests.networks import random_model

pytestmark = pytest.mark.slow  # minutes of simulations and syntheses


ANY = Chip("any", "synth -flatten", {"ff": {r"\$_S?DFF\w*_": 1}, "lut": {r"\$_(?!S?DFF)\w+_": 1}})
MODEL = random_model((2, 3), 2)


def emitted(target):
    return emit(CoreParameters(MODEL.parameters, 2), MODEL, target)


@pytest.fixture(scope="module")
def up5k():
    return synthesise(emitted(boards.family.ice40.UP5K), UP5K)


@pytest.fixture(scope="module")
def ecp5():
    return synthesise(emitted(boards.family.ecp5.ECP5), ECP5)


@pytest.fixture(scope="module", params=["up5k", "ecp5"])
def netlist(request):
    return request.getfixturevalue(request.param)


def test_up5k_lanes_and_weights_are_its_own_cells(up5k):
    components = up5k.components
    assert components["lanes"]["dsp"] == 2  # one a lane
    assert up5k.area["dsp"] == 2
    assert components["weights"]["spram"] == up5k.area["spram"] == 1
    assert up5k.area["lut"] > 500


def test_ecp5_lanes_are_its_own_cells(ecp5):
    assert ecp5.components["lanes"]["dsp"] == 2
    assert ecp5.components["lanes"]["carry"] > 2 * 4
    assert ecp5.area["lut"] > 2 * ecp5.area["carry"] + 6 * ecp5.area["lutram"]


def test_components_add_up_to_the_whole(netlist):
    whole = Counter()
    for part in netlist.components.values():
        whole.update(part)
    assert dict(whole) == netlist.area
    for part in (
        "encoders",
        "lists",
        "sequencer",
        "fetch",
        "readout",
        "activation",
        "engine",
        "buses",
    ):
        assert netlist.components[part]["ff"] > 0, part


def test_the_wrapper_costs_what_it_says_and_nothing_is_counted_twice(netlist):
    target = boards.family.ice40.UP5K if netlist.chip is UP5K else boards.family.ecp5.ECP5
    ports = used(emitted(target).manifest["ports"])
    inputs = sum(p["width"] for p in ports if p["direction"] == "in") - 1  # the clock
    outputs = sum(p["width"] for p in ports if p["direction"] == "out")
    around = count(netlist.chip, netlist.around)
    assert {k: n for k, n in around.items() if n} == {"ff": inputs + outputs, "lut": outputs}
    assert not set(netlist.cells) & set(netlist.around)


def test_the_wrapper_connects_every_port_but_the_monitors():
    ports = emitted(boards.family.ice40.UP5K).manifest["ports"]
    text = wrapper(TOP, ports)
    for port in ports:
        monitor = port["name"].startswith("monitor_")
        assert (f".{port['name']}(" in text) != monitor
        assert (f" {port['name']}" in stub(TOP, ports)) != monitor
    # Every bit of the two registers has one port.
    taken = text.split(f"{TOP} core")[1]
    for register, direction in (("i", "in"), ("q", "out")):
        width = sum(p["width"] for p in used(ports) if p["direction"] == direction)
        width -= direction == "in"
        ends = [part.split("]")[0] for part in taken.split(f"({register}[")[1:]]
        spans = [tuple(map(int, end.split(":"))) for end in ends]
        bits = [n for high, low in spans for n in range(low, high + 1)]
        assert sorted(bits) == list(range(width))


@pytest.mark.parametrize(
    ("cell", "part"),
    [
        ("engine.reader.column_SB_DFF_Q", "reader"),
        ("engine.path_h.encoder.delta", "encoders"),
        ("engine.path_above.merge.fifo.level", "encoders"),
        ("engine.path_x.lists.count_0", "lists"),
        ("engine.path_h.grows", "lists"),
        ("engine.fetch.slot_0", "fetch"),
        ("engine.quiesce.draining", "reset"),
        ("engine.slot_0", "engine"),
        ("engine.readers", "engine"),
        ("cycles_SB_DFF_Q", "buses"),
        ("port.bus__bvalid", "buses"),
    ],
)
def test_cells_belong_to_the_component_whose_name_they_have(cell, part):
    assert component(cell) == part
    assert part in COMPONENTS


def test_contents_in_files_are_the_same_contents():
    text = emitted(boards.family.ecp5.ECP5).verilog
    short, files = apart(text)
    assert len(files) == text.count("initial begin\n") > 4
    assert "initial begin\n" not in short
    listed = defaultdict(dict)
    for memory, address, word in re.findall(r"^ +(\S+)\[(\d+)\] = \d+'h(\w+);$", text, re.M):
        listed[memory][int(address)] = int(word, 16)
    read = defaultdict(dict)
    for file, memory in re.findall(r"\$readmemh\(\"(\S+)\", (\S+)\);", short):
        for line in files[file].splitlines():
            address, word = line.removeprefix("@").split()
            read[memory][int(address, 16)] = int(word, 16)
    assert read == listed


def test_contents_in_files_arrive_in_the_netlist(ecp5):
    """Biases lie in the memory of the accumulators."""
    cells = json.loads(ecp5.json)["modules"]["top"]["cells"]
    memories = [cell for name, cell in cells.items() if ".accumulators_" in name]
    assert any(
        "1" in value
        for cell in memories
        for name, value in cell["parameters"].items()
        if name.startswith("INITVAL")
    )


def test_any_family_can_be_counted():
    area = synthesise(emit(CoreParameters(MODEL.parameters, 2), MODEL), ANY).area
    assert area["ff"] > 500
    assert area["lut"] > 500


def test_yosys_that_fails_says_so():
    broken = replace(emitted(boards.family.ecp5.ECP5), verilog="module broken(")
    with pytest.raises(ToolError, match=r"yosys failed: .*syntax error"):
        synthesise(broken, ECP5)


def test_no_yosys_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("YOSYS", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"yosys: found none .*deltarnn\[boards\]"):
        YOSYS.command()


def test_an_old_yosys_will_not_do(monkeypatch, tmp_path):
    old = tmp_path / "yosys"
    old.write_text("#!/bin/sh\necho 'Yosys 0.9 (git sha1 UNKNOWN)'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("YOSYS", str(tmp_path / "absent"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"at least version 0\.40"):
        YOSYS.command()
    old.write_text("#!/bin/sh\necho 'Yosys 0.41'\n")
    assert YOSYS.command() == ["yosys"]
