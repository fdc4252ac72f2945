"""What moves in a core while it works, counted in its waveform."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from sim.parts import Bits, Parts
from sim.vcd import cycles

_ROOT = "TOP."


@dataclass
class Moves:
    """What moved in some clock cycles.

    Attributes
    ----------
    cycles, waits
        Clock cycles, and those in which ``busy`` was 0.
    toggles : by register
        Bits of it that were not what they were a cycle ago.
    reads, fresh : by memory
        Cycles in which it read, and those of them in which its address was not the one that it had
        read last.
    outputs : by memory
        Bits of its output that toggled.
    products : by multiplier
        Cycles in which an operand changed.
    """

    cycles: int = 0
    waits: int = 0
    toggles: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    fresh: Counter[str] = field(default_factory=Counter)
    outputs: Counter[str] = field(default_factory=Counter)
    products: Counter[str] = field(default_factory=Counter)


def count(
    parts: Parts, waves: BinaryIO, spans: Sequence[range], top: str, busy: str
) -> list[Moves]:
    """What moved in each of ``spans``, which are clock cycles in order and do not overlap.

    Cycle 1 is the first one in which ``rst`` of the core ``top`` is low. ``busy`` is the path of a
    signal of one bit. Raises ValueError as sim.vcd.cycles does.
    """
    names: dict[str, int] = {}

    def place(path: str) -> int:
        return names.setdefault(path, len(names))

    def watch(of: Sequence[Bits], by: int) -> None:
        for bits in of:
            watched.setdefault(place(bits.path), []).append((bits.mask, by))

    reset, at_work = place(f"{top}.rst"), place(busy)
    kept = {place(path): path for path in parts.registers}
    shown = {place(memory.output): memory.path for memory in parts.memories}
    watched: dict[int, list[tuple[int, int]]] = {}
    for n, memory in enumerate(parts.memories):
        watch(memory.address, n)
    for n, multiplier in enumerate(parts.multipliers, len(parts.memories)):
        watch(multiplier.operands, n)
    enables = [
        (memory.path, None if memory.enable is None else (place(memory.enable.path), memory.enable))
        for memory in parts.memories
    ]
    moved = [True] * (len(parts.memories) + len(parts.multipliers))
    found = [Moves() for _ in spans]
    paths = [_ROOT + name for name in names]
    cycle = span = 0
    for values, flips in cycles(waves, paths, f"{_ROOT}{top}.clk"):
        cycle += not values[reset]
        while span < len(spans) and cycle >= spans[span].stop:
            span += 1
        if span == len(spans):
            break
        for n, mask in flips.items():
            for of, by in watched.get(n, ()):
                if mask & of:
                    moved[by] = True
        counts = found[span] if cycle >= spans[span].start else Moves()
        counts.cycles += 1
        counts.waits += not values[at_work]
        for n, mask in flips.items():
            if n in kept:
                counts.toggles[kept[n]] += mask.bit_count()
            elif n in shown:
                counts.outputs[shown[n]] += mask.bit_count()
        for n, (path, enable) in enumerate(enables):
            if enable is None or values[enable[0]] & enable[1].mask:
                counts.reads[path] += 1
                counts.fresh[path] += moved[n]
                moved[n] = False
        for n, multiplier in enumerate(parts.multipliers, len(enables)):
            counts.products[multiplier.path] += moved[n]
            moved[n] = False
    return found
