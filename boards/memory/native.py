"""Columns of weights out of a memory with a native port of LiteDRAM."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.errors import require_int
from hw.primitive.columns import columns_signature

ADDRESS = 24  # bits of a word's: 32 MB


def native_signature() -> wiring.Signature:
    """What is read of a port: ``cmd``, the address of a word of 16 bits; ``rdata``, the words in
    the order of the commands, where ``rvalid``. They have to be taken: the controller never waits.
    """
    return wiring.Signature(
        {
            "cmd": Out(stream.Signature(unsigned(ADDRESS))),
            "rvalid": In(1),
            "rdata": In(16),
        }
    )


class NativeColumns(wiring.Component):
    """Reads each column that is asked for, word by word, and keeps words until they are taken.

    It asks for a word only if there is room for it, and for the next column's while the last
    column's are on their way.

    Parameters
    ----------
    words, longest : int
        Words of all columns, and of the longest one: two weights each.
    room : int
        Words that may be on their way or wait: as many as the memory has cycles of latency keep it
        busy.

    Members
    -------
    columns : In
        hw.primitive.columns.columns_signature, of two lanes.
    port : Out
        native_signature.

    A command comes a cycle after the request; a word leaves 2 cycles after it has come.

    Raises
    ------
    ValueError
        Where there are more words than the memory has.
    """

    def __init__(self, *, words: int, longest: int, room: int = 32) -> None:
        require_int("words", words, 1, 1 << ADDRESS)
        self._room = room
        super().__init__(
            {
                "columns": In(columns_signature(words, longest, 2)),
                "port": Out(native_signature()),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        request, word, port = self.columns.request, self.columns.word, self.port
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=16, depth=self._room)
        address, left = Signal.like(port.cmd.payload), Signal.like(request.payload.words)
        owed = Signal(range(self._room + 1))  # words that are on their way or wait
        full, asks, ends, takes = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            full.eq(owed == self._room),
            port.cmd.valid.eq((left != 0) & ~full),
            port.cmd.payload.eq(address),
            asks.eq(port.cmd.valid & port.cmd.ready),
            ends.eq(asks & (left == 1)),
            request.ready.eq((left == 0) | ends),
            queue.w_en.eq(port.rvalid),
            queue.w_data.eq(port.rdata),
            word.valid.eq(queue.r_rdy),
            word.payload.as_value().eq(queue.r_data),
            takes.eq(word.valid & word.ready),
            queue.r_en.eq(takes),
        ]
        # A word that is being taken makes room in the next cycle.
        m.d.sync += owed.eq(owed + asks - takes)
        with m.If(asks):
            m.d.sync += [address.eq(address + 1), left.eq(left - 1)]
        with m.If(request.valid & request.ready):
            m.d.sync += [
                address.eq(request.payload.address),
                left.eq(request.payload.words),
            ]
        return m
