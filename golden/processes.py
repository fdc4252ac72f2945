"""Programs that end with the command that started them, and signals that end it like an error."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PATIENCE = 2.0  # seconds from asking a program to end to making it end

_running: set[subprocess.Popen[str]] = set()
_shields = 0  # how many parts of the main thread that must not be cut in two are under way
_signal: int | None = None  # the one that ends the command
_raised = False  # and whether it has been made an exception


class Interrupted(BaseException):
    """A signal asks the command to end; ``number`` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    text: str = "",
    log: IO[str] | None = None,
    limit: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, with ``text`` as its input.

    What it says goes into ``log``, or is captured where there is none; bytes that are no UTF-8 come
    as escapes. An exception meanwhile, a signal's (``interruptible``) included, ends the program
    and all that it has started, and then goes on its way.

    Raises OSError where there is no such program, subprocess.TimeoutExpired after ``limit``
    seconds.
    """
    process: subprocess.Popen[str] | None = None
    try:
        with shielded():
            if _signal is not None:
                raise Interrupted(_signal)
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=cwd,
                env=env,
                stdin=subprocess.PIPE,
                stdout=log or subprocess.PIPE,
                stderr=log or subprocess.PIPE,
                encoding="utf-8",
                errors="backslashreplace",
                process_group=0,  # one of its own, so that all of it can be ended
            )
            _running.add(process)
        out, err = process.communicate(text, timeout=limit)
        _running.discard(process)
    except BaseException:
        if process is not None:
            _end(process)
        raise
    if _signal is not None and not _in_main_thread():
        raise Interrupted(_signal)  # it was ended, and did not come to its end
    return subprocess.CompletedProcess(process.args, process.returncode, out or "", err or "")


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a program's whole group: asks it to, and makes it after PATIENCE seconds at most."""
    with shielded():
        _kill(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        _kill(process, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        _running.discard(process)


def _kill(process: subprocess.Popen[str], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def shielded() -> Iterator[None]:
    """Signals that come meanwhile (``interruptible``) are raised at the end of the block."""
    global _shields
    if not _in_main_thread():  # signals are raised in the main thread alone
        yield
        return
    _shields += 1
    try:
        yield
    finally:
        _shields -= 1
        _raise_pending()


def _raise_pending() -> None:
    global _raised
    if _signal is not None and not _raised and not _shields:
        _raised = True
        raise Interrupted(_signal)


def _obey(number: int, _frame: object) -> None:
    global _signal
    if _signal is None:  # others, and the same again, change nothing
        _signal = number
        for process in tuple(_running):  # also those that other threads wait for
            _kill(process, signal.SIGTERM)
        _raise_pending()


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise Interrupted in the main thread: the first of them, once.

    Those that are ignored stay so (nohup). Programs that still run at the end of the block are
    ended. No more than one block of a process may be interrupted: a command's own.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {n: signal.getsignal(n) for n in numbers if _in_main_thread()}
    before = {n: handler for n, handler in before.items() if handler != signal.SIG_IGN}
    for number in before:
        signal.signal(number, _obey)
    try:
        yield
    finally:
        deadline = time.monotonic() + PATIENCE
        while _running and time.monotonic() < deadline:  # each thread ends its own
            for process in tuple(_running):
                _kill(process, signal.SIGTERM)
            time.sleep(0.01)
        for process in tuple(_running):
            _kill(process, signal.SIGKILL)
        if _signal is None:
            for number, handler in before.items():
                signal.signal(number, handler)
