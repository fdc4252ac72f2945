"""kill -9 at random moments of commands that write files: what was there stays whole.

What was written before must still be there, and the next call must go on.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from boards.tool import NEXTPNR_ICE40, YOSYS, Tool
from deltarnn.markdown import lines
from golden.files import temporary_folder
from golden.model_file import load_model, save_model
from sim.sweep import Shape, moving_frames

SEED = 1
KILLS = {"run": 90, "build": 70, "train": 28, "results": 12}
LIMIT = 900.0  # seconds of a call
MODEL, FRAMES, DATA = "model.safetensors", "frames.npy", "my.npz"
BOARD, TEMPORARY = "ice40-hx8k-b-evn", "temporary"

_MAIN = "from deltarnn.command import main; main()"
# One study of one method; of the rest of the document nothing is wanted.
_RESULTS = """
from dataclasses import replace
from deltarnn.results import studies as module
from train.course.goals import OneClass
from train.course.recipe import Task
from train.tasks import japanese_vowels
data, recipe = japanese_vowels.load(), japanese_vowels.RECIPE
short = replace(recipe.fit, epochs=1)
recipe = replace(
    recipe, units=4, fit=short, tune=short, formats=recipe.formats[:1], shifted_copies=0
)
task = Task(lambda: data, OneClass(), recipe)
small = {"digits": module.Study("digits", lambda: task, ("plain", "sparse"), (0,))}
module.studies = lambda: small
"""
# In place of a tool: does again what the tool did with the same files.
_SHIM = """#!{python}
import hashlib, os, shutil, subprocess, sys
from pathlib import Path
arguments, here = sys.argv[1:], Path.cwd()
version = arguments == ["--version"]
files = [] if version else sorted(p for p in here.iterdir() if p.is_file() and p.name != "log")
key = hashlib.sha256(repr([arguments, *((p.name, p.read_bytes()) for p in files)]).encode())
kept = Path({kept!r}) / (Path(sys.argv[0]).name + key.hexdigest()[:16])
if not kept.exists():
    done = subprocess.run([*{command!r}, *arguments], capture_output=True)
    if done.returncode:
        sys.stderr.buffer.write(done.stderr)
        sys.exit(done.returncode)
    part = Path(str(kept) + ".part")
    part.mkdir(parents=True)
    (part / ".said").write_bytes(done.stdout + done.stderr)
    for path in [] if version else here.iterdir():
        if path.is_file():
            shutil.copyfile(path, part / path.name)
    part.rename(kept)
for path in kept.iterdir():
    if path.name != ".said":
        shutil.copyfile(path, here / path.name)
