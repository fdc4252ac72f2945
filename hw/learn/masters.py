"""The store of the masters: a word of P of them is read in each cycle, and another one written."""

from collections.abc import Sequence

from amaranth.hdl import Module, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from golden.fixed import Integers
from hw.learn.layout import of_stage
from hw.pipeline import delayed, strobed
from hw.primitive.memory import UNCHECKED


class MasterMemory(wiring.Component):
    """Masters, a part for each stage of lanes, each a cycle after the one before.

    Parameters
    ----------
    init : int64 [words, P]
        What it holds at power-up (hw.learn.layout.LearningLayout.master_words).
    width : int
        Bits of a master.
    stages : sequence of range
        The lanes of each stage (hw.target.Target.stages).
    read_latency : int
        Cycles from an address to its word.

    Members
    -------
    address : In
        The word to be read.
    word : Out, array of P
        Its masters ``read_latency`` cycles later, those of stage n n cycles after that.
    write_address, write : In
        Where to write ``written``, of which stage n comes n cycles later, and of which lanes; both
        of all lanes in the same cycle. Nobody reads a word until it is written.
    written : In, array of P

    Raises
    ------
    ValueError
        Where there is no word.
    """

    def __init__(
        self, init: Integers, *, width: int, stages: Sequence[range], read_latency: int = 1
    ) -> None:
        require_int("words", len(init), 1)
        self._init, self._stages, self._read_latency = init, stages, read_latency
        self._master = signed(width)
        address = ceil_log2(len(init))
        masters = data.ArrayLayout(self._master, stages[-1].stop)
        super().__init__(
            {
                "address": In(address),
                "word": Out(masters),
                "write_address": In(address),
                "write": In(stages[-1].stop),
                "written": In(masters),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        for n, stage in enumerate(self._stages):
            lanes = slice(stage.start, stage.stop)
            m.submodules[f"stage_{n}"] = part = memory.Memory(
                shape=data.ArrayLayout(self._master, len(stage)),
                depth=len(self._init),
                init=[row[lanes].tolist() for row in self._init],
                attrs=UNCHECKED,
            )
            read, write = part.read_port(), part.write_port(granularity=1)
            lanes_write = strobed(m, self.write[lanes], n, f"write_{n}")[-1]
            word = delayed(m, read.data.as_value(), self._read_latency - 1, f"word_{n}")
            m.d.comb += [
                read.en.eq(1),
                read.addr.eq(delayed(m, self.address, n, f"address_{n}")),
                of_stage(self.word, stage).eq(word),
                write.addr.eq(delayed(m, self.write_address, n, f"write_address_{n}")),
                write.en.eq(lanes_write),
                write.data.eq(of_stage(self.written, stage)),
            ]
        return m
