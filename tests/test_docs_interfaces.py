"""docs/interfaces.md shows what the core does: its instantiation and its timing are tried here."""

import re
import subprocess
from pathlib import Path

from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.core import Core
from hw.emit.verilog import emit
from tests.bench import run_bench
from tests.networks import random_frames, random_model

PAGE = (Path(__file__).parents[1] / "docs/interfaces.md").read_text()
SIGNALS = [
    f"{port}_t{name}"
    for port in ("s_axis", "m_axis")
    for name in ("valid", "ready", "data", "last")
]


def test_the_template_instantiates_a_core(tmp_path):
    (template,) = re.findall(r"```verilog\n(.*?)```", PAGE, re.DOTALL)
    model = random_model((3, 4), 2)
    emission = emit(CoreParameters(model.parameters, 2), model)
    ports = {port["name"] for port in emission.manifest["ports"]}
    named = set(re.findall(r"\.(\w+)\(", template))
    assert named == {name for name in ports if not name.startswith("monitor_")}
    (tmp_path / "core.v").write_text(emission.verilog)
    (tmp_path / "template.v").write_text(template)
    command = ["iverilog", "-Wall", "-o", "out", "core.v", "template.v"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "template.v" not in done.stderr


def test_the_timing_diagram_is_what_the_core_does():
    model = random_model((3, 4), 2, theta=(0, 0))
    dut = Core(CoreParameters(model.parameters, 2), model)
    (frame,) = random_frames(model, 1)
    results = DeltaNetwork(model).run(frame[None]).outputs[0]
    cycles: list[list[int]] = []

    async def watch(ctx):
        async for _, _, *values in ctx.tick().sample(*(getattr(dut, name) for name in SIGNALS)):
            cycles.append(values)

    async def drive(ctx):
        await ctx.tick().repeat(60)  # the state is reset by then
        cycles.clear()
        await ctx.tick()
        for column, value in enumerate(frame):
            if column == 2:
                await ctx.tick()  # a gap
            ctx.set(dut.s_axis_tdata, int(value))
            ctx.set(dut.s_axis_tlast, column == len(frame) - 1)
            ctx.set(dut.s_axis_tvalid, 1)
            await ctx.tick().until(dut.s_axis_tready)
            ctx.set(dut.s_axis_tvalid, 0)
            ctx.set(dut.s_axis_tlast, 0)
        while not ctx.get(dut.m_axis_tvalid):
            await ctx.tick()
        await ctx.tick()  # back-pressure
        ctx.set(dut.m_axis_tready, 1)
        await ctx.tick().repeat(2)
        ctx.set(dut.m_axis_tready, 0)
        await ctx.tick().repeat(2)

    run_bench(dut, drive, background=(watch,))
    names = {("s_axis", int(v) % 256): f"x{k}" for k, v in enumerate(frame)}
    names |= {("m_axis", int(v) % 2**32): f"y{k}" for k, v in enumerate(results)}
    assert len(names) == 5
    assert diagram(cycles, names) in PAGE


def diagram(cycles, names):
    """A line a signal, four characters a cycle; ``//`` where nothing changes for a while."""
    first = next(n for n in range(len(cycles) - 1, 0, -1) if cycles[n][0]) + 3
    last = next(n for n in range(len(cycles)) if cycles[n][4]) - 1
    control = [
        [v for v, name in zip(values, SIGNALS, strict=True) if "data" not in name]
        for values in cycles
    ]
    assert all(values == control[first] for values in control[first : last + 1])
    lines = []
    for k, name in enumerate(SIGNALS):
        row = [values[k] for values in cycles]
        valid = [values[k - k % 4] for values in cycles]
        if name.endswith("data"):
            cells = [
                f" {names[name[:6], v]} " if is_valid else " .. "
                for v, is_valid in zip(row, valid, strict=True)
            ]
        else:
            cells = ["____" if v == 0 else "^^^^" for v in row]
        line = f"    {name:14}" + "".join(cells[:first]) + " // " + "".join(cells[last:])
        lines.append(line.rstrip())
    return "\n".join(lines)
