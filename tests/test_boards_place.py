from dataclasses import replace

import pytest

import boards.family.ice40
from boards.family.chip import ECP5, UP5K
from boards.flow.place import DoesNotFitError, excess, place, placement_of
from boards.flow.synthesis import Netlist, count, synthesise
from boards.tool import NEXTPNR_ICE40
from golden.parameters import CoreParameters
from hw.emit.verilog import emit
from tests.networks import random_model

MODEL = random_model((2, 3), 2)
AROUND = (("so_SB_DFF_Q", "SB_DFF"), ("c_SB_DFF_Q", "SB_DFF"), ("c_SB_LUT4_O", "SB_LUT4"))


def step(kind, delay, net, cell, port):
    found = {"type": kind, "delay": delay, "to": {"cell": cell, "port": port}}
    return {**found, "net": net} if kind == "routing" else found


PATH = [
    step("clk-to-q", 1.0, "", "core.a_SB_DFF_Q_LC", "O"),
    step("routing", 2.0, "core.a[3]", "x", "I0"),
    step("logic", 0.5, "", "x", "O"),
    step("routing", 1.5, "core.engine.b_SB_LUT4_O_I3", "y", "I3"),
    step("logic", 0.25, "", "y", "COUT"),
    step("routing", 0.0, "$nextpnr_ICESTORM_LC_16$I3", "z", "I3"),
    step("logic", 0.25, "", "z", "O"),
    step("routing", 1.0, "core.engine.b_SB_LUT4_O_I3_SB_CARRY_CO", "w", "I3"),
    step("setup", 0.5, "", "core.engine.d_SB_DFF_Q_DFFLC", "I3"),
]
REPORT = {
    "fmax": {"clk$SB_IO_IN_$glb_clk": {"achieved": 50.0, "constraint": 48.0}},
    "utilization": {"ICESTORM_LC": {"used": 302, "available": 5280}},
    "critical_paths": [
        {"from": "posedge clk", "to": "posedge clk", "path": PATH[:1]},
        {"from": "posedge clk", "to": "posedge clk", "path": PATH},
        {"from": "<async>", "to": "posedge clk", "path": [step("setup", 99.0, "", "s", "D")]},
    ],
}


def test_a_report_is_read_without_the_wrapper_and_the_pins():
    netlist = Netlist(UP5K, "", (("a_SB_DFF_Q", "SB_DFF"),), AROUND)
    placement = placement_of(REPORT, netlist, seed=7, wanted=48)
    assert placement.fmax == 50
    assert placement.seed == 7
    assert placement.logic == 300  # of the wrapper's two flip-flops one has a LUT with it
    assert [(hop.signal, hop.nanoseconds) for hop in placement.path] == [
        ("a[3]", 3.0),
        ("engine.b", 3.5),  # one signal, however many cells the tools made of it
        ("engine.d.I3", 0.5),
    ]
    assert placement.path_nanoseconds == pytest.approx(7.0)


def test_an_ecp5s_wrapper_takes_a_cell_for_each_lut():
    around = (("a", "TRELLIS_FF"), ("b", "TRELLIS_FF"), ("c", "LUT4"))
    report = {**REPORT, "utilization": {"TRELLIS_COMB": {"used": 11, "available": 83640}}}
    assert placement_of(report, Netlist(ECP5, "", (), around), 1, 150).logic == 10


def test_a_report_of_two_clocks_is_not_understood():
    report = {**REPORT, "fmax": {"a": {"achieved": 1.0}, "b": {"achieved": 2.0}}}
    with pytest.raises(RuntimeError, match="2 clocks"):
        placement_of(report, Netlist(UP5K, "", (), AROUND), 1, 48)


def test_a_log_says_what_there_is_too_little_of():
    log = """\
Info: Device utilisation:
Info: \t         ICESTORM_LC:    6000/   5280   113%
Info: \t        ICESTORM_RAM:      30/     30   100%
Info: \t        ICESTORM_DSP:      10/      8   125%
"""
    assert excess(log) == {"ICESTORM_LC": (6000, 5280), "ICESTORM_DSP": (10, 8)}


@pytest.fixture(scope="module")
def netlist():
    core = CoreParameters(MODEL.parameters, 2)
    return synthesise(emit(core, MODEL, boards.family.ice40.UP5K), UP5K)


def test_a_small_core_is_placed_on_a_up5k(netlist):
    placement = place(netlist, seed=1, wanted=48)
    assert 20 < placement.fmax < 100
    assert placement.path_nanoseconds == pytest.approx(1000 / placement.fmax, rel=1e-3)
    # A cell holds a LUT and a flip-flop: never fewer cells than of either, never more than of both.
    area = netlist.area
    assert max(area["lut"], area["ff"]) <= placement.logic <= area["lut"] + area["ff"] + 200
    assert not any(hop.signal.startswith("core.") for hop in placement.path)


def test_a_core_that_does_not_fit_says_by_how_much(netlist):
    smaller = replace(UP5K, arguments=("--lp1k", "--package", "qn84", "--pcf-allow-unconstrained"))
    with pytest.raises(DoesNotFitError, match=r"ICESTORM_LC, expected at most 1,280") as caught:
        place(replace(netlist, chip=smaller), seed=1, wanted=48)
    needed, there = caught.value.over["ICESTORM_LC"]
    around = count(UP5K, netlist.around)["ff"]
    assert there == 1280
    assert needed - around >= netlist.area["lut"]


def test_no_nextpnr_is_refused_with_what_to_install(monkeypatch, netlist):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("NEXTPNR_ICE40", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"nextpnr-ice40: found none .*deltarnn\[boards\]"):
        place(netlist, seed=1, wanted=48)


def test_a_nextpnr_on_the_path_comes_first(monkeypatch, tmp_path):
    native = tmp_path / "nextpnr-ice40"
    native.write_text('#!/bin/sh\necho "nextpnr-ice40 -- (Version nextpnr-0.8-13-gabc)" >&2\n')
    native.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert NEXTPNR_ICE40.command() == ["nextpnr-ice40"]
    assert NEXTPNR_ICE40.version == "nextpnr-ice40 0.8-13-gabc"
