"""Builds for boards: synthesis for all of them, bitstreams for one of each family."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

import boards.flow.build
from boards.board import BOARDS, find_board
from boards.family.pll import Ecp5Pll, Ice40Pll
from boards.flow.build import Built, build, built_core, misfit, netlist
from boards.flow.flash import steps
from boards.flow.place import DoesNotFitError
from boards.flow.stores import InChip, first_with_room, stores
from boards.link.protocol import TAG
from boards.memory.boot import image
from deltarnn.command import cli
from deltarnn.demo import held_out
from golden.model_file import load_model, save_model
from golden.parameters import CoreParameters
from hw.emit.verilog import Emission
from tests.networks import random_model

COMMAND = [sys.executable, "-c", "from deltarnn.command import main; main()"]
SMALL = random_model((4, 6), 3)
LANES = {"upduino-v3": 8, "ice40-hx8k-b-evn": 4, "ulx3s-25f": 8}  # the smallest of each family


@pytest.mark.slow
@pytest.mark.parametrize("name", LANES)
def test_every_family_takes_the_shipped_model(name):
    board, lanes = BOARDS[name], LANES[name]
    resources = netlist(held_out()[0], board, lanes).resources
    for kind, (used, there) in resources.items():
        assert used <= there, kind
    assert resources["lut"][0] > 1500
    if board.chip.capacity["dsp"]:
        assert resources["dsp"][0] >= lanes


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BOARDS.keys() - LANES - {"icebreaker"}))  # placed, below
def test_every_other_board_takes_a_core(name):
    resources = netlist(SMALL, BOARDS[name], 2).resources
    assert all(used <= there for used, there in resources.values())
    assert resources["lut"][0] > 500


@pytest.mark.slow
def test_a_bitstream_and_what_is_said_of_it(tmp_path):
    """For an ECP5: weights in it."""
    board = BOARDS["ulx3s-25f"]
    steps = []
    built = build(SMALL, board, tmp_path / "a", lanes=2, clock=50, report=steps.append)
    assert built.clock == 50 <= built.fmax
    assert built.baud == pytest.approx(board.baud, rel=0.02)
    assert any("place and route" in step for step in steps)
    names = ["ulx3s-25f.bit", "ulx3s-25f.json"]
    assert [file.rpartition("/")[2] for file in built.files] == names
    assert (tmp_path / "a" / names[0]).stat().st_size > 1000
    manifest = json.loads((tmp_path / "a" / names[1]).read_text())
    assert manifest["resources"]["lut"][0] == built.resources["lut"][0]
    assert manifest["core"]["model"]["name"] == "random"
    assert {path.name for path in (tmp_path / "a").glob("*.log")} == {
        "core.log",
        "board.log",
        "route.log",
    }


@pytest.mark.slow
def test_icebreaker_from_the_command(tmp_path):
    """Bitstream and weights. At a clock that closes at once, to be quick."""
    path = tmp_path / "model.safetensors"
    save_model(SMALL, path)
    words = ["build", path, "--board", "icebreaker", "--lanes", 2, "--clock", 30]
    words += ["-o", tmp_path / "out", "--json"]
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["lanes"] == 2
    assert report["fmax"] >= report["clock"] == 30
    assert report["resources"]["spram"] == [1, 4]
    bitstream, weights, _ = report["files"]
    with open(bitstream, "rb") as file:  # noqa: PTH123  # as the flash will hold it
        content = file.read()
    assert content[:4] == b"\xff\x00\x00\xff"
    assert len(content) < find_board("icebreaker").flash
    with open(weights, "rb") as file:  # noqa: PTH123
        assert file.read(4) == b"DRNW"


@pytest.mark.slow
def test_what_does_not_fit_is_said_and_what_would_help(tmp_path):
    big = random_model((40, 200), 10)
    with pytest.raises(
        DoesNotFitError, match=r"block RAM, expected at most 32 \(16 kB\): fewer units or"
    ) as error:
        build(big, BOARDS["ice40-hx8k-b-evn"], tmp_path, lanes=1)
    assert error.value.over["bram"][1] == 32
    with pytest.raises(ValueError, match="SPRAM"):
        build(SMALL, BOARDS["icebreaker"], tmp_path, lanes=16)


def small(lanes, activations=1):
    return CoreParameters(SMALL.parameters, lanes, activations)


def builds_what_fits(monkeypatch, most):
    """What synthesis finds is made up: cores of more than ``most`` lanes and units need too much.

    A list of what was tried, (lanes, units a cycle), is returned.
    """
    tried = []

    def run(work, clocks):
        core = work.parameters
        tried.append((core.lanes, core.activations))
        in_chip = work.store.name == "chip"
        if in_chip and (tried[-1] > most or core.activations > most[1]):
            raise misfit(work.store, core, {"bram": (25 + core.lanes * core.activations, 30)})
        built = Built(
            work.board.name,
            "m",
            core.lanes,
            core.activations,
            clock=12,
            fmax=13,
            baud=1,
            resources={},
            weights=1,
            dense_cycles=1,
            seconds=0.0,
            store=work.store.name,
            further=work.further,
            fewer=work.fewer,
            slower=work.slower,
        )
        manifest = {
            "store": built.store,
            "lanes": built.lanes,
            "activations": built.activations,
            "core": {"model": {"sha256": SMALL.sha256}},
        }
        if core.training is not None:
            manifest["core"]["training"] = {"frames": core.training.tape.frames}
        (work.folder / f"{work.board.name}.json").write_text(json.dumps(manifest))
        return built

    monkeypatch.setattr(boards.flow.build._Work, "run", run)
    return tried


def test_fewer_lanes_than_the_boards_are_said_and_kept(monkeypatch, tmp_path):
    tried = builds_what_fits(monkeypatch, (4, 1))
    board = BOARDS["icebreaker"]
    assert built_core(SMALL, board, tmp_path) is None
    built = build(SMALL, board, tmp_path)
    assert (built.lanes, built.fewer, built.slower) == (4, "8 need 33 block RAM of 30", "")
    assert tried == [(8, 1), (4, 1)]
    assert built_core(SMALL, board, tmp_path) == (InChip(board), small(4))
    assert built_core(replace(SMALL, sha256="other"), board, tmp_path) is None
    assert build(SMALL, board, tmp_path, lanes=2).fewer == ""


def test_a_core_that_trains_has_lanes_and_units_of_its_own(monkeypatch, tmp_path):
    tried = builds_what_fits(monkeypatch, (8, 2))
    board = BOARDS["ulx3s-85f"]
    built = build(SMALL, board, tmp_path, frames=9)
    assert tried == [(16, 2), (16, 1), (8, 2)]
    _, core = built_core(SMALL, board, tmp_path)
    assert (core.lanes, core.activations) == (built.lanes, built.activations) == (8, 2)
    assert core.training.tape.frames == 9
    with pytest.raises(ValueError, match="frames of the tape: found 257"):
        build(SMALL, board, tmp_path, frames=257)


def test_units_a_cycle_are_given_up_before_lanes(monkeypatch, tmp_path):
    tried = builds_what_fits(monkeypatch, (8, 2))
    board = BOARDS["ulx3s-25f"]
    built = build(SMALL, board, tmp_path)
    assert (built.lanes, built.activations) == (8, 2)
    assert built.fewer == "16 need 41 block RAM of 30"
    assert built.slower == "4 need 57 block RAM of 30"
    assert tried == [(16, 4), (16, 2), (16, 1), (8, 4), (8, 2)]
    assert built_core(SMALL, board, tmp_path) == (InChip(board), small(8, 2))
    with pytest.raises(DoesNotFitError, match="8 lanes and 4 units a cycle on ulx3s-25f"):
        build(SMALL, board, tmp_path, lanes=8, activations=4)
    built = build(SMALL, board, tmp_path, lanes=3)  # which only one divides
    assert (built.lanes, built.activations, built.slower) == (3, 1, "")
    with pytest.raises(ValueError, match="a power of two that divides 3 lanes"):
        build(SMALL, board, tmp_path, lanes=3, activations=2)


def test_what_a_chip_does_not_hold_goes_into_its_sdram(monkeypatch, tmp_path):
    tried, board = builds_what_fits(monkeypatch, (0, 0)), BOARDS["ulx3s-25f"]
    (sdram,) = stores(board, "sdram")
    built = build(SMALL, board, tmp_path)
    assert (built.store, built.lanes, built.activations) == ("sdram", 2, 1)
    assert built.further.endswith("26 block RAM of 30")
    assert built.fewer == built.slower == ""
    assert tried[-2:] == [(1, 1), (2, 1)]
    assert built_core(SMALL, board, tmp_path) == (sdram, small(2))
    assert built_core(SMALL, board, tmp_path, "chip") is None
    with pytest.raises(DoesNotFitError):  # asked for as it is, it stays where it is
        build(SMALL, board, tmp_path, lanes=2)
    with pytest.raises(DoesNotFitError):
        build(SMALL, board, tmp_path, weights="chip")
    # What is too large is known at once.
    tried.clear()
    large = random_model((40, 300), 10)
    built = build(large, board, tmp_path)
    assert tried == [(2, 1)]
    assert built.further == "151 block RAM of 56"
    with pytest.raises(DoesNotFitError, match="weights on ulx3s-25f"):
        first_with_room(large, board, "chip")
    assert first_with_room(large, board) == sdram


def test_units_a_cycle_are_kept_and_lanes_are_not_fewer(monkeypatch, tmp_path):
    tried, board = builds_what_fits(monkeypatch, (8, 4)), BOARDS["ulx3s-85f"]
    built = build(SMALL, board, tmp_path, activations=4)
    assert (built.lanes, built.activations) == (8, 4)
    assert tried == [(32, 4), (16, 4), (8, 4)]
    for wrong in (16, 3, 0, -2):
        said = f"activations: found {wrong}, expected"
        with pytest.raises(ValueError, match=said):
            build(SMALL, BOARDS["icebreaker"], tmp_path, activations=wrong)


def test_weights_that_no_flash_addresses_come_from_the_host():
    """And no bitstream reaches to where the others begin: an ULX3S-85F's has 2.4 MB at most."""
    (sdram,) = stores(BOARDS["ulx3s-85f"], "sdram")
    assert sdram.sdram.flash > 2_500_000
    most = (1 << 24) - sdram.sdram.flash - len(image(bytes(TAG), b""))
    for length, place in ((most, sdram.sdram.flash), (most + 1, None)):
        assert sdram.flash(Emission("", {}, bytes(length))) == place


