"""Reads what changed from clock to clock out of a waveform in VCD, as a stream.

pyvcd's reader would do, but it refuses names that begin with a dollar sign, as Amaranth's may.
"""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from golden.errors import refusal

_TIME, _VECTOR, _DOLLAR = b"#b$"


def cycles(
    file: BinaryIO, signals: Sequence[str], clock: str
) -> Iterator[tuple[list[int], dict[int, int]]]:
    """For each rising edge of ``clock`` what was there before it.

    ``signals`` and ``clock`` are paths, scopes and name joined by dots. Yields the values of all
    signals, and by their places in ``signals`` the bits, as a mask, that differ from what was there
    before the last edge. The list is the reader's own: it changes with the next edge.

    Raises ValueError where a signal is not in the waveform or has a value that is no number.
    """
    where, clocks = _places(file, signals, clock)
    values, before = [0] * len(signals), [0] * len(signals)
    touched: set[int] = set()
    block: list[tuple[list[int], int]] = []
    rises = False
    for line in file:
        kind = line[0]
        if kind == _TIME:
            if rises:
                flips = {n: before[n] ^ values[n] for n in touched if before[n] != values[n]}
                yield values, flips
                for n in flips:
                    before[n] = values[n]
                touched.clear()
                rises = False
            for places, value in block:
                for n in places:
                    values[n] = value
                    touched.add(n)
            block.clear()
            continue
        if kind == _VECTOR:
            digits, _, code = line[1:-1].partition(b" ")
        elif kind == _DOLLAR:
            continue
        else:
            digits, code = line[:1], line[1:-1]
        if code in clocks:
            rises = digits == b"1"
        places = where.get(code)
        if places is not None:
            block.append((places, _number(digits, signals[places[0]])))


def _number(digits: bytes, name: str) -> int:
    try:
        return int(digits, 2)
    except ValueError:
        raise refusal(name, digits.decode(), "a number in binary") from None


def _places(
    file: BinaryIO, signals: Sequence[str], clock: str
) -> tuple[dict[bytes, list[int]], set[bytes]]:
    """The places of the signals, and the clock, by their codes in the file; reads the header."""
    codes: dict[str, bytes] = {}
    scopes: list[str] = []
    for line in file:
        words = line.split()
        if not words:
            continue
        if words[0] == b"$scope":
            scopes.append(words[2].decode())
        elif words[0] == b"$upscope":
            scopes.pop()
        elif words[0] == b"$var":
            name = words[4].decode().removeprefix("\\")  # Icarus writes it as Verilog does
            codes[".".join([*scopes, name])] = words[3]
        elif words[0] == b"$enddefinitions":
            break
    where: dict[bytes, list[int]] = {}
    for n, name in enumerate([*signals, clock]):
        if name not in codes:
            raise refusal("waveform", f"no {name}", "all of the core's signals")
        if n < len(signals):
            where.setdefault(codes[name], []).append(n)
    return where, {codes[clock]}
