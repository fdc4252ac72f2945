"""The store of the weights: a word of P weights for each request."""

from collections.abc import Sequence

from amaranth.hdl import Module, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from golden.formats import WEIGHT


def word_layout(lanes: int) -> data.ArrayLayout:
    """A weight word: P weights, signed(8), lane 0 first."""
    return data.ArrayLayout(signed(WEIGHT.width), lanes)


def store_signature(words: int, lanes: int) -> wiring.Signature:
    """A store of ``words`` words, as those who use it see it.

    ``request`` (a word's address) and ``word`` (word_layout) are streams: each request is answered
    by a word, in order. A store on chip is always ready and its words always come in time; it ties
    both to 1, so that what could wait for it is no logic.
    """
    return wiring.Signature(
        {
            "request": Out(stream.Signature(unsigned(ceil_log2(words)))),
            "word": In(stream.Signature(word_layout(lanes))),
        }
    )


class WeightMemory(wiring.Component):
    """A store that never waits: a ROM of weight words, initialised in the bitstream.

    Parameters
    ----------
    words : sequence of sequences of int
        The contents, P weights each, lane 0 first (hw.walk.layout.CoreLayout.weight_words).

    Members
    -------
    port : In
        store_signature.

    Attributes
    ----------
    latency : int
        Cycles from a request to its word where nothing waits. For a store that waits: how many
        requests come before the first word is asked for.
    loads : bool
        The words are not in the bitstream, but come at run time
        (hw.primitive.loaded_weights.LoadedWeights).
    waits : bool
        It may let those wait who use it.
    by_column : bool
        It is not in the core, which asks for whole columns (hw.primitive.columns).
    checked : bool
        Each column has a checksum before it then, at which the memory's side looks
        (hw.walk.column_layout).

    Raises
    ------
    ValueError
        Where there is no word.
    """

    latency = 1
    loads = False
    waits = False
    by_column = False
    checked = False

    def __init__(self, words: Sequence[Sequence[int]], members: dict | None = None) -> None:
        require_int("words", len(words), 1)
        self._words = words
        self._shape = word_layout(len(words[0]))
        port = store_signature(len(words), len(words[0]))
        super().__init__({"port": In(port), **(members or {})})

    def never_waits(self, m: Module) -> None:
        """Ties what says whether it waits."""
        m.d.comb += [self.port.request.ready.eq(1), self.port.word.valid.eq(1)]

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.rom = rom = memory.Memory(
            shape=self._shape, depth=len(self._words), init=self._words
        )
        read = rom.read_port()
        self.never_waits(m)
        m.d.comb += [
            read.addr.eq(self.port.request.payload),
            read.en.eq(1),
            self.port.word.payload.eq(read.data),
        ]
        return m
