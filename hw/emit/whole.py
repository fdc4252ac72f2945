"""Wires assigned whole that Yosys assigns part by part.

Icarus resolves the parts of a wire bit by bit, with their strengths, whenever one of them changes.
The wide wires around the lanes then cost it ten times as much as the rest of a core.
"""

import re
from collections import defaultdict
from typing import NamedTuple

_NAME = r"\\\S+ |[A-Za-z_]\w*"  # an escaped name ends with its space
_DECLARED = re.compile(
    rf"^  (?:(?:in|out)put )?(?:wire|reg) (?:signed )?(?:\[(\d+):0\] )?({_NAME})", re.MULTILINE
)
_ASSIGNED = re.compile(r"^  assign (.+?) = (.+);\n", re.MULTILINE)
_PART = re.compile(rf" *(?:(\d+)'h[0-9a-f]+|({_NAME})(?: ?\[(\d+)(?::(\d+))?\])?) *")


class _Part(NamedTuple):
    """Bits ``high`` to ``low`` of a wire called ``name``, or of a number."""

    name: str
    high: int
    low: int
    text: str

    @property
    def width(self) -> int:
        return self.high - self.low + 1


def whole(verilog: str) -> str:
    """``verilog``, as Yosys writes it, with one assignment for each wire that had several.

    Only wires that are assigned names, parts of names and numbers in every bit are; the meaning
    stays what it is.
    """
    modules = re.split(r"(?<=^endmodule\n)", verilog, flags=re.MULTILINE)
    return "".join(map(_whole_module, modules))


def _whole_module(text: str) -> str:
    widths = {name: int(high or 0) + 1 for high, name in _DECLARED.findall(text)}
    # By where each assignment stands: what it assigns, and which parts of what.
    pairs = {each.start(): _pairs(each[1], each[2], widths) for each in _ASSIGNED.finditer(text)}
    drivers: dict[str, list[tuple[_Part, _Part]]] = defaultdict(list)
    for to, come in (pair for each in pairs.values() for pair in each):
        drivers[to.name].append((to, come))
    several = {
        name: sorted(parts, reverse=True)
        for name, parts in drivers.items()
        if len(parts) > 1 and sum(to.width for to, _ in parts) == widths[name]
    }

    def replaced(assignment: re.Match[str]) -> str:
        here = pairs[assignment.start()]
        names = dict.fromkeys(to.name for to, _ in here if to.name in several)
        if not names:
            return assignment[0]
        rest = [pair for pair in here if pair[0].name not in several]
        lines = [_assignment(to.text, [come]) for to, come in rest]
        for name in names:
            if several[name][0][0] in [to for to, _ in here]:  # once, where its highest part was
                lines.append(_assignment(name, [come for _, come in several[name]]))
        return "".join(lines)

    return _ASSIGNED.sub(replaced, text)


def _assignment(name: str, parts: list[_Part]) -> str:
    texts = [part.text for part in parts]
    value = texts[0] if len(texts) == 1 else f"{{ {', '.join(texts)} }}"
    return f"  assign {name} = {value};\n"


def _pairs(left: str, right: str, widths: dict[str, int]) -> list[tuple[_Part, _Part]]:
    """Each part of ``left`` and what it is assigned; none where that cannot be told apart."""
    to, come = _parts(left, widths), _parts(right, widths)
    if [part.width for part in to] != [part.width for part in come]:
        return []
    return list(zip(to, come, strict=True))


def _parts(text: str, widths: dict[str, int]) -> list[_Part]:
    """The parts of a concatenation, or the one of a name; none of any other expression."""
    parts = []
    for each in text.removeprefix("{").removesuffix("}").split(","):
        found = _PART.fullmatch(each)
        if found is None:
            return []
        number, name, high, low = found.groups()
        if number is not None:
            parts.append(_Part("", int(number) - 1, 0, each.strip()))
        elif name in widths:
            top = widths[name] - 1 if high is None else int(high)
            bottom = int(low or high or 0)
            parts.append(_Part(name, top, bottom, each.strip() + " " * (each[-1:] == " ")))
        else:
            return []
    return parts
