"""The small machines of the host link, each alone: what it takes, drives and answers."""

import random
import struct
import zlib
from dataclasses import replace

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from boards.link.access import Access
from boards.link.answers import AnswerWriter
from boards.link.checksum import SPACING, Checksum
from boards.link.frames import Frames
from boards.link.hello import Hello
from boards.link.load import Load
from boards.link.patience import Patience
from boards.link.protocol import HELLO_FLAGS, Command, Flag, Link, Status
from boards.link.registers import RegisterPort
from boards.link.requests import RequestReader
from golden.parameters import CoreParameters
from hw.bus.registers import STATUS, STATUS_ACTIVE, STATUS_UNLOADED
from tests.bench import run_bench
from tests.networks import random_model

_MODEL = random_model((2, 3), 2)
LINK = Link.of(CoreParameters(_MODEL.parameters, 1), _MODEL, True)
ADDRESSES = [address for _, address in LINK.counters]


async def strobe(ctx, signal, cycles=1):
    ctx.set(signal, 1)
    await ctx.tick().repeat(cycles)
    ctx.set(signal, 0)


async def offered(ctx, stream, data, source, pace=0.5, ends=True):
    """Gives all of ``data`` to ``stream``, with gaps; the packet ``ends`` with it."""
    for n, byte in enumerate(data):
        await ctx.tick().repeat(1 + (source.random() > pace))
        ctx.set(stream.payload.byte, byte)
        ctx.set(stream.payload.last, ends and n == len(data) - 1)
        ctx.set(stream.valid, 1)
        await ctx.tick().until(stream.ready)
        ctx.set(stream.valid, 0)


def heard(stream, found, source, pace=0.5):
    """A background bench: takes ``stream`` now and then and appends what comes to ``found``."""

    async def run(ctx):
        while True:
            ctx.set(stream.ready, source.random() < pace)
            _, _, valid, ready, payload = await ctx.tick().sample(
                stream.valid, stream.ready, stream.payload
            )
            if valid and ready:
                found.append(payload)

    return run


async def decision(ctx, part, limit=2000):
    """What ``part`` decides: status and size."""
    for _ in range(limit):
        if ctx.get(part.decided):
            return Status(ctx.get(part.status)), ctx.get(part.size)
        await ctx.tick()
    raise AssertionError("nothing is decided")


async def request(ctx, part, length):
    ctx.set(part.length, length)
    await strobe(ctx, part.start)


def test_the_checksum_is_that_of_zlib_and_tells_a_packet_from_others():
    dut, source = Checksum(), random.Random(1)

    async def bench(ctx):
        for size in (1, 2, 5, 40):
            data = source.randbytes(size)
            check = zlib.crc32(data).to_bytes(4, "little")
            for tail, right in ((check, 1), (bytes([check[0] ^ 1]) + check[1:], 0)):
                await strobe(ctx, dut.start)
                for n, byte in enumerate(data + tail):
                    if n == size:
                        await ctx.tick().repeat(SPACING)
                        assert ctx.get(dut.crc) == zlib.crc32(data)
                    ctx.set(dut.i.payload, byte)
                    await strobe(ctx, dut.i.valid)
                    await ctx.tick().repeat(SPACING - 1)
                await ctx.tick().repeat(2)
                assert ctx.get(dut.right) == right

    run_bench(dut, bench)


COMMANDS = (Command.HELLO, Command.READ, Command.FRAMES)


