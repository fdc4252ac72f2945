"""What comes back to events: D = dL/ddelta, and through the delta encoder to what it encoded."""

from collections.abc import Sequence

from amaranth.hdl import Array, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.errors import require_int
from golden.fixed import Q
from hw.fixed import half, sat
from hw.pipeline import delayed, staged
from hw.primitive.memory import UNCHECKED


class DeltaErrors(wiring.Component):
    """Adds up W G of each event over the sweeps of a list, and makes D of the sums.

    Docs/training-core.md, "Backward", step 4: D = sat(rshift(sum, f_w) + lambda sign(d), error).
    A sweep has a slot for each event of the list; an event may come again in the next cycle.

    Parameters
    ----------
    events : int
        The most that a list has.
    error : Q
        Format error.
    sum_width, total_width : int
        Bits of what a slot adds, and of all that an event gets (signed).
    weight_fracs : sequence of int
        f_w of each layer.
    cost_max : int
        The greatest lambda.
    places : int
        Elements of all vectors that events may be of.

    Members
    -------
    cost : In
        lambda.
    i : In, stream (never waits)
        ``event``, its number in the list; ``sum``; ``first`` and ``last`` sweep; of the last one
        ``layer``, ``below``, the delta is below 0, and ``place``, which is handed on.
    o : Out, stream (never waits)
        ``d`` and ``place`` of each event, ``latency`` cycles after its last slot.
    next_place : Out
        ``place`` of what ``o`` may have in the next cycle.

    Attributes
    ----------
    latency : int
        In cycles.

    Raises
    ------
    ValueError
        Where a number is out of range.
    """

    latency = 5

    def __init__(
        self,
        *,
        events: int,
        error: Q,
        sum_width: int,
        total_width: int,
        weight_fracs: Sequence[int],
        cost_max: int,
        places: int,
    ) -> None:
        require_int("events", events, 1)
        require_int("total_width", total_width, sum_width)
        require_int("cost_max", cost_max, 0)
        require_int("places", places, 1)
        self._events, self._error, self._fracs = events, error, tuple(weight_fracs)
        self._total = signed(total_width)
        place = unsigned(ceil_log2(places))
        slot = {
            "event": unsigned(ceil_log2(events)),
            "sum": signed(sum_width),
            "first": 1,
            "last": 1,
            "layer": unsigned(ceil_log2(len(self._fracs))),
            "below": 1,
            "place": place,
        }
        made = data.StructLayout({"d": signed(error.width), "place": place})
        super().__init__(
            {
                "cost": In(bits_for(cost_max)),
                "i": In(stream.Signature(data.StructLayout(slot), always_ready=True)),
                "o": Out(stream.Signature(made, always_ready=True)),
                "next_place": Out(place),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.sums = sums = memory.Memory(
            shape=self._total, depth=self._events, init=[], attrs=UNCHECKED
        )
        write, read = sums.write_port(), sums.read_port()
        valids, slots = staged(m, self.i.valid, self.i.payload, self.latency, "slot")
        m.d.comb += [read.en.eq(1), read.addr.eq(self.i.payload.event)]
        # An event may be one of the last two, whose totals are not yet read: they stand beside.
        same = [
            delayed(m, valids[n] & (slots[n].event == slots[1].event), 1, f"same_{n}")
            for n in (2, 3)
        ]
        total = Signal(self._total)
        last = delayed(m, total, 1, "last")
        before = delayed(m, last, 1, "before")
        held = delayed(m, read.data, 1, "held")
        so_far = Mux(same[0], last, Mux(same[1], before, held))
        m.d.comb += [
            total.eq(Mux(slots[2].first, 0, so_far) + slots[2].sum),
            write.addr.eq(slots[2].event),
            write.data.eq(total),
            write.en.eq(valids[2]),
        ]
        # The half that a sum is rounded with goes in here, and the cost behind the shift.
        halves = Array(half(frac) for frac in self._fracs)
        rounds = delayed(m, last + halves[slots[3].layer], 1, "rounds")
        shifted = Array(rounds >> frac for frac in self._fracs)[slots[4].layer]
        cost = delayed(m, Mux(slots[3].below, -self.cost, self.cost), 1, "signed_cost")
        d = delayed(m, sat(shifted + cost, self._error), 1, "d")
        m.d.comb += [
            self.o.valid.eq(valids[5] & slots[5].last),
            self.o.payload.d.eq(d),
            self.o.payload.place.eq(slots[5].place),
            self.next_place.eq(slots[4].place),
        ]
        return m


class EncoderErrors(wiring.Component):
    """Takes D through the delta encoder: dL/dv of what fired, and dL/dv^ of the frame before.

    dL/dv = sat(dL/dv^ + D), then dL/dv^ = sat(-D) (docs/training-core.md, "Backward"). An element
    that did not fire keeps its dL/dv^, and its dL/dv is 0: it does not come here at all. The same
    element must not come again within ``latency`` cycles. Its place is known before its D, so that
    what is held of it waits in a register.

    Parameters
    ----------
    error : Q
        Format error.
    places : int
        Elements of all vectors.

    Members
    -------
    next_place : In
        ``place`` of what ``i`` has in the next cycle.
    i : In, stream (never waits)
        ``d`` and ``place`` of an event.
    o : Out, stream (never waits)
        ``of_v`` and ``place``, ``latency`` cycles later.
    clear : In, stream (never waits)
        Sets dL/dv^ of a place to 0, before a sequence; only while nothing else is under way.

    Attributes
    ----------
    latency : int
        In cycles.
    """

    latency = 2

    def __init__(self, *, error: Q, places: int) -> None:
        require_int("places", places, 1)
        self._error, self._places = error, places
        place, q = unsigned(ceil_log2(places)), signed(error.width)
        come, go = ({key: q, "place": place} for key in ("d", "of_v"))
        super().__init__(
            {
                "next_place": In(place),
                "i": In(stream.Signature(data.StructLayout(come), always_ready=True)),
                "o": Out(stream.Signature(data.StructLayout(go), always_ready=True)),
                "clear": In(stream.Signature(place, always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        q = self._error
        m.submodules.held = held = memory.Memory(
            shape=signed(q.width), depth=self._places, init=[], attrs=UNCHECKED
        )
        read, write = held.read_port(), held.write_port()
        valids, events = staged(m, self.i.valid, self.i.payload, self.latency, "event")
        before = delayed(m, read.data, 1, "before")
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(self.next_place),
            write.addr.eq(events[1].place),
            write.data.eq(sat(-events[1].d, q)),
            write.en.eq(valids[1]),
            self.o.valid.eq(valids[2]),
            self.o.payload.place.eq(events[2].place),
            self.o.payload.of_v.eq(delayed(m, sat(before + events[1].d, q), 1, "of_v")),
        ]
        with m.If(self.clear.valid):
            m.d.comb += [
                write.addr.eq(self.clear.payload),
                write.data.eq(0),
                write.en.eq(1),
            ]
        return m
