"""What memories have in common, and one that is deeper than a block RAM."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Module, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from golden.errors import require_int
from hw.pipeline import delayed

# For Yosys, on a memory: nobody uses what is read from an address in the cycle in which it is
# written, so that it need not be what the simulators say, which would take a bypass to keep.
UNCHECKED = {"no_rw_check": 1}


def banks_of(words: int, width: int, shapes: Sequence[tuple[int, int]]) -> list[range]:
    """Banks for so many words of ``width`` bits, each as deep as one of ``shapes``.

    A shape is the words of a block RAM, a power of two, and bits of each. The banks take the fewest
    block RAM that do, and no more banks than these need. Each begins at a multiple of its depth,
    the deepest first, so that a bank's address is the lower part of a word's. Without shapes there
    is one bank.
    """
    if not shapes:
        return [range(1 << ceil_log2(words))]
    bits, least = dict(shapes), min(depth for depth, _ in shapes)

    def taken(depths: tuple[int, ...]) -> tuple[int, int]:
        return sum(-(-width // bits[depth]) for depth in depths), len(depths)

    best: list[tuple[int, ...]] = [()]
    for n in range(1, -(-words // least) + 1):
        best.append(min(((d, *best[max(0, n - d // least)]) for d in bits), key=taken))
    banks, begin = [], 0
    for depth in sorted(best[-1], reverse=True):
        banks.append(range(begin, begin + depth))
        begin += depth
    return banks


def is_in(bank: range, address: Value) -> Value:
    """Whether an address is that of a word in one of ``banks_of``."""
    return address[exact_log2(len(bank)) :] == bank.start // len(bank)


def one_of(values: Sequence[Value], chosen: Sequence[Value]) -> Value:
    """The value, of some that are equally wide, that is ``chosen``, one bit each."""
    if len(values) == 1:
        return values[0]
    pairs = zip(values, chosen, strict=True)
    return reduce(or_, (value & is_it.replicate(len(value)) for value, is_it in pairs))


class DeepMemory(wiring.Component):
    """Words of which in each cycle one is read and another one written, in banks if need be.

    Left to itself, Yosys chooses among block RAMs right at their outputs, which come late. Here the
    choice is made behind the last of the registers that reading goes through.

    Parameters
    ----------
    width, depth : int
        Bits of a word, and words. At power-up they are 0.
    read_latency : int
        Cycles from an address to its word.
    shapes : sequence of (int, int)
        Those of block RAM (hw.target.Target.block_shapes).

    Members
    -------
    address, word : In, Out
        What is to be read; the word, ``read_latency`` cycles later.
    write_address, write, written : In
        Where to write ``written``, if so. Nobody uses what is read there in the same cycle.

    Raises
    ------
    ValueError
        Where a number is below 1.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        read_latency: int = 1,
        shapes: Sequence[tuple[int, int]] = (),
    ) -> None:
        require_int("width", width, 1)
        require_int("depth", depth, 1)
        require_int("read_latency", read_latency, 1)
        self._width, self._depth, self._read_latency = width, depth, read_latency
        self._banks = banks_of(depth, width, shapes)
        super().__init__(
            {
                "address": In(ceil_log2(depth)),
                "word": Out(width),
                "write_address": In(ceil_log2(depth)),
                "write": In(1),
                "written": In(width),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        words, are_here = [], []
        for n, bank in enumerate(self._banks):
            m.submodules[f"bank_{n}"] = held = memory.Memory(
                shape=self._width,
                depth=min(bank.stop, self._depth) - bank.start,
                init=[],
                attrs=UNCHECKED,
            )
            read, write = held.read_port(), held.write_port()
            m.d.comb += [
                read.en.eq(1),
                read.addr.eq(self.address),
                write.addr.eq(self.write_address),
                write.en.eq(self.write & is_in(bank, self.write_address)),
                write.data.eq(self.written),
            ]
            words.append(delayed(m, read.data, self._read_latency - 1, f"word_{n}"))
            here = is_in(bank, self.address)
            are_here.append(delayed(m, here, self._read_latency, f"is_in_{n}"))
        m.d.comb += self.word.eq(one_of(words, are_here))
        return m