def test_the_reader_executes_each_number_once_and_none_out_of_turn():
    dut, source = RequestReader(COMMANDS), random.Random(2)
    greeted, last = False, 0

    def expected(sequence, command):
        """By docs/link.md: what begins, the status of a refusal, whether the last answer goes."""
        nonlocal greeted, last
        same, following = sequence == last, sequence == (last + 1) % 256
        last = sequence
        if command != Command.HELLO and not (greeted and (same or following)):
            greeted = False
            return 0, Status.SEQUENCE, 0
        if command != Command.HELLO and same:
            return 0, None, 1
        greeted = True
        if command in COMMANDS:
            return 1 << COMMANDS.index(command), None, 0
        return 0, Status.COMMAND, 0

    async def bench(ctx):
        seen = set()
        for _ in range(120):
            sequence = (last + source.choice((0, 1, 1, 1, 1, 1, 2, 255))) % 256
            command, length = source.choice((1, 2, 2, 4, 5, 66)), source.randrange(1 << 16)
            wanted = expected(sequence, command)
            seen.add(wanted)
            ctx.set(dut.ready, 1)
            head = bytes([sequence, command]) + length.to_bytes(2, "little")
            await offered(ctx, dut.i, head, source)
            while not any(map(ctx.get, (dut.begins, dut.refused, dut.again))):
                await ctx.tick()
            refusal = Status(ctx.get(dut.status)) if ctx.get(dut.refused) else None
            assert (ctx.get(dut.begins), refusal, ctx.get(dut.again)) == wanted
            assert (ctx.get(dut.sequence), ctx.get(dut.length)) == (sequence, length)
            if not wanted[2]:
                await ctx.tick().repeat(3)
                assert not any(map(ctx.get, (dut.begins, dut.refused, dut.release)))
                await strobe(ctx, dut.done)
            assert ctx.get(dut.release)
            ctx.set(dut.ready, 0)
            await ctx.tick().repeat(3)
        assert len(seen) == len(COMMANDS) + 3

    run_bench(dut, bench)


@pytest.mark.parametrize("pace", [1.0, 0.4])
def test_the_writer_writes_answers_and_forgets_those_that_are_taken_back(pace):
    dut, source = AnswerWriter(300), random.Random(3)
    written = []

    async def watch(ctx):
        packet = bytearray()
        while True:
            _, _, anew, valid, byte, last, done = await ctx.tick().sample(
                dut.anew, dut.o.valid, dut.o.payload.byte, dut.o.payload.last, dut.done
            )
            if anew:
                packet.clear()
            if valid:
                packet.append(byte)
            assert done == (valid and last)
            if done:
                written.append(bytes(packet))

    async def bench(ctx):
        for size in (0, 1, 2, 300, 7):
            data, status = source.randbytes(size), source.choice(list(Status))
            ctx.set(dut.sequence, size % 256)
            # Another one is begun, and given up while its payload comes.
            for begun, most in ((source.randbytes(5), source.randrange(5)), (data, size)):
                ctx.set(dut.size, len(begun))
                ctx.set(dut.status, status)
                await strobe(ctx, dut.start)
                ctx.set(dut.size, 0)
                for byte in begun[:most]:
                    await ctx.tick().repeat(1 + (source.random() > pace))
                    ctx.set(dut.i.payload, byte)
                    ctx.set(dut.i.valid, 1)
                    await ctx.tick().until(dut.i.ready)
                    ctx.set(dut.i.valid, 0)
            await ctx.tick().repeat(8)
            head = bytes([size % 256, status]) + size.to_bytes(2, "little")
            assert written.pop() == head + data
            assert not written

    run_bench(dut, bench, background=(watch,))


def test_hello_says_the_sizes_and_each_drop_once():
    dut, source, found = Hello(LINK), random.Random(4), []

    async def bench(ctx):
        for booting, failed, dropped in ((0, 0, 0), (1, 0, 1), (0, 1, 1), (0, 0, 0)):
            ctx.set(dut.booting, booting)
            ctx.set(dut.boot_failed, failed)
            if dropped:
                await strobe(ctx, dut.dropped)
            await request(ctx, dut, 1)
            assert (await decision(ctx, dut))[0] == Status.LENGTH
            await request(ctx, dut, 0)
            assert await decision(ctx, dut) == (Status.OK, len(LINK.hello()))
            await ctx.tick().repeat(12 * len(LINK.hello()))
            wanted = bytearray(LINK.hello())
            wanted[HELLO_FLAGS] = (
                1 << Flag.LOADS
                | booting << Flag.BOOTING
                | failed << Flag.BOOT_FAILED
                | dropped << Flag.DROPPED
            )
            assert bytes(found) == wanted
            found.clear()

    run_bench(dut, bench, background=(heard(dut.o, found, source),))


class Accessed(wiring.Component):
    """READ and WRITE at the port that they ask."""

    def __init__(self, link=LINK):
        self.access, self.port = Access(link), RegisterPort()
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.access, m.submodules.port = self.access, self.port
        connect(m, self.access.registers, self.port.ask)
        return m


