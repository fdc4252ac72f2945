"""iCE40 UP5K: weights in SPRAM, one SB_MAC16 a lane."""

from collections.abc import Sequence

from amaranth.hdl import (
    Array,
    Cat,
    ClockSignal,
    Const,
    Instance,
    Module,
    Mux,
    Shape,
    Signal,
    Value,
    signed,
)
from amaranth.utils import ceil_log2

from boards.family.chip import size
from golden.errors import refusal
from golden.formats import WEIGHT
from hw.pipeline import delayed
from hw.primitive.accumulators import Accumulators
from hw.primitive.lane import Lane
from hw.primitive.loaded_weights import LoadedWeights
from hw.primitive.multiply_add import SplitMultiplyAdd
from hw.target import Target

SPRAM_COUNT, SPRAM_DEPTH = 4, 1 << 14  # of 16 bits each
MAC16_ACCUMULATOR, MAC16_FACTOR = 32, 16


ALL = Const(15, 4)


def spram(
    m: Module, name: str, address: Value, written: Value, writes: Value, nibbles: Value = ALL
) -> Signal:
    """What an SPRAM gives a cycle after ``address``, where it does not write these ``nibbles``."""
    out = Signal(16, name=f"out_{name}")
    m.submodules[f"spram_{name}"] = Instance(
        "SB_SPRAM256KA",
        i_CLOCK=ClockSignal(),
        i_ADDRESS=address,
        i_DATAIN=written,
        i_MASKWREN=nibbles,
        i_WREN=writes,
        i_CHIPSELECT=Const(1),
        i_STANDBY=Const(0),
        i_SLEEP=Const(0),
        i_POWEROFF=Const(1),  # low would be off
        o_DATAOUT=out,
    )
    return out


