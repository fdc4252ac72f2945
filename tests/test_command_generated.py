"""Made-up frames files, model files and command lines: each gets one line or a result."""

import copy
import io
import json
import os
import random
import resource
import sys
import time
import unicodedata
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from deltarnn.command import main
from golden.model_file import save_model
from tests.networks import random_frames
from tests.test_golden_model import GOOD, parts

CASES = int(os.environ.get("DELTARNN_CASES", "100"))  # of each kind
SECONDS, KILOBYTES = 20, 1 << 20  # what a case may take
MODEL, FRAMES, OUT = "model.safetensors", "frames.npy", "out"
NASTY = [
    "",
    "-",
    "nan",
    "inf",
    "-1",
    "0",
    "1e309",
    "9" * 400,
    "1.5",
    "\x1b[31mred",
    "[/b]",
    "\u202eabc",
]
NASTY += [
    "a b",
    "'",
    "$(x)",
    "\udc80",
    "ä" * 300,
    "x" * 5000,
    "--",
    "two\nlines",
    "0x10",
    "\uff11",
    ".",
]
NASTY += [
    "folder",
    "absent/x",
    "link",
    "fifo",
    "\t",
    "None",
    "1_0",
    "+3",
    "1e3",
    " 2",
    "\u2028",
    "🦆",
]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    save_model(GOOD, folder / MODEL)
    np.save(folder / FRAMES, random_frames(GOOD, 5))
    (folder / "folder").mkdir()
    (folder / "link").symlink_to("loop")
    (folder / "loop").symlink_to("link")
    os.mkfifo(folder / "fifo")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return folder


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def call(words: list[str], place: Path, made: set[str]) -> str:
    """Runs the command in this process; what it printed. ``made`` are files that may be new."""
    before = contents(place)
    out, err = io.StringIO(), io.StringIO()
    begin = time.monotonic()
    argv, sys.argv = sys.argv, ["deltarnn", *words]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = argv
    said, printed = err.getvalue(), out.getvalue()
    assert time.monotonic() - begin < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < base + KILOBYTES
    after = contents(place)
    assert os.listdir(place.parent) == [place.name]  # noqa: PTH208  # no temporary folder is left
    if ended.value.code == 2 and not printed.startswith("Usage: "):
        assert said.startswith("deltarnn: "), said
        assert said.count("\n") == 1, said
        assert len(said) <= 312, said
        assert printed == ""
        assert after == before
    else:
        assert ended.value.code in (0, 2), (ended.value.code, said)
        assert all(line.startswith("deltarnn: lanes: ") for line in said.splitlines()), said
        assert {name: after.get(name) for name in before} == before
        assert {name.partition("/")[0] for name in after.keys() - before.keys()} <= made
    for character in said + printed:
        assert character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl")
    for name in after.keys() - before.keys():
        path = place / name
        path.unlink() if path.is_file() else None
    return printed


base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# Frames.


