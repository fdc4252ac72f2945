"""A command that a signal ends takes its programs along and leaves nothing of its own behind."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from golden.model_file import save_model
from tests.networks import random_frames, random_model

pytestmark = pytest.mark.slow  # minutes of simulations and syntheses


MODEL = random_model((3, 6), 2)
SIMULATE = ["simulate", "model", "frames.npy", "--json"]
MARK = "DELTARNN_TEST_MARK"
COMMAND = [sys.executable, "-c", "from deltarnn.command import main; main()"]


def marked(mark: str) -> list[int]:
    """The processes, ended ones aside, that have inherited ``mark``."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            environment = (process / "environ").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            continue
        if f"{MARK}={mark}".encode() in environment.split(b"\0") and state not in "ZX":
            found.append(int(process.name))
    return found


@pytest.fixture
def place(tmp_path) -> Path:
    save_model(MODEL, tmp_path / "model")
    np.save(tmp_path / "frames.npy", random_frames(MODEL, 20))
    (tmp_path / "temporary").mkdir()
    return tmp_path


def environment(place: Path, mark: str) -> dict[str, str]:
    own = {"TMPDIR": str(place / "temporary"), "DELTARNN_CACHE": str(place / "cache"), MARK: mark}
    return {**os.environ, **own}


def interrupted(place: Path, words: list[str], number: signal.Signals, seconds: float) -> int:
    """Ends the command so long after it has begun; its exit status."""
    mark = uuid.uuid4().hex
    with subprocess.Popen(
        [*COMMAND, *words],
        cwd=place,
        env=environment(place, mark),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not list((place / "temporary").iterdir()) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(seconds)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    deadline = time.monotonic() + 10
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not marked(mark)
    assert not list((place / "temporary").iterdir())
    if process.returncode:
        assert process.returncode == 128 + number, said
        name = "interrupted" if number == signal.SIGINT else f"interrupted by {number.name}"
        assert said == f"deltarnn: {name}\n"
    return process.returncode


def test_simulate_that_is_ended_can_be_called_again(place):
    source = random.Random(1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        interrupted(place, [*SIMULATE, "-o", "out.npz"], number, source.uniform(0, 6))
        names = {path.name for path in place.iterdir()} - {"cache", "out.npz"}
        assert names == {"model", "frames.npy", "temporary"}
        for path in (place / "cache").glob("*"):
            assert re.fullmatch(r"[0-9a-f]{16}(\.lock)?|verilator-.*", path.name)
    done = subprocess.run(
        [*COMMAND, *SIMULATE],
        cwd=place,
        env=environment(place, ""),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["equal"] is True
    assert not list((place / "temporary").iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_build_that_is_ended_leaves_only_logs(number, place):
    words = ["build", "model", "--board", "icebreaker", "-o", "out"]
    interrupted(place, words, number, random.Random(number).uniform(0, 15))
    left = {path.name for path in place.glob("out/*")}
    assert left <= {"core.log", "board.log", "route.log"}


def test_demo_is_ended_with_what_runs_in_the_background(place):
    assert interrupted(place, ["demo"], signal.SIGTERM, 6) == 128 + signal.SIGTERM
