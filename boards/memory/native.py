"""A memory with a native port of LiteDRAM, and columns of weights out of it."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.errors import require_int
from hw.primitive.columns import columns_signature
from hw.walk.column_layout import CHECKSUM, folded

ADDRESS = 24  # bits of a word's: 32 MB


def native_signature() -> wiring.Signature:
    """A port: ``cmd``, the address of a word of 16 bits, and whether it is written. What is written
    is in ``wdata`` from the command on until ``wready``. The words that are read come in ``rdata``
    in the order of the commands, where ``rvalid``. They have to be taken: the controller never
    waits.
    """
    command = data.StructLayout({"address": unsigned(ADDRESS), "write": 1})
    return wiring.Signature(
        {
            "cmd": Out(stream.Signature(command)),
            "wdata": Out(16),
            "wready": In(1),
            "rvalid": In(1),
            "rdata": In(16),
        }
    )


class NativeColumns(wiring.Component):
    """Reads each column that is asked for, word by word, and keeps words until they are taken.

    It asks for a word only if there is room for it, and for the next column's while the last
    column's are on their way. A column's checksum comes before it. Its last word goes on only if
    the checksum was right, so that nobody ever has a whole column that is wrong.

    Parameters
    ----------
    words, longest : int
        Words of all columns and their checksums, and of the longest column: two weights each.
    room : int
        Words that may be on their way or wait: as many as the memory has cycles of latency keep it
        busy.

    Members
    -------
    columns : In
        hw.primitive.columns.columns_signature, of two lanes; an address is that of the checksum.
    port : Out
        native_signature.
    failed : Out
        A column was wrong: none goes on any more.

    A command comes a cycle after the request; a word leaves 3 cycles after it has come.

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
                "failed": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        request, word, port = self.columns.request, self.columns.word, self.port
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=16, depth=self._room)
        count = unsigned(len(request.payload.words) + 1)  # with the checksum
        column = data.StructLayout({"folded": unsigned(16), "words": count})
        # Columns of which not all words have come. None has fewer than two.
        m.submodules.columns = columns = fifo.SyncFIFOBuffered(
            width=column.size, depth=self._room // 2
        )
        asked, coming = Signal(column), data.View(column, columns.r_data)
        address, left = Signal.like(request.payload.address), Signal(count)
        owed = Signal(range(self._room + 1))  # words that are on their way or wait
        full, asks, ends, takes, heads = (Signal() for _ in range(5))
        m.d.comb += [
            full.eq(owed == self._room),
            port.cmd.valid.eq((left != 0) & ~full),
            port.cmd.payload.address.eq(address),
            asks.eq(port.cmd.valid & port.cmd.ready),
            ends.eq(asks & (left == 1)),
            request.ready.eq(((left == 0) | ends) & columns.w_rdy),
            asked.folded.eq(folded(request.payload.address)),
            asked.words.eq(request.payload.words + 1),
            columns.w_data.eq(asked),
            columns.w_en.eq(request.valid & request.ready),
            word.valid.eq(queue.r_rdy),
            word.payload.as_value().eq(queue.r_data),
            takes.eq(word.valid & word.ready),
            queue.r_en.eq(takes),
        ]
        # A word that goes on makes room in the next cycle; a checksum goes no further than here.
        m.d.sync += owed.eq(owed + asks - takes - heads)
        with m.If(asks):
            m.d.sync += [address.eq(address + 1), left.eq(left - 1)]
        with m.If(columns.w_en):
            m.d.sync += [address.eq(request.payload.address), left.eq(asked.words)]

        # A word that has come waits a cycle for what the checksum says of it.
        m.submodules.checksum = checksum = CHECKSUM.create()
        come, first, last, there = Signal(16), Signal(init=1), Signal(), Signal()
        n, expected = Signal(count), Signal(16)
        m.d.sync += [there.eq(port.rvalid & ~first), come.eq(port.rdata)]
        m.d.comb += [
            heads.eq(port.rvalid & first),
            checksum.valid.eq(port.rvalid),
            checksum.start.eq(first),
            checksum.data.eq(Mux(first, coming.folded, port.rdata)),
        ]
        with m.If(port.rvalid):
            m.d.sync += [n.eq(n + 1), first.eq(0), last.eq(0)]
            with m.If(first):
                m.d.sync += expected.eq(port.rdata)
            with m.If(n == coming.words - 1):
                m.d.comb += columns.r_en.eq(1)
                m.d.sync += [n.eq(0), first.eq(1), last.eq(1)]
        wrong = there & last & (checksum.crc != expected)
        with m.If(wrong):
            m.d.sync += self.failed.eq(1)
        m.d.comb += [queue.w_en.eq(there & ~wrong & ~self.failed), queue.w_data.eq(come)]
        return m
