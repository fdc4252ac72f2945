"""The lanes on their way back: W G of an event, and masters that follow, in one go."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.errors import require_int
from golden.learn.formats import LearningFormats
from hw.fixed import added, half, sat
from hw.pipeline import delayed, staged


class SweepLanes(wiring.Component):
    """For an event of P rows: the sum of W G over the lanes, and w - G d 2^-s of each lane.

    Docs/training-core.md, "Backward", step 4. W is the upper byte of the master w as it comes. What
    a slot's shift s (golden.learn.formats, ``step_shift``) lacks of ``far`` is ``near``, and is
    taken from its delta: rshift(-G d, s) = floor((2^(far - 1) - G d 2^near) / 2^far).

    Stage n of the lanes does everything n cycles later than the first, and hands its sum on.

    Parameters
    ----------
    learning : LearningFormats
        Widths of masters and errors.
    delta_width : int
        Bits of a delta (signed).
    stages : sequence of range
        The lanes of each stage (hw.target.Target.stages).
    far : int
        The greatest s.
    nearest : int
        The most that ``near`` may be.

    Members
    -------
    i : In, stream (never waits)
        ``delta``; ``near``; ``learns``: masters are to change.
    g, master : In, arrays of P
        G and w of the slot; those of stage n n cycles later.
    sum : Out
        The sum over all lanes, exact, ``latency`` cycles after its slot.
    o : Out, stream (never waits)
        ``master``, P new masters, two cycles after the slot; those of stage n n cycles later.
    saturated : Out
        A strobe: a master has moved and is now at an end of its range. Three cycles after the slot,
        or up to as many later as there are stages.

    Attributes
    ----------
    latency : int
        Cycles from a slot to its sum.

    Raises
    ------
    ValueError
        Where a number is out of range.
    """

    def __init__(
        self,
        *,
        learning: LearningFormats,
        delta_width: int,
        stages: Sequence[range],
        far: int,
        nearest: int,
    ) -> None:
        require_int("delta_width", delta_width, 2)
        require_int("far", far, 1)
        require_int("nearest", nearest, 0)
        self._learning, self._stages, self._far = learning, stages, far
        lanes = stages[-1].stop
        error, master = signed(learning.error.width), signed(learning.master)
        weight = learning.master - learning.below
        self.latency = 1 + len(stages)
        slot = {"delta": signed(delta_width), "near": unsigned(bits_for(nearest)), "learns": 1}
        self._moved = signed(delta_width + nearest)
        of_masters = data.ArrayLayout(master, lanes)
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout(slot), always_ready=True)),
                "g": In(data.ArrayLayout(error, lanes)),
                "master": In(of_masters),
                "sum": Out(signed(weight + error.width + ceil_log2(lanes))),
                "o": Out(stream.Signature(of_masters, always_ready=True)),
                "saturated": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        below, far = self._learning.below, self._far
        valids, slots = staged(m, self.i.valid, self.i.payload, len(self._stages) + 1, "slot")
        # The shift is taken before the first stage, once for all lanes.
        moved = Signal(self._moved)
        m.d.comb += moved.eq(self.i.payload.delta << self.i.payload.near)
        total, ends = None, []
        for n, stage in enumerate(self._stages):
            step = delayed(m, moved, n, f"moved_{n}")
            products, reached = [], []
            for lane in stage:
                g, master = self.g[lane], self.master[lane]
                products.append(delayed(m, (master >> below) * g, 1, f"product_{lane}"))
                change = delayed(m, g * step, 1, f"change_{lane}")
                old = delayed(m, master, 1, f"old_{lane}")
                follows = sat(old + ((half(far) - change) >> far), self._learning.range)
                new = Signal.like(master, name=f"new_{lane}", reset_less=True)
                with m.If(slots[n + 1].learns):
                    m.d.sync += new.eq(follows)
                with m.Else():
                    m.d.sync += new.eq(old)
                m.d.comb += self.o.payload[lane].eq(new)
                was = delayed(m, Cat(old[-1], _at_end(old)), 1, f"was_{lane}")
                reached.append(_at_end(new) & (was != Cat(new[-1], 1)))
            here = added(products) if total is None else total + added(products)
            total = Signal(self.sum.shape(), name=f"total_{n}", reset_less=True)
            m.d.sync += total.eq(here)
            ends.append(delayed(m, Cat(reached).any() & valids[n + 2], 1, f"ends_{n}"))
        m.d.comb += [
            self.sum.eq(total),
            self.o.valid.eq(valids[2]),
            self.saturated.eq(Cat(ends).any()),
        ]
        return m


def _at_end(master: Value) -> Value:
    """Whether it is the greatest or the least there is."""
    rest = master[:-1]
    return Mux(master[-1], ~rest.any(), rest.all())
