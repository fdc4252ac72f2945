"""The loss of a sequence: what its results add up to, what they decide, and their errors."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from golden.errors import require_int
from golden.learn.formats import LearningFormats
from golden.learn.tape import FRAMES_MAX
from hw.fixed import clip, rshift_by, sat, shift, twice_shifted
from hw.pipeline import delayed, staged
from hw.primitive.memory import UNCHECKED

HALVINGS_MAX = ceil_log2(FRAMES_MAX)


class Loss(wiring.Component):
    """Squared hinge of the mean results of a sequence, or what the host says of them
    (docs/training-core.md, "Loss").

    It adds up each result over the frames. At the end it goes through the classes once: the known
    one with the largest sum, the first of equals, is decided, and each gets its error.

    Parameters
    ----------
    learning : LearningFormats
        Format error.
    outputs : int
        O, results of a frame.
    width, frac : int
        Bits of a result (signed), and its fraction bits.

    Members
    -------
    i : In, stream (never waits)
        Results as the read-out makes them: ``value``, ``last`` of the frame. None comes from
        ``ends`` on until ``restart``.
    restart : In
        A new sequence begins; not before the last error is out.
    known : In
        Classes that the network knows, the first ones.
    ends : In
        The sequence is over: it had 1 to 256 frames.
    label : In
        In the cycle of ``ends`` and until the last error is out: which class it was. All errors of
        one that is not known are 0.
    host : In, stream (never waits)
        The host's error ``e`` of the mean of result ``number``.
    by_host : In
        Together with ``label``: the errors are those of the host, and no label counts.
    frames : Out
        T, the frames of which all results have come, or 257 where they are more.
    halvings : Out
        K = ceil(log2 T), from the cycle after ``ends`` on.
    decided : Out
        The class that was decided, together with the last error and until the next sequence ends.
    o : Out, stream (never waits)
        ``e`` of each result, and ``of_frame`` = rshift(e, K), which each frame gets, both in format
        error; ``last``.

    Attributes
    ----------
    latency : int
        Cycles from ``ends`` to the first error; one comes in each cycle behind it.

    Raises
    ------
    ValueError
        Where a number is out of range.
    """

    latency = 6

    def __init__(self, *, learning: LearningFormats, outputs: int, width: int, frac: int) -> None:
        require_int("outputs", outputs, 1)
        require_int("width", width, 1)
        require_int("frac", frac, 0)
        self._q, self._outputs, self._frac = learning.error, outputs, frac
        self._sum = signed(width + HALVINGS_MAX)
        error, number = signed(self._q.width), unsigned(ceil_log2(outputs))
        came = data.StructLayout({"value": signed(width), "last": 1})
        said = data.StructLayout({"e": error, "number": number})
        gone = data.StructLayout({"e": error, "of_frame": error, "last": 1})
        super().__init__(
            {
                "i": In(stream.Signature(came, always_ready=True)),
                "known": In(bits_for(outputs)),
                "restart": In(1),
                "ends": In(1),
                "label": In(bits_for(outputs)),
                "host": In(stream.Signature(said, always_ready=True)),
                "by_host": In(1),
                "frames": Out(range(FRAMES_MAX + 2)),
                "halvings": Out(range(HALVINGS_MAX + 1)),
                "decided": Out(number),
                "o": Out(stream.Signature(gone, always_ready=True)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        last = self._outputs - 1
        m.submodules.sums = sums = memory.Memory(shape=self._sum, depth=self._outputs, init=[])
        write = sums.write_port()
        read = sums.read_port(transparent_for=(write,))  # of one result the next frame's may follow

        # Results as they come.
        column = Signal(range(self._outputs))
        with m.If(self.i.valid):
            m.d.sync += column.eq(Mux(self.i.payload.last, 0, column + 1))
            with m.If(self.i.payload.last):
                m.d.sync += self.frames.eq(self.frames + (self.frames <= FRAMES_MAX))
        with m.If(self.restart):
            m.d.sync += self.frames.eq(0)
        adds = delayed(m, self.i.valid, 1, "adds")
        starts, at = delayed(m, self.frames == 0, 1, "starts"), delayed(m, column, 1, "at")
        value = delayed(m, self.i.payload.value, 1, "value")
        m.d.comb += [
            write.addr.eq(at),
            write.data.eq(Mux(starts, 0, read.data) + value),
            write.en.eq(adds),
        ]

        # At the end: one class a cycle.
        goes, n = Signal(), Signal(range(self._outputs))
        m.d.comb += [read.en.eq(1), read.addr.eq(Mux(goes, n, column))]
        with m.If(goes):
            m.d.sync += [n.eq(n + 1), goes.eq(n != last)]
        with m.If(self.ends):
            more = [self.frames > (1 << k) for k in range(HALVINGS_MAX)]
            m.d.sync += [goes.eq(1), n.eq(0), self.halvings.eq(sum(more))]
        valids, numbers = staged(m, goes, n, self.latency - 1, "class")

        m.submodules.host = of_host = memory.Memory(
            shape=signed(self._q.width), depth=self._outputs, init=[], attrs=UNCHECKED
        )
        hosts, comes = of_host.read_port(), of_host.write_port()
        m.d.comb += [
            comes.addr.eq(self.host.payload.number),
            comes.data.eq(self.host.payload.e),
            comes.en.eq(self.host.valid),
            hosts.en.eq(1),
            hosts.addr.eq(n),
        ]

        # The decision.
        best = Signal(self._sum, reset_less=True)
        is_known = numbers[1] < self.known
        with m.If(valids[1] & is_known & ((numbers[1] == 0) | (read.data > best))):
            m.d.sync += [best.eq(read.data), self.decided.eq(numbers[1])]

        # The mean. What is beyond -2 or 2 is as far from a target as these are.
        q = self._q
        drop = self._frac - q.f
        twice = delayed(m, twice_shifted(shift(read.data, min(drop, 0)), self.halvings), 1, "twice")
        bound = 4 << q.f
        twice = delayed(m, clip(shift(twice, max(drop, 0)), -bound, bound - 1), 1, "mean")

        # How far it is from its target: mean - 1 from -1 to 0, or mean + 1 from 0 to 1.
        is_label = numbers[3] == self.label
        distance = (twice + Mux(is_label, 1 - 2 * q.scale, 1 + 2 * q.scale)) >> 1
        below = distance[-1]
        ends = Mux(is_label, Mux(below, -q.scale, 0), Mux(below, 0, q.scale))
        hinge = Mux(
            (distance[q.f :] ^ is_label.replicate(len(distance) - q.f)).any(), ends, distance
        )
        of_label = Mux(self.label < self.known, sat(hinge, q), 0)
        error = Mux(self.by_host, delayed(m, hosts.data, 2, "of_host"), of_label)
        e = delayed(m, Mux(numbers[3] < self.known, error, 0), 1, "e")
        of_frame = rshift_by(e, self.halvings)
        m.d.comb += [
            self.o.valid.eq(valids[-1]),
            self.o.payload.e.eq(delayed(m, e, 1, "e_now")),
            self.o.payload.of_frame.eq(delayed(m, of_frame, 1, "of_frame")),
            self.o.payload.last.eq(numbers[-1] == last),
        ]
        return m
