"""Messages that stay one line, outputs that are something else, and what nobody expected."""

import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from deltarnn import command, console
from deltarnn.commands.run import _lines
from golden.fixed import Q
from golden.formats import Formats
from golden.model import Model
from golden.model_file import load_model, save_model
from tests.networks import random_frames, random_model
from tests.test_command import deltarnn
from tests.test_golden_model import GOOD

MODEL, FRAMES = "model", "frames.npy"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    save_model(GOOD, tmp_path / MODEL)
    np.save(tmp_path / FRAMES, random_frames(GOOD, 5))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: str) -> tuple[object, str, str]:
    """Exit status, standard output and standard error of the command, run in this process."""
    out, err = io.StringIO(), io.StringIO()
    argv, sys.argv = sys.argv, ["deltarnn", *words]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            command.main()
    finally:
        sys.argv = argv
    return ended.value.code, out.getvalue(), err.getvalue()


def assert_refused(words: list[str], naming: str) -> None:
    before = {path.name: path.lstat().st_mtime_ns for path in Path().iterdir()}
    status, out, err = call(*words)
    assert (status, out) == (2, "")
    assert err.startswith("deltarnn: ")
    assert err.count("\n") == 1
    assert naming in err
    assert {path.name: path.lstat().st_mtime_ns for path in Path().iterdir()} == before


# Outputs.


