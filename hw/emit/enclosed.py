"""A core with something joined to ports of its own that are then not seen any more."""

from collections.abc import Sequence
from dataclasses import replace

from hw.emit.verilog import TOP, Emission

INSIDE = f"{TOP}_inside"  # what the core itself is called then
COLUMNS = tuple(f"{side}_columns_{name}" for side in "ms" for name in ("tdata", "tvalid", "tready"))


def enclosed(emission: Emission, hidden: Sequence[str], body: str, modules: str) -> Emission:
    """The core and ``body`` as one core that lacks the ports ``hidden``.

    ``body`` are lines of Verilog that use the hidden ports, clk and rst by their names, ``modules``
    those that it takes. The core's own text is in it as it is, under another name.
    """
    ports = [port for port in emission.manifest["ports"] if port["width"]]
    shown = [port for port in ports if port["name"] not in hidden]
    declared = ",\n".join(
        f"  {port['direction']}put [{port['width'] - 1}:0] {port['name']}" for port in shown
    )
    wires = "".join(
        f"  wire [{port['width'] - 1}:0] {port['name']};\n"
        for port in ports
        if port["name"] in hidden
    )
    pins = ", ".join(f".{port['name']}({port['name']})" for port in ports)
    core = emission.verilog.replace(f"module {TOP}(", f"module {INSIDE}(", 1)
    top = f"module {TOP} (\n{declared}\n);\n{wires}  {INSIDE} core ({pins});\n{body}endmodule\n"
    manifest = {**emission.manifest, "ports": shown}
    return replace(emission, verilog=core + modules + top, manifest=manifest, weights=None)
