"""ECP5: weights in block RAM, one MULT18X18D a lane, its adder one carry chain."""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal, signed
from amaranth.lib import memory
from amaranth.utils import ceil_log2

from hw.lane import Lane
from hw.target import RegisteredMultiplyAdd, Target
from hw.weights import WeightMemory

EBR_BITS = 1 << 14  # without the ninth bits, which narrow shapes have no use for


class SlicedWeights(WeightMemory):
    """Weights in block RAM as deep as all words: a slice of each word in each, so that no
    multiplexer has to choose between several."""

    def elaborate(self, platform) -> Module:
        m = Module()
        depth = len(self._words)
        bits = self._shape.size
        width = max(1, min(8, EBR_BITS >> ceil_log2(depth)))
        images = [self._shape.const(word).as_bits() for word in self._words]
        slices = []
        for low in range(0, bits, width):
            part = min(width, bits - low)
            init = [(image >> low) & ((1 << part) - 1) for image in images]
            m.submodules[f"slice_{low}"] = rom = memory.Memory(shape=part, depth=depth, init=init)
            read = rom.read_port()
            m.d.comb += [read.addr.eq(self.address), read.en.eq(1)]
            slices.append(read.data)
        m.d.comb += self.word.as_value().eq(Cat(slices))
        return m


class MultLane(Lane):
    """A lane with MULT18X18D, registered on both sides, and a carry chain that chooses and adds.

    Each bit of the chain is one LUT of CCU2C: with A the product, B the old M, C the sum so far
    and D ``first`` it takes A ^ (D ? B : C) for the sum. For the carry it looks its table up at
    C = D = 0, which is A: right, because there A and the other operand are equal.
    """

    latency = 3
    _TABLE = 0x665A

    def elaborate(self, platform) -> Module:
        m = Module()
        weight, delta, product = Signal(signed(18)), Signal(signed(18)), Signal(signed(36))
        m.d.comb += [weight.eq(self.weight), delta.eq(self.delta)]
        zeros = {
            **{f"i_{port}{n}": Const(0) for port in ("CE", "RST") for n in range(1, 4)},
            **{f"i_CLK{n}": Const(0) for n in range(1, 4)},
            **{f"i_C{n}": Const(0) for n in range(18)},
            "i_RST0": Const(0),
            "i_SOURCEA": Const(0),
            "i_SOURCEB": Const(0),
        }
        m.submodules.multiplier = Instance(
            "MULT18X18D",
            p_REG_INPUTA_CLK="CLK0",
            p_REG_INPUTB_CLK="CLK0",
            p_REG_OUTPUT_CLK="CLK0",
            p_GSR="DISABLED",
            i_CLK0=ClockSignal(),
            i_CE0=Const(1),
            i_SIGNEDA=Const(1),
            i_SIGNEDB=Const(1),
            **zeros,
            **{f"i_A{n}": weight[n] for n in range(18)},
            **{f"i_B{n}": delta[n] for n in range(18)},
            **{f"o_P{n}": product[n] for n in range(36)},
        )
        width = len(self.total)
        even = width + width % 2
        adds, old, total, sums = (
            Signal(signed(even), name=name) for name in ("adds", "old", "total", "sums")
        )
        kept = Signal(signed(even), reset_less=True)
        m.d.sync += kept.eq(sums)
        m.d.comb += [adds.eq(product), old.eq(self.m), total.eq(kept), self.total.eq(kept)]
        carry = Signal(even // 2 + 1)
        for n in range(0, even, 2):
            m.submodules[f"carry_{n}"] = Instance(
                "CCU2C",
                p_INIT0=Const(self._TABLE, 16),
                p_INIT1=Const(self._TABLE, 16),
                p_INJECT1_0="NO",
                p_INJECT1_1="NO",
                i_CIN=carry[n // 2],
                i_A0=adds[n],
                i_B0=old[n],
                i_C0=total[n],
                i_D0=self.first,
                i_A1=adds[n + 1],
                i_B1=old[n + 1],
                i_C1=total[n + 1],
                i_D1=self.first,
                o_S0=sums[n],
                o_S1=sums[n + 1],
                o_COUT=carry[n // 2 + 1],
            )
        return m


ECP5 = Target(
    name="ecp5",
    weights=SlicedWeights,
    lane=MultLane,
    read_latency=2,
    multiply_add=RegisteredMultiplyAdd(),
)
