"""A controller of SDR memories from another hand: LiteDRAM's Verilog, and what it wants at first.

LiteDRAM (BSD-2-Clause) is generated where it is needed, with pinned versions, for a board's memory.
"""

import importlib.util
import json
import re
import sys
from dataclasses import dataclass
from functools import cache

from golden.errors import refusal
from golden.files import temporary_folder
from golden.processes import run

# Runs LiteDRAM's own generator, then says what has to be written into the control port.
_GENERATE = """
import json, re, sys
from pathlib import Path
from litedram.gen import main
config, folder = sys.argv[1:]
sys.argv = ["litedram_gen", config, "--output-dir", folder, "--no-compile-software",
            "--no-compile-gateware"]
main()
header = Path(folder, "software/include/generated/csr.h").read_text()
found = re.findall(r"#define CSR_(\\w+)_ADDR \\(CSR_BASE \\+ (0x[0-9a-f]+)L\\)", header)
where = {name: int(value, 16) for name, value in found}
steps = Path(folder, "software/include/generated/sdram_phy.h").read_text()
values = {n: int(v, 16) for n, v in re.findall(r"#define (DFII_\\w+) (0x[0-9a-f]+)", steps)}
writes = []
for line in steps.partition("init_sequence(void)")[2].splitlines():
    call = re.match(r"\\s*(\\w+)\\((.*)\\);", line)
    if not call:
        continue
    name, value = call.groups()
    if name == "cdelay":
        writes[-1][2] = int(value)
        continue
    value = sum(values[each] if each in values else int(each, 0) for each in value.split("|"))
    if name == "command_p0":
        writes.append([where["SDRAM_DFII_PI0_COMMAND"], value, 0])
        writes.append([where["SDRAM_DFII_PI0_COMMAND_ISSUE"], 1, 0])
    else:
        writes.append([where[name.removesuffix("_write").upper()], value, 0])
writes.append([where["SDRAM_DFII_CONTROL"], values["DFII_CONTROL_SEL"], 0])
writes.append([where["DDRCTRL_INIT_DONE"], 1, 0])
Path(folder, "writes.json").write_text(json.dumps(writes))
"""
# A read that closes its row, too, may do so before tRAS is over, where it is the first one of that
# row. Whether chips hold that back their makers do not all say, so there are no such reads.
_CONFIG = """\
cpu: None
device: {device}
memtype: SDR
sdram_module: {module}
sdram_module_nb: 2
sdram_rank_nb: 1
sdram_phy: GENSDRPHY
input_clk_freq: {hz}
sys_clk_freq: {hz}
init_clk_freq: {hz}
user_ports:
  n0:
    type: native
    block_until_ready: True
with_auto_precharge: False
"""


@dataclass(frozen=True)
class Controller:
    """A generated controller: its ``verilog``, and ``writes`` to its control port before it can be
    used: byte address, value, cycles to wait afterwards."""

    verilog: str
    writes: tuple[tuple[int, int, int], ...]


@cache
def controller(device: str, module: str, mhz: float) -> Controller:
    """LiteDRAM for two chips of ``module``, 16 bits wide together, at ``mhz``.

    Raises ValueError where LiteDRAM is missing or refuses.
    """
    with temporary_folder() as folder:
        (folder / "config.yml").write_text(
            _CONFIG.format(device=device, module=module, hz=mhz * 1e6)
        )
        command = [sys.executable, "-c", _GENERATE, "config.yml", "out"]
        done = run(command, cwd=folder)
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:] or ["no word"]
            if importlib.util.find_spec("litedram") is None:
                raise refusal("litedram", "none", "it installed: pip install 'deltarnn[sdram]'")
            what = f"LiteDRAM for {module} at {mhz:g} MHz"
            raise refusal(what, said[0], "chips that it knows, and a clock that they take")
        writes = json.loads((folder / "out/writes.json").read_text())
        verilog = (folder / "out/gateware/litedram_core.v").read_text()
    # What is the same in every run; pins that are driven from both ends.
    verilog = re.sub(r"^// (Date|LiteX sha1) .*\n", "", verilog, flags=re.MULTILINE)
    verilog = re.sub(r"input( +wire +\[15:0\] sdram_dq)", r"inout\1", verilog)
    return Controller(verilog, tuple(map(tuple, writes)))
