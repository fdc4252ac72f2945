"""A function of the preactivation in ROM: whole, or folded where that takes fewer block RAMs."""

from amaranth.hdl import Array, Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import memory
from amaranth.utils import bits_for, exact_log2

from golden.fixed import Integers
from hw.pipeline import delayed
from hw.target import Target

FOLDING = 2  # cycles: a register before the preactivation is turned, one behind the value


class Table:
    """A sigmoid or a tanh (golden.tables), by the two's-complement preactivation.

    One that is larger than a block RAM is folded: it keeps the distances d(n) = 1 - f(n) of n >= 0
    alone. As f(-n) is 1 - f(n) of a sigmoid and -f(n) of a tanh, d(n) is how far f(-n) is from the
    function's floor, 0 or -1. Distances shrink as n grows, so entries that lie far apart share a
    word: word k holds those of k, k + words, k + 2 words...

    Parameters
    ----------
    values : int64 [2^width]
        Entry i is that of preactivation i - 2^(width - 1).
    one : int
        What stands for 1.0 in them; none is greater.
    target : Target
        Whose block RAM.

    Attributes
    ----------
    blocks : int
        Block RAMs that it takes; 0 where the target does not say.
    folded : bool
        It is: that takes fewer of them.
    latency : int
        Cycles from the preactivation to its value.
    """

    def __init__(self, values: Integers, one: int, target: Target) -> None:
        self._values, self._one, self._target = values.tolist(), one, target
        self._width = exact_log2(len(self._values))
        self._signed = min(self._values) < 0  # a tanh
        bits = max(bits_for(v, require_sign_bit=self._signed) for v in self._values)
        self._shape = Shape(bits, self._signed)
        self._columns: list[list[int]] = []  # of distances, a column for each that a word holds
        self.blocks = target.blocks(len(self._values), bits)
        for columns in self._folds() if self.blocks > 1 else []:
            blocks = target.blocks(len(columns[0]), sum(map(_bits, columns)))
            if blocks < self.blocks:
                self.blocks, self._columns = blocks, columns
        self.folded = bool(self._columns)
        self.latency = target.read_latency + FOLDING * self.folded

    @property
    def _floor(self) -> int:
        return -self._one if self._signed else 0

    def _folds(self) -> list[list[list[int]]]:
        """The columns of every way to fold it, from one distance a word to all in one word.

        No way where a value is not its opposite's; the lowest has none, and need not be.
        """
        half = len(self._values) // 2
        distances = [self._one - v for v in self._values[half:]]
        if self._values[half - 1 : 0 : -1] != [d + self._floor for d in distances[1:]]:
            return []
        depths = [half >> n for n in range(self._width)]
        return [[distances[low : low + n] for low in range(0, half, n)] for n in depths]

    def look_up(self, m: Module, name: str, index: Value) -> Value:
        """The value of ``index``, ``latency`` cycles later, from a memory called ``name``."""
        if self.folded:
            return self._look_up_folded(m, name, index)
        half = len(self._values) // 2
        return self._rom(m, name, self._shape, self._values[half:] + self._values[:half], index)

    def _look_up_folded(self, m: Module, name: str, index: Value) -> Value:
        read, low = self._target.read_latency, exact_log2(len(self._columns[0]))
        n = Signal(signed(self._width), name=f"{name}_index", reset_less=True)
        size = Signal(self._width, name=f"{name}_size")  # |n|
        m.d.sync += n.eq(index)
        m.d.comb += size.eq(Mux(n < 0, ~(n - 1), n))

        parts = self._read(m, name, size[:low])
        *part, lowest = delayed(m, size[low:], read, f"{name}_part")  # |n| of no other is so large
        end = self._values[0] - self._floor
        d = Signal(range(self._one + 1), name=f"{name}_distance")
        m.d.comb += d.eq(Mux(lowest, end, parts[Cat(part)]))

        # d - 1 is d with its top bit turned, and 1 - d its opposite: all bits turned, and a carry.
        less = Cat(d[:-1], ~d[-1]).as_signed()
        more = ~(less - 1)
        below = delayed(m, n < 0, read, f"{name}_below")
        value = Signal(self._shape, name=f"{name}_value", reset_less=True)
        m.d.sync += value.eq(Mux(below, less if self._signed else d, more))
        return value

    def _read(self, m: Module, name: str, address: Value) -> Array:
        """The distances in a word."""
        widths = [_bits(column) for column in self._columns]
        starts = [sum(widths[:k]) for k in range(len(widths))]
        rows = zip(*self._columns, strict=True)
        words = [sum(d << start for d, start in zip(row, starts, strict=True)) for row in rows]
        word = self._rom(m, name, unsigned(sum(widths)), words, address)
        return Array(word[start:][:width] for start, width in zip(starts, widths, strict=True))

    def _rom(self, m: Module, name: str, shape: Shape, init: list[int], address: Value) -> Value:
        m.submodules[name] = rom = memory.Memory(shape=shape, depth=len(init), init=init)
        port = rom.read_port()
        m.d.comb += [port.en.eq(1), port.addr.eq(address)]
        return delayed(m, port.data, self._target.read_latency - 1, f"{name}_read")


def _bits(column: list[int]) -> int:
    return bits_for(max(column))