@pytest.mark.parametrize(
    ("words", "naming"),
    [
        (["golden", MODEL, FRAMES, "-o", MODEL], "found the same file for -o and MODEL"),
        (["golden", MODEL, FRAMES, "-o", "./frames.npy"], "found the same file for -o and FRAMES"),
        (["golden", MODEL, FRAMES, "-o", "link"], "link: found the same file for -o and MODEL"),
        (["golden", MODEL, FRAMES, "-o", "hard"], "hard: found the same file for -o and MODEL"),
        (["golden", MODEL, FRAMES, "-o", ""], "output: found '', expected the name of a file"),
        (["golden", MODEL, FRAMES, "-o", "-"], "output: found '-', expected the name of a file"),
        (["simulate", MODEL, FRAMES, "-o", "w.vcd", "--waves", "w.vcd"], "for --waves and -o"),
        (["simulate", MODEL, FRAMES, "--waves", MODEL], "for --waves and MODEL"),
        (["simulate", MODEL, FRAMES, "--waves", "w.fst"], "found suffix '.fst', expected a name"),
        (["simulate", MODEL, FRAMES, "--waves", "w"], "found suffix '', expected a name that ends"),
        (["import", MODEL, "-o", MODEL], "found the same file for -o and FILE"),
        (["import", "x", "--calibration", FRAMES, "-o", FRAMES], "for -o and --calibration"),
        (["run", MODEL, FRAMES, "--port", "x", "-o", FRAMES], "for -o and FRAMES"),
        (["generate", "taken/weights.bin", "-o", "taken"], "for weights.bin and MODEL"),
        (["generate", MODEL, "-o", FRAMES], "found File exists, expected a folder"),
        (
            ["build", MODEL, "--board", "icebreaker", "-o", FRAMES],
            "found File exists, expected a fo",
        ),
        (["build", MODEL, "--board", "icebreaker", "-o", "-"], "output: found '-'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_output_that_is_something_else_is_refused(words, naming, place):
    (place / "link").symlink_to(MODEL)
    (place / "hard").hardlink_to(place / MODEL)
    (place / "taken").mkdir()
    save_model(GOOD, place / "taken" / "weights.bin")
    assert_refused(words, naming)


def test_a_link_as_output_stays_one(place):
    (place / "link").symlink_to("there.npz")
    status, _, _ = call("golden", MODEL, FRAMES, "-o", "link")
    assert status == 0
    assert (place / "link").is_symlink()
    assert "outputs" in np.load(place / "there.npz")


def test_a_folder_that_is_a_link_is_written_into(place):
    (place / "there").mkdir()
    (place / "link").symlink_to("there")
    assert call("generate", MODEL, "-o", "link")[0] == 0
    assert (place / "there" / "deltarnn_core.v").exists()
    assert (place / "link").is_symlink()


# Options before work.


@pytest.mark.parametrize(
    ("words", "naming"),
    [
        (["--clock", "nan"], "clock: found nan MHz, expected 1 to 1000 MHz"),
        (["--clock", "inf"], "clock: found inf MHz, expected 1 to 1000 MHz"),
        (["--clock", "-1"], "clock: found -1 MHz, expected 1 to 1000 MHz"),
        (["--clock", "0"], "clock: found 0 MHz, expected 1 to 1000 MHz"),
        (["--clock", "999"], "clock: found 999 MHz, expected one that 12 MHz can be made into"),
        (["--lanes", "0"], "lanes: found 0, expected an integer from 1 to 1024"),
        (["--lanes", "-4"], "lanes: found -4, expected an integer from 1 to 1024"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_build_looks_at_its_options_first(words, naming, place):
    assert_refused(["build", MODEL, "--board", "icebreaker", "-o", "out", *words], naming)


@pytest.mark.parametrize(
    ("words", "naming"),
    [
        (["--theta-x", "3000"], "theta_x: found 3000, expected an integer from 0 to 255"),
        (["--theta-h", "-1"], "theta_h: found -1, expected an integer from 0 to 255"),
        (["--budget", "nan", "--calibration", FRAMES], "budget: found nan, expected a finite"),
        (["--budget", "0.1", "--theta-x", "2"], "thresholds: found some beside a budget"),
        (["--budget", "0.1"], "budget: found no calibration frames"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_import_looks_at_its_options_first(words, naming, place):
    """Before it reads a file, which is not even there."""
    assert_refused(["import", "absent.onnx", "-o", "out", *words], naming)


@pytest.mark.parametrize("command", ["info", "generate"])
@pytest.mark.parametrize(
    ("asked", "more", "lanes"), [("65", [], 5), ("1000", ["--activations", "4"], 8)]
)
def test_lanes_that_nothing_would_ever_use_are_left_out_and_that_is_said(
    command, asked, more, lanes, place
):
    words = [command, MODEL, "--json", "--lanes", asked]
    if command == "generate":
        words += ["-o", "out", *more]
    elif more:
        return
    status, out, err = call(*words)
    assert status == 0
    assert json.loads(out)["lanes"] == lanes
    assert err == f"deltarnn: lanes: {lanes} instead of {asked}, the widest layer has 5 units\n"


def test_a_core_refuses_lanes_that_nothing_would_ever_use():
    from golden.parameters import CoreParameters

    with pytest.raises(
        ValueError, match=r"^lanes: found 65, expected at most 64: no layer has ove"
    ):
        CoreParameters(GOOD.parameters, 65)
    wide = random_model((2, 100)).parameters
    assert CoreParameters(wide, 128).lanes == 128
    with pytest.raises(ValueError, match=r"^lanes: found 129, expected at most 128: no layer has"):
        CoreParameters(wide, 129)


# One line.


def wide() -> Model:
    """Accumulators of 34 bits."""
    model = random_model((2, 4), 1)
    model.weights[1].bias[:] = 2**31 - 1
    parameters = model.parameters
    return Model.of("wide", parameters.formats, parameters.layers, model.weights)


@pytest.mark.parametrize(
    ("model", "target", "naming"),
    [
        (wide(), "up5k", "accumulators: found 34 bits, expected at most 32"),
        (
            random_model((2, 4), formats=Formats(activation=Q(7, 8))),
            "up5k",
            "deltas with row shifts: found 17 bits, expected at most 16",
        ),
        (random_model((2, *[1] * 241)), "generic", "layers: found 241, expected at most 240"),
    ],
    ids=["accumulators", "activations", "layers"],
)
def test_what_a_core_cannot_be_made_of_is_one_line(model, target, naming, place):
    """And not one for each component that was made by then, which come as they are collected."""
    save_model(model, place / "other")
    done = deltarnn(place, "generate", "other", "-o", "out", "--target", target)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert naming in done.stderr


@pytest.mark.parametrize("length", [299, 300, 301, 500, 20_000])
@pytest.mark.parametrize("word", ["x", "ab ", "a long word or two "])
def test_a_message_has_a_beginning_an_end_and_some_300_characters(length, word):
    text = ("begin " + word * length)[: length - 4] + " end"
    found = console.shortened(text, 300)
    assert len(found) <= 300
    assert found.startswith("begin ")
    assert found.endswith(" end")
    assert (found == text) == (length <= 300)
    for part in found.split(" ... "):
        assert part in text
        if word != "x":  # between words
            assert f" {part} " in f" {text} "


ESCAPES = "\x1b[31mred\x1b]0;title\x07 \u202eright\u2066 \x9b31m \r\b\x7f"


def test_what_steers_a_terminal_reaches_it_nowhere(place):
    named = replace(GOOD, name=ESCAPES, extra={"[/x]": ESCAPES, ESCAPES: [1]})
    save_model(named, place / ESCAPES.replace("/", ""))
    words = [ESCAPES.replace("/", "")]
    for status, *printed in (
        call("info", *words),
        call("golden", *words, FRAMES, "-o", "out"),
        call("info", "absent" + ESCAPES),
        call(ESCAPES),
    ):
        text = "".join(printed)
        assert "\\x1b" in text, status
        assert all(c == "\n" or c.isprintable() for c in text), ascii(text)


def test_more_keys_of_a_model_hide_none_of_its_own(place):
    extra = {"sha256": "fake", "layer 0": "fake", "[/x]": 1, "scale": [0.5] * 128, "list": [1, 2]}
    save_model(replace(GOOD, extra=extra), place / "other")
    status, out, _ = call("info", "other")
    rows = dict(line.strip("│ ").split("│", 1) for line in out.splitlines() if line.count("│") == 3)
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    assert status == 0
    assert rows["sha256"] == load_model(place / "other").sha256
    assert rows["layer 0"].startswith("gru 3 -> 4")
    assert rows["extra: sha256"] == rows["extra: layer 0"] == '"fake"'
    assert rows["extra: scale"] == "128 times 0.5"
    assert console.brief([0.5, 2, 1.25, 1, 1]) == "5 numbers from 0.5 to 2"
    assert rows["extra: list"] == "[1, 2]"


def test_a_pipe_gets_the_whole_hash_in_any_locale(place):
    sha256 = load_model(place / MODEL).sha256
    names = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    for environment in ({}, names, {"COLUMNS": "40"}):
        done = deltarnn(place, "info", MODEL, **environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert sha256 in done.stdout
    save_model(replace(GOOD, name="größer"), place / MODEL)
    done = deltarnn(place, "info", MODEL, **names)
    assert "gr\\xf6\\xdfer" in done.stdout


# What nobody expected.


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyError("key"), 1, "unexpected KeyError: 'key': please report this"),
        (RecursionError("deep"), 1, "unexpected RecursionError: deep: please report this"),
        (NotImplementedError("no"), 1, "unexpected NotImplementedError: no: please report this"),
        (AssertionError(), 1, "unexpected AssertionError: : please report this"),
        (MemoryError(), 1, "out of memory"),
        (RuntimeError("one\ntwo"), 1, "one\n"),
        (BrokenPipeError(), 1, ""),
        (PermissionError(13, "Permission denied", "x"), 2, "[Errno 13] Permission denied: 'x'"),
        (UnicodeEncodeError("ascii", "ä", 0, 1, "no"), 2, "'ascii' codec can't encode"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_any_error_is_one_line(error, status, said, place, monkeypatch):
    def load(_path: Path) -> None:
        raise error

    monkeypatch.setattr("deltarnn.commands.info.load_model", load)
    found, out, err = call("info", MODEL)
    assert (found, out) == (status, "")
    lines = err.strip("\n").splitlines()
    assert len(lines) == bool(said)
    assert said.strip() in err
    assert "Traceback" not in err
    if not isinstance(error, KeyboardInterrupt):
        _, _, err = call("--traceback", "info", MODEL)
        assert "Traceback (most recent call last)" in err
        assert type(error).__name__ in err


def test_a_reader_that_has_seen_enough_hears_no_complaint(place):
    code = "from deltarnn.command import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "info", MODEL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(60) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_report_that_has_no_room_is_one_line(place):
    code = "from deltarnn.command import main; main()"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-c", code, "info", MODEL],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    said = "output: found No space left on device, expected room for it"
    assert (done.returncode, done.stderr) == (2, f"deltarnn: {said}\n")


def test_nothing_of_the_command_is_left_in_its_process(place):
    before = tempfile.gettempdir(), os.environ.get("TMPDIR")
    assert call("info", MODEL)[0] == 0
    assert (tempfile.gettempdir(), os.environ.get("TMPDIR")) == before


@pytest.mark.parametrize(
    ("words", "begun", "names"),
    [
        (["generate", "--target"], "", {"generic", "up5k", "ecp5"}),
        (["simulate", "--simulator"], "i", {"icarus"}),
        (["build", "--board"], "ice", {"icebreaker", "ice40-hx8k-b-evn"}),
        (["run", "--board"], "up", {"upduino-v3"}),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_the_shell_completes_names(words, begun, names):
    line = f"deltarnn {' '.join(words)} {begun}"
    variables = {"_DELTARNN_COMPLETE": "bash_complete", "COMP_WORDS": line}
    variables["COMP_CWORD"] = str(len(words) + 1)
    done = CliRunner().invoke(command.cli, [], env=variables, prog_name="deltarnn")
    assert {text.partition(",")[2] for text in done.output.split()} == names


def test_recordings_in_a_folder_that_is_not_there_are_missed_before_hours_of_work(place):
    assert_refused(["results", "--data", "nope"], "nope: found no folder, expected the folder")


# Lines that `run -` takes.


def test_a_line_is_numbers_as_everybody_writes_them(monkeypatch):
    """Not as Python writes them in its source; pieces of numbers, put together at random."""
    source, pieces = random.Random(5), [b"0", b"7", b"12", b"-", b"+", b"_", b".", b"e1", b"x"]
    number = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)(e\d+)?")
    model, counts = random_model((2, 2)), Counter()
    for _ in range(400):
        word = b"".join(source.choices(pieces, k=source.randint(1, 4)))
        integer = re.fullmatch(rb"[-+]?\d+", word) and -128 <= int(word) <= 127
        for floats, right in ((False, integer), (True, number.fullmatch(word))):
            lines = io.BytesIO(b"1 " + word + b"\n")
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=lines))
            with nullcontext() if right else pytest.raises(ValueError, match=r"line 1: found '1 "):
                assert len(list(_lines(model, floats, []))) == 1, word
            counts[floats, bool(right), b"_" in word] += 1
    assert all(counts[floats, right, not right] for floats in (False, True) for right in (0, 1))