def manager(bus, memory, accesses, source):
    """Two background benches: registers at AXI4-Lite, slow, those of ``memory`` alone."""

    def failure(address):
        return 0 if address in memory else 2

    async def later(ctx, ready):
        await ctx.tick().repeat(source.randrange(1, 4))
        await strobe(ctx, ready)

    async def reads(ctx):
        while True:
            await ctx.tick()
            if not ctx.get(bus.arvalid):
                continue
            address = ctx.get(bus.araddr)
            accesses.append(("read", address))
            await later(ctx, bus.arready)
            ctx.set(bus.rdata, memory.get(address, 0xFFFF))
            ctx.set(bus.rresp, failure(address))
            await strobe(ctx, bus.rvalid)

    async def writes(ctx):
        while True:
            await ctx.tick()
            if not (ctx.get(bus.awvalid) and ctx.get(bus.wvalid)):
                continue
            address, value = ctx.get(bus.awaddr), ctx.get(bus.wdata)
            accesses.append(("write", address))
            assert ctx.get(bus.wstrb) == 0b1111
            for ready in source.sample((bus.awready, bus.wready), 2):
                await later(ctx, ready)
            assert ctx.get(bus.wdata) == value
            if address in memory:
                memory[address] = value
            ctx.set(bus.bresp, failure(address))
            await strobe(ctx, bus.bvalid)

    return reads, writes


def test_registers_are_read_and_written_where_they_are():
    dut, source, found, accesses = Accessed(), random.Random(5), [], []
    access = dut.access
    memory = {4 * n: source.randrange(1 << 32) for n in range(4)} | {0xFFC: 5}

    async def bench(ctx):
        for _ in range(40):
            writes = source.random() < 0.5
            address = source.choice([*memory, *memory, 0x10, 0x1000, 0x8004, 1, 6])
            value, before = source.randbytes(4), dict(memory)
            length = source.choice([2 + 4 * writes] * 8 + [0, 1, 4, 6 - 4 * writes])
            accesses.clear()
            ctx.set(access.writes, writes)
            await request(ctx, access, length)
            if length != 2 + 4 * writes:
                assert (await decision(ctx, access))[0] == Status.LENGTH
                assert not accesses
                continue
            data = address.to_bytes(2, "little") + value * writes
            await offered(ctx, access.i, data, source)
            status, size = await decision(ctx, access)
            assert status == (Status.OK if address in memory else Status.ADDRESS)
            there = address < 0x1000 and address % 4 == 0
            assert accesses == [("write" if writes else "read", address)] * there
            if status == Status.OK:
                assert size == 4 * (not writes)
            await ctx.tick().repeat(40)
            changed = {address: int.from_bytes(value, "little")}
            assert memory == before | (changed if writes and address in memory else {})
            read = before[address] if status == Status.OK and not writes else None
            assert bytes(found) == (b"" if read is None else read.to_bytes(4, "little"))
            found.clear()

    background = (heard(access.o, found, source), *manager(dut.port.bus, memory, accesses, source))
    run_bench(dut, bench, background=background)


class Going(dict):
    """Registers of which one goes on by itself: it reads as 1, 2, ..., and keeps what is written.

    Its ``end``th access is the first one that fails.
    """

    ADDRESS = 0x5C

    def __init__(self, end):
        super().__init__()
        self.end, self.count, self.written = end, 0, []

    def __contains__(self, address):
        return address == self.ADDRESS and self.count <= self.end

    def get(self, address, default=None):
        self.count += 1
        return self.count

    def __setitem__(self, address, value):
        self.count += 1
        self.written.append(value)


