"""A little help for benches in Amaranth's own simulator."""

from collections.abc import Awaitable, Callable

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
