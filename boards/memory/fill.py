"""Fills a memory with words, from its first one on."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from boards.memory.native import native_signature
from golden.errors import require_int


class Fill(wiring.Component):
    """Writes words as they come, one after another.

    Parameters
    ----------
    words : int
        That there is room for.

    Members
    -------
    i : In, stream
        ``word``; after one with ``last`` the next one is the first again. It is taken when it has
        been written.
    port : Out
        boards.memory.native.native_signature.
    """

    def __init__(self, words: int) -> None:
        self._words = require_int("words", words, 1)
        word = data.StructLayout({"word": unsigned(16), "last": 1})
        super().__init__({"i": In(stream.Signature(word)), "port": Out(native_signature())})

    def elaborate(self, platform) -> Module:
        m = Module()
        i, port = self.i, self.port
        address = Signal(range(self._words))
        m.d.comb += [
            port.cmd.payload.address.eq(address),
            port.cmd.payload.write.eq(1),
            port.wdata.eq(i.payload.word),
        ]
        with m.FSM():
            with m.State("ask"):
                m.d.comb += port.cmd.valid.eq(i.valid)
                with m.If(port.cmd.valid & port.cmd.ready):
                    m.next = "write"
            with m.State("write"), m.If(port.wready):
                m.d.comb += i.ready.eq(1)
                m.d.sync += address.eq(address + 1)
                with m.If(i.payload.last):
                    m.d.sync += address.eq(0)
                m.next = "ask"
        return m