sys.stdout.buffer.write((kept / ".said").read_bytes())
"""


@dataclass(frozen=True)
class Call:
    """A command, in a folder of its own.

    Attributes
    ----------
    code, words
        Python, and the command's arguments.
    inputs
        Names of what it reads.
    outputs
        Names of what it writes, and how to read each: an error where it is not whole.
    phase
        How far the call has come, from what is in its folder.
    again
        What is removed after a call that came to its end, so that there is work for the next.
    """

    code: str
    words: list[str]
    inputs: tuple[str, ...]
    outputs: Mapping[str, Callable[[Path], object]]
    phase: Callable[[Path], str]
    again: tuple[str, ...] = ()


@dataclass
class Found:
    """What became of the calls of one command."""

    kills: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    aside: int = 0
    violations: list[str] = field(default_factory=list)


def measure(say: Callable[[str], None], share: float = 1.0) -> dict:
    """Kills ``share`` of KILLS times, and lets a last call of each command come to its end."""
    begun, rows = time.monotonic(), []
    with temporary_folder() as folder:
        for name, made in _CALLS.items():
            place = folder / name
            place.mkdir()
            since, wanted = time.monotonic(), max(2, round(share * KILLS[name]))
            found = _killed(made(place), place, wanted)
            seconds = round(time.monotonic() - since)
            rows.append({"command": name, **vars(found), "seconds": seconds})
            rows[-1]["kills"] = dict(found.kills)
            say(f"kills: {name}: {wanted}, {len(found.violations)} violations, {seconds} s")
    return {"commands": rows, "seconds": round(time.monotonic() - begun)}


def _killed(call: Call, place: Path, wanted: int) -> Found:
    found, source = Found(), random.Random(SEED)
    inputs = {name: (place / name).read_bytes() for name in call.inputs}
    _ended(call, place)  # builds what later calls find in caches
    begun = time.monotonic()
    _ended(call, place)
    whole = time.monotonic() - begun
    before = {name: (place / name).read_bytes() for name in call.outputs}
    while found.kills.total() < wanted:
        if _interrupted(call, place, source.uniform(0, whole)):
            found.kills[call.phase(place)] += 1
        else:
            found.ended += 1
            _remove(place, call.again)
        _remove(place, (TEMPORARY,))
        found.violations += _violations(call, place, inputs, before)
    found.aside = sum(path.name.startswith(".") for path in place.rglob("*"))
    _ended(call, place)
    found.violations += _violations(call, place, inputs, before)
    return found


def _start(call: Call, place: Path) -> subprocess.Popen[str]:
    (place / TEMPORARY).mkdir()
    tools = {tool: str(place / "tools" / tool) for tool in ("YOSYS", "NEXTPNR_ICE40")}
    there = {name: path for name, path in tools.items() if Path(path).exists()}
    return subprocess.Popen(
        [sys.executable, "-c", call.code, *call.words],
        cwd=place,
        env={**os.environ, **there, "TMPDIR": str(place / TEMPORARY), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _ended(call: Call, place: Path) -> None:
    """Lets a call come to its end; RuntimeError where that is none with status 0."""
    process = _start(call, place)
    _, said = process.communicate(timeout=LIMIT)
    if process.returncode:
        raise RuntimeError(f"{' '.join(call.words)}: status {process.returncode}: {said[-300:]}")
    _remove(place, (*call.again, TEMPORARY))


def _interrupted(call: Call, place: Path, seconds: float) -> bool:
    """Whether the call was still under way then, and has been killed with all that it had started.

    Raises RuntimeError where it ended by itself, and not well.
    """
    process = _start(call, place)
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _kill(process.pid)
        process.communicate()
        return True
    if process.returncode:
        raise RuntimeError(f"{' '.join(call.words)}: status {process.returncode}: {said[-300:]}")
    return False


def _kill(number: int) -> None:
    """Kills a process and all that it has started, however deep; waits until they are gone."""
    everyone = [number]
    for each in everyone:
        try:
            os.kill(each, signal.SIGSTOP)  # so that it starts nothing more
            children = Path(f"/proc/{each}/task/{each}/children").read_text()
        except OSError:
            continue
        everyone += map(int, children.split())
    for each in everyone:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    while any(map(_alive, everyone)):
        time.sleep(0.01)


def _alive(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _violations(
    call: Call, place: Path, inputs: Mapping[str, bytes], before: Mapping[str, bytes]
) -> list[str]:
    """Inputs that have changed, and outputs that are gone or not whole."""
    wrong = [name for name, content in inputs.items() if (place / name).read_bytes() != content]
    for name, read in call.outputs.items():
        path = place / name
        try:
            if path.read_bytes() != before[name]:
                read(path)
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    return wrong


def _remove(place: Path, names: tuple[str, ...]) -> None:
    for name in names:
        shutil.rmtree(place / name, ignore_errors=True)


def _other(path: Path) -> None:
    """For outputs that are the same bytes whenever they are made."""
    raise ValueError(f"{path.stat().st_size:,} bytes that are not those of a whole call")


def _json(path: Path) -> None:
    json.loads(path.read_text())


def _arrays(path: Path) -> None:
    with np.load(path) as arrays:
        _ = [arrays[name] for name in arrays]


def _document(path: Path) -> None:
    if not path.read_text().endswith("<!-- end -->\n"):
        raise ValueError("no end")


def _small(place: Path) -> None:
    model = Shape("kills", (3, 4), 2, 1).model(SEED)
    save_model(model, place / MODEL)
    np.save(place / FRAMES, moving_frames(np.random.default_rng(SEED), 200, 3, 0.5))


def _run(place: Path) -> Call:
    _small(place)
    words = [
        "run",
        MODEL,
        FRAMES,
        "--simulated-board",
        "--board",
        BOARD,
        "--check",
        "-o",
        "out.npz",
    ]

    def phase(place: Path) -> str:
        return "simulated board" if any((place / TEMPORARY).iterdir()) else "beginning or end"

    return Call(_MAIN, words, (MODEL, FRAMES), {"out.npz": _other}, phase)


def _build(place: Path) -> Call:
    _small(place)
    tools = place / "tools"
    tools.mkdir()
    for name, tool in (("YOSYS", YOSYS), ("NEXTPNR_ICE40", NEXTPNR_ICE40)):
        _shim(tools / name, tool, place / "kept")
    words = ["build", MODEL, "--board", BOARD, "--lanes", "1", "-o", "out"]
    words += ["--clock", "24"]
    outputs = {f"out/{BOARD}.{suffix}": _other for suffix in ("bin", "json")}

    def phase(place: Path) -> str:
        steps = {"route": "packing and writing", "board": "placement", "core": "the board"}
        there = [what for step, what in steps.items() if (place / f"out/{step}.log").exists()]
        for step in steps:
            (place / f"out/{step}.log").unlink(missing_ok=True)
        return there[0] if there else "the core, or before"

    return Call(_MAIN, words, (MODEL,), outputs, phase)


def _shim(path: Path, tool: Tool, kept: Path) -> None:
    text = _SHIM.format(python=sys.executable, kept=str(kept), command=tool.command())
    path.write_text(text)
    path.chmod(0o755)


def _train(place: Path) -> Call:
    rng = np.random.default_rng(SEED)
    features = rng.normal(size=(24, 20, 3)).cumsum(1) / 10
    labels = np.arange(24) % 2
    features[labels == 1] += 0.5
    np.savez(place / DATA, features=features - features.mean((0, 1)), labels=labels)
    words = ["train", DATA, "-o", "out.safetensors", "--units", "4", "--epochs", "1"]
    outputs = {"out.safetensors": load_model, "out.frames.npz": _arrays}

    def phase(place: Path) -> str:
        return "between checkpoints" if list(place.glob("*.checkpoint*")) else "no checkpoint"

    return Call(_MAIN, words, (DATA,), outputs, phase)


def _results(place: Path) -> Call:
    from deltarnn.results.tables import TABLES

    (place / "docs").mkdir()
    marks = [f"# {name}\n<!-- {name} -->\nnothing\n<!-- end -->\n" for name in TABLES]
    words = ["results", "-o", "docs", "--runs", "runs"]

    def phase(place: Path) -> str:
        return f"{len(list(place.glob('runs/*.safetensors')))} of 2 models trained"

    (place / "docs/results.md").write_text("\n".join(marks))
    outputs = {"docs/results.md": _document, "docs/results/results.json": _json}
    return Call(_RESULTS + _MAIN, words, (), outputs, phase, ("runs",))


_CALLS: dict[str, Callable[[Path], Call]] = {
    "run": _run,
    "build": _build,
    "train": _train,
    "results": _results,
}


def short(result: dict) -> str | None:
    """The first violation, if there is one."""
    rows = ((row["command"], each) for row in result["commands"] for each in row["violations"])
    return next((f"{name}: {each}" for name, each in rows), None)


def found(result: dict) -> str:
    """What was found, in a line."""
    kills = sum(sum(each["kills"].values()) for each in result["commands"])
    violations = sum(len(each["violations"]) for each in result["commands"])
    return f"{kills} commands killed at any moment, violations: {violations}"


def section(result: dict) -> str:
    """The section of docs/evidence.md."""
    rows = [
        [
            f"`{each['command']}`",
            f"{sum(each['kills'].values())}",
            ", ".join(f"{phase}: {n}" for phase, n in each["kills"].items()),
            f"{each['ended']}",
            f"{len(each['violations'])}",
            f"{each['aside']}",
            f"{each['seconds']}",
        ]
        for each in result["commands"]
    ]
    header = ["command", "kills", "in which phase", "calls that ended before", "violations"]
    header += ["left aside", "seconds"]
    total = sum(sum(each["kills"].values()) for each in result["commands"])
    return f"""\
## Killed

{total} times a command and all that it had started got SIGKILL at a random moment of its usual
time. After each, every input must have the bytes that it had, and every output that was there
before must be whole: the old one or a new one. The next call begins with what is there, and the
last one must come to its end.

{lines(header, rows)}

**How far it goes.** In `build`, Yosys and nextpnr are played back from a first whole build, so that
the kills meet deltarnn's own steps. Each file is replaced as a whole; a kill between two of a
build's files may leave files of two builds, and the manifest comes last. Folders in which files
were being written stay behind ("left aside"); their names begin with a dot. A machine that loses
power was not tried.
"""
