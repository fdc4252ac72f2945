"""Yosys puts faults into a core's netlist: many into one, and an input says which is active."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from boards.tool import YOSYS
from golden.files import temporary_folder
from hw.emit.verilog import TOP

SELECTOR = "mutation"  # the input; sim/fast/harness.cpp drives it
# One module, in which nothing is that no output depends on: no cell, and no bit of one. A cell has
# the name of the wire that it drives.
PREPARED = f"""\
read_verilog core.v
hierarchy -top {TOP}
proc
flatten
opt -full -purge
wreduce
opt -full -purge
memory_collect
opt_clean -purge
rename -wire
"""
# What a fault in the function cannot lie in: the clock, and pins that these memories do not have.
_LEFT_OUT = re.compile(r" -port (CLK|RD_CLK|WR_CLK|RD_EN|RD_ARST|RD_SRST) ")
_SPARE = 1.2  # so much more is listed, since some are left out
_LIMIT = 600.0  # seconds that Yosys may take


@dataclass(frozen=True)
class Mutation:
    """One fault, as Yosys' pass ``mutate`` takes it.

    Attributes
    ----------
    mode
        What becomes of a bit: ``inv``, ``const0``, ``const1``, or what inverts it where another bit
        of the same port is 0 or 1, ``cnot0``, ``cnot1``.
    cell, port, portbit
        Whose bit.
    line
        All of it, as arguments of ``mutate``.
    """

    mode: str
    cell: str
    port: str
    portbit: int
    line: str

    @classmethod
    def of(cls, line: str) -> "Mutation":
        """What one line of ``mutate -list`` says."""
        line = line.partition(" -wire ")[0].partition(" -src ")[0].strip()
        words = line.split()
        value = dict(zip(words[1::2], words[2::2], strict=True))
        return cls(value["-mode"], value["-cell"], value["-port"], int(value["-portbit"]), line)

    def __str__(self) -> str:
        return f"{self.cell} {self.port}[{self.portbit}] {self.mode}"


def listed(verilog: str, count: int, seed: int) -> list[Mutation]:
    """``count`` faults of a core, or as many as there are, drawn by Yosys with ``seed``."""
    script = f"{PREPARED}mutate -list {round(count * _SPARE)} -seed {seed} -o list\n"
    text = _run(verilog, script, "list")
    lines = [line for line in text.splitlines() if not _LEFT_OUT.search(line)]
    return [Mutation.of(line) for line in lines[:count]]


def mutated(verilog: str, mutations: Sequence[Mutation], more: str = "") -> str:
    """The core with all of ``mutations`` in it; number n of them, from 1, where SELECTOR is n.

    ``more`` are commands of Yosys that change what the core is without a mutation.
    """
    # A case that is marked as parallel is checked, and not all mutants' cases are.
    writes = "write_verilog -noattr -noparallelcase mutated.v\n"
    return _run(verilog, f"{PREPARED}{applied(mutations)}{more}opt_clean\n{writes}", "mutated.v")


def applied(mutations: Sequence[Mutation]) -> str:
    """The commands that put ``mutations`` into a netlist, with an input SELECTOR."""
    width = len(mutations).bit_length()
    return "".join(
        f"{mutation.line.replace('mutate ', f'mutate -ctrl {SELECTOR} {width} {number} ', 1)}\n"
        for number, mutation in enumerate(mutations, 1)
    )


def _run(verilog: str, script: str, result: str) -> str:
    with temporary_folder() as folder:
        (folder / "core.v").write_text(verilog)
        (folder / "script.ys").write_text(script)
        YOSYS.run(["script.ys"], folder, _LIMIT)
        return (folder / result).read_text()
