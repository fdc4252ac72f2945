"""Samples to envelopes: all bands by one adder, states and coefficients in one memory."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.sound.front_end import FrontEnd
from hw.fixed import half
from hw.primitive.memory import UNCHECKED
from hw.sound.digits import DIGIT_BITS, MINUS, recoded


class Kind(enum.Enum, shape=3):
    """What a word of the memory is: one of each for every band, and SHARED ones of all."""

    F = 0
    MINUS_F = 1
    H = 2
    LOW = 3
    BAND = 4
    ENVELOPE = 5
    SNAPSHOT = 6
    SHARED = 7


class Shared(enum.Enum, shape=2):
    """Which of the words that all bands share."""

    SAMPLE = 0
    DECAY = 1
    PART = 2
    BELOW = 3  # the band before this one


class Sum(enum.Enum, shape=2):
    """What becomes of the accumulator: it begins at a half, or takes factor times digit."""

    KEEP = 0
    BEGIN = 1
    ADD = 2
    SHIFT = 3  # and goes right by a digit, as the coefficient does


class Digit(enum.Enum, shape=2):
    """What the factor is multiplied by."""

    NEXT = 0  # of the coefficient
    PLUS = 1
    MINUS = 2
    SIGN = 3  # PLUS or MINUS, as what ``sign`` saw was positive or negative


class Factor(enum.Enum, shape=2):
    """What is multiplied from the next cycle on."""

    KEEP = 0
    MEMORY = 1
    SUM = 2
    BELOW = 3  # the memory's, and 0 in the first band


@dataclass(frozen=True)
class Step:
    """What happens in a cycle of a band's turn. What is read is there in the next one."""

    read: tuple[Kind, Shared] = (Kind.F, Shared.SAMPLE)
    write: tuple[Kind, Shared] | None = None
    factor: Factor = Factor.KEEP
    coefficient: bool = False  # of the memory
    sum: Sum = Sum.KEEP
    digit: Digit = Digit.NEXT
    sign: bool = False  # the accumulator's is kept


def program(digits: int) -> list[Step]:
    """A band's turn: docs/sound.md, "A band's turn"."""
    steps: list[Step] = []

    def do(read: Kind | Shared, **what) -> None:
        write = what.pop("write", None)
        steps.append(Step(read=_place(read), write=write and _place(write), **what))

    def multiply(then: Kind | Shared, **last) -> None:
        # In its last cycle what follows is already there, and may be taken.
        for _ in range(digits - 1):
            do(then, sum=Sum.SHIFT)
        do(last.pop("read", then), sum=Sum.ADD, **last)

    do(Kind.H)
    do(Kind.BAND, coefficient=True)
    do(Kind.F, factor=Factor.MEMORY, sum=Sum.BEGIN)
    multiply(Kind.F, coefficient=True)  # h band
    do(Kind.LOW, write=Shared.PART, sum=Sum.BEGIN)
    multiply(Kind.LOW, read=Shared.SAMPLE, factor=Factor.MEMORY)  # f band
    do(Kind.MINUS_F, factor=Factor.MEMORY, sum=Sum.ADD, digit=Digit.PLUS)  # + low
    do(Shared.PART, write=Kind.LOW, coefficient=True, sum=Sum.ADD, digit=Digit.MINUS)  # - x
    do(Shared.PART, factor=Factor.SUM, sum=Sum.BEGIN)
    multiply(Shared.PART, read=Shared.DECAY, factor=Factor.MEMORY)  # -f (low - x)
    do(Shared.BELOW, coefficient=True, sum=Sum.ADD, digit=Digit.PLUS)  # + h band
    do(Kind.ENVELOPE, write=Kind.BAND, factor=Factor.BELOW)
    do(Kind.ENVELOPE, write=Shared.BELOW, sum=Sum.ADD, digit=Digit.MINUS)  # - below
    do(Shared.PART, write=Shared.PART, factor=Factor.MEMORY, sum=Sum.BEGIN, sign=True)
    multiply(Shared.PART, factor=Factor.MEMORY)  # decay envelope
    do(Shared.PART, sum=Sum.ADD, digit=Digit.SIGN)  # + |band - below|
    do(Shared.PART, write=Kind.ENVELOPE)
    do(Shared.PART, write=Kind.SNAPSHOT)
    return steps


