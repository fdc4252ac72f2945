"""Columns of weights out of an SDRAM: everything between a core and LiteDRAM's controller."""

from collections.abc import Sequence

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from boards.memory.control import ControlWrites
from boards.memory.native import NativeColumns, native_signature
from hw.primitive.columns import columns_signature


class SdramColumns(wiring.Component):
    """Brings the controller up, and reads columns through its native port, which waits until then.

    Parameters
    ----------
    words, longest
        As those of boards.memory.native.NativeColumns.
    writes
        As those of boards.memory.control.ControlWrites.

    Members
    -------
    columns : In
        hw.primitive.columns.columns_signature, of two lanes.
    port : Out
        The controller's native port (boards.memory.native.native_signature).
    control_* : the controller's control port (boards.memory.control.ControlWrites)
    """

    def __init__(
        self,
        *,
        words: int,
        longest: int,
        writes: Sequence[tuple[int, int, int]],
    ) -> None:
        self._reads = NativeColumns(words=words, longest=longest)
        self._writes = ControlWrites(writes)
        super().__init__(
            {
                "columns": In(columns_signature(words, longest, 2)),
                "port": Out(native_signature()),
                "control_address": Out(30),
                "control_value": Out(32),
                "control_cycle": Out(1),
                "control_ack": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.reads = reads = self._reads
        m.submodules.writes = writes = self._writes
        connect(m, flipped(self.columns), reads.columns)
        connect(m, reads.port, flipped(self.port))
        m.d.comb += [
            self.control_address.eq(writes.address),
            self.control_value.eq(writes.value),
            self.control_cycle.eq(writes.cycle),
            writes.ack.eq(self.control_ack),
        ]
        return m