def damaged(source: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(source.choice((1, 1, 2, 8, 40))):
        where = source.randrange(len(data))
        match source.randrange(4):
            case 0:
                data[where] ^= 1 << source.randrange(8)
            case 1:
                del data[where : where + source.choice((1, 3, 50))]
            case 2:
                data[where:where] = source.randbytes(source.choice((1, 7, 200)))
            case 3:
                data[where] = source.randrange(256)
        if not data:
            break
    return bytes(data)


def claimed(source: random.Random) -> bytes:
    """A .npy file whose header says anything."""
    types = [
        "|i1",
        "<i2",
        "<f8",
        "|O",
        "|b1",
        "<U9",
        "<m8[s]",
        "|V8",
        "|S0",
        "i1,i2",
        ">f4",
        "<c16",
        "",
    ]
    sizes = [
        "0",
        "1",
        "3",
        "5",
        "-1",
        "10**9",
        "4000000000",
        "1" * 30,
        "True",
        "3.0",
        "None",
        "'a'",
    ]
    shape = ", ".join(source.choice(sizes) for _ in range(source.randrange(5)))
    header = f"{{'descr': {source.choice(types)!r}, "
    header += f"'fortran_order': {source.choice(['True', 'False', '1', 'None'])}, "
    header += f"'shape': ({shape}{',' if source.random() < 0.8 else ''}), }}"
    if source.random() < 0.2:
        header = source.choice(["(" * 300, "{}", "[" * 5000, "__import__('os')", "\\", header * 50])
    text = header.encode().ljust(117) + b"\n"
    version = source.choice([b"\1\0", b"\2\0", b"\3\0", b"\4\0", b"\1\1"])
    length = len(text) if source.random() < 0.9 else source.randrange(1 << 16)
    size = min(length, 65535).to_bytes(2, "little")
    size = size if version[0] == 1 else length.to_bytes(4, "little")
    return b"\x93NUMPY" + version + size + text + source.randbytes(source.choice((0, 15, 99)))


def other_arrays(source: random.Random) -> bytes:
    shape = tuple(source.choice((0, 1, 3, 3, 5)) for _ in range(source.randrange(4)))
    dtype = source.choice(["i1", "i1", "u1", "f4", "i8", "?", "S3", "U2", "c8", "M8[s]"])
    file = io.BytesIO()
    order = source.choice("CF")
    (np.save if source.random() < 0.8 else np.savez)(
        file, np.zeros(shape, dtype=dtype, order=order)
    )
    return file.getvalue()


@pytest.mark.parametrize("seed", [1])
def test_frames(seed, place):
    source = random.Random(seed)
    good = (place / FRAMES).read_bytes()
    kinds: list[Callable[[], bytes]] = [
        lambda: damaged(source, good),
        lambda: claimed(source),
        lambda: other_arrays(source),
        lambda: source.randbytes(source.randrange(300)),
        lambda: damaged(source, other_arrays(source)),
        lambda: good[:6] + source.randbytes(source.randrange(200)),
    ]
    for _ in range(CASES):
        (place / "made.npy").write_bytes(source.choice(kinds)())
        call(["golden", MODEL, "made.npy", "-o", OUT], place, {OUT})


# Models.

VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    3,
    255,
    10**6,
    2**70,
    1.5,
    1e308,
    "",
    "gru",
    "linear",
    "lstm",
]
VALUES += [
    [],
    {},
    [[]],
    [3, 4],
    [30, 30],
    [-1, 2],
    {"kind": "gru"},
    "\x1b]0;title\7",
    "[/x]",
    "\u202e\u2066",
]
VALUES += [
    "x" * 3000,
    list(range(500)),
    [0.5] * 128,
    "\ud800",
    "\0",
    [None] * 9,
    {"a": {"b": [1] * 99}},
]
KEYS = [
    "sha256",
    "layer 0",
    "name",
    "[/x]",
    "\x1b[2J",
    "formats",
    "",
    "x" * 999,
    "\u2028",
    "weights",
    "\ud8ff",
]


def changed(source: random.Random, record: Any, depth: int = 0) -> None:
    """Puts something else somewhere into ``record``."""
    keys = list(record) if isinstance(record, dict) else list(range(len(record)))
    key = source.choice(keys) if keys else None
    inner = record[key] if key is not None else None
    if isinstance(inner, dict | list) and inner and source.random() < 0.7:
        changed(source, inner, depth + 1)
    elif isinstance(record, dict) and (key is None or source.random() < 0.4):
        record[source.choice(KEYS)] = copy.deepcopy(source.choice(VALUES))
    elif isinstance(record, dict) and source.random() < 0.2:
        del record[key]
    elif key is not None:
        record[key] = copy.deepcopy(source.choice(VALUES))
    else:
        record.append(copy.deepcopy(source.choice(VALUES)))


