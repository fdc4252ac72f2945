"""The simulators by name."""

from golden.errors import refusal
from sim.cocotb.simulators import Icarus, Verilator
from sim.fast.harness import Harness
from sim.simulator import Simulator

# The judges: all with the same bench and cocotbext-axi on the buses.
SIMULATORS: dict[str, Simulator] = {s.name: s for s in (Icarus(), Verilator())}
# What the commands use: of each, the fastest that gives the same record.
FASTEST: dict[str, Simulator] = {**SIMULATORS, "verilator": Harness()}


def find_simulator(name: str) -> Simulator:
    """The fastest simulator called ``name``, made sure to be installed; ValueError otherwise."""
    if name not in FASTEST:
        raise refusal("simulator", repr(name), " or ".join(FASTEST))
    FASTEST[name].environment()
    return FASTEST[name]
