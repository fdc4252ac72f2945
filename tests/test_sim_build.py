"""A built simulation is used again only where it would have been built alike."""

import cocotb_tools.config
import pytest

from golden.parameters import CoreParameters
from hw.emit.verilog import emit
from sim import harness
from sim.build import build
from sim.harness import Harness
from sim.simulators import SIMULATORS
from tests.networks import random_model
from tests.slow import quick


@pytest.mark.parametrize("simulator", quick(SIMULATORS, ("icarus",)))
def test_builds_are_kept_apart_by_where_cocotb_lies(simulator, monkeypatch, tmp_path):
    """The built program looks for cocotb's libraries where they lay when it was linked."""
    monkeypatch.setenv("DELTARNN_CACHE", str(tmp_path / "cache"))
    model = random_model((1, 1), None)
    emission = emit(CoreParameters(model.parameters, 1), model)
    here = build(emission, simulator)
    assert build(emission, simulator).folder == here.folder
    elsewhere = tmp_path / "elsewhere"
    elsewhere.symlink_to(cocotb_tools.config.libs_dir)
    monkeypatch.setattr(cocotb_tools.config, "libs_dir", elsewhere)
    assert build(emission, simulator).folder != here.folder


@pytest.mark.slow
def test_builds_are_kept_apart_by_the_harness(monkeypatch, tmp_path):
    monkeypatch.setenv("DELTARNN_CACHE", str(tmp_path / "cache"))
    model = random_model((1, 1), None)
    emission = emit(CoreParameters(model.parameters, 1), model)
    here = build(emission, Harness())
    assert build(emission, Harness()).folder == here.folder
    source = harness.harness_source()
    monkeypatch.setattr(harness, "harness_source", lambda: source + "// changed\n")
    assert build(emission, Harness()).folder != here.folder
