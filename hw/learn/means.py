"""What the read-out's input was in the mean, for a sequence from which it alone learns."""

from amaranth.hdl import Array, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from golden.learn.tape import FRAMES_MAX
from hw.events.encoder import event_layout
from hw.fixed import rshift_by
from hw.learn.loss import HALVINGS_MAX
from hw.pipeline import delayed, staged
from hw.primitive.memory import UNCHECKED


class Means(wiring.Component):
    """Adds up v^ of each column over the frames; at the end lists their means as events.

    docs/training-core.md, "The read-out alone".

    Parameters
    ----------
    columns : int
        Of the read-out's x, without the constant one, which is number ``columns``.
    ways : int
        A, columns that come side by side.
    width, frac : int
        Bits of an activation (signed), and its fraction bits.

    Members
    -------
    i : In, stream (never waits)
        v^ of A columns, ``group`` * A and those after it, in each frame; ``last`` of the frame. The
        same group does not come again within 3 cycles.
    restart : In
        A new sequence begins.
    frames, halvings : In
        T and K, from ``go`` on until the last event.
    go : In
        The sequence is over.
    o : Out, stream (never waits)
        Each column, the constant one at last: its ``event`` ``fires`` where the mean is not 0;
        ``last``.

    Raises
    ------
    ValueError
        Where a parameter is below 1.
    """

    def __init__(self, *, columns: int, ways: int, width: int, frac: int) -> None:
        require_int("columns", columns, 1)
        require_int("ways", ways, 1)
        require_int("width", width, 1)
        self._columns, self._frac = columns, frac
        self._values = data.ArrayLayout(signed(width), ways)
        self._sums = data.ArrayLayout(signed(width + HALVINGS_MAX), ways)
        self._groups = -(-columns // ways)
        group = unsigned(ceil_log2(self._groups))
        came = data.StructLayout({"group": group, "value": self._values, "last": 1})
        event = event_layout(columns + 1, width)
        gone = data.StructLayout({"event": event, "fires": 1, "last": 1})
        super().__init__(
            {
                "i": In(stream.Signature(came, always_ready=True)),
                "restart": In(1),
                "frames": In(range(FRAMES_MAX + 2)),
                "halvings": In(range(HALVINGS_MAX + 1)),
                "go": In(1),
                "o": Out(stream.Signature(gone, always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        ways = self._values.length
        m.submodules.sums = sums = memory.Memory(
            shape=self._sums, depth=self._groups, init=[], attrs=UNCHECKED
        )
        read, write = sums.read_port(), sums.write_port()

        # As they come: ``first`` in the first frame.
        come, first = self.i.payload, Signal(init=1)
        with m.If(self.i.valid & come.last):
            m.d.sync += first.eq(0)
        with m.If(self.restart):
            m.d.sync += first.eq(1)
        starts = delayed(m, first, 2, "starts")
        valids, comes = staged(m, self.i.valid, come, 2, "comes")
        before = self._sums(delayed(m, read.data.as_value(), 1, "before"))
        m.d.comb += [write.en.eq(valids[-1]), write.addr.eq(comes[-1].group)]
        for n in range(ways):
            m.d.comb += write.data[n].eq(Mux(starts, 0, before[n]) + comes[-1].value[n])

        # At the end: a column a cycle, the constant one after all others.
        goes, column = Signal(), Signal(range(self._columns + 1))
        way, group = column[: ceil_log2(ways)], column[ceil_log2(ways) :]
        m.d.comb += [read.en.eq(1), read.addr.eq(Mux(goes, group, come.group))]
        with m.If(goes):
            m.d.sync += [column.eq(column + 1), goes.eq(column != self._columns)]
        with m.If(self.go):
            m.d.sync += [goes.eq(1), column.eq(0)]
        valids, columns = staged(m, goes, column, 3, "column")
        constant = columns[1] == self._columns
        found = Array(read.data)[delayed(m, way, 1, "way")]
        sum_ = delayed(m, Mux(constant, self.frames << self._frac, found), 1, "sum")
        # No mean is beyond what was added, or 1.
        mean = rshift_by(sum_, self.halvings)[: len(self.o.payload.event.delta)]
        mean = delayed(m, mean.as_signed(), 1, "mean")
        m.d.comb += [
            self.o.valid.eq(valids[-1]),
            self.o.payload.event.column.eq(columns[-1]),
            self.o.payload.event.delta.eq(mean),
            self.o.payload.fires.eq(mean != 0),
            self.o.payload.last.eq(columns[-1] == self._columns),
        ]
        return m
