"""The store of the masters of some lanes: in each cycle a word is read, and another one written."""

from collections.abc import Sequence

from amaranth.hdl import Module, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from hw.primitive.memory import UNCHECKED


class MasterStore(wiring.Component):
    """A word of masters for each address, initialised in the bitstream.

    Parameters
    ----------
    init : sequence of sequences of int
        What it holds at power-up: words of a master for each lane.
    width : int
        Bits of a master (signed).

    Members
    -------
    address : In
        The word to be read.
    word : Out, array of masters
        It, ``latency`` cycles later.
    write_address, write, written : In
        Where to write ``written``, an array of masters, and of which lanes, a bit each. Nobody
        reads a word in the cycle in which it is written.

    Attributes
    ----------
    latency : int
        In cycles.

    Raises
    ------
    ValueError
        Where there is no word.
    """

    latency = 1

    def __init__(self, init: Sequence[Sequence[int]], *, width: int) -> None:
        require_int("words", len(init), 1)
        self._init, self._width = init, width
        address, masters = ceil_log2(len(init)), data.ArrayLayout(signed(width), len(init[0]))
        super().__init__(
            {
                "address": In(address),
                "word": Out(masters),
                "write_address": In(address),
                "write": In(masters.length),
                "written": In(masters),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.memory = words = memory.Memory(
            shape=self.word.shape(), depth=len(self._init), init=self._init, attrs=UNCHECKED
        )
        read, write = words.read_port(), words.write_port(granularity=1)
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(self.address),
            self.word.eq(read.data),
            write.addr.eq(self.write_address),
            write.en.eq(self.write),
            write.data.eq(self.written),
        ]
        return m
