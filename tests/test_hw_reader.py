import pytest

from hw.events.reader import FrameReader
from tests.bench import run_bench


@pytest.mark.parametrize(("streams", "latency"), [(1, 2), (1, 3), (2, 2), (3, 3)])
@pytest.mark.parametrize("columns", [1, 2, 3, 6])
def test_keeps_in_step_with_last(columns, latency, streams):
    """Whole, short and long frames in a row: one frame goes in for each last."""
    lengths = [columns, 1, columns + 3, columns, max(1, columns - 1), columns + 1, columns]
    dut = FrameReader(columns=columns, width=8, latency=latency, streams=streams)
    taken, flags = [], []
    expected = []
    value = 0
    for n, length in enumerate(lengths):
        for column in range(min(length, columns)):
            ends = column == columns - 1 or column == length - 1
            expected.append((n % streams, column, value + column, ends))
        value += length

    async def send(ctx):
        ctx.set(dut.free, -1)
        value = 0
        for length in lengths:
            for n in range(length):
                ctx.set(dut.i.payload.value, value)
                ctx.set(dut.i.payload.last, n == length - 1)
                ctx.set(dut.i.valid, 1)
                await ctx.tick().until(dut.i.ready)
                value += 1
        ctx.set(dut.i.valid, 0)
        await ctx.tick().repeat(2)

    async def watch(ctx):
        cycle, seen = 0, {}  # when an element was last taken, whichever stream's
        signals = [dut.o.valid, *(dut.o.payload[k] for k in ("vector", "column", "value", "last"))]
        async for _, _, valid, *element, short, long in ctx.tick().sample(
            *signals, dut.short, dut.long
        ):
            cycle += 1
            if valid:
                vector, column, value, last = element
                taken.append((vector, column, value, bool(last)))
                # What the encoder asks for: no element again within its latency.
                assert cycle - seen.get(column, -10) > latency
                seen[column] = cycle
            if short or long:
                flags.append((short, long))

    run_bench(dut, send, background=(watch,))
    assert taken == expected
    assert flags == [
        (int(length < columns), int(length > columns)) for length in lengths if length != columns
    ]


def test_waits_between_frames_but_not_within():
    dut = FrameReader(columns=3, width=8, latency=2)

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.i.ready)  # no list is free
        ctx.set(dut.free, -1)
        await ctx.tick().until(dut.i.ready)
        ctx.set(dut.free, 0)
        ctx.set(dut.hold, 1)
        assert ctx.get(dut.i.ready)
        assert not ctx.get(dut.between)
        ctx.set(dut.i.payload.last, 1)
        await ctx.tick()
        assert ctx.get(dut.between)
        ctx.set(dut.free, -1)
        for _ in range(4):
            assert not ctx.get(dut.i.ready)  # held
            await ctx.tick()
        ctx.set(dut.hold, 0)
        await ctx.tick().until(dut.i.ready)

    run_bench(dut, bench)


@pytest.mark.parametrize("streams", [1, 2])
def test_halves_alternate_from_round_to_round_and_restart_begins_with_the_first(streams):
    dut = FrameReader(columns=1, width=8, latency=2, streams=streams)
    order = [(half, stream) for half in (0, 1, 0) for stream in range(streams)]

    async def bench(ctx):
        async def takes_into(half, stream):
            """Only the last list of this half is free: a round begins there, or nowhere."""
            last = 1 << (2 * (streams - 1) + half)
            ctx.set(dut.free, 0 if stream else last)
            ctx.set(dut.i.valid, 1)
            taken = False
            for _ in range(6):
                if not taken:
                    taken = bool(ctx.get(dut.i.ready))
                    await ctx.tick()
            ctx.set(dut.i.valid, 0)
            return taken

        ctx.set(dut.i.payload.last, 1)
        for half, stream in order:
            assert ctx.get(dut.o.payload.vector) == stream
            if stream == 0:
                assert not await takes_into(1 - half, stream)
            assert await takes_into(half, stream)
        assert ctx.get(dut.opened) == 0b11
        assert await takes_into(1, 0)  # the first of a round
        ctx.set(dut.restart, 1)
        await ctx.tick()
        ctx.set(dut.restart, 0)
        assert ctx.get(dut.o.payload.vector) == 0
        assert not await takes_into(1, 0)
        assert await takes_into(0, 0)

    run_bench(dut, bench)


def test_a_frame_is_open_from_its_first_element_until_its_list_is_left():
    dut = FrameReader(columns=2, width=8, latency=2)
    found = []

    async def bench(ctx):
        async def element(last):
            ctx.set(dut.i.payload.last, last)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)
            found.append(ctx.get(dut.opened))

        async def leave(half):
            ctx.set(dut.leave.payload, half)
            ctx.set(dut.leave.valid, 1)
            await ctx.tick()
            ctx.set(dut.leave.valid, 0)
            found.append(ctx.get(dut.opened))

        ctx.set(dut.free, -1)
        for last in (0, 1, 0):
            await element(last)
        await leave(0)
        await element(1)
        await leave(1)

    run_bench(dut, bench)
    assert found == [0b01, 0b01, 0b11, 0b10, 0b10, 0b00]
