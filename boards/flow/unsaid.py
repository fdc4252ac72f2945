"""What nextpnr's netlists of an iCE40 leave unsaid, put into them for simulators.

nextpnr writes down the cells, and the wires that it has chosen between them. What a pin is where no
wire comes to it is a fact of the chip, and so is the way of its clock.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Module = dict[str, Any]  # in Yosys' JSON form


def _numbered(*groups: tuple[str, int]) -> list[str]:
    return [f"{name}{n}" for name, count in groups for n in range(count)]


# Pins to which no wire comes are low, save the enables of clocks.
_LOW: Mapping[str, Iterable[str]] = {
    "ICESTORM_LC": ["I0", "I1", "I2", "I3", "CIN", "CLK", "SR"],
    "ICESTORM_RAM": [
        *("RCLK", "RE", "WCLK", "WE"),
        *_numbered(("RADDR_", 11), ("WADDR_", 11), ("MASK_", 16), ("WDATA_", 16)),
    ],
}
_HIGH: Mapping[str, Iterable[str]] = {
    "ICESTORM_LC": ["CEN"],
    "ICESTORM_RAM": ["RCLKE", "WCLKE"],
}


def say(module: Module, clock: str) -> None:
    """Puts it into ``module``, a top as nextpnr wrote it; ``clock`` is the port of its only clock.

    The clock's pin goes to the buffers before and behind the PLL over wires of its own, as if there
    were no PLL: a simulator's clock is the one behind it.
    """
    (pin,) = module["ports"][clock]["bits"]
    for cell in module["cells"].values():
        kind = cell["type"]
        if kind == "SB_GB":
            _connect(cell, "USER_SIGNAL_TO_GLOBAL_BUFFER", pin)
        for pins, value in ((_LOW, "0"), (_HIGH, "1")):
            for port in pins.get(kind, ()):
                _connect(cell, port, value)


def _connect(cell: dict[str, Any], port: str, value: str | int) -> None:
    """Puts a constant or the wire of a number to a port that has none, or an empty one."""
    if not cell["connections"].get(port):
        cell["connections"][port] = [value]
        cell["port_directions"][port] = "input"
