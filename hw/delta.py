"""Finds the elements of a vector that moved by more than a threshold."""

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int


def event_layout(columns: int, activation_width: int) -> data.StructLayout:
    """An event: the column that fired and its delta in activation LSBs."""
    return data.StructLayout(
        {"column": unsigned(ceil_log2(columns)), "delta": signed(activation_width + 1)}
    )


def outcome_layout(vectors: int, columns: int, activation_width: int) -> data.StructLayout:
    """What became of one element: whether it ``fires``, and the ``event`` if so."""
    return data.StructLayout(
        {
            "vector": unsigned(ceil_log2(vectors)),
            "event": event_layout(columns, activation_width),
            "fires": 1,
            "last": 1,
        }
    )


class DeltaEncoder(wiring.Component):
    """Sends d = v - v^ of the elements with |d| > theta (docs/numerics.md, "Delta encoder").

    Serves several vectors with one memory v^. Takes one element a cycle, without gaps if need be.
    The same element must not come again within ``latency`` cycles.

    Parameters
    ----------
    vectors : int
        How many vectors it serves.
    size : int
        Elements of the longest one.
    width : int
        Bits of an element (signed).

    Members
    -------
    i : In, stream (never waits)
        ``vector``, ``column``, ``value``; ``last`` marks the vector's last element.
    theta : In, unsigned(width)
        Threshold of the element's vector, together with it. At its greatest value nothing fires.
    o : Out, stream (never waits)
        Each element's outcome, ``latency`` cycles after it: ``fires``, the ``event`` if so, and
        ``vector`` and ``last`` as they came.
    clear : In, stream (never waits)
        Sets v^ at an address to 0; only while nothing else is under way.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``.
    depth : int
        Addresses of the memory. A vector's part of it starts at a power of two, so that an
        address is vector and column side by side.

    Raises
    ------
    ValueError
        Where a parameter is below 1.
    """

    latency = 2

    def __init__(self, *, vectors: int, size: int, width: int) -> None:
        require_int("vectors", vectors, 1)
        require_int("size", size, 1)
        require_int("width", width, 1)
        self._width = width
        self._column_width = ceil_log2(size)
        vector_width = ceil_log2(vectors)
        self.depth = vectors << self._column_width
        element = data.StructLayout(
            {
                "vector": unsigned(vector_width),
                "column": unsigned(self._column_width),
                "value": signed(width),
                "last": 1,
            }
        )
        outcome = outcome_layout(vectors, size, width)
        super().__init__(
            {
                "i": In(stream.Signature(element, always_ready=True)),
                "theta": In(width),
                "o": Out(stream.Signature(outcome, always_ready=True)),
                "clear": In(stream.Signature(unsigned(ceil_log2(self.depth)), always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.memory = sent = memory.Memory(
            shape=signed(self._width), depth=self.depth, init=[]
        )
        read, write = sent.read_port(), sent.write_port()

        m.d.comb += [
            read.addr.eq(Cat(self.i.payload.column, self.i.payload.vector)),
            read.en.eq(1),
        ]

        fetched_valid = Signal()
        fetched = Signal.like(self.i.payload, reset_less=True)
        fetched_theta = Signal.like(self.theta, reset_less=True)
        m.d.sync += [
            fetched_valid.eq(self.i.valid),
            fetched.eq(self.i.payload),
            fetched_theta.eq(self.theta),
        ]

        valid = Signal()
        element = Signal.like(self.i.payload, reset_less=True)
        delta = Signal(signed(self._width + 1), reset_less=True)
        theta = Signal.like(self.theta, reset_less=True)
        m.d.sync += [
            theta.eq(fetched_theta),
            valid.eq(fetched_valid),
            element.eq(fetched),
            delta.eq(fetched.value - read.data),
        ]

        fires = Signal()
        outcome = self.o.payload
        m.d.comb += [
            fires.eq((delta > theta) | (delta + theta < 0)),
            self.o.valid.eq(valid),
            outcome.vector.eq(element.vector),
            outcome.event.column.eq(element.column),
            outcome.event.delta.eq(delta),
            outcome.fires.eq(fires),
            outcome.last.eq(element.last),
            write.addr.eq(Cat(element.column, element.vector)),
            write.data.eq(element.value),
            write.en.eq(valid & fires),
        ]
        with m.If(self.clear.valid):
            m.d.comb += [
                write.addr.eq(self.clear.payload),
                write.data.eq(0),
                write.en.eq(1),
            ]
        return m
