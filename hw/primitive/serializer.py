"""Sends the words of a block, which come side by side, a few a cycle."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.errors import require_int


class Serializer(wiring.Component):
    """Sends P words, A of them a cycle, while the next ones are made.

    Parameters
    ----------
    word : data.Layout
        What each of them is.
    stages : sequence of range
        The lanes the words come from, in stages (hw.target.Target.stages).
    ways : int
        A: a power of two that divides the lanes of each stage.

    Members
    -------
    i : In, array of P words
        The block.
    load : In, a bit for each stage
        Takes the words of the stage's lanes. Each stage is loaded a cycle after the one before it,
        and the first one no sooner than all that is wanted of the block before has gone.
    single : In
        With the first stage's ``load``: the block goes a word a cycle, so that ``o`` stays for A.
    o : Out, array of A words
        The first words ``latency`` cycles after the first stage was loaded; then the next.

    Attributes
    ----------
    latency : int
        In cycles.
    """

    latency: int

    def __init__(self, *, word: data.Layout, stages: Sequence[range], ways: int) -> None:
        require_int("ways", ways, 1)
        self._word, self._stages, self._ways = word, stages, ways
        super().__init__(
            {
                "i": In(data.ArrayLayout(word, stages[-1].stop)),
                "load": In(len(stages)),
                "single": In(1),
                "o": Out(data.ArrayLayout(word, ways)),
            }
        )


class ShiftSerializer(Serializer):
    """A shift register: small where a flip-flop comes with a LUT before it.

    Raises
    ------
    ValueError
        Where the lanes are more than one stage.
    """

    latency = 1

    def __init__(self, *, word: data.Layout, stages: Sequence[range], ways: int) -> None:
        require_int("stages of a shift register", len(stages), 1, 1)
        super().__init__(word=word, stages=stages, ways=ways)

    def elaborate(self, platform) -> Module:
        m = Module()
        block = Signal.like(self.i, reset_less=True)
        way, single = Signal(range(self._ways)), Signal()
        with m.If(self.load):
            m.d.sync += [way.eq(0), single.eq(self.single)]
        with m.Else():
            m.d.sync += way.eq(way + 1)
        with m.If(self.load):
            m.d.sync += block.eq(self.i)
        with m.Elif(~single | (way == self._ways - 1)):
            m.d.sync += Cat(block).eq(Cat(block)[self._ways * self._word.size :])
        m.d.comb += [self.o[n].eq(block[n]) for n in range(self._ways)]
        return m


class MuxSerializer(Serializer):
    """A multiplexer of ANDs and ORs: the words stay, and a bit goes round to say whose turn it is.

    Small where a register's LUT is free for other things, and made for many lanes: it takes a LUT
    for two lanes, then one for four of what these give, with a register behind each.
    """

    _CHOSEN, _JOINED = 2, 4  # a LUT has four inputs

    def __init__(self, *, word: data.Layout, stages: Sequence[range], ways: int) -> None:
        super().__init__(word=word, stages=stages, ways=ways)
        self.latency, left = 2, -(-stages[-1].stop // ways // self._CHOSEN)
        while left > 1:
            self.latency, left = self.latency + 1, -(-left // self._JOINED)

    def elaborate(self, platform) -> Module:
        m = Module()
        ways, lanes = self._ways, len(self.i)
        block = Signal.like(self.i, reset_less=True)
        for load, stage in zip(self.load, self._stages, strict=True):
            with m.If(load):
                m.d.sync += [block[lane].eq(self.i[lane]) for lane in stage]

        # By the time it is a stage's turn that has been loaded, however late.
        turns = Signal(lanes // ways)
        way, single = Signal(range(ways)), Signal()
        m.d.sync += way.eq(way + 1)
        with m.If(~single | (way == ways - 1)):
            m.d.sync += turns.eq(turns << 1)
        with m.If(self.load[0]):  # what is left of the last block is lanes without a unit
            m.d.sync += [turns.eq(1), way.eq(0), single.eq(self.single)]

        groups = [
            Cat(block[lane + n] for n in range(ways)) & turn.replicate(ways * self._word.size)
            for lane, turn in zip(range(0, lanes, ways), turns, strict=True)
        ]
        joined = _joined(m, groups, self._CHOSEN, "chosen")
        for level in range(self.latency - 2):
            joined = _joined(m, joined, self._JOINED, f"joined_{level}")
        m.d.comb += self.o.eq(joined[0])
        return m


def _joined(m: Module, values: Sequence[Value], inputs: int, name: str) -> list[Value]:
    """ORs of so many values each, a cycle later."""
    results = []
    for n, low in enumerate(range(0, len(values), inputs)):
        result = Signal(len(values[0]), name=f"{name}_{n}", reset_less=True)
        m.d.sync += result.eq(reduce(or_, values[low : low + inputs]))
        results.append(result)
    return results
