"""The simulators by name."""

from golden.errors import refusal
from sim.cocotb_simulators import Icarus, Verilator
from sim.simulator import Simulator

# The judges: all with the same bench and cocotbext-axi on the buses.
SIMULATORS: dict[str, Simulator] = {s.name: s for s in (Icarus(), Verilator())}


def find_simulator(name: str) -> Simulator:
    """The simulator called ``name``, made sure to be installed; ValueError otherwise."""
    if name not in SIMULATORS:
        raise refusal("simulator", repr(name), " or ".join(SIMULATORS))
    SIMULATORS[name].environment()
    return SIMULATORS[name]
