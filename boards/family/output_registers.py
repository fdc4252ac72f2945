"""Output registers of ECP5 block RAM, which Yosys does not infer."""

from collections import Counter, defaultdict
from typing import Any


def absorb_output_registers(module: dict[str, Any]) -> None:
    """Moves the registers behind a DP16KD into it, where all that it reads goes through one.

    ``module`` is a mapped module in Yosys' JSON form, and is changed. A memory of two ports that
    are read is left alone, and so is one of which any output has another load, or a register with
    an enable or a reset.
    """
    cells = module["cells"]
    loads: Counter[int | str] = Counter(
        bit for port in module["ports"].values() for bit in port["bits"]
    )
    behind: dict[int | str, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in cells.items():
        directions = cell.get("port_directions", {})  # of a black box nobody knows them
        for port, bits in cell["connections"].items():
            if directions.get(port) != "output":
                loads.update(bits)
                for bit in bits:
                    behind[bit].append((name, port))
    for cell in [cell for cell in cells.values() if cell["type"] == "DP16KD"]:
        used = {
            port: bits[0]
            for port, bits in cell["connections"].items()
            if port.startswith("DO") and bits and loads[bits[0]]
        }
        registers = {port: _register(cells, behind[bit]) for port, bit in used.items()}
        parameters = cell["parameters"]
        free = (
            parameters.get("REGMODE_A", "NOREG") == parameters.get("REGMODE_B", "NOREG") == "NOREG"
        )
        if not (free and used and all(registers.values())):
            continue
        if any(loads[bit] != 1 for bit in used.values()):
            continue
        for port, name in registers.items():
            cell["connections"][port] = cells[name]["connections"]["Q"]
            del cells[name]
        for port in "AB":
            parameters[f"REGMODE_{port}"] = "OUTREG"
            cell["connections"][f"OCE{port}"] = ["1"]
            cell["port_directions"][f"OCE{port}"] = "input"


def _register(cells: dict[str, Any], loads: list[tuple[str, str]]) -> str | None:
    """The plain register that is all there is in ``loads``, if that is so."""
    if len(loads) != 1:
        return None
    name, port = loads[0]
    cell = cells[name]
    if cell["type"] != "TRELLIS_FF" or port not in ("DI", "M"):
        return None
    ties = (cell["connections"].get(pin, []) for pin in ("CE", "LSR"))
    return None if any(isinstance(bit, int) for bits in ties for bit in bits) else name