@pytest.mark.parametrize(
    ("board", "how", "said"),
    [
        ("icebreaker", {}, "weights of icebreaker: found sdram, expected chip"),
        ("ulx3s-85f", {"lanes": 4}, "lanes of a core with an SDRAM: found 4, expected 2"),
        ("ulx3s-85f", {"frames": 9}, "weights of a core that trains: found sdram, expected chip"),
        ("ulx3s-85f", {"activations": 4}, "activations: found 4, expected"),
    ],
)
def test_what_no_sdram_has_is_refused(board, how, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        build(SMALL, BOARDS[board], tmp_path / "out", weights="sdram", **how)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_bitstream_with_its_weights_in_an_sdram(tmp_path):
    built = build(SMALL, BOARDS["ulx3s-85f"], tmp_path, weights="sdram", clock=80)
    assert built.fmax >= built.clock == 80
    assert built.resources["lut"][0] < 6000
    bitstream, weights, _ = map(Path, built.files)
    assert bitstream.stat().st_size > 100_000
    assert weights.read_bytes()[:4] == b"DRNW"
    _, command = steps(SMALL, BOARDS["ulx3s-85f"], tmp_path)
    assert command[-4:] == [str(0x300000), "--file-type", "raw", str(weights)]


PLAIN, MOVED, RIPPED = (), ("--opt-timing",), ("--tmg-ripup",)


@pytest.mark.parametrize(
    ("board", "reached", "clock", "placed"),
    [
        ("icebreaker", [48.4], 48, [(1, PLAIN)]),
        ("icebreaker", [46.0, 48.0], 48, [(1, PLAIN), (1, MOVED)]),
        ("icebreaker", [46.0, 47.1, 48.0], 48, [(1, PLAIN), (1, MOVED), (2, MOVED)]),
        (
            "icebreaker",
            [45.7, 46.0, 47.9, 46.9, 46.1],
            45,
            [(1, PLAIN), (1, MOVED), (2, MOVED), (3, MOVED), (1, PLAIN)],
        ),
        ("icebreaker", [45.5, 45.1], 45, [(1, PLAIN), (1, PLAIN)]),
        ("ulx3s-85f", [143.0, 150.2], 150, [(1, PLAIN), (1, RIPPED)]),
        (
            "ulx3s-85f",
            [144.0, 149.0, 146.0, 141.0, 138.0, 141.0],
            140,
            [(1, PLAIN), (1, RIPPED), (2, RIPPED), (3, RIPPED), (1, PLAIN), (1, RIPPED)],
        ),
        ("ulx3s-85f", [125.5, 126.0], 125, [(1, PLAIN), (1, PLAIN)]),
    ],
    ids=[
        "at once",
        "moved",
        "the second placement",
        "none of three",
        "too far off to try again",
        "with ripped-up wires",
        "nor with any placement",
        "too far off to try harder",
    ],
)
def test_a_clock_that_is_nearly_reached_is_tried_again(
    board, reached, clock, placed, monkeypatch, tmp_path
):
    """What nextpnr reaches is made up."""
    tried = []
    memories = {"weights": {"words": 1, "width": 8}}
    emission = SimpleNamespace(manifest={"memories": memories})
    design = SimpleNamespace(shell=SimpleNamespace(divisor=16))

    def route(work, mhz, seed=1, *more):
        tried.append((seed, more))
        return reached[len(tried) - 1]

    monkeypatch.setattr(boards.flow.build._Work, "core", lambda work, *_: emission)
    monkeypatch.setattr(boards.flow.build._Work, "board_design", lambda work, *_: (design, {}))
    monkeypatch.setattr(boards.flow.build._Work, "_route", route)
    monkeypatch.setattr(boards.flow.build._Work, "_finished", lambda *_: ())
    built = build(SMALL, BOARDS[board], tmp_path)
    assert built.clock == clock
    assert tried == placed
    assert built.fmax >= clock


@pytest.mark.parametrize(
    ("name", "built"),
    [("icebreaker", (4, 1)), ("icebreaker", None), ("ulx3s-25f", (8, 2)), ("ulx3s-25f", None)],
)
def test_run_simulates_the_core_that_was_built(name, built, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    save_model(SMALL, tmp_path / "m.safetensors")
    np.save("frames.npy", np.zeros((1, 4), np.int8))
    if built is not None:
        folder = tmp_path / f"build/m-{name}"
        folder.mkdir(parents=True)
        sha256 = load_model(tmp_path / "m.safetensors").sha256
        sizes = dict(zip(("lanes", "activations"), built, strict=True))
        manifest = {**sizes, "core": {"model": {"sha256": sha256}}}
        (folder / f"{name}.json").write_text(json.dumps(manifest))

    def simulated(made, _):
        raise RuntimeError("{lanes} and {activations}".format(**made.emission.manifest))

    monkeypatch.setattr("deltarnn.commands.at_board.simulated", simulated)
    words = ["run", "m.safetensors", "frames.npy", "--board", name, "--simulated-board"]
    done = CliRunner().invoke(cli, words)
    board = BOARDS[name]
    lanes, activations = built or (board.lanes, board.activations)
    assert str(done.exception) == f"{lanes} and {activations}"


def test_a_clock_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(ValueError, match="clock: found 3000 MHz"):
        build(SMALL, BOARDS["ulx3s-25f"], tmp_path, lanes=1, clock=3000)
    with pytest.raises(ValueError, match="no-such"):
        find_board("no-such")


@pytest.mark.parametrize(
    ("pll", "source", "wanted", "expected"),
    [
        (Ice40Pll, 12, 48, 48),
        (Ice40Pll, 12, 47.9, 47.25),
        (Ecp5Pll, 25, 125, 125),
        (Ecp5Pll, 48, 120, 120),
        (Ecp5Pll, 12, 100, 100),
    ],
)
def test_plls_make_the_fastest_clock_that_is_not_too_fast(pll, source, wanted, expected):
    assert pll("clk", source, wanted).mhz == pytest.approx(expected)
