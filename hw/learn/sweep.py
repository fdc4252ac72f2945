"""The lanes on their way back: W G of an event, and masters that follow, in one go."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.errors import require_int
from golden.learn.formats import LearningFormats
from hw.fixed import added, sat
from hw.pipeline import delayed, strobed


class SweepLanes(wiring.Component):
    """For an event of P rows: the sum of W G over the lanes, and w - G d 2^-s of each lane.

    Docs/training-core.md, "Backward", step 4. W is the upper byte of the master w as it comes. What
    a slot's shift s (golden.learn.formats, ``step_shift``) lacks of ``far`` is ``near``, and is
    taken from its delta: rshift(-G d, s) = rshift(G * (-d 2^near), far). Once for all lanes, -d
    2^near is made before the first of them needs it; it is 0 where masters are to stay. So a lane
    has one adder: half up is the bit below the point, which the adder takes as a carry.

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
        G and w of the slot, ``ahead`` cycles after it; those of stage n n cycles later.
    sum : Out
        The sum over all lanes, exact, ``latency`` cycles after its slot.
    o : Out, stream (never waits)
        ``master``, P new masters, two cycles after the old; those of stage n n cycles later.
    saturated : Out
        A strobe: a master has moved and is now at an end of its range. Three cycles after the old
        one, or up to as many later as there are stages.

    Attributes
    ----------
    ahead : int
        Cycles from a slot to its G and w.
    latency : int
        Cycles from a slot to its sum.

    Raises
    ------
    ValueError
        Where a number is out of range.
    """

    ahead = 2

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
        self.latency = self.ahead + 1 + len(stages)
        slot = {"delta": signed(delta_width), "near": unsigned(bits_for(nearest)), "learns": 1}
        self._step = signed(delta_width + 1 + nearest)
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
        below, far, slot = self._learning.below, self._far, self.i.payload
        valids = strobed(m, self.i.valid, self.ahead + len(self._stages) + 1, "valid")
        less = delayed(m, Mux(slot.learns, -slot.delta, 0), 1, "less")
        near = delayed(m, slot.near, 1, "near")
        step = Signal(self._step, reset_less=True)
        m.d.sync += step.eq(less << near)
        total, ends = None, []
        for n, stage in enumerate(self._stages):
            factor = delayed(m, step, n, f"step_{n}")
            products, reached = [], []
            for lane in stage:
                g, master = self.g[lane], self.master[lane]
                products.append(delayed(m, (master >> below) * g, 1, f"product_{lane}"))
                change = delayed(m, g * factor, 1, f"change_{lane}")
                old = delayed(m, master, 1, f"old_{lane}")
                follows = Cat(1, old).as_signed() + Cat(change[far - 1], change >> far).as_signed()
                new = delayed(m, sat(follows >> 1, self._learning.range), 1, f"new_{lane}")
                m.d.comb += self.o.payload[lane].eq(new)
                was = delayed(m, Cat(old[-1], _at_end(old)), 1, f"was_{lane}")
                reached.append(_at_end(new) & (was != Cat(new[-1], 1)))
            here = added(products) if total is None else total + added(products)
            total = Signal(self.sum.shape(), name=f"total_{n}", reset_less=True)
            m.d.sync += total.eq(here)
            ended = Cat(reached).any() & valids[self.ahead + n + 2]
            ends.append(delayed(m, ended, 1, f"ends_{n}"))
        m.d.comb += [
            self.sum.eq(total),
            self.o.valid.eq(valids[self.ahead + 2]),
            self.saturated.eq(Cat(ends).any()),
        ]
        return m


def _at_end(master: Value) -> Value:
    """Whether it is the greatest or the least there is: no bit is as the sign is."""
    return (master[:-1] ^ master[-1].replicate(len(master) - 1)).all()
