"""ECP5: weights in block RAM, one MULT18X18D a lane, its adder one carry chain."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, ClockSignal, Const, Instance, Module, Signal, Value, signed
from amaranth.utils import ceil_log2, exact_log2

from golden.errors import require_int
from hw.pipeline import delayed
from hw.primitive.lane import Lane
from hw.primitive.masters import MasterStore
from hw.primitive.memory import banks_of, is_in, one_of
from hw.primitive.multiply_add import MultiplyAdd
from hw.primitive.serializer import MuxSerializer
from hw.primitive.weights import WeightMemory
from hw.target import Target

EBR_BITS = 1 << 14  # of 18 K: a weight has no use for the ninth bits
EBR_SHAPES = {1: 1, 2: 2, 4: 4, 8: 9}  # bits that are used: DATA_WIDTH
# Words, and bits of each, of a block RAM whose ports may both read and write.
EBR_DEPTHS = {1 << 10: 18, 1 << 11: 9, 1 << 12: 4, 1 << 13: 2, 1 << 14: 1}
LISTS = 64  # INITVAL_00 to INITVAL_3F, 16 times 18 bits each


def ebr_lists(values: Sequence[int], width: int) -> dict[str, int]:
    """INITVAL_* of a DP16KD that holds ``values``, ``width`` bits each (of EBR_SHAPES, 9 or 18).

    Bytes lie one after another, 9 bits apart, and only values of 9 or 18 bits use the ninth; each
    list takes 16 words of 18 bits, 20 apart.
    """
    image = 0
    for n, value in enumerate(values):
        place = n * width
        image |= value << (place if width % 9 == 0 else place // 8 * 9 + place % 8)
    lists = {}
    for n in range(LISTS):
        words = [(image >> (18 * (16 * n + k))) & 0x3FFFF for k in range(16)]
        lists[f"INITVAL_{n:02X}"] = sum(word << (20 * k) for k, word in enumerate(words))
    return lists


class EbrWeights(WeightMemory):
    """Weights in DP16KD with their output registers.

    Each is as deep as all words and holds a slice of each word, so that no multiplexer has to
    choose between several; only where there are more words than the deepest shape has are there
    banks. A register waits half-way to the lanes.
    """

    latency = 3

    def elaborate(self, platform) -> Module:
        m = Module()
        images = [self._shape.const(word).as_bits() for word in self._words]
        depth = min(len(images), EBR_BITS)
        width = max(w for w in EBR_SHAPES if depth * w <= EBR_BITS)
        banks = []
        for n, low in enumerate(range(0, len(images), EBR_BITS)):
            bank = Signal(self._shape.size, name=f"bank_{n}")
            self._bank(m, f"bank_{n}", bank, images[low : low + EBR_BITS], width)
            banks.append(bank)
        chosen = delayed(m, self.port.request.payload[ceil_log2(EBR_BITS) :], 2, "chosen")
        word = delayed(m, Array(banks)[chosen], 1, "word")
        self.never_waits(m)
        m.d.comb += self.port.word.payload.as_value().eq(word)
        return m

    def _bank(self, m: Module, name: str, bank: Signal, images: list[int], width: int) -> None:
        """Adds the memory that holds ``images``, ``width`` bits in each block RAM."""
        address = Cat(Const(0, exact_log2(width)), self.port.request.payload, Const(0, 14))[:14]
        for low in range(0, len(bank), width):
            part = bank[low : low + width]
            values = [(image >> low) & ((1 << len(part)) - 1) for image in images]
            m.submodules[f"{name}_{low}"] = dp16kd(values, width, address, part)


def dp16kd(
    values: Sequence[int],
    width: int,
    address: Value,
    read: Value,
    writes: tuple[Value, Value, Value] | None = None,
) -> Instance:
    """A DP16KD of ``values``, ``width`` bits each (of EBR_SHAPES, 9 or 18), at power-up.

    Port A gives ``read`` two cycles after its ``address``. Port B, where anything ``writes`` at
    all, takes an address, the value and whether it is written. Both addresses have 14 bits.
    """
    off = Const(0)
    if writes is None:
        port_b = {f"i_{pin}B": off for pin in ("CLK", "CE", "OCE", "WE", "RST")}
    else:
        to, written, write = writes
        port_b = {
            "i_CLKB": ClockSignal(),
            "i_CEB": Const(1),
            "i_OCEB": Const(1),
            "i_WEB": write,
            "i_RSTB": off,
            **{f"i_ADB{pin}": to[pin] for pin in range(14)},
            **{f"i_DIB{pin}": written[pin] for pin in range(len(written))},
        }
    return Instance(
        "DP16KD",
        p_DATA_WIDTH_A=EBR_SHAPES.get(width, width),
        p_DATA_WIDTH_B=EBR_SHAPES.get(width, width),
        p_REGMODE_A="OUTREG",
        p_REGMODE_B="OUTREG",
        p_GSR="DISABLED",
        **{f"p_{name}": Const(value, 320) for name, value in ebr_lists(values, width).items()},
        i_CLKA=ClockSignal(),
        i_CEA=Const(1),
        i_OCEA=Const(1),
        **{f"i_ADA{pin}": address[pin] for pin in range(14)},
        **{f"o_DOA{pin}": read[pin] for pin in range(len(read))},
        **{f"i_{pin}A": off for pin in ("WE", "RST")},
        **port_b,
        **{f"i_CS{port}{pin}": off for port in "AB" for pin in range(3)},
    )


class EbrMasters(MasterStore):
    """Masters in DP16KD with their output registers, of each lane in its own.

    Port A reads, port B writes. The few banks (hw.primitive.memory) are chosen among behind their
    registers, and another register waits behind the choice.
    """

    latency = 3

    def elaborate(self, platform) -> Module:
        m = Module()
        words, are_here = [], []
        for n, bank in enumerate(banks_of(len(self._init), self._width, [*EBR_DEPTHS.items()])):
            found = Signal(len(self.word.as_value()), name=f"bank_{n}")
            for lane, may in enumerate(self.write):
                self._part(m, n, bank, lane, found, may & is_in(bank, self.write_address))
            words.append(found)
            are_here.append(delayed(m, is_in(bank, self.address), 2, f"is_in_{n}"))
        m.d.comb += self.word.as_value().eq(delayed(m, one_of(words, are_here), 1, "word"))
        return m

    def _part(self, m: Module, n: int, bank: range, lane: int, found: Signal, write: Value) -> None:
        """Adds what holds the masters of one lane in bank ``n``."""
        width = EBR_DEPTHS[len(bank)]
        # Of 18 bits the lowest bits of an address say which halves are written.
        below = Const(3 if width == 18 else 0, 14 - exact_log2(len(bank)))
        address, to = (
            Cat(below, each, Const(0, 14))[:14] for each in (self.address, self.write_address)
        )
        values = [word[lane] for word in self._init[bank.start : bank.stop]]
        for low in range(0, self._width, width):
            bits = min(width, self._width - low)
            place = slice(lane * self._width + low, lane * self._width + low + bits)
            m.submodules[f"bank_{n}_{lane}_{low}"] = dp16kd(
                [(value >> low) & ((1 << bits) - 1) for value in values],
                width,
                address,
                found[place],
                (to, self.written.as_value()[place], write),
            )


def multiplied(m: Module, name: str, a: Value, b: Value) -> Value:
    """a * b by a MULT18X18D that is registered on both sides: two cycles later.

    Raises ValueError where a factor is wider than its 18 bits.
    """
    for factor in (a, b):
        require_int("bits of a factor", len(factor) + (not factor.shape().signed), 1, 18)
    wide_a, wide_b = (Signal(signed(18), name=f"{name}_{key}") for key in "ab")
    product = Signal(signed(36), name=f"{name}_product")
    m.d.comb += [wide_a.eq(a), wide_b.eq(b)]
    zeros = {
        **{f"i_{port}{n}": Const(0) for port in ("CE", "RST") for n in range(1, 4)},
        **{f"i_CLK{n}": Const(0) for n in range(1, 4)},
        **{f"i_C{n}": Const(0) for n in range(18)},
        "i_RST0": Const(0),
        "i_SOURCEA": Const(0),
        "i_SOURCEB": Const(0),
    }
    m.submodules[name] = Instance(
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
        **{f"i_A{n}": wide_a[n] for n in range(18)},
        **{f"i_B{n}": wide_b[n] for n in range(18)},
        **{f"o_P{n}": product[n] for n in range(36)},
    )
    return product


class MultMultiplyAdd(MultiplyAdd):
    """With a MULT18X18D for every 17 bits of ``b``, and a register behind the adder."""

    latency = 3

    def __call__(self, m: Module, a: Value, b: Value, addend: Value, name: str) -> Value:
        total, place = delayed(m, addend, 2, f"{name}_addend"), 0
        while len(b) > 18:
            total += multiplied(m, f"{name}_{place}", a, b[:17]) << place
            b, place = b[17:].as_signed(), place + 17
        product = multiplied(m, f"{name}_{place}", a, b)[: len(a) + len(b)].as_signed()
        return delayed(m, total + (product << place), 1, f"{name}_sum")


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
        product = multiplied(m, "multiplier", self.weight, self.delta)
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
    weights=EbrWeights,
    masters=EbrMasters,
    lane=MultLane,
    read_latency=2,
    multiply_add=MultMultiplyAdd(),
    stage_lanes=4,
    serializer=MuxSerializer,
    # Few rows would become LUT RAM, whose address has many more places to reach. Beyond this there
    # are not blocks enough.
    block_rows=64,
    block_shapes=((1 << 9, 36), *EBR_DEPTHS.items()),
)
