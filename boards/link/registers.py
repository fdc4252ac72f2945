"""A core's registers, a byte at a time."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from boards.link.protocol import VALUE
from hw.bus.axi_lite import axi_lite_signature
from hw.bus.registers import ADDRESS_WIDTH


def register_signature() -> wiring.Signature:
    """What is asked of a RegisterPort, seen from who asks.

    point, address : Out
        Strobe: that is the register, from now on.
    read, write : Out
        Strobes, later than in the cycle after ``point``: read into ``value``, write it.
    done, failed : In
        Strobe: that has been done; or there is no such register, or not for that.
    value : In
        What has been read; stays until it is shifted.
    shift, byte : Out
        Strobe: all bytes of ``value`` move one place down, and ``byte`` comes in above.
    """
    return wiring.Signature(
        {
            "point": Out(1),
            "address": Out(16),
            "read": Out(1),
            "write": Out(1),
            "done": In(1),
            "failed": In(1),
            "value": In(8 * VALUE),
            "shift": Out(1),
            "byte": Out(8),
        }
    )


class RegisterPort(wiring.Component):
    """Reads and writes registers over AXI4-Lite, one at a time.

    Members
    -------
    ask : In
        Whoever wants to (register_signature).
    bus : Out
        The manager's side of AXI4-Lite.
    """

    def __init__(self) -> None:
        super().__init__(
            {"ask": In(register_signature()), "bus": Out(axi_lite_signature(ADDRESS_WIDTH))}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        ask, bus = self.ask, self.bus
        address, wrong = Signal(16), Signal()
        m.d.comb += [
            *(pins.eq(address) for pins in (bus.araddr, bus.awaddr)),
            bus.wdata.eq(ask.value),
            bus.wstrb.eq(0b1111),
            bus.rready.eq(1),
            bus.bready.eq(1),
        ]
        with m.If(ask.point):
            m.d.sync += address.eq(ask.address)
        m.d.sync += wrong.eq((address >> ADDRESS_WIDTH).any() | address[:2].any())

        with m.If(bus.arready):
            m.d.sync += bus.arvalid.eq(0)
        with m.If(bus.awready):
            m.d.sync += bus.awvalid.eq(0)
        with m.If(bus.wready):
            m.d.sync += bus.wvalid.eq(0)
        with m.If(ask.read & ~wrong):
            m.d.sync += bus.arvalid.eq(1)
        with m.If(ask.write & ~wrong):
            m.d.sync += [bus.awvalid.eq(1), bus.wvalid.eq(1)]

        with m.If(bus.rvalid | ask.shift):
            m.d.sync += ask.value.eq(Mux(bus.rvalid, bus.rdata, Cat(ask.value[8:], ask.byte)))
        m.d.sync += [
            ask.done.eq(bus.rvalid | bus.bvalid | ((ask.read | ask.write) & wrong)),
            ask.failed.eq(
                (bus.rvalid & (bus.rresp != 0)) | (bus.bvalid & (bus.bresp != 0)) | wrong
            ),
        ]
        return m
