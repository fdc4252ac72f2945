"""The design on its board: shell, clock and pins."""

from amaranth.hdl import Elaboratable, Module

from boards.board import Board
from boards.pll import Pll
from boards.shell import Shell

NAME = "top"


class BoardTop(Elaboratable):
    """A shell on a board's pins."""

    def __init__(self, board: Board, pll: Pll, shell: Shell) -> None:
        self._board, self._pll, self._shell = board, pll, shell

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.pll = self._pll
        m.submodules.shell = shell = self._shell
        uart = platform.request("uart", 0)
        m.d.comb += [shell.rx.eq(uart.rx.i), uart.tx.o.eq(shell.tx)]
        if shell.boots:
            flash = platform.request("spi_flash_1x", self._board.spi)
            m.d.comb += [
                flash.cs.o.eq(~shell.flash_cs_n),
                flash.clk.o.eq(shell.flash_sck),
                flash.copi.o.eq(shell.flash_copi),
                shell.flash_cipo.eq(flash.cipo.i),
            ]
        return m


def pinned(board: Board, pll: Pll, shell: Shell) -> tuple[str, str]:
    """The top called NAME as RTLIL, its core a black box; and the pins' constraints."""
    platform = board.platform()
    platform.add_resources(board.more)
    files = platform.prepare(BoardTop(board, pll, shell), NAME, emit_src=False).files
    return files[f"{NAME}.il"], files[f"{NAME}.{board.chip.constraints}"]
