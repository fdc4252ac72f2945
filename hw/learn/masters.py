"""The store of the masters: a word of P of them is read in each cycle, and another one written."""

from collections.abc import Sequence

from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from golden.fixed import Integers
from hw.learn.layout import of_stage
from hw.pipeline import delayed, strobed
from hw.primitive.masters import MasterStore


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
        Cycles from an address to its word, no fewer than the store's.
    store : type
        What holds the masters of a stage (hw.primitive.masters.MasterStore).

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
        self,
        init: Integers,
        *,
        width: int,
        stages: Sequence[range],
        read_latency: int = 1,
        store: type[MasterStore] = MasterStore,
    ) -> None:
        require_int("words", len(init), 1)
        require_int("read_latency", read_latency, store.latency)
        self._stages, self._more = stages, read_latency - store.latency
        self._stores = [
            store(init[:, stage.start : stage.stop].tolist(), width=width) for stage in stages
        ]
        address = ceil_log2(len(init))
        masters = data.ArrayLayout(signed(width), stages[-1].stop)
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
        for n, (stage, store) in enumerate(zip(self._stages, self._stores, strict=True)):
            m.submodules[f"stage_{n}"] = store
            lanes = self.write[stage.start : stage.stop]
            word = delayed(m, store.word.as_value(), self._more, f"word_{n}")
            m.d.comb += [
                store.address.eq(delayed(m, self.address, n, f"address_{n}")),
                of_stage(self.word, stage).eq(word),
                store.write_address.eq(delayed(m, self.write_address, n, f"write_address_{n}")),
                store.write.eq(strobed(m, lanes, n, f"write_{n}")[-1]),
                store.written.as_value().eq(of_stage(self.written, stage)),
            ]
        return m
