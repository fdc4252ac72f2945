"""Looks at all that a flash holds for a core, once, before the core is given anything of it."""

from collections.abc import Sequence

from amaranth.hdl import Array, Const, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from boards.link.packets import BYTE
from boards.memory.boot import FLASH_ADDRESS
from golden.errors import require_int
from golden.formats import WEIGHT
from hw.walk.column_layout import CHECK


class Survey(wiring.Component):
    """Asks for each column and drops it, then for what is to be loaded, and loads that.

    Behind the last column lies one more: the model's tag, then these bytes.

    Parameters
    ----------
    runs : sequence of (int, int)
        Columns that follow one another: how many, and the bytes of each.
    tag : bytes
        That of the model.
    length : int
        Bytes of what is loaded, if anything.

    Members
    -------
    request : Out; word : In
        Those of boards.memory.quad.QuadColumns.
    load : Out, stream of boards.link.packets.BYTE
        To the core.
    done, failed : Out
        All of it was right and is loaded; it is another model's. What never comes was wrong.
    """

    def __init__(self, runs: Sequence[tuple[int, int]], tag: bytes, length: int) -> None:
        self._runs = [(*run,) for run in runs if run[0]]
        require_int("runs of columns", len(self._runs), 1)
        self._tag, self._length = tag, require_int("bytes to load", length, 0)
        self.longest = max(len(tag) + length, *(words for _, words in self._runs))
        column = data.StructLayout(
            {"address": unsigned(FLASH_ADDRESS), "words": unsigned(bits_for(self.longest))}
        )
        super().__init__(
            {
                "request": Out(stream.Signature(column)),
                "word": In(stream.Signature(unsigned(WEIGHT.width))),
                "load": Out(stream.Signature(BYTE)),
                "done": Out(1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        request, word, load = self.request, self.word, self.load
        runs = [*self._runs, (1, len(self._tag) + self._length)]
        counts, lengths = (
            Array(Const(value, bits_for(max(of))) for value in of) for of in zip(*runs, strict=True)
        )
        run, column = Signal(range(len(runs))), Signal(range(max(n for n, _ in runs) + 1))
        address, left = Signal(FLASH_ADDRESS), Signal(range(self.longest + 1))
        length, ends_run = Signal.like(left), Signal()
        at_end, at_tag = run == len(runs) - 1, Signal(range(len(self._tag) + 1))
        tag = Array(Const(byte, 8) for byte in self._tag)
        m.d.comb += [
            length.eq(lengths[run]),
            ends_run.eq(column == counts[run] - 1),
            request.payload.address.eq(address),
            request.payload.words.eq(length),
            load.payload.byte.eq(word.payload),
            load.payload.last.eq(left == 1),
        ]
        with m.FSM():
            with m.State("ask"):
                m.d.comb += request.valid.eq(1)
                m.d.sync += left.eq(length)
                with m.If(request.ready):
                    m.next = "drop"
                    with m.If(at_end):
                        m.next = "tag"
            with m.State("drop"):
                m.d.comb += word.ready.eq(1)
                with m.If(word.valid):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.d.sync += [address.eq(address + length + CHECK), column.eq(column + 1)]
                        with m.If(ends_run):
                            m.d.sync += [column.eq(0), run.eq(run + 1)]
                        m.next = "ask"
            with m.State("tag"):
                m.d.comb += word.ready.eq(1)
                with m.If(word.valid):
                    m.d.sync += [left.eq(left - 1), at_tag.eq(at_tag + 1)]
                    with m.If(at_tag == len(self._tag) - 1):
                        m.next = "load" if self._length else "done"
                    with m.If(word.payload != tag[at_tag]):
                        m.next = "failed"
            with m.State("load"):
                m.d.comb += [load.valid.eq(word.valid), word.ready.eq(load.ready)]
                with m.If(word.valid & load.ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.next = "done"
            with m.State("failed"):
                m.d.comb += self.failed.eq(1)
            with m.State("done"):
                m.d.comb += self.done.eq(1)
        return m
