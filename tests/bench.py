"""A little help for benches in Amaranth's own simulator."""

from collections.abc import Awaitable, Callable, Sequence

from amaranth.hdl import Elaboratable
from amaranth.sim import Simulator

Bench = Callable[..., Awaitable[None]]


def run_bench(dut: Elaboratable, *benches: Bench, background: tuple[Bench, ...] = ()) -> None:
    """Runs the benches against ``dut`` on a clock; ends when all but those behind have ended."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for bench in background:
        simulator.add_testbench(bench, background=True)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


async def send_frame(ctx, stream, frame: Sequence[int], *, idle: Callable[[], bool]) -> None:
    """Offers a frame's elements to ``stream``, after as many cycles of nothing as ``idle`` says."""
    for column, value in enumerate(frame):
        while idle():
            await ctx.tick()
        ctx.set(stream.payload.value, int(value))
        ctx.set(stream.payload.last, column == len(frame) - 1)
        ctx.set(stream.valid, 1)
        await ctx.tick().until(stream.ready)
        ctx.set(stream.valid, 0)
