"""An AXI4-Lite port onto single-cycle register accesses."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

OKAY, SLVERR = 0, 2


def axi_lite_signature(address_width: int) -> wiring.Signature:
    """AXI4-Lite with 32-bit data, seen from the manager."""
    return wiring.Signature(
        {
            "awaddr": Out(address_width),
            "awprot": Out(3),
            "awvalid": Out(1),
            "awready": In(1),
            "wdata": Out(32),
            "wstrb": Out(4),
            "wvalid": Out(1),
            "wready": In(1),
            "bresp": In(2),
            "bvalid": In(1),
            "bready": Out(1),
            "araddr": Out(address_width),
            "arprot": Out(3),
            "arvalid": Out(1),
            "arready": In(1),
            "rdata": In(32),
            "rresp": In(2),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


def access_members(address_width: int) -> dict[str, wiring.Member]:
    """What an AxiLitePort says of an access: see there."""
    return {
        "write": Out(1),
        "write_word": Out(address_width - 2),
        "write_data": Out(32),
        "write_strobe": Out(4),
        "read": Out(1),
        "read_word": Out(address_width - 2),
    }


def merged(access: "AxiLitePort | wiring.PureInterface", register: Value) -> Value:
    """The 32 bits that a register is when those bytes of it are written that are to be."""
    word = Cat(register, Const(0, 32 - len(register)))
    return Cat(
        Mux(access.write_strobe[n], access.write_data.word_select(n, 8), word.word_select(n, 8))
        for n in range(4)
    )


class AxiLitePort(wiring.Component):
    """Takes one write and one read at a time; each answers before the next is taken.

    Parameters
    ----------
    address_width : int
        Bits of a byte address; accesses are to whole words.

    Members
    -------
    bus : In
        The subordinate's side of AXI4-Lite.
    write : Out
        Strobe: write ``write_data`` to word ``write_word``, bytes by ``write_strobe``.
    write_fails : In
        In the cycle of ``write``: answer SLVERR.
    read : Out
        Read word ``read_word``: until it does not wait.
    read_waits : In
        In the cycle of ``read``: the answer is not yet there.
    read_data, read_fails : In
        In the cycle of ``read`` that does not wait: what to answer.
    """

    def __init__(self, address_width: int) -> None:
        super().__init__(
            {
                "bus": In(axi_lite_signature(address_width)),
                **access_members(address_width),
                "write_fails": In(1),
                "read_waits": In(1),
                "read_data": In(32),
                "read_fails": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        bus = self.bus

        # Address and data may come in either order; each is kept until both are there.
        has_address, has_data = Signal(), Signal()
        m.d.comb += [
            bus.awready.eq(~has_address),
            bus.wready.eq(~has_data),
            self.write.eq(has_address & has_data & ~bus.bvalid),
        ]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [has_address.eq(1), self.write_word.eq(bus.awaddr[2:])]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [
                has_data.eq(1),
                self.write_data.eq(bus.wdata),
                self.write_strobe.eq(bus.wstrb),
            ]
        with m.If(self.write):
            m.d.sync += [
                Cat(has_address, has_data).eq(0),
                bus.bvalid.eq(1),
                bus.bresp.eq(self.write_fails * SLVERR),
            ]
        with m.Elif(bus.bready):
            m.d.sync += bus.bvalid.eq(0)

        asked = Signal()
        m.d.comb += [
            bus.arready.eq(~asked & ~bus.rvalid),
            self.read.eq(asked),
        ]
        m.d.sync += asked.eq((bus.arvalid & bus.arready) | (asked & self.read_waits))
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += self.read_word.eq(bus.araddr[2:])
        with m.If(self.read & ~self.read_waits):
            m.d.sync += [
                bus.rvalid.eq(1),
                bus.rdata.eq(self.read_data),
                bus.rresp.eq(self.read_fails * SLVERR),
            ]
        with m.Elif(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        return m
