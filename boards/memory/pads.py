"""Pins of memories beside a chip: an SDRAM's of an ECP5, a flash's of any."""

from typing import Any

from amaranth.hdl import ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib import io

# What a resource of amaranth-boards calls the pins of boards.memory.system.
_NAMES = {
    "a": "a",
    "ba": "ba",
    "cas_n": "cas",
    "cke": "clk_en",
    "cs_n": "cs",
    "dm": "dqm",
    "ras_n": "ras",
    "we_n": "we",
}


class SdramPads(Elaboratable):
    """The pins of chips whose controller has its registers right behind them, and their clock.

    The clock is domain ``late``, a quarter of a cycle behind ``sync``: what leaves with ``sync`` is
    there before the chips take it, and stays for the rest of the cycle.

    Parameters
    ----------
    port
        The resource, of a platform.

    Attributes
    ----------
    wires : dict
        What the pins of boards.memory.system are joined to.
    """

    def __init__(self, port: Any) -> None:
        self._port = port
        self._signals = {
            name: Signal(len(getattr(port, there)), name=f"sdram_{name}")
            for name, there in _NAMES.items()
        }
        self.wires = {f"o_sdram_{name}": signal for name, signal in self._signals.items()}
        self.wires["io_sdram_dq"] = port.dq.io

    def elaborate(self, platform) -> Module:
        m = Module()
        for name, signal in self._signals.items():
            pins = getattr(self._port, _NAMES[name])
            if name.endswith("_n"):  # the signal is what the pin is
                pins = ~pins
            m.submodules[name] = pin = io.Buffer("o", pins)
            m.d.comb += pin.o.eq(signal)
        m.submodules.clk = clk = io.Buffer("o", self._port.clk)
        m.submodules.clock = Instance(
            "ODDRX1F",
            i_SCLK=ClockSignal("late"),
            i_RST=Const(0),
            i_D0=Const(1),
            i_D1=Const(0),
            o_Q=clk.o,
        )
        return m


class QuadPads(Elaboratable):
    """The pins of a flash of four lines, with registers in the pads.

    Parameters
    ----------
    port
        The resource, of a platform.

    Attributes
    ----------
    wires : dict
        What the pins of boards.memory.quad_system are joined to.
    """

    def __init__(self, port: Any) -> None:
        self._port = port
        self._cs_n, self._clocks = Signal(name="quad_cs_n"), Signal(name="quad_clocks")
        self._out, self._drives, self._back = (
            Signal(4, name=f"quad_{name}") for name in ("out", "drives", "back")
        )
        outputs = (self._cs_n, self._clocks, self._out, self._drives)
        self.wires = {f"o_{signal.name}": signal for signal in outputs}
        self.wires["i_quad_back"] = self._back

    def elaborate(self, platform) -> Module:
        m = Module()
        port = self._port
        m.submodules.cs = cs = io.FFBuffer("o", ~port.cs)  # the signal is what the pin is
        m.submodules.clk = clk = io.DDRBuffer("o", port.clk)
        m.d.comb += [cs.o.eq(self._cs_n), clk.o[1].eq(self._clocks)]
        for n in range(4):
            m.submodules[f"dq_{n}"] = line = io.FFBuffer("io", port.dq[n])
            m.d.comb += [
                line.o.eq(self._out[n]),
                line.oe.eq(self._drives[n]),
                self._back[n].eq(line.i),
            ]
        return m
