"""G = dL/dM as lanes take it: a row of P errors for each accumulator of each block."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Value, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from golden.fixed import Q
from hw.learn.layout import of_stage
from hw.pipeline import delayed
from hw.primitive.memory import UNCHECKED


class ErrorRows(wiring.Component):
    """Takes errors unit by unit, and gives them row by row.

    A units come with all their accumulators at once, and go as a row of one accumulator with all
    units of a block. So that no memory has to be as wide as either, the errors of group n for
    accumulator k lie in memory n ^ k: then a group's are in different memories, and so are a row's.

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
    read_latency : int
        Its memories' (hw.target.Target).
    in_blocks : bool
        They shall be block RAM, however few their words are.

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

    def __init__(
        self,
        *,
        error: Q,
        blocks: int,
        accumulators: int,
        activations: int,
        stages: Sequence[range],
        read_latency: int = 1,
        in_blocks: bool = False,
    ) -> None:
        require_int("blocks", blocks, 1)
        require_int("accumulators", accumulators, 1)
        require_int("activations", activations, 1)
        require_int("read_latency", read_latency, 1)
        self.latency = read_latency + 1
        self._attributes = UNCHECKED | ({"ram_style": "block"} if in_blocks else {})
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
        come, bits = self.i.payload, len(self.row)
        together = 1 << bits  # memories that exchange what they hold
        of_rows = [Cat(come.g[way][k] for way in range(self._ways)) for k in range(self._rows)]
        of_rows += [Const(0, len(of_rows[0]))] * (together - self._rows)
        number = Cat(come.group, Const(0, bits))
        inner, outer = number[:bits], number[bits:]
        values = exchanged(of_rows, inner)
        row = delayed(m, self.row, self.latency - 1, "row")
        given = []
        for first in range(0, self._stages[-1].stop // self._ways, together):
            found = []
            for n, value in enumerate(values):
                m.submodules[f"rows_{first + n}"] = rows = memory.Memory(
                    shape=len(value),
                    depth=self._blocks * together,
                    init=[],
                    attrs=self._attributes,
                )
                write, read = rows.write_port(), rows.read_port()
                m.d.comb += [
                    write.addr.eq(Cat((inner ^ n)[:bits], come.block)),
                    write.data.eq(value),
                    write.en.eq(self.i.valid & (outer == first // together)),
                    read.addr.eq(Cat(self.row, self.block)),
                    read.en.eq(1),
                ]
                found.append(delayed(m, read.data, self.latency - 2, f"found_{first + n}"))
            given += exchanged(found, row)
        lanes, width = Cat(given), self._error.width
        for n, stage in enumerate(self._stages):
            of_lanes = lanes[stage.start * width : stage.stop * width]
            m.d.comb += of_stage(self.o, stage).eq(delayed(m, of_lanes, 1 + n, f"word_{n}"))
        return m


def exchanged(values: Sequence[Value], by: Value) -> list[Value]:
    """The value with number n ^ ``by`` for each n, of 2^len(by) values."""
    given = list(values)
    for bit, is_set in enumerate(by):
        given = [Mux(is_set, given[n ^ (1 << bit)], value) for n, value in enumerate(given)]
    return given