def model_file(source: random.Random) -> bytes:
    record, tensors = copy.deepcopy(parts(GOOD))
    for _ in range(source.choice((0, 1, 1, 2, 5))):
        changed(source, record)
    if source.random() < 0.3:
        name = source.choice(list(tensors))
        shape = tuple(source.choice((0, 1, 2, 3, 5, 12)) for _ in range(source.randrange(4)))
        dtype = source.choice([np.int8, np.int32, np.float32, np.uint8, np.bool_])
        tensors[source.choice([name, "x", "layers.9.bias", "\x1b[31m"])] = np.zeros(shape, dtype)
    text = json.dumps(record)
    if source.random() < 0.1:
        text = text.replace(
            "1", source.choice(["NaN", "Infinity", "1e999", "1" * 5000, "[" * 99]), 1
        )
    if source.random() < 0.1:
        text = damaged(source, text.encode()).decode("latin-1")
    content = save(tensors, {source.choice(["deltarnn"] * 9 + ["other"]): text})
    if source.random() < 0.15:
        content = damaged(source, content)
    if source.random() < 0.05:
        size = source.choice((0, 1, 2**63, 2**64 - 1, len(content), 10**8, 10**12))
        content = size.to_bytes(8, "little") + content[8:]
    return content


@pytest.mark.parametrize("seed", [1])
def test_models(seed, place):
    source = random.Random(seed)
    for _ in range(CASES):
        (place / "made").write_bytes(model_file(source))
        call(["info", "made"], place, set())
        printed = call(["info", "made", "--json"], place, set())
        if printed:
            json.loads(printed, parse_constant=pytest.fail)
        call(["golden", "made", FRAMES, "-o", OUT], place, {OUT})


# Command lines.


def command_line(source: random.Random) -> list[str]:
    """A command with arguments and options that may be anything.

    Those that would take long if all of it made sense get something that does not.
    """

    def any_of(*good: str) -> str:
        return source.choice(good) if source.random() < 0.6 else source.choice(NASTY)

    model, frames, out = any_of(MODEL), any_of(FRAMES), any_of(OUT, OUT, MODEL, FRAMES)
    lanes = ["--lanes", any_of("1", "8", "1000", "1024", "1025", "-3")]
    activations = ["--activations", any_of("1", "2", "3", "64")]
    words: list[str] = source.choice(
        [
            ["info", model, *lanes],
            ["golden", model, frames, "-o", out],
            ["generate", model, "-o", out, *lanes, *activations, "--target", source.choice(NASTY)],
            ["simulate", model, frames, "-o", out, *lanes, "--waves", out],
            ["simulate", model, frames, *activations, "--simulator", source.choice(NASTY)],
            [
                "build",
                model,
                "--board",
                any_of("icebreaker"),
                "-o",
                out,
                "--lanes",
                source.choice("0 -"),
            ],
            [
                "build",
                model,
                "--board",
                "icebreaker",
                "--clock",
                source.choice(["nan", "inf", "-1", "0"]),
            ],
            ["flash", model, "--board", any_of("icebreaker"), "-o", out],
            ["run", model, frames, "--port", source.choice(NASTY), "-o", out],
            ["import", any_of(MODEL, FRAMES), "-o", out, "--theta-x", any_of("3000", "4")],
            [
                "import",
                model,
                "-o",
                out,
                "--budget",
                any_of("nan", "0.1"),
                "--theta-h",
                any_of("1"),
            ],
            ["train", source.choice(NASTY), "-o", out, "--seed", any_of("1")],
            ["bench", "-o", out, "--only", source.choice(NASTY)],
            ["demo", "--simulator", source.choice(NASTY), *lanes],
            [source.choice(NASTY), model],
        ]
    )
    for _ in range(source.choice((0, 0, 0, 1, 2))):
        where = source.randrange(len(words))
        if source.random() < 0.5 and words[0] in ("info", "golden"):
            words.insert(where, source.choice([*NASTY, "--json", "-h", "--traceback", "--version"]))
        else:
            words[where] = source.choice(NASTY)
    return words


@pytest.mark.parametrize("seed", [1])
def test_command_lines(seed, place):
    source = random.Random(seed)
    for _ in range(CASES):
        call(command_line(source), place, {OUT, *NASTY})
