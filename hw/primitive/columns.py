"""Weights that lie outside the core, which asks for them column by column."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.errors import require_int
from golden.formats import WEIGHT
from hw.primitive.weights import WeightMemory, word_layout


def columns_signature(words: int, longest: int, lanes: int) -> wiring.Signature:
    """A store of ``words`` words in columns of up to ``longest``, as the core sees it.

    ``request``: ``address`` of a column's first word, and how many ``words`` it has, at least one.
    ``word`` (hw.primitive.weights.word_layout): those words, column after column in the order of
    the requests. Both are streams, and may wait at any time. The core asks for columns before it
    can take their words.
    """
    request = data.StructLayout(
        {"address": unsigned(ceil_log2(words)), "words": unsigned(bits_for(longest))}
    )
    return wiring.Signature(
        {
            "request": Out(stream.Signature(request)),
            "word": In(stream.Signature(word_layout(lanes))),
        }
    )


class ColumnWeights(WeightMemory):
    """What a target says whose weights lie outside (hw.target.Target.weights).

    No such store is ever made: the core has ports in its place.
    """

    waits = True
    by_column = True


class CheckedColumns(ColumnWeights):
    """The same with checksums."""

    checked = True


class LoadedColumns(CheckedColumns):
    """The same, of a memory that is filled through the core (ColumnLoad)."""

    loads = True


class ColumnLoad(wiring.Component):
    """Fills a memory outside with words, out of a load byte by byte.

    It is to those around it what hw.primitive.loaded_weights.LoadedWeights is.

    Parameters
    ----------
    words, lanes : int
        Words of a load, and bytes of each.

    Members
    -------
    load, free, loaded, broken
        As those of LoadedWeights. ``load`` waits for the memory, too.
    o : Out, stream
        ``word`` (hw.primitive.weights.word_layout), from the first of all on; ``last`` with the
        last of a load, whole or broken.

    A word is on offer 1 cycle after its last byte.
    """

    def __init__(self, words: int, lanes: int) -> None:
        self._words = require_int("words", words, 1)
        byte = data.StructLayout({"byte": unsigned(WEIGHT.width), "last": 1})
        word = data.StructLayout({"word": word_layout(lanes), "last": 1})
        super().__init__(
            {
                "load": In(stream.Signature(byte)),
                "free": In(1),
                "loaded": Out(1),
                "broken": Out(1),
                "o": Out(stream.Signature(word)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        load, o = self.load, self.o
        lanes = len(o.payload.word)
        lane, word = Signal(range(lanes)), Signal(range(self._words))
        ready, take, fills, ends, all_there = (Signal() for _ in range(5))
        m.d.comb += [
            # Beside a word that waits no byte is taken.
            load.ready.eq(ready & ~o.valid),
            take.eq(load.valid & load.ready),
            fills.eq(lane == lanes - 1),
            ends.eq(fills & (word == self._words - 1)),
            self.broken.eq(take & (load.payload.last != ends)),
        ]
        m.d.sync += ready.eq(self.free & (load.valid | ~self.loaded))
        with m.If(take):
            m.d.sync += [
                o.payload.word[lane].eq(load.payload.byte),
                self.loaded.eq(0),
                all_there.eq(load.payload.last & ends),
                o.payload.last.eq(load.payload.last | ends),
                o.valid.eq(fills | load.payload.last),
                lane.eq(lane + 1),
            ]
            with m.If(fills):
                m.d.sync += [lane.eq(0), word.eq(word + 1)]
            with m.If(load.payload.last | ends):
                m.d.sync += [lane.eq(0), word.eq(0)]
        with m.If(o.valid & o.ready):
            m.d.sync += [o.valid.eq(0), self.loaded.eq(all_there)]
        return m
