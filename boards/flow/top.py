"""The design on its board: shell, clock and pins."""

from amaranth.hdl import ClockDomain, Const, Elaboratable, Instance, Module
from amaranth.lib import io

from boards.board import Board
from boards.family.pll import Pll
from boards.memory.pads import QuadPads, SdramPads
from boards.shell import Shell

NAME = "top"


class BoardTop(Elaboratable):
    """A shell on a board's pins."""

    def __init__(self, board: Board, pll: Pll, shell: Shell) -> None:
        self._board, self._pll, self._shell = board, pll, shell

    def elaborate(self, platform) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        if self._pll.late:
            m.domains.late = ClockDomain(reset_less=True)
        m.submodules.pll = self._pll
        m.submodules.shell = shell = self._shell
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.d.comb += [shell.rx.eq(rx.i), tx.o.eq(shell.tx)]
        if shell.boots:
            flash = platform.request(*self._board.spi, dir="-")
            m.submodules.cipo = cipo = io.Buffer("i", flash.cipo)
            m.d.comb += shell.flash_cipo.eq(cipo.i)
            # Write protection and hold, where they are wired, are off.
            outputs = {"cs": ~shell.flash_cs_n, "clk": shell.flash_sck, "copi": shell.flash_copi}
            for name, value in {**outputs, "wp": 0, "hold": 0}.items():
                if hasattr(flash, name):
                    m.submodules[name] = pin = io.Buffer("o", getattr(flash, name))
                    m.d.comb += pin.o.eq(value)
            if not hasattr(flash, "clk"):  # an ECP5's own pin, of its configuration
                m.submodules.clk = Instance(
                    "USRMCLK", i_USRMCLKI=shell.flash_sck, i_USRMCLKTS=Const(0)
                )
        if shell.reads and self._board.quad is not None:
            port = platform.request(self._board.quad.resource, 0, dir="-")
            m.submodules.quad = pads = QuadPads(port)
            shell.pads |= pads.wires
        elif shell.memory and self._board.sdram is not None:
            port = platform.request(self._board.sdram.resource, dir="-")
            m.submodules.sdram = pads = SdramPads(port)
            shell.pads |= pads.wires
        return m


def pinned(board: Board, pll: Pll, shell: Shell) -> tuple[str, str]:
    """The top called NAME as RTLIL, its core a black box; and the pins' constraints."""
    platform = board.platform()
    platform.add_resources(board.more)
    files = platform.prepare(BoardTop(board, pll, shell), NAME, emit_src=False).files
    return files[f"{NAME}.il"], files[f"{NAME}.{board.chip.constraints}"]
