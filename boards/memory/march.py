"""A test of a memory at power-up: March C-."""

from collections.abc import Iterable

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from boards.memory.native import native_signature
from golden.errors import require_int

# Each element goes through all words, upwards or downwards, and at each word reads what must be
# there, then writes; None where it does not. 0 and 1 stand for a pattern and its opposite.
# A. J. van de Goor, Using March Tests to Test SRAMs, IEEE Design & Test of Computers 10(1), 1993.
UP, DOWN = False, True
ELEMENTS = (
    (UP, None, 0),
    (UP, 0, 1),
    (UP, 1, 0),
    (DOWN, 0, 1),
    (DOWN, 1, 0),
    (UP, 0, None),
)
PATTERN = 0x5555  # neighbours differ, as wires between chips do that touch


class MarchTest(wiring.Component):
    """Goes through the first words of a memory, and says whether each kept what was written.

    It finds every bit that is stuck or does not change, every address that is another one's, and
    every bit that changes when a bit of another word is written. One command is under way at a
    time; behind LiteDRAM it takes some 99 cycles a word.

    Parameters
    ----------
    words : int
        How many.

    Members
    -------
    port : Out
        boards.memory.native.native_signature.
    start : In
        Begin: stays.
    done, failed : Out
        All is well; a word was not what it should be, and the test has ended there.
    """

    def __init__(self, words: int) -> None:
        self._words = require_int("words", words, 1)
        super().__init__(
            {
                "port": Out(native_signature()),
                "start": In(1),
                "done": Out(1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        port, last = self.port, self._words - 1
        element, address = Signal(range(len(ELEMENTS))), Signal(range(self._words))

        def of_element(values: Iterable[int]) -> Value:
            return Array(Const(value, 1) for value in values)[element]

        down = of_element(down for down, *_ in ELEMENTS)
        reads = of_element(wanted is not None for _, wanted, _ in ELEMENTS)
        writes = of_element(given is not None for *_, given in ELEMENTS)
        wanted = of_element(wanted or 0 for _, wanted, _ in ELEMENTS)
        given = of_element(given or 0 for *_, given in ELEMENTS)
        come, right = Signal(16), Signal()
        m.d.comb += [
            port.cmd.payload.address.eq(address),
            port.wdata.eq(PATTERN ^ given.replicate(16)),
        ]
        m.d.sync += right.eq(come == (PATTERN ^ wanted.replicate(16)))
        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.next = "begin"
            with m.State("begin"):
                m.d.sync += address.eq(Mux(down, last, 0))
                m.next = "word"
            with m.State("word"):
                m.next = "write"
                with m.If(reads):
                    m.next = "read"
            with m.State("read"):
                m.d.comb += port.cmd.valid.eq(1)
                with m.If(port.cmd.ready):
                    m.next = "reading"
            with m.State("reading"):
                m.d.sync += come.eq(port.rdata)
                with m.If(port.rvalid):
                    m.next = "compare"
            with m.State("compare"):
                m.next = "judge"
            with m.State("judge"):
                m.next = "next"
                with m.If(writes):
                    m.next = "write"
                with m.If(~right):
                    m.next = "failed"
            with m.State("write"):
                m.d.comb += [port.cmd.valid.eq(1), port.cmd.payload.write.eq(1)]
                with m.If(port.cmd.ready):
                    m.next = "writing"
            with m.State("writing"), m.If(port.wready):
                m.next = "next"
            with m.State("next"):
                m.d.sync += address.eq(Mux(down, address - 1, address + 1))
                m.next = "word"
                with m.If(address == Mux(down, 0, last)):
                    m.d.sync += element.eq(element + 1)
                    m.next = "begin"
                    with m.If(element == len(ELEMENTS) - 1):
                        m.next = "done"
            with m.State("done"):
                m.d.comb += self.done.eq(1)
            with m.State("failed"):
                m.d.comb += self.failed.eq(1)
        return m
