"""A core with something joined to ports of its own that are then not seen any more."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hw.emit.verilog import TOP, Emission

INSIDE = f"{TOP}_inside"  # what the core itself is called then
_COLUMNS = tuple(
    f"{side}_columns_{name}" for side in "ms" for name in ("tdata", "tvalid", "tready")
)
_WEIGHTS = tuple(f"m_weights_{name}" for name in ("tdata", "tvalid", "tready", "tlast"))
MEMORY = _COLUMNS + _WEIGHTS  # the ports to a memory outside
LOAD = tuple(f"s_weights_{name}" for name in ("tdata", "tvalid", "tready", "tlast"))
_DIRECTIONS = {"in": "input", "out": "output", "io": "inout"}


def enclosed(
    emission: Emission,
    hidden: Sequence[str],
    body: str,
    modules: str,
    more: Sequence[dict[str, Any]] = (),
) -> Emission:
    """The core and ``body`` as one core that lacks the ports ``hidden`` and has ``more``.

    ``body`` are lines of Verilog that use all of these, clk and rst by their names, ``modules``
    those that it takes. The core's own text is in it as it is, under another name.
    """
    ports = [port for port in emission.manifest["ports"] if port["width"]]
    shown = [*(port for port in ports if port["name"] not in hidden), *more]
    declared = ",\n".join(f"  {declaration(port)}" for port in shown)
    wires = "".join(
        f"  wire [{port['width'] - 1}:0] {port['name']};\n"
        for port in ports
        if port["name"] in hidden
    )
    pins = ", ".join(f".{port['name']}({port['name']})" for port in ports)
    again = emission.verilog.count(f"\nmodule {INSIDE}")  # it was enclosed before
    inside = INSIDE + "_inside" * again
    head = re.compile(rf"^module {TOP} ?\(", re.MULTILINE)
    core = head.sub(f"module {inside}(", emission.verilog, count=1)
    top = f"module {TOP} (\n{declared}\n);\n{wires}  {inside} core ({pins});\n{body}endmodule\n"
    manifest = {**emission.manifest, "ports": shown}
    return replace(emission, verilog=core + modules + top, manifest=manifest)


def declaration(port: dict[str, Any]) -> str:
    """A manifest's port in a module's list."""
    return f"{_DIRECTIONS[port['direction']]} [{port['width'] - 1}:0] {port['name']}"
