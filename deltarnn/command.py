"""The `deltarnn` command line. Bad input gets one line and exit status 2."""

import errno
import io
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from deltarnn.commands.bench import bench
from deltarnn.commands.build import build
from deltarnn.commands.demo import demo
from deltarnn.commands.eval import eval_
from deltarnn.commands.flash import flash
from deltarnn.commands.generate import generate
from deltarnn.commands.golden import golden
from deltarnn.commands.import_ import import_
from deltarnn.commands.info import info
from deltarnn.commands.learn import learn
from deltarnn.commands.reference import reference
from deltarnn.commands.report import report
from deltarnn.commands.results import results
from deltarnn.commands.run import run
from deltarnn.commands.simulate import simulate
from deltarnn.commands.soak import soak
from deltarnn.commands.train import train
from deltarnn.commands.tune import tune
from deltarnn.console import (
    say,
)
from golden.files import (
    temporary_folder,
)
from golden.processes import Interrupted, interruptible


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deltarnn")
@click.option(
    "--traceback",
    is_flag=True,
    expose_value=False,  # main looks for it, since whatever is parsed after it may fail
    help="Where something fails, also print where in the code.",
)
def cli() -> None:
    """Delta recurrent networks on small FPGAs: bit-exact RTL from a trained GRU or LSTM."""


for _command in (
    info,
    golden,
    eval_,
    generate,
    reference,
    simulate,
    demo,
    bench,
    import_,
    train,
    tune,
    results,
    report,
    build,
    flash,
    run,
    learn,
    soak,
):
    cli.add_command(_command)


def main() -> None:
    """Runs the command; whatever goes wrong is one line, and a traceback only where asked for.

    The exit status is 2 where the input is refused, 1 where something failed, and 128 and a
    signal's number where that ended it.
    """
    # What stands in a name need not be what the terminal can show.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Amaranth's, of components that a refusal leaves behind: it comes when they are collected.
    warnings.filterwarnings("ignore", message=".* created but never used")
    try:
        with interruptible(), _temporary_files():
            status = cli.main(standalone_mode=False) or 0
    except BaseException as error:
        if "--traceback" in sys.argv[1:2]:
            traceback.print_exc()
        status = _reported(error)
    try:
        sys.stdout.flush()
    except OSError as error:
        status = _reported(error)
        with suppress(OSError):  # else Python tries again at its end, and complains
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


@contextmanager
def _temporary_files() -> Iterator[None]:
    """Whatever this process and its programs make on the way lies in one folder, gone at the end.

    Its path has no character that a program from outside would stumble over.
    """
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    with temporary_folder() as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before[0]
            del os.environ["TMPDIR"]
            if before[1] is not None:
                os.environ["TMPDIR"] = before[1]


def _reported(error: BaseException) -> int:
    """Says in one line what went wrong; returns the exit status."""
    match error:
        case SystemExit():  # of a command that has said what there is to say
            return error.code if isinstance(error.code, int) else 1
        case BrokenPipeError():  # whoever reads the output has seen enough
            return 1
        case click.exceptions.NoArgsIsHelpError():
            print(error.format_message())
            return 2
        case click.ClickException():
            say(error.format_message())
            return 2
        case Interrupted() | KeyboardInterrupt() | click.Abort():
            # A simulation's coroutines complain where they are collected in mid-work.
            sys.unraisablehook = lambda _: None
            number = getattr(error, "number", signal.SIGINT)
            name = signal.Signals(number).name
            say("interrupted" if number == signal.SIGINT else f"interrupted by {name}")
            return 128 + number
        case OSError() if error.errno == errno.ENOSPC and error.filename is None:
            say(f"output: found {error.strerror}, expected room for it")
            return 2
        case ValueError() | OSError():
            say(str(error))
            return 2
        case MemoryError():
            say("out of memory")
            return 1
        case RuntimeError() if not isinstance(error, RecursionError | NotImplementedError):
            say(str(error).partition("\n")[0])  # a tool's log may follow
            return 1
        case _:
            say(
                f"unexpected {type(error).__name__}: {error}: please report this, with what "
                "deltarnn --traceback COMMAND... prints"
            )
            return 1
