"""A store of weights that is filled at run time."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.formats import WEIGHT
from hw.primitive.weights import WeightMemory


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

    def store(self, m: Module, address: Value, word: Value) -> None:
        """Adds the memory itself: writes what ``write`` says, else reads ``word``, ``latency``
        cycles after its ``address``.
        """
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
        self.never_waits(m)
        self.store(m, self.port.request.payload, self.port.word.payload.as_value())
        return m
