"""The host link's parts, each against boards.link.protocol."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from boards.link.packets import PacketReceiver, PacketSender
from boards.link.protocol import ESCAPE, FLAG, Decoder, Packet, line_bytes
from boards.link.uart import UartReceiver, UartTransmitter
from boards.memory.boot import Boot, image
from tests.bench import run_bench

DEPTH = 64


def some_packets(count, seed, longest=DEPTH - 8):
    """All lengths, with many flags and escapes in them."""
    source = random.Random(seed)
    bytes_of = [lambda: source.randrange(256), lambda: source.choice((FLAG, ESCAPE, 0x5E, 0x5D))]
    return [
        Packet(
            n % 256, source.randrange(256), bytes(source.choice(bytes_of)() for _ in range(size))
        )
        for n, size in enumerate([0, longest, *source.choices(range(longest + 1), k=count)])
    ]


def content(packet):
    return (
        bytes([packet.sequence, packet.kind])
        + len(packet.payload).to_bytes(2, "little")
        + packet.payload
    )


def test_the_decoder_finds_what_was_encoded_among_rubbish():
    source = random.Random(3)
    packets = some_packets(50, 1)
    decoder, found = Decoder(), []
    for packet in packets:
        found += decoder.take(bytes(source.randrange(256) for _ in range(9)))
        line = packet.encoded()
        found += decoder.take(line[:5])
        found += decoder.take(line[5:])
    assert found == packets
    assert decoder.dropped > 0


def test_the_decoder_keeps_no_more_than_the_largest_packet():
    """What never ends, and one packet after the other that is as long as they get."""
    longest = Packet(FLAG, ESCAPE, bytes([FLAG]) * 100)
    decoder = Decoder(100)
    for _ in range(3):
        assert decoder.take(longest.encoded()) == [longest]
    for rubbish in (b"\0", bytes([ESCAPE]), b"U"):
        dropped = decoder.dropped
        for _ in range(50):
            assert decoder.take(1000 * rubbish) == []
            assert len(decoder._piece) <= line_bytes(100)
        assert decoder.take(longest.encoded()) == [longest]
        assert decoder.dropped == dropped + 1
    # With a right end, but too long.
    assert decoder.take(Packet(1, 0, bytes(300)).encoded()) == []


async def offer(ctx, dut, line, broken=()):
    for n, byte in enumerate(line):
        ctx.set(dut.i.payload.byte, byte)
        ctx.set(dut.i.payload.broken, n in broken)
        ctx.set(dut.i.valid, 1)
        await ctx.tick()
        ctx.set(dut.i.valid, 0)
        await ctx.tick().repeat(3)


async def taken(ctx, dut, takes, source):
    """The packet in ``dut``; None where there is none."""
    await ctx.tick().repeat(3)
    if not ctx.get(dut.full):
        return None
    found = bytearray()
    while True:
        ctx.set(dut.o.ready, source.random() < takes)
        _, _, valid, ready, byte, last = await ctx.tick().sample(
            dut.o.valid, dut.o.ready, dut.o.payload.byte, dut.o.payload.last
        )
        if valid and ready:
            found.append(byte)
            if last:
                break
    ctx.set(dut.o.ready, 0)
    ctx.set(dut.release, 1)
    await ctx.tick()
    ctx.set(dut.release, 0)
    return bytes(found)


@pytest.mark.parametrize("takes", [1.0, 0.4])
def test_the_receiver_keeps_whole_packets(takes):
    dut, source = PacketReceiver(DEPTH), random.Random(1)

    async def bench(ctx):
        for packet in some_packets(30, 2):
            await offer(ctx, dut, packet.encoded())
            assert await taken(ctx, dut, takes, source) == content(packet)

    run_bench(dut, bench)


def test_the_receiver_drops_what_is_no_packet_and_takes_the_next():
    """Every single bit of a packet, cuts, bytes too many, a broken byte, rubbish before it."""
    dut, source = PacketReceiver(DEPTH), random.Random(1)
    good, next_one = some_packets(1, 7)[2], some_packets(1, 8)[2]
    line = good.encoded()
    cases = [
        (bytes(byte ^ (bit == n) << k for bit, byte in enumerate(line)), ())
        for n in range(1, len(line) - 1)
        for k in range(8)
    ]
    cases += [(line[:n] + bytes([FLAG]), ()) for n in range(2, len(line) - 1)]
    cases += [
        (line[:-1] + bytes([0, FLAG]), ()),
        (line, (3,)),
        (bytes([FLAG, *range(100), FLAG]), ()),
    ]
    cases += [(Packet(0, 0, bytes(DEPTH - 7)).encoded(), ())]  # one byte too many
    drops = []

    async def bench(ctx):
        for wrong, broken in cases:
            before = len(drops)
            await offer(ctx, dut, wrong, broken)
            assert await taken(ctx, dut, 1.0, source) is None
            assert len(drops) > before, "nothing said so"
            await offer(ctx, dut, next_one.encoded())
            assert await taken(ctx, dut, 1.0, source) == content(next_one)

    async def watch(ctx):
        while True:
            _, _, dropped = await ctx.tick().sample(dut.dropped)
            drops.extend([1] * dropped)

    run_bench(dut, bench, background=(watch,))


def test_the_receiver_takes_nothing_while_it_holds_a_packet():
    dut, source = PacketReceiver(DEPTH), random.Random(1)
    first, second = some_packets(2, 4)[2:4]

    async def bench(ctx):
        line = second.encoded()
        await offer(ctx, dut, first.encoded() + line + line[:7])
        assert await taken(ctx, dut, 1.0, source) == content(first)
        await offer(ctx, dut, line[7:])  # its beginning came too early
        assert await taken(ctx, dut, 1.0, source) is None
        await offer(ctx, dut, line)
        assert await taken(ctx, dut, 1.0, source) == content(second)

    run_bench(dut, bench)


def test_the_sender_sends_packets_and_the_last_one_again():
    dut, source = PacketSender(DEPTH), random.Random(1)
    packets = some_packets(20, 5, DEPTH - 4)
    decoder, found = Decoder(), []

    async def fill(ctx):
        for packet in packets:
            data = content(packet)
            for n, byte in enumerate(data):
                ctx.set(dut.i.payload.byte, byte)
                ctx.set(dut.i.payload.last, n == len(data) - 1)
                ctx.set(dut.i.valid, 1)
                await ctx.tick()
                ctx.set(dut.i.valid, 0)
                await ctx.tick().repeat(source.choice((1, 3)))
            await ctx.tick().until(dut.idle)
            ctx.set(dut.again, 1)
            await ctx.tick()
            ctx.set(dut.again, 0)
            await ctx.tick().until(dut.idle)

    async def drain(ctx):
        while True:
            ctx.set(dut.o.ready, source.random() < 0.5)
            _, _, valid, ready, byte = await ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o.payload
            )
            if valid and ready:
                found.extend(decoder.take(bytes([byte])))

    run_bench(dut, fill, background=(drain,))
    assert found == [packet for packet in packets for _ in range(2)]
    assert decoder.dropped == 0


class Loop(wiring.Component):
    """A transmitter whose line a receiver listens to; ``low`` pulls it down."""

    def __init__(self, sends, listens):
        self.sender, self.receiver = UartTransmitter(sends), UartReceiver(listens)
        self.low = Signal()
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.sender, m.submodules.receiver = self.sender, self.receiver
        m.d.comb += self.receiver.rx.eq(self.sender.tx & ~self.low)
        return m


# The other side's clock may be off by what half a bit in ten allows.
@pytest.mark.parametrize(("sends", "listens"), [(4, 4), (16, 16), (5, 5), (100, 96), (100, 104)])
def test_a_uart_hears_what_a_uart_says(sends, listens):
    dut, source = Loop(sends, listens), random.Random(1)
    values, found = [0x00, 0xFF, *(source.randrange(256) for _ in range(40))], []

    async def send(ctx):
        for value in values:
            ctx.set(dut.sender.i.payload, value)
            ctx.set(dut.sender.i.valid, 1)
            await ctx.tick().until(dut.sender.i.ready)
            ctx.set(dut.sender.i.valid, 0)
            await ctx.tick().repeat(source.choice((1, 7 * sends)))
        await ctx.tick().repeat(12 * sends)
        ctx.set(dut.low, 1)  # a break is one broken byte
        await ctx.tick().repeat(50 * sends)
        ctx.set(dut.low, 0)
        await ctx.tick().repeat(12 * sends)

    async def hear(ctx):
        while True:
            _, _, valid, byte, broken = await ctx.tick().sample(
                dut.receiver.o.valid, dut.receiver.o.payload.byte, dut.receiver.o.payload.broken
            )
            if valid:
                found.append((byte, broken))

    run_bench(dut, send, background=(hear,))
    assert found == [(value, 0) for value in values] + [(0, 1)]


TAG, ADDRESS = bytes(range(8)), 0x020304


def booted(flash, weights, patience=1.0):
    """What Boot does with a flash that holds ``flash`` at ADDRESS: its load, whether it failed."""
    dut, source = Boot(TAG, len(weights), ADDRESS, mhz=1), random.Random(1)
    load, heard = [], bytearray()
    memory = {ADDRESS + n: byte for n, byte in enumerate(flash)}

    async def chip(ctx):
        """A flash in deep power-down, as an iCE40 leaves it."""
        asleep = True
        while True:
            shift, bits, answer, address = 0, 0, [], None
            while not ctx.get(dut.cs_n):
                before = ctx.get(dut.sck)
                await ctx.tick()
                after = ctx.get(dut.sck)
                if after and not before:
                    shift, bits = shift << 1 | ctx.get(dut.copi), bits + 1
                    if bits == 8:
                        heard.append(shift)
                        asleep = asleep and shift != 0xAB
                    if bits == 32 and not asleep and shift >> 24 == 0x03:
                        address = shift & 0xFFFFFF
                if before and not after and address is not None:
                    if not answer:
                        byte = memory.get(address, 0xFF)
                        answer, address = [byte >> k & 1 for k in range(8)], address + 1
                    ctx.set(dut.cipo, answer.pop())
            await ctx.tick()

    async def core(ctx):
        while True:
            ctx.set(dut.weights.ready, source.random() < patience)
            _, _, valid, ready, byte, last = await ctx.tick().sample(
                dut.weights.valid,
                dut.weights.ready,
                dut.weights.payload.byte,
                dut.weights.payload.last,
            )
            if valid and ready:
                load.append((byte, last))

    async def bench(ctx):
        await ctx.tick().until(~dut.busy)
        assert ctx.get(dut.cs_n)

    run_bench(dut, bench, background=(chip, core))
    return load, heard


WEIGHTS = bytes(random.Random(9).randrange(256) for _ in range(40))


@pytest.mark.parametrize("patience", [1.0, 0.05])
def test_boot_loads_the_image(patience):
    load, heard = booted(image(TAG, WEIGHTS), WEIGHTS, patience)
    assert bytes(byte for byte, _ in load) == WEIGHTS
    assert [last for _, last in load] == [0] * (len(WEIGHTS) - 1) + [1]
    assert heard == bytes([0xAB, 0x03])


def test_no_damaged_image_is_loaded_whole():
    """Every bit of it: either nothing is loaded or it ends early."""
    good = image(TAG, WEIGHTS)
    source = random.Random(2)
    for bit in [*range(0, 8 * 16, 5), *source.sample(range(8 * 16, 8 * len(good)), 25)]:
        wrong = bytearray(good)
        wrong[bit // 8] ^= 1 << bit % 8
        load, _ = booted(wrong, WEIGHTS)
        assert len(load) == (0 if bit < 8 * 16 else len(WEIGHTS) - 1)
        assert not load or load[-1][1]
    assert booted(b"", WEIGHTS)[0] == []
