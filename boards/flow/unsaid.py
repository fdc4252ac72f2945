"""What nextpnr's netlists leave unsaid, put into them for simulators.

nextpnr writes down the cells, and the wires that it has chosen between them. What a pin is where no
wire comes to it, and what comes over a wire that could not be otherwise, are facts of the chip.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from golden.errors import refusal

Module = dict[str, Any]  # in Yosys' JSON form


def _numbered(*groups: tuple[str, int]) -> list[str]:
    return [f"{name}{n}" for name, count in groups for n in range(count)]


# Pins to which no wire comes: those of an iCE40 are low, save the enables of clocks; those of an
# ECP5's tables are high.
_LOW: Mapping[str, Iterable[str]] = {
    "ICESTORM_LC": ["I0", "I1", "I2", "I3", "CIN", "CLK", "SR"],
    "ICESTORM_RAM": [
        *("RCLK", "RE", "WCLK", "WE"),
        *_numbered(("RADDR_", 11), ("WADDR_", 11), ("MASK_", 16), ("WDATA_", 16)),
    ],
    "TRELLIS_COMB": [*("M", "FCI", "F1", "FXA", "FXB", "WD"), *_numbered(("WAD", 4))],
    "TRELLIS_FF": ["CLK", "LSR", "CE", "M"],
    "TRELLIS_IO": ["I", "T"],
}
_HIGH: Mapping[str, Iterable[str]] = {
    "ICESTORM_LC": ["CEN"],
    "ICESTORM_RAM": ["RCLKE", "WCLKE"],
    "TRELLIS_COMB": ["A", "B", "C", "D"],
    "DCCA": ["CE"],
}
# Pins of an ECP5's hard blocks are high, and go through multiplexers that invert them or give a
# constant instead.
_BLOCKS: Mapping[str, Iterable[str]] = {
    "DP16KD": [
        *(f"{pin}{port}" for pin in ("CLK", "CE", "OCE", "WE", "RST") for port in "AB"),
        *_numbered(("ADA", 14), ("ADB", 14), ("DIA", 18), ("DIB", 18), ("CSA", 3), ("CSB", 3)),
    ],
    "TRELLIS_COMB": ["WCK", "WRE"],
    "MULT18X18D": [
        *("SIGNEDA", "SIGNEDB", "SOURCEA", "SOURCEB"),
        *_numbered(("A", 18), ("B", 18), ("C", 18), ("CLK", 4), ("CE", 4), ("RST", 4)),
    ],
}


def say(module: Module, clock: str) -> None:
    """Puts it into ``module``, a top as nextpnr wrote it; ``clock`` is the port of its only clock.

    The clock's pin goes to the buffers before and behind the PLL over wires of its own, as if there
    were no PLL: a simulator's clock is the one behind it. Raises ValueError where a block's pin has
    a wire that comes inverted.
    """
    (pin,) = module["ports"][clock]["bits"]
    for name, cell in list(module["cells"].items()):
        kind, wires, parameters = cell["type"], cell["connections"], cell["parameters"]
        if kind == "TRELLIS_COMB" and parameters.get("MODE") == "RAMW_BLOCK":
            del module["cells"][name]  # a place that TRELLIS_RAMW takes
            continue
        if kind == "SB_GB":
            _connect(cell, "USER_SIGNAL_TO_GLOBAL_BUFFER", pin)
        if kind == "TRELLIS_FF" and parameters.pop("SD", "").strip() == "0":
            wires["DI"] = wires["M"]  # past the table before it
        for pins, value in ((_LOW, "0"), (_HIGH, "1")):
            for port in pins.get(kind, ()):
                _connect(cell, port, value)
        for port in _BLOCKS.get(kind, ()):
            through = str(parameters.pop(f"{port}MUX", port)).strip()
            if wires.get(port) and through != port:
                raise refusal(f"{port} of {name}", f"a wire through {through}", "one as it comes")
            _connect(cell, port, {"0": "0", "INV": "0"}.get(through, "1"))


def _connect(cell: dict[str, Any], port: str, value: str | int) -> None:
    """Puts a constant or the wire of a number to a port that has none, or an empty one."""
    if not cell["connections"].get(port):
        cell["connections"][port] = [value]
        cell["port_directions"][port] = "input"
