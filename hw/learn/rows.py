"""G = dL/dM as lanes take it: a row of P errors for each accumulator of each block."""

from collections.abc import Sequence

from amaranth.hdl import Array, Const, Module, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from golden.fixed import Q
from hw.learn.layout import of_stage
from hw.pipeline import delayed


class ErrorRows(wiring.Component):
    """Takes errors unit by unit, and gives them row by row.

    Parameters
    ----------
    error : Q
        Format error.
    blocks, accumulators : int
        Blocks of all layers; rows of each.
    activations : int
        A, units that come at once.
    stages : sequence of range
        The lanes of each stage (hw.target.Target.stages), in whole groups of A.

    Members
    -------
    i : In, stream (never waits)
        ``block``; ``group``, which A of its P units; ``g``, for each of these one of each row.
    block, row : In
        What is to be read; it is not written in the same cycle.
    o : Out, array of P
        The row ``latency`` cycles later, of stage n n cycles after that.

    Attributes
    ----------
    latency : int
        In cycles.

    Raises
    ------
    ValueError
        Where a number is out of range.
    """

    latency = 2

    def __init__(
        self,
        *,
        error: Q,
        blocks: int,
        accumulators: int,
        activations: int,
        stages: Sequence[range],
    ) -> None:
        require_int("blocks", blocks, 1)
        require_int("accumulators", accumulators, 1)
        require_int("activations", activations, 1)
        self._error, self._blocks, self._stages = signed(error.width), blocks, stages
        self._rows, self._ways = accumulators, activations
        lanes = stages[-1].stop
        of_units = data.ArrayLayout(data.ArrayLayout(self._error, accumulators), activations)
        block = unsigned(ceil_log2(blocks))
        come = {"block": block, "group": unsigned(ceil_log2(lanes // activations)), "g": of_units}
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout(come), always_ready=True)),
                "block": In(block),
                "row": In(ceil_log2(accumulators)),
                "o": Out(data.ArrayLayout(self._error, lanes)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        come = self.i.payload
        for n, stage in enumerate(self._stages):
            block = delayed(m, self.block, n, f"block_{n}")
            words = []
            for k in range(self._rows):
                m.submodules[f"rows_{n}_{k}"] = rows = memory.Memory(
                    shape=data.ArrayLayout(self._error, len(stage)), depth=self._blocks, init=[]
                )
                write, read = rows.write_port(granularity=1), rows.read_port()
                m.d.comb += [write.addr.eq(come.block), read.addr.eq(block), read.en.eq(Const(1))]
                for at, lane in enumerate(stage):
                    group, way = divmod(lane, self._ways)
                    m.d.comb += [
                        write.data[at].eq(come.g[way][k]),
                        write.en[at].eq(self.i.valid & (come.group == group)),
                    ]
                words.append(read.data.as_value())
            row = delayed(m, self.row, n + 1, f"row_{n}")
            word = delayed(m, Array(words)[row], 1, f"word_{n}")
            m.d.comb += of_stage(self.o, stage).eq(word)
        return m
