"""What a core's Verilog is made of that can move: registers, memories and multipliers.

It reads the Verilog that hw.emit.verilog writes: a module is called as its place in the hierarchy,
a register has a line of its own, and so has every port of a memory.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from golden.errors import refusal

_NAME = r"(?:\\\S+ |[A-Za-z_][\w$]*)"
_MODULE = re.compile(rf"^module ({_NAME}).*?^endmodule", re.MULTILINE | re.DOTALL)
_CLOCKED = "always @(posedge clk)"
_REGISTER = re.compile(rf"^  always @\(posedge clk\)\n    ({_NAME}) ?<= ", re.MULTILINE)
_READ = re.compile(
    rf"^  always @\(posedge clk\) begin\n(?:    if \((.*)\) begin\n)?"
    rf" +({_NAME}) ?<= ({_NAME})\[(.*)\];$",
    re.MULTILINE,
)
_WRITE = re.compile(
    rf"^  always @\(posedge clk\) begin\n(?:    if \(.*\)\n +{_NAME}\[.*\](?: ?\[.*\])? <= .*;\n)+"
    r"  end",
    re.MULTILINE,
)
_STORED = re.compile(rf"^  reg \[(\d+):0\] ({_NAME}) ?\[\d+:0\];", re.MULTILINE)
_PRODUCT = re.compile(r"^ +(?:assign )?\S+ +<?= (.*) \* (.*);$", re.MULTILINE)
_INSTANCE = re.compile(
    rf"^  ({_NAME}) (?:#\(\n.*?^  \) )?({_NAME}) ?\(\n(.*?)^  \);", re.MULTILINE | re.DOTALL
)
_PIN = re.compile(r"^    \.(\w+)\((.*)\),?$", re.MULTILINE)
_NO_SIGNAL = re.compile(r"\d+'s?[bdh][0-9a-fx]+|\$signed|\$unsigned")
_SLICE = re.compile(rf"({_NAME})(?:\[(\d+)(?::(\d+))?\])?")


@dataclass(frozen=True)
class Bits:
    """Some bits of a signal, all that ``mask`` has; ``path`` is the signal's in a waveform."""

    path: str
    mask: int


@dataclass(frozen=True)
class Memory:
    """A read port: ``enable`` says when it reads (None: in every cycle), ``output`` what came.

    ``width`` is that of a word, in bits.
    """

    path: str
    width: int
    enable: Bits | None
    address: tuple[Bits, ...]
    output: str


@dataclass(frozen=True)
class Multiplier:
    """``operands`` are what it multiplies, or what its own registers take for that."""

    path: str
    operands: tuple[Bits, ...]


@dataclass(frozen=True)
class Parts:
    """All paths of registers, memories and multipliers."""

    registers: tuple[str, ...]
    memories: tuple[Memory, ...]
    multipliers: tuple[Multiplier, ...]


@dataclass(frozen=True)
class _Cell:
    """A vendor's cell: registers in its model that the core uses, and pins of what it does."""

    registers: tuple[str, ...] = ()
    operands: tuple[str, ...] = ()
    enable: str = ""
    address: str = ""
    output: str = ""
    width: int = 0


# With the parameters that boards/family/ice40.py gives them: C and D of a MAC16 are not registered.
_CELLS: Mapping[str, _Cell] = {
    "SB_MAC16": _Cell(registers=("rA", "rB", "rH", "rQ", "rS"), operands=("A", "B")),
    "SB_SPRAM256KA": _Cell(enable="CHIPSELECT", address="ADDRESS", output="DATAOUT", width=16),
}


def traceable(verilog: str) -> str:
    """The same Verilog with names for what Yosys gave a number: Verilator hides ``_1_``."""
    return re.sub(r"\b_(\d+)_", r"yosys_\1", verilog)


def parts_of(verilog: str) -> Parts:
    """Everything in ``verilog``, the target's cells among it.

    Raises ValueError where something is clocked that is none of it.
    """
    registers: list[str] = []
    memories: list[Memory] = []
    multipliers: list[Multiplier] = []
    for module in _MODULE.finditer(verilog):
        text, scope = module[0], _plain(module[1])
        found = [f"{scope}.{_plain(name)}" for name in _REGISTER.findall(text)]
        reads = list(_reads(text, scope))
        unknown = text.count(_CLOCKED) - len(found) - len(reads) - len(_WRITE.findall(text))
        if unknown:
            expected = "clocked processes that are a register's or a memory port's"
            raise refusal(scope, f"{unknown} other", expected)
        registers += found
        memories += reads
        multipliers += _products(text, scope)
        for kind, name, pins in _INSTANCE.findall(text):
            cell, place = _CELLS.get(_plain(kind)), f"{scope}.{_plain(name)}"
            if cell is None:
                continue
            pin = dict(_PIN.findall(pins))
            registers += [f"{place}.{register}" for register in cell.registers]
            if cell.operands:
                operands = [bits for of in cell.operands for bits in _bits(pin[of], scope)]
                multipliers.append(Multiplier(place, tuple(operands)))
            if cell.address:
                enable, address = _enable(pin[cell.enable], scope), _bits(pin[cell.address], scope)
                output = f"{place}.{cell.output}"
                memories.append(Memory(place, cell.width, enable, tuple(address), output))
    return Parts(tuple(registers), tuple(memories), tuple(multipliers))


def _reads(text: str, scope: str) -> Iterator[Memory]:
    widths = {_plain(name): int(high) + 1 for high, name in _STORED.findall(text)}
    for enable, output, memory, address in _READ.findall(text):
        yield Memory(
            f"{scope}.{_plain(memory)}",
            widths[_plain(memory)],
            _enable(enable, scope),
            tuple(_bits(address, scope)),
            f"{scope}.{_plain(output)}",
        )


def _products(text: str, scope: str) -> Iterator[Multiplier]:
    """Products of two things that may change; those with the same second factor are one."""
    factors: dict[str, list[Bits]] = {}
    for a, b in _PRODUCT.findall(text):
        first, second = _bits(a, scope), _bits(b, scope)
        if first and second:
            factors.setdefault(second[0].path, []).extend([*first, *second])
    for name, operands in factors.items():
        yield Multiplier(f"{scope}.{name.removeprefix(scope + '.')}", tuple(operands))


def _enable(expression: str, scope: str) -> Bits | None:
    """None where it is a constant; constants that are 0 are not emitted."""
    bits = _bits(expression, scope)
    if len(bits) > 1:
        raise refusal(f"{scope}: enable of a memory", expression, "a signal")
    return bits[0] if bits else None


def _bits(expression: str, scope: str) -> list[Bits]:
    """The signals in it that are no constants."""
    found = []
    for name, high, low in _SLICE.findall(_NO_SIGNAL.sub("", expression)):
        if high:
            first = int(low or high)
            mask = (1 << int(high) + 1) - (1 << first)
        else:
            mask = -1
        found.append(Bits(f"{scope}.{_plain(name)}", mask))
    return found


def _plain(name: str) -> str:
    """A name as waveforms have it."""
    return name.strip().removeprefix("\\")
