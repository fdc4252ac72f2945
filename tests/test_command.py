import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import entry_points, version
from pathlib import Path

import numpy as np
import pytest

from golden.model_file import load_model, save_model
from golden.network import run_sequences
from tests import test_golden_arrays, test_golden_model
from tests.networks import random_frames
from tests.slow import every
from tests.test_golden_model import GOOD

MODEL, FRAMES, OUT = "model.safetensors", "frames.npy", "out.npz"
GOLDEN = ["golden", MODEL, FRAMES, "-o", OUT]
SIMULATE = ["simulate", MODEL, FRAMES, "--simulator", "icarus"]
FILES = ("verilog", "manifest", "header", "lint", "weights")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with a good model and good frames, in which the command is run."""
    save_model(GOOD, tmp_path / MODEL)
    np.save(tmp_path / FRAMES, random_frames(GOOD, 20, moving=0.6))
    return tmp_path


def deltarnn(
    folder: Path, *words: str, before: str = "", **environment: str
) -> subprocess.CompletedProcess:
    """Runs the command in ``folder``; ``before`` is Python to run first."""
    code = f"{before}\nfrom deltarnn.command import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def assert_refused(folder: Path, words: list[str], naming: list[str], **more: str) -> None:
    """Exit status 2, one line that names the thing, and the folder as it was."""
    before = contents(folder)
    done = deltarnn(folder, *words, **more)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("deltarnn: ")
    assert "Traceback" not in lines[0]
    for name in naming:
        assert name in lines[0]
    assert done.returncode == 2
    assert done.stdout == ""
    assert contents(folder) == before


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("case", every(8, test_golden_model.BROKEN))
def test_a_broken_model_is_refused(case, folder):
    path = folder / "broken.safetensors"
    text = test_golden_model.write_broken(case, path)
    words = ["golden", path.name, FRAMES, "-o", OUT]
    assert_refused(folder, words, [f"deltarnn: {path.name}: ", one_line(text), ", expected "])


@pytest.mark.parametrize("case", every(4, test_golden_arrays.BROKEN))
def test_broken_frames_are_refused(case, folder):
    path = folder / "broken.npy"
    write, found = test_golden_arrays.BROKEN[case]
    write(path)
    expected = "expected a .npy array [T, I]"
    words = ["golden", MODEL, path.name, "-o", OUT]
    assert_refused(folder, words, [f"deltarnn: {path.name}: {found}", expected])


def test_frames_outside_of_a_narrow_format_are_refused(folder):
    save_model(test_golden_arrays.NARROW, folder / MODEL)
    np.save(folder / FRAMES, np.full((4, 3), 32, dtype=np.int8))
    assert_refused(folder, GOLDEN, [FRAMES, "found value 32, expected -32..31"])


@pytest.mark.parametrize(
    "words",
    [
        ["info", "absent", "--json"],
        ["generate", "absent", "-o", "rtl"],
        ["simulate", "absent", FRAMES, "-o", OUT],
        ["simulate", MODEL, "absent", "-o", OUT],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_every_command_refuses_what_is_not_there(words, folder):
    assert_refused(folder, words, ["deltarnn: absent: ", "found No such file or directory"])


INFO, GENERATE = ["info", MODEL], ["generate", MODEL, "-o", "rtl"]


@pytest.mark.parametrize(
    ("words", "lanes", "naming"),
    [
        (INFO, "-1", "lanes: found -1, expected an integer from 1 to 1024"),
        (INFO, "1025", "lanes: found 1025, expected an integer from 1 to 1024"),
        (INFO, "2.5", "'--lanes': '2.5' is not a valid integer"),
        *((words, "0", "lanes: found 0, expected") for words in (INFO, GENERATE, SIMULATE)),
        *((words, "abc", "'abc' is not a valid") for words in (INFO, GENERATE, SIMULATE)),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_lanes_that_no_core_has_are_refused(words, lanes, naming, folder):
    assert_refused(folder, [*words, "--lanes", lanes], [naming])


@pytest.mark.parametrize("words", [GENERATE, SIMULATE], ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("more", "naming"),
    [
        (["--target", "asic"], "target: found 'asic', expected generic or up5k or ecp5"),
        (["--activations", "3"], "activations: found 3, expected a power of two that divides 8 l"),
        (["--activations", "16"], "activations: found 16, expected a power of two that divides 8"),
        (["--activations", "0"], "activations: found 0, expected an integer from 1 to 64"),
        (["--target", "up5k", "--lanes", "9"], "lanes: found 9, expected at most 8"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_core_that_cannot_be_is_refused(words, more, naming, folder):
    assert_refused(folder, [*words, *more], [naming])


@pytest.mark.parametrize("command", [["simulate", MODEL, FRAMES, "-o", OUT], ["demo"]])
def test_an_unknown_simulator_is_refused(command, folder):
    naming = ["simulator: found 'modelsim', expected icarus or verilator"]
    assert_refused(folder, [*command, "--simulator", "modelsim"], naming)


@pytest.mark.parametrize(("simulator", "missing"), [("icarus", "iverilog"), ("verilator", "perl")])
def test_a_simulator_that_is_not_installed_is_refused(simulator, missing, folder):
    words = ["simulate", MODEL, FRAMES, "--simulator", simulator, "-o", OUT]
    naming = [f"simulator {simulator}: found no {missing} on PATH", f"apt-get install {missing}"]
    assert_refused(folder, words, naming, PATH=str(folder))


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (SIMULATE, "cocotb_tools", "sim"),
        (["demo"], "cocotb_tools", "sim,boards"),
        (["train", "japanese_vowels", "-o", "m"], "torch", "train"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_a_package_of_an_extra_that_is_not_installed_is_refused(words, package, extra, folder):
    hidden = f"import sys; sys.modules[{package!r}] = None"
    assert_refused(folder, words, [package, f"deltarnn[{extra}]"], before=hidden)


@pytest.mark.parametrize(
    ("words", "naming"),
    [
        ([*GOLDEN[:-1], "file/out.npz"], "file: found Not a directory"),
        ([*GOLDEN[:-1], "absent/out.npz"], "absent: found No such file or directory"),
        ([*GOLDEN[:-1], "taken"], "taken: found a folder, expected a file"),
        ([*GOLDEN[:-1], "."], ".: found a folder, expected a file"),
        (["generate", MODEL, "-o", "file"], "file: found File exists, expected a folder"),
        (["generate", MODEL, "-o", "file/rtl"], "file/rtl: found Not a directory, expected a fol"),
        ([*SIMULATE, "-o", "file/out.npz"], "file: found Not a directory"),
        ([*SIMULATE, "--waves", "absent/waves.vcd"], "absent: found No such file or directory"),
        (["train", "japanese_vowels", "-o", "absent/m"], "absent: found No such file or directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_output_that_cannot_be_written_is_refused(words, naming, folder):
    """A file where a folder should be stops every user, root included."""
    (folder / "file").write_text("in the way")
    (folder / "taken").mkdir()
    assert_refused(folder, words, [f"deltarnn: {naming}"])


def test_a_refusal_leaves_an_earlier_result_alone(folder):
    (folder / OUT).write_bytes(b"earlier")
    np.save(folder / FRAMES, np.zeros((4, 9), dtype=np.int8))
    assert_refused(folder, GOLDEN, [FRAMES, "9 features, expected 3"])


@pytest.mark.parametrize(
    ("words", "naming"),
    [
        (["synthesise"], "No such command 'synthesise'"),
        (["--verbose"], "No such option '--verbose'"),
        (["info", MODEL, "--verbose"], "No such option '--verbose'"),
        (["info"], "Missing argument 'MODEL'"),
        (["golden", MODEL, "-o", OUT], "Missing argument 'FRAMES'"),
        (["golden", MODEL, FRAMES], "Missing option '-o' / '--output'"),
        (["generate", MODEL], "Missing option '-o' / '--output'"),
        (["info", MODEL, "--lanes"], "Option '--lanes' requires an argument"),
        (["info", MODEL, "more"], "unexpected extra argument (more)"),
        (["train", "unicorns", "-o", OUT], "task: found 'unicorns', expected japanese_vowels"),
        (["train", "digits", "-o", OUT, "--data", "absent"], "absent: found no folder"),
        (["train", "kitti", "-o", OUT, "--method", "magic"], "method: found 'magic', expected pl"),
        (["results", "--only", "unicorns"], "study: found 'unicorns', expected japanese_vowels"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_line_that_makes_no_sense_is_refused(words, naming, folder):
    assert_refused(folder, words, [naming])


def test_without_a_command_it_says_which_there_are(folder):
    done = deltarnn(folder)
    assert done.returncode == 2
    for command in ("info", "golden", "generate", "simulate", "demo", "train", "results"):
        assert f"\n  {command} " in done.stdout
    assert done.stderr == ""


def test_help_and_version_are_no_errors(folder):
    for words, text in ((["--help"], "Commands:"), (["golden", "-h"], "FRAMES")):
        done = deltarnn(folder, *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert text in done.stdout
    assert version("deltarnn") in deltarnn(folder, "--version").stdout


def test_it_is_installed_under_its_name():
    (script,) = entry_points(group="console_scripts", name="deltarnn")
    assert script.value == "deltarnn.command:main"


# Good input.


def succeeded(done: subprocess.CompletedProcess) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("length", [1, 20, 2500])  # 2500 frames are more than one run of 1000
def test_golden_writes_what_the_network_does(length, folder):
    frames = random_frames(GOOD, length, moving=0.6)
    np.save(folder / FRAMES, frames)
    report = json.loads(succeeded(deltarnn(folder, *GOLDEN, "--json")))
    (expected,) = run_sequences(GOOD, [frames])
    with np.load(folder / OUT, allow_pickle=False) as arrays:
        found = dict(arrays)
    assert {name: (array.shape, array.dtype) for name, array in found.items()} == {
        "outputs": ((length, 2), np.int64),
        "state": ((length, 5), np.int64),
        "events_x": ((length, 3), np.int64),
        "events_h": ((length, 3), np.int64),
    }
    for name, array in found.items():
        assert (array == getattr(expected, name)).all()
    # Columns: 3 and 4 of x, 4 and 5 of h, 5 of the read-out; a column is 12, 15 or 2 weights.
    assert report["frames"] == length
    assert report["output"] == OUT
    assert report["weight_fetches_dense"] == length * (12 * 7 + 15 * 9 + 2 * 5)
    events = expected.events_x + expected.events_h
    assert report["weight_fetches"] == (events @ [12, 15, 2]).sum()
    assert report["occupancy_x"] == pytest.approx(expected.events_x.sum() / (length * 12))
    assert report["occupancy_h"] == pytest.approx(expected.events_h.sum() / (length * 9))


def test_golden_reports_in_a_table_and_writes_over_an_earlier_result(folder):
    (folder / OUT).write_bytes(b"earlier")
    assert "weight_fetches_dense" in succeeded(deltarnn(folder, *GOLDEN))
    assert sorted(np.load(folder / OUT)) == ["events_h", "events_x", "outputs", "state"]
    assert {path.name for path in folder.iterdir()} == {MODEL, FRAMES, OUT}


def test_golden_writes_the_same_bytes_twice(folder):
    written = []
    for _ in range(2):
        succeeded(deltarnn(folder, *GOLDEN))
        written.append((folder / OUT).read_bytes())
    assert written[0] == written[1]


def test_generate_writes_its_files_the_same_bytes_twice(folder):
    written = []
    for rtl in ("first", "deep/second"):
        words = ["generate", MODEL, "-o", rtl, "--lanes", "2", "--json"]
        report = json.loads(succeeded(deltarnn(folder, *words)))
        files = {path.name: path.read_bytes() for path in (folder / rtl).iterdir()}
        assert set(files) == {Path(report[key]).name for key in report if key in FILES}
        assert report["lanes"] == 2
        written.append(files)
    assert written[0] == written[1]
    assert set(written[0]) == {f"deltarnn_core.{kind}" for kind in ("v", "json", "h", "vlt")}
    assert json.loads(written[0]["deltarnn_core.json"])["lanes"] == 2
    assert b"module deltarnn_core" in written[0]["deltarnn_core.v"]


@pytest.mark.parametrize("target", ["up5k", "ecp5"])
def test_generate_makes_it_of_a_targets_cells(target, folder):
    words = ["generate", MODEL, "-o", "rtl", "--lanes", "4", "--activations", "2"]
    report = json.loads(succeeded(deltarnn(folder, *words, "--target", target, "--json")))
    names = {path.name for path in (folder / "rtl").iterdir()}
    assert names == {Path(report[key]).name for key in report if key in FILES}
    assert ("weights.bin" in names) == (target == "up5k")
    cell = {"up5k": "SB_MAC16", "ecp5": "MULT18X18D"}[target]
    assert (folder / report["verilog"]).read_text().count(f"{cell} ") >= 4
    manifest = json.loads((folder / report["manifest"]).read_text())
    assert (manifest["target"], manifest["lanes"], manifest["activations"]) == (target, 4, 2)
    if target == "up5k":
        weights = manifest["memories"]["weights"]
        size = weights["words"] * weights["width"] // 8
        assert (folder / report["weights"]).stat().st_size == size


def test_generate_makes_a_core_that_trains(folder):
    words = ["generate", MODEL, "-o", "rtl", "--lanes", "2", "--train", "--frames", "9", "--json"]
    report = json.loads(succeeded(deltarnn(folder, *words)))
    manifest = json.loads((folder / report["manifest"]).read_text())
    assert manifest["training"]["frames"] == 9
    assert {"TRAIN", "LABEL", "MASTER"} <= {r["name"] for r in manifest["registers"]}
    assert "DELTARNN_TRAIN_RECORD" in (folder / report["header"]).read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--train", "--target", "up5k"], "target: found up5k, expected one whose weights are "),
        (["--train", "--streams", "2"], "streams of a core that trains: found 2, expected 1"),
        (["--frames", "9"], "--frames: found 9, expected --train beside it"),
        (["--train", "--frames", "257"], "257 is not in the range 1<=x<=256"),
    ],
)
def test_generate_refuses_what_cannot_train(words, said, folder):
    assert_refused(folder, ["generate", MODEL, "-o", "rtl", *words], [said])


@pytest.mark.parametrize("target", ["up5k", "ecp5"])
def test_simulate_makes_it_of_a_targets_cells(target, folder):
    words = [*SIMULATE, "--target", target, "--activations", "4", "--json"]
    report = json.loads(succeeded(deltarnn(folder, *words)))
    assert report["equal"]
    assert report["frames"] == 20


@pytest.mark.slow
def test_simulate_teaches_a_core_and_compares_its_masters(folder):
    models = Path(__file__).parents[1] / "models"
    words = ["simulate", f"{models}/japanese_vowels_eight.safetensors"]
    words += [f"{models}/japanese_vowels_eight.lessons.npz", "--train", "--rate", "7", "--json"]
    report = json.loads(succeeded(deltarnn(folder, *words, "-o", "out.npz")))
    assert report["equal"]
    assert (report["sequences"], report["dropped"], report["masters_compared"]) == (34, 0, 4713)
    with np.load(folder / "out.npz") as arrays:
        assert len(arrays["outputs"]) == report["frames"] == arrays["lengths"].sum()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rate", "5"], "--rate: found it alone, expected --train beside it"),
        (["--readout-only"], "--readout-only: found it alone, expected --train beside it"),
        (["--train"], "found no labels, expected a class for each recording"),
        (["--train", "--known", "3"], "--known: found 3, expected at most 2"),
        (["--train", "--streams", "2"], "streams of a core that trains: found 2, expected 1"),
    ],
)
def test_simulate_refuses_what_cannot_be_learned(words, said, folder):
    command = SIMULATE
    if "--streams" in words:
        shipped = Path(__file__).parents[1] / "models/japanese_vowels"
        command = ["simulate", f"{shipped}.safetensors", f"{shipped}.frames.npz"]
    assert_refused(folder, [*command, *words], [said])


def test_several_streams(folder):
    words = [*SIMULATE, "--streams", "3", "--json"]
    report = json.loads(succeeded(deltarnn(folder, *words)))
    assert report["equal"]
    assert (report["streams"], report["frames"]) == (3, 20)
    words = ["generate", MODEL, "-o", "rtl", "--streams", "3", "--json"]
    assert json.loads(succeeded(deltarnn(folder, *words)))["streams"] == 3
    manifest = json.loads((folder / "rtl/deltarnn_core.json").read_text())
    widths = {port["name"]: port["width"] for port in manifest["ports"]}
    assert (manifest["streams"], widths["s_axis_tid"], widths["m_axis_tid"]) == (3, 2, 2)
    assert "DELTARNN_STREAMS 3" in (folder / "rtl/deltarnn_core.h").read_text()


def test_weights_outside(folder):
    words = [*SIMULATE, "--weights", "outside", "-o", "out.npz", "--json"]
    report = json.loads(succeeded(deltarnn(folder, *words)))
    assert report["equal"] is True
    found = np.load(folder / "out.npz")
    assert report["bytes_per_frame"] == found["bytes"].mean()
    words = ["generate", MODEL, "-o", "rtl", "--weights", "outside", "--json"]
    report = json.loads(succeeded(deltarnn(folder, *words)))
    manifest = json.loads((folder / "rtl" / "deltarnn_core.json").read_text())
    widths = {port["name"]: port["width"] for port in manifest["ports"]}
    assert (widths["m_columns_tdata"], widths["s_columns_tdata"]) == (64, 64)
    assert manifest["memories"]["weights"]["outside"] is True
    per_event = [layer["bytes_per_event"] for layer in manifest["layers"]]
    events = found["events_x"] + found["events_h"]
    assert np.array_equal(found["bytes"], events @ per_event)
    columns = sum(
        (layer["inputs"] + (layer["theta_h"] is not None) * layer["units"]) * n
        for layer, n in zip(manifest["layers"], per_event, strict=True)
    )
    assert len((folder / report["weights"]).read_bytes()) == columns


def test_weights_in_an_sdram(folder):
    words = [*SIMULATE, "--weights", "sdram"]
    done = deltarnn(folder, *words, "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["equal"] is True
    assert report["bytes_per_frame"] > 0
    assert "lanes: 2 instead of 8, as many as weights come from the sdram at once" in done.stderr
    expected = "lanes of a core with an SDRAM: found 1, expected 2"
    assert_refused(folder, [*words, "--lanes", "1"], [expected])


def test_weights_in_a_flash(folder):
    done = deltarnn(folder, *SIMULATE, "--weights", "flash", "--target", "up5k", "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["equal"] is True
    assert report["bytes_per_frame"] > 0
    assert "lanes: 1 instead of 8, as many as weights come from the flash at once" in done.stderr


def test_fewer_lanes_with_weights_outside_are_a_power_of_two(folder):
    words = ["generate", MODEL, "-o", "rtl", "--weights", "outside", "--lanes", "256", "--json"]
    done = deltarnn(folder, *words)
    assert done.returncode == 0
    lanes = json.loads(done.stdout)["lanes"]
    widest = max(layer.units for layer in load_model(folder / MODEL).parameters.layers)
    assert widest <= lanes < 2 * widest
    assert lanes & (lanes - 1) == 0


@pytest.mark.parametrize("command", [["generate", MODEL, "-o", "rtl", "--frames", "9"], SIMULATE])
def test_weights_of_a_core_that_trains_are_not_outside(folder, command):
    said = "weights of a core that trains: found outside, expected chip"
    assert_refused(folder, [*command, "--train", "--weights", "outside"], [said])


@pytest.mark.parametrize("streams", ["0", "17", "-1"])
@pytest.mark.parametrize("command", [["generate", MODEL, "-o", "rtl"], SIMULATE])
def test_so_many_streams_are_refused(streams, command, folder):
    naming = [f"streams: found {streams}, expected an integer from 1 to 16"]
    assert_refused(folder, [*command, "--streams", streams], naming)


def test_generate_prints_each_path_whole_on_a_line_of_its_own(folder):
    rtl = folder / ("[long] " + "x" * 120)
    done = deltarnn(folder, "generate", MODEL, "-o", str(rtl), COLUMNS="80")
    names = [f"deltarnn_core.{kind}" for kind in ("v", "json", "h", "vlt")]
    assert succeeded(done).splitlines() == [str(rtl / name) for name in names]


def test_info_says_what_is_in_a_model(folder):
    printed = succeeded(deltarnn(folder, "info", MODEL, COLUMNS="200"))
    for text in ("random", "gru 3 -> 4", "gru 4 -> 5", "linear 5 -> 2", "theta_h 4", "state Q3.4"):
        assert text in printed
    for text in (GOOD.sha256 or "", " bits of weights, "):
        assert text in printed


def test_info_says_it_in_json_too(folder):
    words = ["info", MODEL, "--lanes", "2", "--json"]
    report = json.loads(succeeded(deltarnn(folder, *words)))
    assert report["name"] == "random"
    assert report["labels"] == ["left", "right"]
    assert report["formats"]["readout"] == "Q7.8"
    assert report["weights"] == 12 * 7 + 15 * 9 + 2 * 5
    assert report["accumulator_width"] == GOOD.parameters.accumulator_width
    assert [layer["kind"] for layer in report["layers"]] == ["gru", "gru", "linear"]
    # Blocks of two units: 3 * 2 for 7 columns, 3 * 3 for 9, 1 for 5.
    assert report["dense_cycles"] == 6 * 7 + 9 * 9 + 1 * 5
    dense = report["dense_cycles"] * report["lanes"]
    assert report["fetched_bytes"] == {"1": dense, "0.1": round(dense / 10)}


@pytest.mark.parametrize("name", ["[/b]", "a [red] :smile: name", "two\nlines"])
@pytest.mark.parametrize("words", [["info", MODEL], GOLDEN], ids=["info", "golden"])
def test_any_name_is_printed_as_it_is(name, words, folder):
    save_model(replace(GOOD, name=name), folder / MODEL)
    printed = succeeded(deltarnn(folder, *words, COLUMNS="200"))
    assert all(line in printed for line in name.splitlines())
