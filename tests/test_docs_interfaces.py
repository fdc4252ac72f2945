"""docs/interfaces.md shows what the core does: its instantiation and its timing are tried here."""

import json
import re
import subprocess
from pathlib import Path

from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.core import Core
from hw.emit.verilog import emit
from tests.bench import run_bench
from tests.networks import random_frames, random_model

DOCS = Path(__file__).parents[1] / "docs"
PAGE, TIMING = (DOCS / "interfaces.md").read_text(), DOCS / "timing.json"
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
    source = json.loads(TIMING.read_text())
    assert source["signal"] == diagram(cycles, names)
    drawn = TIMING.with_suffix(".svg").read_text()
    labels = [label for signal in source["signal"] for label in signal.get("data", [])]
    for label in (*SIGNALS, *labels):
        assert drawn.count(f">{label}<") == max(1, labels.count(label))


def diagram(cycles, names):
    """A signal for each of SIGNALS, as WaveDrom takes them; ``|`` where nothing changes."""
    first = next(n for n in range(len(cycles) - 1, 0, -1) if cycles[n][0]) + 3
    last = next(n for n in range(len(cycles)) if cycles[n][4]) - 1
    control = [
        [v for v, name in zip(values, SIGNALS, strict=True) if "data" not in name]
        for values in cycles
    ]
    assert all(values == control[first] for values in control[first : last + 1])
    signals = []
    for k, name in enumerate(SIGNALS):
        is_data = name.endswith("data")
        row = [
            (names[name[:6], values[k]] if values[k - k % 4] else "x") if is_data else values[k]
            for values in cycles
        ]
        row = [*row[:first], row[first - 1], *row[last:]]  # the gap goes on as it was before
        changes = [value != before for before, value in zip([None, *row], row, strict=False)]
        wave = "".join(
            "." if not changed else "=" if is_data and value != "x" else str(value)
            for changed, value in zip(changes, row, strict=True)
        )
        shown = [v for v, changed in zip(row, changes, strict=True) if changed and v != "x"]
        wave = f"{wave[:first]}|{wave[first + 1 :]}"
        signals.append({"name": name, "wave": wave} | ({"data": shown} if is_data else {}))
    return [
        {"name": "clk", "wave": f"P{'.' * (first - 1)}|{'.' * (len(row) - first - 1)}"},
        *signals,
    ]
