"""A top of three pins around a core, whose ports are too many for any package."""

from collections.abc import Sequence
from typing import Any

from hw.emit.enclosed import declaration

INSTANCE = "core"


def stub(name: str, ports: Sequence[dict[str, Any]]) -> str:
    """The core as a black box in Verilog. ``ports`` are those of its manifest."""
    declared = ", ".join(declaration(port) for port in used(ports))
    return f"(* blackbox *)\nmodule {name} ({declared});\nendmodule\n"


def wrapper(name: str, ports: Sequence[dict[str, Any]]) -> str:
    """Verilog of ``top``, with one instance of the core.

    All inputs but the clock come from one long shift register; all outputs go into registers of
    another one that folds them together, c <= q ^ {c, last}. So every port begins or ends at a
    register, as it does in a design of registered buses, and nothing is taken away as unused. Each
    input bit costs a flip-flop, each output bit a flip-flop and the LUT before it.
    """
    widths = {"in": 0, "out": 0}
    connections = [".clk(clk)"]
    for port in used(ports):
        if port["name"] == "clk":
            continue
        direction, low = port["direction"], widths[port["direction"]]
        widths[direction] += port["width"]
        signal = {"in": "i", "out": "q"}[direction]
        connections.append(f".{port['name']}({signal}[{widths[direction] - 1}:{low}])")
    inputs, outputs = widths["in"], widths["out"]
    return f"""\
module top (input clk, input si, output so);
  reg [{inputs - 1}:0] i;
  reg [{outputs - 1}:0] c;
  wire [{outputs - 1}:0] q;
  always @(posedge clk) begin
    i <= {{i, si}};
    c <= q ^ {{c, i[{inputs - 1}]}};
  end
  assign so = c[{outputs - 1}];
  {name} {INSTANCE} ({", ".join(connections)});
endmodule
"""


def used(ports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ports without the monitors, which are for benches and logic analysers."""
    return [port for port in ports if not port["name"].startswith("monitor_")]