class SpramWeights(LoadedWeights):
    """Weights in SB_SPRAM256KA, two lanes side by side in each: they must be loaded.

    Raises
    ------
    ValueError
        Where they do not fit in the four of a UP5K.
    """

    latency = 1

    def __init__(self, words: Sequence[Sequence[int]]) -> None:
        super().__init__(words)
        lanes = len(words[0])
        self._wide, self._deep = -(-lanes // 2), -(-len(words) // SPRAM_DEPTH)
        most = SPRAM_COUNT // self._wide * SPRAM_DEPTH * lanes
        if not most:
            raise refusal("lanes", lanes, f"at most {2 * SPRAM_COUNT}, as SPRAM has two a block")
        if len(words) * lanes > most:
            raise refusal(
                f"weights of {lanes} lanes in SPRAM",
                size(len(words) * lanes),
                f"at most {size(most)}: fewer units or a board with a larger chip",
            )

    def store(self, m: Module, address: Value, word: Value) -> None:
        width = ceil_log2(SPRAM_DEPTH)
        place = Signal(range(self._deep << width))
        m.d.comb += place.eq(Mux(self.write.valid, self.write.payload.word, address))
        bank = delayed(m, place[width:], 1, "bank")
        banks = []
        for deep in range(self._deep):
            here = (place[width:] == deep) if self._deep > 1 else Const(1)
            outs = []
            for wide in range(self._wide):
                # With an odd number of lanes the last one's byte lies alone.
                lanes = Cat(self.write.payload.lanes, Const(0, 1))[2 * wide : 2 * wide + 2]
                both = self.write.payload.byte.replicate(2)
                nibbles = Cat(lanes[0], lanes[0], lanes[1], lanes[1])
                writes, name = self.write.valid & here, f"{deep}_{wide}"
                outs.append(spram(m, name, place[:width], both, writes, nibbles))
            banks.append(Cat(outs)[: self._shape.size])
        m.d.comb += word.eq(Array(banks)[bank])


class SpramAccumulators(Accumulators):
    """M in SB_SPRAM256KA, rows side by side in as many as their bits take.

    One port reads, or writes what it is told to.

    Raises
    ------
    ValueError
        Where they do not fit in the four of a UP5K.
    """

    interval = 2
    loads = True

    def __init__(self, *, shape, depth: int, init, attrs) -> None:
        super().__init__(shape=shape, depth=depth, init=[], attrs=attrs)
        bits = Shape.cast(shape).width
        self._wide, self._deep = -(-bits // 16), -(-depth // SPRAM_DEPTH)
        if self._wide * self._deep > SPRAM_COUNT:
            found = f"{depth:,} rows of {bits} bits"
            raise refusal("accumulators in SPRAM", found, f"what {SPRAM_COUNT} blocks hold")

    def elaborate(self, platform) -> Module:
        m = Module()
        (read,), writes = self.read_ports, self.write_ports
        width = ceil_log2(SPRAM_DEPTH)
        place, written = Signal(range(self._deep << width)), Signal(16 * self._wide)
        writes_now = Signal()
        m.d.comb += place.eq(read.addr)
        for write in writes:
            with m.If(write.en):
                data = write.data.as_value()
                m.d.comb += [writes_now.eq(1), place.eq(write.addr), written.eq(data)]
        bank = delayed(m, place[width:], 1, "bank")
        banks = []
        for deep in range(self._deep):
            here = (place[width:] == deep) if self._deep > 1 else Const(1)
            parts = [written.word_select(wide, 16) for wide in range(self._wide)]
            outs = [
                spram(m, f"{deep}_{wide}", place[:width], part, writes_now & here)
                for wide, part in enumerate(parts)
            ]
            banks.append(Cat(outs))
        m.d.comb += read.data.as_value().eq(Array(banks)[bank])
        return m


class Mac16Lane(Lane):
    """A lane whose multiplier, product register, adder and sum are one SB_MAC16.

    Its factors are registered on the way in, so that the way from the SPRAM has a cycle.
    """

    latency = 3

    def __init__(self, *, delta_width: int, width: int) -> None:
        super().__init__(delta_width=delta_width, width=width)
        if width > MAC16_ACCUMULATOR:
            raise refusal(
                "accumulators", f"{width} bits", f"at most {MAC16_ACCUMULATOR} in SB_MAC16"
            )
        if delta_width > MAC16_FACTOR:
            raise refusal(
                "deltas with row shifts",
                f"{delta_width} bits",
                f"at most {MAC16_FACTOR} in SB_MAC16: a narrower activation or no row shifts",
            )

    def elaborate(self, platform) -> Module:
        m = Module()
        weight, delta = Signal(signed(16)), Signal(signed(16))
        addend, total = Signal(signed(32)), Signal(signed(32))
        m.d.comb += [
            weight.eq(self.weight),
            delta.eq(self.delta),
            addend.eq(Mux(self.first, self.m, total[: len(self.total)].as_signed())),
            self.total.eq(total),
        ]
        off = Const(0)
        m.submodules.mac = Instance(
            "SB_MAC16",
            p_A_SIGNED=Const(1, 1),
            p_B_SIGNED=Const(1, 1),
            p_A_REG=Const(1, 1),
            p_B_REG=Const(1, 1),
            p_PIPELINE_16x16_MULT_REG2=Const(1, 1),
            p_TOPADDSUB_LOWERINPUT=Const(2, 2),  # the product
            p_BOTADDSUB_LOWERINPUT=Const(2, 2),
            p_TOPADDSUB_UPPERINPUT=Const(1, 1),  # C and D
            p_BOTADDSUB_UPPERINPUT=Const(1, 1),
            p_TOPADDSUB_CARRYSELECT=Const(3, 2),  # from the lower half
            p_TOPOUTPUT_SELECT=Const(1, 2),  # registered
            p_BOTOUTPUT_SELECT=Const(1, 2),
            i_CLK=ClockSignal(),
            i_CE=Const(1),
            i_A=weight,
            i_B=delta,
            i_C=addend[16:],
            i_D=addend[:16],
            **{
                f"i_{name}": off
                for name in (
                    *("AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP"),
                    *("ORSTBOT", "OLOADTOP", "OLOADBOT", "ADDSUBTOP", "ADDSUBBOT"),
                    *("OHOLDTOP", "OHOLDBOT", "CI", "ACCUMCI", "SIGNEXTIN"),
                )
            },
            o_O=total,
        )
        return m


UP5K = Target(
    name="up5k",
    weights=SpramWeights,
    slow_accumulators=SpramAccumulators,
    lane=Mac16Lane,
    multiply_add=SplitMultiplyAdd(),
    block_shapes=((1 << 8, 16), (1 << 9, 8), (1 << 10, 4), (1 << 11, 2)),
)
assert WEIGHT.width == 8  # two of them fill an SPRAM's word
