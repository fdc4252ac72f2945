"""What stands around a core on a board: UART, host link and, where weights are loaded, boot."""

from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from boards.link.host_link import HostLink
from boards.link.packets import BYTE
from boards.link.protocol import Link
from boards.link.uart import UartReceiver, UartTransmitter
from boards.memory.boot import Boot
from hw.emit.verilog import TOP

FLASH = {"cs_n": Out(1, init=1), "sck": Out(1), "copi": Out(1), "cipo": In(1)}


class Shell(wiring.Component):
    """A core that a host talks to.

    Parameters
    ----------
    manifest : dict
        The core's (hw.emit.verilog.Emission.manifest); the core itself is a black box.
    link : Link
        Its sizes.
    mhz : float
        The clock.
    baud : int
        The UART's rate, as near as ``divisor``, its cycles a bit, comes to it.
    flash : int or None
        Where in the SPI flash its weights begin; None where there is none to boot from.

    Attributes
    ----------
    divisor, address : int
        As above.
    boots, memory, reads : bool
        It reads a flash at power-up; the core has a memory beside the chip; that is the flash.
    pads : dict
        What is joined to ports of the core that are pins: a value, or an io.PortLike's wires, by
        name. Where the core is simulated there are none.

    Members
    -------
    rx : In; tx : Out
        The UART.
    flash_* : Out and In
        Pins of the SPI flash (boards.memory.boot.Boot), where there is one.
    """

    def __init__(
        self,
        manifest: dict[str, Any],
        link: Link,
        mhz: float,
        baud: int,
        flash: int | None = None,
    ) -> None:
        self._manifest, self._link, self._mhz, self.address = manifest, link, mhz, flash or 0
        self.divisor = round(mhz * 1e6 / baud)
        self.boots = self._link.loads and flash is not None
        self.memory = any(port["name"] == "memory_ready" for port in manifest["ports"])
        self.reads = manifest["memories"]["weights"].get("in_flash", False)
        self._ready, self._failed = Signal(), Signal()  # of that memory
        self.pads: dict[str, Any] = {}
        members = {"rx": In(1, init=1), "tx": Out(1, init=1)}
        if self.boots:
            members |= {f"flash_{pin}": flow for pin, flow in FLASH.items()}
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        m.submodules.link = link = HostLink(self._link)
        connect(m, receiver.o, link.i)
        connect(m, link.o, transmitter.i)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]

        weights = stream.Signature(BYTE).create(path=("weights",))
        m.d.comb += [
            weights.payload.eq(link.core.weights.payload),
            weights.valid.eq(link.core.weights.valid),
            link.core.weights.ready.eq(weights.ready),
        ]
        copies: Value = Const(0)
        if self.boots:
            words = self._manifest["memories"]["weights"]
            length = words["words"] * words["width"] // 8
            m.submodules.boot = boot = Boot(self._link.tag, length, self.address, self._mhz)
            m.d.comb += [
                self.flash_cs_n.eq(boot.cs_n),
                self.flash_sck.eq(boot.sck),
                self.flash_copi.eq(boot.copi),
                boot.cipo.eq(self.flash_cipo),
                link.boot_failed.eq(boot.failed),
                boot.weights.ready.eq(weights.ready),
            ]
            copies = boot.busy
            with m.If(boot.busy):
                m.d.comb += [
                    weights.payload.eq(boot.weights.payload),
                    weights.valid.eq(boot.weights.valid),
                    link.core.weights.ready.eq(0),
                ]
        if self._manifest["output"]["per_beat"] == 1:  # then there is no tkeep
            m.d.comb += link.core.results.payload.keep.eq(~0)
        if self.memory:  # a memory beside the chip, which nothing can be loaded into before
            m.d.comb += link.memory_failed.eq(self._failed)
            copies = (copies | ~self._ready) & ~self._failed
        m.d.comb += link.booting.eq(copies)
        m.submodules.core = Instance(TOP, **self._connections(link, weights))
        return m

    def _connections(self, link: HostLink, weights: stream.Interface) -> dict[str, Any]:
        """The core's ports; those of its monitor stay open."""
        core, results = link.core, link.core.results
        buses: dict[str, Any] = {
            "i_clk": ClockSignal(),
            "i_rst": ResetSignal(),
            "i_s_axis_tdata": core.frames.payload.data,
            "i_s_weights_tdata": weights.payload.byte,
            "o_m_axis_tdata": results.payload.data,
            "o_m_axis_tlast": results.payload.last,
            "o_m_axis_tkeep": results.payload.keep,
            "o_m_axis_tvalid": results.valid,
            "i_m_axis_tready": results.ready,
            "o_memory_ready": self._ready,
            "o_memory_failed": self._failed,
            **self.pads,
        }
        for name, bus in (("s_axis", core.frames), ("s_weights", weights)):
            buses |= {
                f"i_{name}_tlast": bus.payload.last,
                f"i_{name}_tvalid": bus.valid,
                f"o_{name}_tready": bus.ready,
            }
        for name, member in core.registers.signature.members.items():
            direction = "i" if member.flow == Out else "o"
            buses[f"{direction}_s_axil_{name}"] = getattr(core.registers, name)
        directions = {"in": "i", "out": "o", "io": "io"}
        ports = {
            f"{directions[port['direction']]}_{port['name']}" for port in self._manifest["ports"]
        }
        return {name: value for name, value in buses.items() if name in ports}
