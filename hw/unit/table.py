"""A function of the preactivation in ROM: whole, or folded where that takes fewer block RAMs."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import memory
from amaranth.utils import bits_for, exact_log2

from golden.fixed import Integers
from hw.pipeline import delayed
from hw.target import Target

FOLDING = 2  # cycles: a register before the memory, and one behind what is made of its words


class Table:
    """A sigmoid or a tanh (golden.tables), by the two's-complement preactivation.

    Folded it keeps one half: the distances 1 - f(n) for n >= 0. As f(-n) is 1 - f(n) of a sigmoid
    and -f(n) of a tanh, that is also the distance of f(-n) from the function's lower end. Distances
    shrink as n grows, so entries that lie far apart share a word: word k holds those of k,
    k + words, k + 2 words...

    Parameters
    ----------
    values : int64 [2^width]
        Entry i is that of preactivation i - 2^(width - 1).
    one : int
        What stands for 1.0 in them.
    target : Target
        Whose block RAM.

    Attributes
    ----------
    folded : bool
        It is, since the target's block RAM is so small, and the values allow it.
    blocks : int
        Block RAMs it takes; 0 where the target does not say.
    latency : int
        Cycles from the preactivation to its value.
    """

    def __init__(self, values: Integers, one: int, target: Target) -> None:
        self._values, self._one, self._target = values.tolist(), one, target
        self._width = exact_log2(len(self._values))
        sign = min(self._values) < 0  # a sigmoid has none
        bits = max(bits_for(v, require_sign_bit=sign) for v in self._values)
        self._shape = signed(bits) if sign else unsigned(bits)
        self.blocks, self._columns = target.blocks(len(self._values), bits), None
        for columns in self._folds():
            blocks = target.blocks(len(columns[0]), sum(map(_bits, columns)))
            if blocks < self.blocks:
                self.blocks, self._columns = blocks, columns
        self.folded = self._columns is not None
        self.latency = target.read_latency + (FOLDING if self.folded else 0)

    @property
    def _floor(self) -> int:
        return -self._one if self._shape.signed else 0

    def _folds(self) -> list[list[list[int]]]:
        """The columns of distances of all ways to fold it, from one to one for each distance.

        None where any value but the lowest one's, which has no opposite, is not its opposite's.
        """
        half = len(self._values) // 2
        distances = [self._one - v for v in self._values[half:]]
        opposites = self._values[half - 1 : 0 : -1]
        if opposites != [d + self._floor for d in distances[1:]]:
            return []
        every = (half >> n for n in range(self._width))
        return [[distances[low : low + n] for low in range(0, half, n)] for n in every]

    def look_up(self, m: Module, name: str, index: Value) -> Value:
        """The value of ``index``, ``latency`` cycles later, from a memory called ``name``."""
        if self._columns is not None:
            return self._unfolded(m, name, index, self._columns)
        half = len(self._values) // 2
        return self._rom(m, name, self._shape, self._values[half:] + self._values[:half], index)

    def _unfolded(self, m: Module, name: str, index: Value, columns: list[list[int]]) -> Value:
        read, words = self._target.read_latency, len(columns[0])
        n = Signal(signed(self._width), name=f"{name}_index")
        m.d.comb += n.eq(index)
        # |n|, of which the top bit is set for the lowest n alone.
        size = delayed(m, Mux(n < 0, ~(n - 1), n)[: self._width], 1, f"{name}_size")
        below = delayed(m, n < 0, 1 + read, f"{name}_below")

        widths = [_bits(column) for column in columns]
        rows = [
            sum(d << sum(widths[:k]) for k, d in enumerate(row))
            for row in zip(*columns, strict=True)
        ]
        word = self._rom(m, name, unsigned(sum(widths)), rows, size[: exact_log2(words)])
        *which, lowest = delayed(m, size[exact_log2(words) :], read, f"{name}_which")

        # The distance d from where the function ends.
        parts = Array(word[sum(widths[:k]) :][:width] for k, width in enumerate(widths))
        end = self._values[0] - self._floor
        d = Signal(range(self._one + 1), name=f"{name}_distance")
        m.d.comb += d.eq(Mux(lowest, end, parts[Cat(which)]))

        # 1 - d, as the opposite of d - 1: both are d with bits turned, and a carry.
        less = Cat(d[:-1], ~d[-1]).as_signed()
        more = ~(less - 1)
        value = Mux(below, less if self._shape.signed else d, more)[: self._shape.width]
        value = value.as_signed() if self._shape.signed else value.as_unsigned()
        return delayed(m, value, 1, f"{name}_value")

    def _rom(self, m: Module, name: str, shape, init: list[int], address: Value) -> Value:
        rom = memory.Memory(shape=shape, depth=len(init), init=init)
        m.submodules[name] = rom
        port = rom.read_port()
        m.d.comb += [port.en.eq(1), port.addr.eq(address)]
        return delayed(m, port.data, self._target.read_latency - 1, f"{name}_read")


def _bits(column: list[int]) -> int:
    return bits_for(max(column))
