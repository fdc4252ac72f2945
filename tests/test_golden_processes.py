"""Programs end with the command that started them, and nothing of a command that is ended stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from golden import processes
from golden.processes import run

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
# A program that starts another one, as make does, and does not heed SIGTERM either.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody asked for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_what_it_says_comes_back():
    script = "import sys; print(sys.stdin.read() * 2); print('oh', file=sys.stderr); sys.exit(3)"
    done = run([sys.executable, "-c", script], text="ab")
    assert (done.returncode, done.stdout, done.stderr) == (3, "abab\n", "oh\n")
    script = "import sys; sys.stdout.buffer.write(b'a\\xff')"
    assert run([sys.executable, "-c", script]).stdout == "a\\xff"


def test_what_it_says_goes_into_a_log(tmp_path):
    with (tmp_path / "log").open("w") as log:
        assert run(["sh", "-c", "echo one; echo two >&2"], log=log, cwd=tmp_path).stdout == ""
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_a_program_that_is_not_there():
    with pytest.raises(FileNotFoundError):
        run(["no-such-program"])


def test_too_late_it_is_ended_with_all_that_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE", 0.1)
    place = tmp_path / "pid"
    with pytest.raises(subprocess.TimeoutExpired):
        run([sys.executable, "-c", STUBBORN, place], limit=3)
    assert gone(int(place.read_text()))


OWNER = """
import sys, threading, time
from golden.processes import Interrupted, interruptible, run
from golden.files import aside_folder, temporary_folder
from pathlib import Path
place = Path(sys.argv[1])
def other():
    try:
        run(["sh", "-c", f"echo $$ > {place}/b; sleep 600"])
    except Interrupted:
        print("other", flush=True)
try:
    with interruptible(), temporary_folder(), aside_folder(place, "name"):
        thread = threading.Thread(target=other)
        thread.start()
        run(["sh", "-c", f"echo $$ > {place}/a; sleep 600 & sleep 600"])
except Interrupted as error:
    thread.join()
    print(error.number, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_programs_of_all_threads_and_leaves_no_folder(number, tmp_path):
    place, temporary = tmp_path / "place", tmp_path / "temporary"
    place.mkdir()
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, place],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        while not all((place / name).exists() and (place / name).read_text() for name in "ab"):
            time.sleep(0.02)
        assert list(temporary.iterdir())
        owner.send_signal(number)
        owner.send_signal(number)  # as `timeout` does
        out, _ = owner.communicate(timeout=60)
    assert out.splitlines() == ["other", str(number.value)]
    assert gone(int((place / "a").read_text()))
    assert gone(int((place / "b").read_text()))
    assert not list(temporary.iterdir())
    assert {path.name for path in place.iterdir()} == {"a", "b"}


def test_a_signal_while_a_folder_is_removed_is_raised_behind_it(tmp_path):
    """It comes just when rmtree has closed a file: it may not make it close that file twice."""
    owner = """
import os, signal, sys
from golden.processes import Interrupted, interruptible
from golden.files import aside_folder
from pathlib import Path
close = os.close
def close_and_signal(fd):
    close(fd)
    os.kill(os.getpid(), signal.SIGTERM)
try:
    with interruptible(), aside_folder(Path(sys.argv[1]), "name"):
        os.close = close_and_signal
except Interrupted:
    print("interrupted")
"""
    done = run([sys.executable, "-c", owner, tmp_path])
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", range(8))
def test_a_signal_at_any_moment_leaves_nothing(seed, tmp_path):
    """Folders come and go and programs start and end all the time."""
    owner = """
import sys
from golden.processes import Interrupted, interruptible, run
from golden.files import aside_folder, temporary_folder, written_aside
from pathlib import Path
place = Path(sys.argv[1])
try:
    with interruptible():
        print("begun", flush=True)
        while True:
            with temporary_folder(), aside_folder(place, "name"):
                run(["true"])
            with written_aside(place / "result") as part:
                part.write_text("whole")
except Interrupted:
    pass
"""
    place, temporary = tmp_path / "place", tmp_path / "temporary"
    place.mkdir()
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", owner, place],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.05 + 0.0137 * seed)
        process.terminate()
        assert process.wait(60) == 0
    assert not list(temporary.iterdir())
    assert {path.name for path in place.iterdir()} <= {"result"}
    assert all(path.read_text() == "whole" for path in place.iterdir())


def test_signals_that_are_ignored_stay_so():
    owner = """
import os, signal
from golden.processes import interruptible
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with interruptible():
    os.kill(os.getpid(), signal.SIGHUP)
    print("lives")
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""
    done = subprocess.run(
        [sys.executable, "-c", owner], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "lives\nTrue\n"
