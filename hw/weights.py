"""The weights on chip: one word of P weights a cycle."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
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
    loads : bool
        The words are not in the bitstream, but come at run time (LoadedWeights).

    Raises
    ------
    ValueError
        Where there is no word.
    """

    latency = 1
    loads = False

    def __init__(self, words: Sequence[Sequence[int]], members: dict | None = None) -> None:
        require_int("words", len(words), 1)
        self._words = words
        self._shape = data.ArrayLayout(signed(WEIGHT.width), len(words[0]))
        super().__init__(
            {
                "address": In(ceil_log2(len(words))),
                "word": Out(self._shape),
                **(members or {}),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.rom = rom = memory.Memory(
            shape=self._shape, depth=len(self._words), init=self._words
        )
        read = rom.read_port()
        m.d.comb += [read.addr.eq(self.address), read.en.eq(1), self.word.eq(read.data)]
        return m


class LoadedWeights(WeightMemory):
    """A weight memory that is written at run time, byte by byte.

    The bytes are the words in order, each with lane 0 first. The first one of a load makes the
    memory unloaded, and only a last one in its right place makes it loaded again.

    Members
    -------
    load : In, stream
        ``byte``; ``last`` with the last one. Waits while the memory is in use.
    free : In
        Nobody reads, and as long as ``load`` is valid or ``loaded`` is not nobody will begin to.
    loaded : Out
        The memory holds a whole load.
    broken : Out
        Strobe: a load ended too early or too late; the next byte is again the first one.
    write
        Inside, of ``store``: ``byte`` goes into the lanes of ``lanes`` (a bit each) of ``word``.
    """

    loads = True

    def __init__(self, words: Sequence[Sequence[int]]) -> None:
        byte = data.StructLayout({"byte": unsigned(WEIGHT.width), "last": 1})
        super().__init__(
            words,
            {
                "load": In(stream.Signature(byte)),
                "free": In(1),
                "loaded": Out(1),
                "broken": Out(1),
            },
        )
        place = data.StructLayout(
            {
                "byte": unsigned(WEIGHT.width),
                "lanes": unsigned(len(words[0])),
                "word": unsigned(ceil_log2(len(words))),
            }
        )
        self.write = stream.Signature(place, always_ready=True).create(path=("write",))

    def store(self, m: Module) -> None:
        """Adds the memory itself: writes what ``write`` says, else reads ``word``."""
        raise NotImplementedError

    def elaborate(self, platform) -> Module:
        m = Module()
        lanes, words = self._shape.length, len(self._words)
        lane = Signal(lanes, init=1)
        word = Signal(range(words))
        final = Signal(init=words == 1)  # word is the last one
        ends, take, ready = Signal(), Signal(), Signal()
        m.d.comb += [
            self.load.ready.eq(ready),
            take.eq(self.load.valid & ready),
            ends.eq(lane[-1] & final),
            self.broken.eq(take & (self.load.payload.last != ends)),
        ]
        # Registers all round: neither who sends nor who waits is to feel the memory. Nobody begins
        # to read in the cycle after one in which a load is there or missing.
        m.d.sync += [
            ready.eq(self.free & (self.load.valid | ~self.loaded)),
            self.write.valid.eq(take),
            self.write.payload.byte.eq(self.load.payload.byte),
            self.write.payload.lanes.eq(lane),
            self.write.payload.word.eq(word),
        ]
        with m.If(take):
            m.d.sync += [
                self.loaded.eq(self.load.payload.last & ends),
                lane.eq(lane.rotate_left(1)),
            ]
            with m.If(lane[-1]):
                m.d.sync += [word.eq(word + 1), final.eq(word == words - 2)]
            with m.If(self.load.payload.last | ends):
                m.d.sync += [lane.eq(1), word.eq(0), final.eq(words == 1)]
        self.store(m)
        return m
