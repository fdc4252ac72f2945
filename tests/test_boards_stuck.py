"""The link at a core that stands still, or is slow, or comes back too late."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from boards.link.host_link import HostLink
from boards.link.protocol import Command, Decoder, Link, Packet, Status
from golden.parameters import CoreParameters
from hw.bus.registers import STATUS, STATUS_ACTIVE
from tests.bench import run_bench
from tests.networks import random_model

pytestmark = pytest.mark.slow  # minutes of simulations and syntheses


def link_of(model):
    return Link.of(CoreParameters(model.parameters, 1), model, True)


LINK = link_of(random_model((2, 3), 2))
SMALLEST = link_of(random_model((1, 1), 1))  # most frames of the fewest cycles
FRAME = bytes(LINK.frame)


class Core:
    """A stub: how it behaves may change while it runs.

    ``takes`` and ``loads``: elements, weights. ``delay``: cycles from a frame to its results; None
    for ever. ``active``: what STATUS says.
    """

    def __init__(self, link=LINK, takes=True, loads=True, delay=0, active=False):
        self.link = link
        self.takes, self.loads, self.delay, self.active = takes, loads, delay, active

    def streams(self, dut):
        async def run(ctx):
            core, due = dut.core, []
            left = waited = 0
            while True:
                ctx.set(core.frames.ready, self.takes)
                ctx.set(core.weights.ready, self.loads)
                results = core.results
                ctx.set(results.valid, left > 0)
                ctx.set(results.payload.data, left)
                ctx.set(results.payload.keep, (1 << self.link.result) - 1)
                ctx.set(results.payload.last, left == 1)
                _, _, valid, ready, last, taken = await ctx.tick().sample(
                    core.frames.valid, core.frames.ready, core.frames.payload.last, results.ready
                )
                if valid and ready and last:
                    due.append(1)
                if left and taken:
                    left -= 1
                waited = 0 if left or not due else waited + 1
                if due and not left and self.delay is not None and waited > self.delay:
                    due.pop()
                    left, waited = self.link.outputs, 0

        return run

    def registers(self, dut):
        async def run(ctx):
            bus = dut.core.registers
            ctx.set(bus.arready, 1)
            while True:
                _, _, valid, address = await ctx.tick().sample(bus.arvalid, bus.araddr)
                if not valid:
                    continue
                ctx.set(bus.arready, 0)
                active = self.active and address == STATUS
                ctx.set(bus.rdata, active << STATUS_ACTIVE)
                ctx.set(bus.rvalid, 1)
                await ctx.tick()
                ctx.set(bus.rvalid, 0)
                ctx.set(bus.arready, 1)

        return run


class Alone(wiring.Component):
    """The link with nothing around it, so that a bench can be its core."""

    def __init__(self, link):
        self.link = HostLink(link)
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = self.link
        return m


def played(core, bench):
    """Runs ``bench(ask)``; ``ask`` gives the answer to a request and the cycles that it took."""
    dut = Alone(core.link)
    link, found = dut.link, []

    async def host(ctx):
        sequence = 0

        async def ask(command, payload=b"", again=False):
            nonlocal sequence
            sequence = sequence if again else sequence + 1
            for byte in Packet(sequence, command, payload).encoded():
                ctx.set(link.i.payload.byte, byte)
                ctx.set(link.i.valid, 1)
                await ctx.tick()
                ctx.set(link.i.valid, 0)
                await ctx.tick().repeat(3)
            found.clear()
            for cycles in range(20 * core.link.cycles + 10_000):
                if found:
                    assert found[0].sequence == sequence
                    return found[0].kind, found[0].payload, cycles
                await ctx.tick()
            raise AssertionError("the link hangs")

        assert (await ask(Command.HELLO))[0] == Status.OK
        await bench(ask)

    async def line(ctx):
        decoder = Decoder()
        ctx.set(link.o.ready, 1)
        while True:
            _, _, valid, byte = await ctx.tick().sample(link.o.valid, link.o.payload)
            if valid:
                found.extend(decoder.take(bytes([byte])))

    run_bench(dut, host, background=(line, core.streams(link), core.registers(link)))


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize(
    "stands_still",
    [{"takes": False}, {"delay": None}, {"active": True}],
    ids=["takes nothing", "gives nothing", "stays active"],
)
def test_a_core_that_stands_still_is_said_and_what_comes_late_is_nobodys(stands_still, frames):
    core = Core(**stands_still)

    async def bench(ask):
        kind, payload, cycles = await ask(Command.FRAMES, frames * FRAME)
        assert (kind, payload) == (Status.STUCK, b"")
        assert LINK.cycles < cycles < 4 * LINK.cycles + 1000
        # The same number has the same answer, registers can be read, and a session can begin.
        assert (await ask(Command.FRAMES, frames * FRAME, again=True))[:2] == (Status.STUCK, b"")
        assert (await ask(Command.READ, STATUS.to_bytes(2, "little")))[0] == Status.OK
        assert (await ask(Command.HELLO))[0] == Status.OK
        # The core moves again: its late results are in nobody's answer.
        core.takes, core.delay, core.active = True, 0, False
        for command, given in ((Command.FRAMES, FRAME), (Command.LOAD, b"\1\0")):
            kind, payload, cycles = await ask(command, given)
            assert (kind, payload) == (Status.STUCK, b"")
            assert cycles < LINK.cycles

    played(core, bench)


def test_a_load_that_is_not_taken_is_said():
    core = Core(loads=False)

    async def bench(ask):
        assert (await ask(Command.LOAD, b"\1\0\0"))[0] == Status.STUCK
        core.loads = True
        assert (await ask(Command.LOAD, b"\1\0\0"))[0] == Status.STUCK
        assert (await ask(Command.FRAMES, FRAME))[0] == Status.STUCK

    played(core, bench)


@pytest.mark.parametrize(
    ("link", "delay", "counts"),
    [
        (LINK, 0, (1, 3, 2)),
        (LINK, LINK.cycles, (1, 3, 2)),
        (SMALLEST, 0, (SMALLEST.frames,)),
        (SMALLEST, SMALLEST.cycles, (2,)),
    ],
    ids=["quick", "slow", "many frames", "smallest, slow"],
)
def test_a_core_that_is_slow_is_waited_for(link, delay, counts):
    async def bench(ask):
        for count in counts:
            kind, payload, _ = await ask(Command.FRAMES, count * bytes(link.frame))
            assert kind == Status.OK
            result = [n.to_bytes(link.result, "little") for n in range(link.outputs, 0, -1)]
            assert payload == count * b"".join(result) + bytes(4 * len(link.counters))
        assert (await ask(Command.LOAD, b"\1\0\0"))[0] == Status.OK

    played(Core(link, delay=delay), bench)
