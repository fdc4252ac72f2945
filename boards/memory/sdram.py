"""Columns of weights in an SDRAM: everything between a core and LiteDRAM's controller."""

from collections.abc import Sequence

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from boards.memory.control import ControlWrites
from boards.memory.fill import Fill
from boards.memory.march import MarchTest
from boards.memory.native import NativeColumns, native_signature
from hw.primitive.columns import columns_signature


class SdramColumns(wiring.Component):
    """Brings the controller up, tests the memory, fills it, and reads columns.

    ::

        ControlWrites -> control port
        MarchTest --+
        Fill -------+--> native port
        NativeColumns -+

    Parameters
    ----------
    words, longest
        As those of boards.memory.native.NativeColumns.
    writes
        As those of boards.memory.control.ControlWrites.
    filled
        The memory, a simulated one, has its columns: it is not tested.

    Members
    -------
    columns : In
        hw.primitive.columns.columns_signature, of two lanes.
    fill : In, stream
        What is to be in it (boards.memory.fill.Fill), once it is ``ready``. Meanwhile nobody asks
        for a column.
    port : Out
        The controller's native port (boards.memory.native.native_signature).
    control_* : the controller's control port (boards.memory.control.ControlWrites)
    ready : Out
        The memory has passed its test.
    failed : Out
        It has not, or has given a column that was wrong: it gives nothing any more.
    """

    def __init__(
        self,
        *,
        words: int,
        longest: int,
        writes: Sequence[tuple[int, int, int]],
        filled: bool = False,
    ) -> None:
        self._filled = filled
        self._reads = NativeColumns(words=words, longest=longest)
        self._fill, self._test = Fill(words), MarchTest(words)
        self._writes = ControlWrites(writes)
        super().__init__(
            {
                "columns": In(columns_signature(words, longest, 2)),
                "fill": In(self._fill.i.signature.flip()),
                "port": Out(native_signature()),
                "control_address": Out(30),
                "control_value": Out(32),
                "control_cycle": Out(1),
                "control_ack": In(1),
                "ready": Out(1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.reads = reads = self._reads
        m.submodules.fill = fill = self._fill
        test = self._test
        if not self._filled:
            m.submodules.test = test
        m.submodules.writes = writes = self._writes
        connect(m, flipped(self.columns), reads.columns)
        m.d.comb += [
            self.control_address.eq(writes.address),
            self.control_value.eq(writes.value),
            self.control_cycle.eq(writes.cycle),
            writes.ack.eq(self.control_ack),
            test.start.eq(writes.done),
            self.ready.eq(writes.done if self._filled else test.done),
            self.failed.eq(test.failed | reads.failed),
            fill.i.payload.eq(self.fill.payload),
            fill.i.valid.eq(self.fill.valid & self.ready),
            self.fill.ready.eq(fill.i.ready),
        ]
        with m.If(~self.ready):
            self._uses(m, test.port)
        with m.Elif(self.fill.valid):
            self._uses(m, fill.port)
        with m.Else():
            self._uses(m, reads.port)
        return m

    def _uses(self, m: Module, user: wiring.PureInterface) -> None:
        port = self.port
        m.d.comb += [
            port.cmd.valid.eq(user.cmd.valid),
            port.cmd.payload.eq(user.cmd.payload),
            user.cmd.ready.eq(port.cmd.ready),
            port.wdata.eq(user.wdata),
            user.wready.eq(port.wready),
            user.rvalid.eq(port.rvalid),
            user.rdata.eq(port.rdata),
        ]
