"""Components with vendor cells in them, in Icarus: Amaranth's own simulator knows no such cells."""

import subprocess
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import Value
from amaranth.lib.wiring import Component

_BENCH = """
module bench;
    reg clk = 0, rst = 1;
    reg [{inputs_width}-1:0] stimuli [0:{cycles}-1];
    reg [{inputs_width}-1:0] now = 0;
    {wires}
    dut dut (.clk(clk), .rst(rst), {ports});
    integer n;
    initial begin
        $readmemh("stimuli", stimuli);
        repeat (4) begin #5 clk = 1; #5 clk = 0; end
        rst = 0;
        for (n = 0; n < {cycles}; n = n + 1) begin
            now = stimuli[n];
            #4 $display("{formats}", {outputs});
            #1 clk = 1;
            #5 clk = 0;
        end
        $finish;
    end
endmodule
"""


def run_verilog(
    dut: Component,
    models: str,
    folder: Path,
    inputs: dict[str, list[int]],
    outputs: list[str],
) -> list[list[int | None]]:
    """The outputs in each cycle, given the inputs of each; None where a bit is not known.

    ``inputs`` names members and their values cycle by cycle; ``outputs`` are read as unsigned.
    """
    widths = {name: len(Value.cast(getattr(dut, name))) for name in [*inputs, *outputs]}
    cycles = len(next(iter(inputs.values())))
    wires, ports, low = [], [], 0
    for name in inputs:
        ports.append(f".{name}(now[{low + widths[name] - 1}:{low}])")
        low += widths[name]
    for name in outputs:
        wires.append(f"wire [{widths[name] - 1}:0] {name};")
        ports.append(f".{name}({name})")
    lines = []
    for n in range(cycles):
        word, at = 0, 0
        for name, values in inputs.items():
            word |= (values[n] & (1 << widths[name]) - 1) << at
            at += widths[name]
        lines.append(f"{word:x}")
    (folder / "stimuli").write_text("\n".join(lines) + "\n")
    text = verilog.convert(dut, name="dut", emit_src=False)
    bench = _BENCH.format(
        inputs_width=low,
        cycles=cycles,
        wires="\n    ".join(wires),
        ports=", ".join(ports),
        formats=" ".join(["%b"] * len(outputs)),
        outputs=", ".join(outputs),
    )
    (folder / "all.v").write_text(f"`timescale 1ns/1ps\n{bench}\n{text}\n{models}")
    for command in (
        ["iverilog", "-g2012", "-o", "bench", "-s", "bench", "all.v"],
        ["vvp", "bench"],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return [
        [int(bits, 2) if set(bits) <= set("01") else None for bits in line.split()]
        for line in done.stdout.splitlines()
        if set(line) <= set("01xz ")
    ]


def signed(value: int, width: int) -> int:
    """The low ``width`` bits of ``value`` as a signed integer."""
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value
