"""The weights on chip: one word of P weights a cycle."""

from collections.abc import Sequence

from amaranth.hdl import Module, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from golden.parameters import WEIGHT


class WeightMemory(wiring.Component):
    """A ROM of weight words, initialised in the bitstream.

    Parameters
    ----------
    words : sequence of sequences of int
        The contents, P weights each, lane 0 first (hw.layout.CoreLayout.weight_words).

    Members
    -------
    address : In
        Which word.
    word : Out, array of P signed(8)
        The word, ``latency`` cycles later.

    Attributes
    ----------
    latency : int
        Cycles from an address to its word.

    Raises
    ------
    ValueError
        Where there is no word.
    """

    latency = 1

    def __init__(self, words: Sequence[Sequence[int]]) -> None:
        require_int("words", len(words), 1)
        self._words = words
        self._shape = data.ArrayLayout(signed(WEIGHT.width), len(words[0]))
        super().__init__({"address": In(ceil_log2(len(words))), "word": Out(self._shape)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.rom = rom = memory.Memory(
            shape=self._shape, depth=len(self._words), init=self._words
        )
        read = rom.read_port()
        m.d.comb += [read.addr.eq(self.address), read.en.eq(1), self.word.eq(read.data)]
        return m