def _place(word: Kind | Shared) -> tuple[Kind, Shared]:
    return (Kind.SHARED, word) if isinstance(word, Shared) else (word, Shared.SAMPLE)


def envelope_layout(front: FrontEnd) -> data.StructLayout:
    """An envelope, the number of its band, and whether it ends a frame."""
    band = unsigned(max(1, ceil_log2(front.bands)))
    return data.StructLayout({"envelope": unsigned(front.word - 1), "band": band, "last": 1})


class Bank(wiring.Component):
    """golden.sound.bank.envelopes: a sample of all bands, one band after the other.

    States begin at 0 at power-up. A reset while it runs leaves them in their memory, and they fade.

    Products take no multiplier: a digit of the coefficient a cycle, which is 0, 1, 2 or -1, so that
    the factor, its double or its opposite is added, and the sum goes right by two bits. The bits
    that leave are those that rshift rounds away.

    Parameters
    ----------
    front : FrontEnd
        Bands and widths.

    Members
    -------
    i : In, stream
        Samples; one is taken as soon as the last one's bands are done.
    o : Out, stream (never waits)
        Envelopes of a frame, band by band, between samples.
    room : In
        An envelope may come in the next cycle.
    dropped : Out
        Strobe: envelopes of the last frame were still here at the next one's end, so this one is
        left out, all of it.

    Attributes
    ----------
    cycles : int
        From a sample's being taken to when the next one may be. An envelope takes two more.
    """

    def __init__(self, front: FrontEnd) -> None:
        self._front = front
        self._digits = front.coefficient_frac // DIGIT_BITS + 1
        self._program = program(self._digits)
        self._index_bits = ceil_log2(max(len(Shared), front.bands))
        self.cycles = front.bands * len(self._program) + 1
        super().__init__(
            {
                "i": In(stream.Signature(signed(front.sample_width))),
                "o": Out(stream.Signature(envelope_layout(front), always_ready=True)),
                "room": In(1),
                "dropped": Out(1),
            }
        )

    def _contents(self) -> list[int]:
        front = self._front
        words = [0] * (len(Kind) << self._index_bits)

        def put(kind: Kind, n: int, value: int) -> None:
            words[kind.value << self._index_bits | n] = recoded(value, self._digits)

        for n, band in enumerate(front.resonators):
            put(Kind.F, n, band.f)
            put(Kind.MINUS_F, n, -band.f)
            put(Kind.H, n, band.h)
        put(Kind.SHARED, Shared.DECAY.value, front.decay)
        return words

    def elaborate(self, platform) -> Module:
        m = Module()
        front, width = self._front, self._front.word
        words = self._contents()
        m.submodules.words = held = memory.Memory(
            shape=signed(width), depth=len(words), init=words, attrs=UNCHECKED
        )
        read, write = held.read_port(), held.write_port()

        # Where it is: which step of which band, of which sample of a hop.
        step, band = Signal(range(len(self._program))), Signal(self._index_bits)
        runs, sample = Signal(), Signal(range(front.hop))
        kept = Signal()  # this sample ends a hop, and its envelopes are kept
        ends = Signal()
        m.d.comb += ends.eq(sample == front.hop - 1)

        # What is still to be sent of the last frame.
        sends, sent, offers = Signal(), Signal(self._index_bits), Signal()
        last = Signal()
        m.d.comb += [
            last.eq(sent == front.bands - 1),
            self.o.valid.eq(offers),
            self.o.payload.envelope.eq(read.data),
            self.o.payload.band.eq(sent),
            self.o.payload.last.eq(last),
        ]
        m.d.sync += offers.eq(0)
        with m.If(offers):
            m.d.sync += sent.eq(sent + 1)
            with m.If(last):
                m.d.sync += [sends.eq(0), sent.eq(0)]

        with m.If(runs):
            m.d.sync += step.eq(step + 1)
            with m.If(step == len(self._program) - 1):
                m.d.sync += [step.eq(0), band.eq(band + 1)]
                with m.If(band == front.bands - 1):
                    m.d.sync += [band.eq(0), runs.eq(0), sends.eq(sends | kept)]
        with m.Elif(~offers):
            m.d.comb += self.i.ready.eq(1)
            with m.If(self.i.valid):
                m.d.sync += [
                    runs.eq(1),
                    sample.eq(Mux(ends, 0, sample + 1)),
                    kept.eq(ends & ~sends),
                ]
                m.d.comb += self.dropped.eq(ends & sends)
            with m.Elif(sends & self.room):
                m.d.sync += offers.eq(1)

        # What a step does.
        factor, total = Signal(signed(width)), Signal(signed(width + 2))
        coefficient = Signal(DIGIT_BITS * self._digits)
        negative = Signal()
        reads, writes = Signal(Kind), Signal(Kind)
        read_shared, write_shared = Signal(Shared), Signal(Shared)
        does = Signal(Sum)
        digit = Signal(DIGIT_BITS)
        m.d.comb += digit.eq(coefficient[:DIGIT_BITS])
        with m.Switch(step):
            for n, what in enumerate(self._program):
                with m.Case(n):
                    m.d.comb += [
                        reads.eq(what.read[0]),
                        read_shared.eq(what.read[1]),
                        does.eq(what.sum),
                    ]
                    if what.write:
                        keeps = kept if what.write[0] == Kind.SNAPSHOT else Const(1)
                        m.d.comb += [
                            write.en.eq(runs & keeps),
                            writes.eq(what.write[0]),
                            write_shared.eq(what.write[1]),
                        ]
                    match what.digit:
                        case Digit.PLUS:
                            m.d.comb += digit.eq(1)
                        case Digit.MINUS:
                            m.d.comb += digit.eq(MINUS)
                        case Digit.SIGN:
                            m.d.comb += digit.eq(Mux(negative, MINUS, 1))
                    match what.factor:
                        case Factor.MEMORY:
                            m.d.sync += factor.eq(read.data)
                        case Factor.SUM:
                            m.d.sync += factor.eq(total)
                        case Factor.BELOW:
                            m.d.sync += factor.eq(Mux(band == 0, 0, read.data))
                    if what.coefficient:
                        m.d.sync += coefficient.eq(read.data)
                    if what.sum == Sum.SHIFT:
                        m.d.sync += coefficient.eq(coefficient >> DIGIT_BITS)
                    if what.sign:
                        m.d.sync += negative.eq(total[-1])

        # The adder: a lowest bit more carries the 1 that makes an opposite of what is turned.
        added = Signal(signed(width + 2))
        with m.Switch(digit):
            with m.Case(1):
                m.d.comb += added.eq(factor)
            with m.Case(2):
                m.d.comb += added.eq(factor << 1)
            with m.Case(MINUS):
                m.d.comb += added.eq(~factor)
        one = digit == MINUS
        result = (Cat(Const(1, 1), total) + Cat(one, added))[1 : width + 3].as_signed()
        with m.Switch(does):
            with m.Case(Sum.BEGIN):
                m.d.sync += total.eq(half(front.coefficient_frac))
            with m.Case(Sum.ADD):
                m.d.sync += total.eq(result)
            with m.Case(Sum.SHIFT):
                m.d.sync += total.eq(result >> DIGIT_BITS)

        # The memory. Between turns it takes a sample, or shows what is to be sent.
        m.d.comb += read.en.eq(1)
        address = Cat(Mux(reads == Kind.SHARED, read_shared.as_value(), band), reads)
        with m.If(runs):
            m.d.comb += [
                read.addr.eq(address),
                write.addr.eq(
                    Cat(Mux(writes == Kind.SHARED, write_shared.as_value(), band), writes)
                ),
                write.data.eq(total),
            ]
        with m.Else():
            m.d.comb += [
                read.addr.eq(Cat(sent, Const(Kind.SNAPSHOT.value, 3))),
                write.en.eq(self.i.valid & self.i.ready),
                write.addr.eq(
                    Cat(Const(Shared.SAMPLE.value, self._index_bits), Const(Kind.SHARED.value, 3))
                ),
                write.data.eq(self.i.payload << front.guard),
            ]
        return m