def test_a_core_that_trains_takes_and_gives_several_values_of_a_register():
    link = replace(LINK, trains=True)
    assert (link.values_read, link.values_written) == (link.answer // 4, (link.request - 2) // 4)
    dut, source, found, accesses = Accessed(link), random.Random(8), [], []
    access, memory = dut.access, Going(0)

    async def bench(ctx):
        for count, writes, end in (
            *((n, w, 1 << 16) for n in (1, 2, 7) for w in (0, 1)),
            (link.values_read, 0, 1 << 16),
            (link.values_written, 1, 1 << 16),
            (5, 0, 3),
            (5, 1, 3),
        ):
            memory.end, memory.count = end, 0
            memory.written.clear()
            found.clear()
            values = [source.getrandbits(32) for _ in range(count * writes)]
            data = Going.ADDRESS.to_bytes(2, "little") + struct.pack(f"<{len(values)}I", *values)
            if not writes and (count > 1 or source.random() < 0.5):
                data += count.to_bytes(2, "little")
            ctx.set(access.writes, writes)
            await request(ctx, access, len(data))
            if end > count:
                await offered(ctx, access.i, data, source)
            else:  # what comes behind the value that fails is not taken
                await offered(ctx, access.i, data[: 6 + 4 * end], source, ends=not writes)
            status, size = await decision(ctx, access)
            if end < count and not writes:  # what was said at the first value is taken back
                assert (status, size) == (Status.OK, 4 * count)
                await ctx.tick()
                status, _ = await decision(ctx, access)
            if end < count:
                assert status == Status.ADDRESS
                assert memory.written == values[: end + 1]
                continue
            assert (status, size) == (Status.OK, 0 if writes else 4 * count)
            while len(found) < size:
                await ctx.tick()
            assert memory.written == values
            expected = struct.pack(f"<{count}I", *range(1, count + 1))
            assert bytes(found) == (b"" if writes else expected)
        memory.end, memory.count = 1 << 16, 0
        for writes, length in ((0, 0), (0, 1), (0, 3), (0, 6), (1, 2), (1, 4), (1, 7), (1, 8)):
            ctx.set(access.writes, writes)
            await request(ctx, access, length)
            assert (await decision(ctx, access))[0] == Status.LENGTH
        ctx.set(access.writes, 0)
        for count in (0, link.values_read + 1, 0xFFFF):
            await request(ctx, access, 4)
            data = Going.ADDRESS.to_bytes(2, "little") + count.to_bytes(2, "little")
            await offered(ctx, access.i, data, source)
            assert (await decision(ctx, access))[0] == Status.LENGTH
        assert memory.count == 0

    background = (heard(access.o, found, source), *manager(dut.port.bus, memory, accesses, source))
    run_bench(dut, bench, background=background)


def test_a_load_goes_to_the_core_and_ends_when_it_says_so():
    dut, source, found = Load(), random.Random(6), []

    async def bench(ctx):
        for final, size in ((0, 1), (1, 1), (0, 20), (1, 20)):
            data = source.randbytes(size)
            await request(ctx, dut, 1 + size)
            await offered(ctx, dut.i, bytes([final + 2]) + data, source)
            assert (await decision(ctx, dut))[0] == Status.OK
            assert [byte.byte for byte in found] == list(data)
            assert [byte.last for byte in found] == [0] * (size - 1) + [final]
            found.clear()
        for state, length, status in (
            ((0, 0), 1, Status.LENGTH),
            ((0, 0), 0, Status.LENGTH),
            ((0, 1), 0, Status.STUCK),
            ((1, 1), 0, Status.BUSY),
        ):
            ctx.set(dut.booting, state[0])
            ctx.set(dut.given_up, state[1])
            await request(ctx, dut, length)
            assert (await decision(ctx, dut))[0] == status

    run_bench(dut, bench, background=(heard(dut.weights, found, source),))


def test_a_load_that_the_core_does_not_take_is_given_up():
    dut, source = Load(), random.Random(6)

    async def bench(ctx):
        await request(ctx, dut, 3)
        await offered(ctx, dut.i, b"\1\2", source)
        await ctx.tick().repeat(9)
        assert not ctx.get(dut.decided)
        ctx.set(dut.ended, 1)
        assert (await decision(ctx, dut))[0] == Status.STUCK
        assert ctx.get(dut.give_up)

    run_bench(dut, bench)


class Core:
    """What Frames drives: a core that gives results 0, 1, 2... and has registers."""

    def __init__(self, dut, source):
        self.dut, self.source = dut, source
        self.taken, self.complete, self.status = bytearray(), 0, 0
        self.counters = {address: source.randrange(1 << 32) for address in ADDRESSES}

    async def frames(self, ctx):
        stream = self.dut.frames
        while True:
            ctx.set(stream.ready, self.source.random() < 0.7)
            _, _, valid, ready, payload = await ctx.tick().sample(
                stream.valid, stream.ready, stream.payload
            )
            if valid and ready:
                self.taken += payload.data.to_bytes(LINK.element, "little")
                self.complete += payload.last

    async def results(self, ctx):
        stream, given = self.dut.results, 0
        ctx.set(stream.payload.keep, (1 << LINK.result) - 1)
        while True:
            await ctx.tick()
            if given == self.complete * LINK.outputs:
                continue
            ctx.set(stream.payload.data, given)
            given += 1
            ctx.set(stream.payload.last, given % LINK.outputs == 0)
            ctx.set(stream.valid, 1)
            await ctx.tick().until(stream.ready)
            ctx.set(stream.valid, 0)

    async def registers(self, ctx):
        ask, address = self.dut.registers, 0
        while True:
            _, _, point, at, read, shift = await ctx.tick().sample(
                ask.point, ask.address, ask.read, ask.shift
            )
            address = at if point else address
            if read:
                await ctx.tick().repeat(2)
                value = self.status if address == STATUS else self.counters[address]
                ctx.set(ask.value, value)
                await strobe(ctx, ask.done)
            elif shift:
                ctx.set(ask.value, ctx.get(ask.value) >> 8)

    @property
    def benches(self):
        return self.frames, self.results, self.registers


def test_frames_go_through_the_core_and_their_answer_ends_in_counters():
    dut, source, found = Frames(LINK), random.Random(7), []
    core = Core(dut, source)
    tail = b"".join(core.counters[address].to_bytes(4, "little") for address in ADDRESSES)

    async def bench(ctx):
        before = 0
        for count in (1, 2, 12):
            data, core.status = source.randbytes(count * LINK.frame), 1 << STATUS_ACTIVE
            core.taken.clear()
            await request(ctx, dut, len(data))
            assert await decision(ctx, dut) == (Status.OK, count * LINK.results + len(tail))
            await offered(ctx, dut.i, data, source, 0.9)
            while len(found) < count * LINK.results:
                await ctx.tick()
            await ctx.tick().repeat(40)
            assert core.taken == data
            after = core.complete * LINK.outputs
            results = [n.to_bytes(LINK.result, "little") for n in range(before, after)]
            assert after - before == count * LINK.outputs
            assert bytes(found) == b"".join(results), "and no counter while the core is active"
            core.status, before = 0, after
            await ctx.tick().repeat(40 * len(ADDRESSES))
            assert bytes(found) == b"".join(results) + tail
            found.clear()

    run_bench(dut, bench, background=(heard(dut.o, found, source, 0.9), *core.benches))


def test_frames_that_cannot_be_are_refused_and_a_core_that_stands_still_is_given_up():
    dut, source = Frames(LINK), random.Random(8)
    core = Core(dut, source)
    some, most = 2 * LINK.frame, LINK.frames * LINK.frame

    async def bench(ctx):
        for length, status, signals in (
            (0, Status.LENGTH, ()),
            (some - 1, Status.LENGTH, ()),
            (some + 1, Status.LENGTH, ()),
            (most + LINK.frame, Status.LENGTH, ()),
            (0, Status.STUCK, (dut.given_up,)),
            (0, Status.BUSY, (dut.booting, dut.given_up)),
            (some, Status.UNLOADED, ()),
        ):
            core.status = (status == Status.UNLOADED) << STATUS_UNLOADED
            for signal in signals:
                ctx.set(signal, 1)
            await request(ctx, dut, length)
            assert (await decision(ctx, dut))[0] == status, length
            for signal in signals:
                ctx.set(signal, 0)
        assert not core.taken
        for active in (0, 1):
            # Half of what has been said comes; then all of it, but the core stays active.
            core.status = active << STATUS_ACTIVE
            await request(ctx, dut, some)
            assert (await decision(ctx, dut))[0] == Status.OK
            await offered(ctx, dut.i, bytes(some if active else LINK.frame), source)
            await ctx.tick().repeat(60)
            assert not ctx.get(dut.decided)
            ctx.set(dut.ended, 1)
            assert (await decision(ctx, dut))[0] == Status.STUCK
            assert ctx.get(dut.give_up)
            ctx.set(dut.ended, 0)

    run_bench(dut, bench, background=(heard(dut.o, [], source, 0.9), *core.benches))


@pytest.mark.parametrize("cycles", [5, 8])
def test_patience_ends_with_a_power_of_two_and_begins_anew_with_what_moves(cycles):
    dut = Patience(cycles)

    async def bench(ctx):
        await strobe(ctx, dut.moves)
        await ctx.tick().repeat((1 << cycles.bit_length()) - 1)
        assert not ctx.get(dut.ended)
        await ctx.tick()
        assert ctx.get(dut.ended)
        await strobe(ctx, dut.moves)
        assert not ctx.get(dut.ended)
        assert not ctx.get(dut.given_up)
        await strobe(ctx, dut.give_up)
        await ctx.tick().repeat(50)
        assert ctx.get(dut.given_up)

    run_bench(dut, bench)
