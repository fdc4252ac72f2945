"""Finds the elements of a vector that moved by more than a threshold."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import require_int
from hw.pipeline import delayed, staged
from hw.primitive.memory import UNCHECKED


def event_layout(columns: int, activation_width: int) -> data.StructLayout:
    """An event: the column that fired and its delta in activation LSBs."""
    return data.StructLayout(
        {"column": unsigned(ceil_log2(columns)), "delta": signed(activation_width + 1)}
    )


def outcome_layout(
    vectors: int, groups: int, ways: int, activation_width: int
) -> data.StructLayout:
    """What became of ``ways`` elements side by side: which of them fire, and their deltas."""
    return data.StructLayout(
        {
            "vector": unsigned(ceil_log2(vectors)),
            "group": unsigned(ceil_log2(groups)),
            "delta": data.ArrayLayout(signed(activation_width + 1), ways),
            "fires": unsigned(ways),
            "last": 1,
        }
    )


class DeltaEncoder(wiring.Component):
    """Sends d = v - v^ of the elements with |d| > theta (docs/numerics.md, "Delta encoder").

    Serves several vectors with one memory v^. Takes ``ways`` elements a cycle, without gaps if
    need be. The same element must not come again within ``latency`` cycles.

    Parameters
    ----------
    vectors : int
        How many vectors it serves.
    groups : int
        Groups of ``ways`` elements in the longest one.
    width : int
        Bits of an element (signed).
    ways : int
        Elements a cycle.
    read_latency : int
        Its memory's (hw.target.Target).
    tells : bool
        It also tells what v^ is.

    Members
    -------
    i : In, stream (never waits)
        ``vector``, ``group``, ``value``, one for each way; ``last`` marks the vector's last group.
    theta : In, array over the vectors
        Thresholds, unsigned(width). At its greatest value nothing fires.
    o : Out, stream (never waits)
        The elements' outcome (outcome_layout), ``latency`` cycles after them.
    sent : Out, array
        Together with ``o``: v^ of these elements from now on. Absent where it does not tell.
    clear : In, stream (never waits)
        Sets v^ at an address to 0; only while nothing else is under way.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``.
    depth : int
        Addresses of the memory. A vector's part of it starts at a power of two, so that an
        address is vector and group side by side.

    Raises
    ------
    ValueError
        Where a parameter is below 1.
    """

    def __init__(
        self,
        *,
        vectors: int,
        groups: int,
        width: int,
        ways: int = 1,
        read_latency: int = 1,
        tells: bool = False,
    ) -> None:
        require_int("vectors", vectors, 1)
        require_int("groups", groups, 1)
        require_int("width", width, 1)
        require_int("ways", ways, 1)
        self._read_latency, self._tells = read_latency, tells
        self.latency = 1 + read_latency
        self.depth = vectors << ceil_log2(groups)
        self._values = data.ArrayLayout(signed(width), ways)
        outcome = outcome_layout(vectors, groups, ways, width)
        element = data.StructLayout(
            {
                "vector": outcome["vector"].shape,
                "group": outcome["group"].shape,
                "value": self._values,
                "last": 1,
            }
        )
        super().__init__(
            {
                "i": In(stream.Signature(element, always_ready=True)),
                "theta": In(width).array(vectors),
                "o": Out(stream.Signature(outcome, always_ready=True)),
                "clear": In(stream.Signature(unsigned(ceil_log2(self.depth)), always_ready=True)),
                **({"sent": Out(self._values)} if tells else {}),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        ways = self._values.length
        m.submodules.memory = sent = memory.Memory(
            shape=self._values, depth=self.depth, init=[], attrs=UNCHECKED
        )
        read, write = sent.read_port(), sent.write_port(granularity=1)

        m.d.comb += [
            read.addr.eq(Cat(self.i.payload.group, self.i.payload.vector)),
            read.en.eq(1),
        ]
        latency = self._read_latency
        before = data.View(self._values, delayed(m, read.data.as_value(), latency - 1, "before"))

        valids, elements = staged(m, self.i.valid, self.i.payload, self.latency, "element")
        element, valid = elements[-1], valids[-1]

        # While v^ is fetched: what to add to it to see whether it is too far from v on either side,
        # so that comparing takes no longer than the subtraction beside it.
        theta = Array(self.theta)[self.i.payload.vector]
        outcome = self.o.payload
        for n in range(ways):
            v = self.i.payload.value[n]
            below = delayed(m, theta - v, latency, f"below_{n}")
            above = delayed(m, (~(v + theta)).as_signed(), latency, f"above_{n}")
            fires = Signal(name=f"fires_{n}", reset_less=True)
            delta = Signal.like(outcome.delta[n], name=f"delta_{n}", reset_less=True)
            m.d.sync += [
                delta.eq(elements[-2].value[n] - before[n]),
                # v^ < v - theta, or v^ > v + theta
                fires.eq((before[n] + below)[-1] | ~(before[n] + above)[-1]),
            ]
            m.d.comb += [outcome.delta[n].eq(delta), outcome.fires[n].eq(fires)]
            if self._tells:
                was = delayed(m, before[n], 1, f"was_{n}")
                m.d.comb += self.sent[n].eq(Mux(fires, element.value[n], was))
        m.d.comb += [
            self.o.valid.eq(valid),
            outcome.vector.eq(element.vector),
            outcome.group.eq(element.group),
            outcome.last.eq(element.last),
            write.addr.eq(Cat(element.group, element.vector)),
            write.data.eq(element.value),
            write.en.eq(outcome.fires & valid.replicate(ways)),
        ]
        with m.If(self.clear.valid):
            m.d.comb += [
                write.addr.eq(self.clear.payload),
                write.data.eq(0),
                write.en.eq(~0),
            ]
        return m
