"""Clocks: the PLL of each family, set for the fastest that is not too fast."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    Const,
    Elaboratable,
    Instance,
    Module,
    Signal,
    Value,
)
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from golden.errors import refusal

WAIT = 1 << 11  # cycles of reset after the lock: block RAM of an iCE40 reads 0 for some 10 us


@dataclass(frozen=True)
class Setting:
    """A PLL's dividers, and the clock in MHz that they give."""

    mhz: float
    dividers: dict[str, int]


class Pll(Elaboratable):
    """Drives domain ``sync`` from a board's clock; in reset until that is good.

    Parameters
    ----------
    resource : str
        The clock's, of the platform.
    source, wanted : float
        MHz: what there is, and what must not be exceeded.
    late : bool
        Drives domain ``late``, too, a quarter of a cycle behind (ECP5); it is its parent's.

    Attributes
    ----------
    mhz
        What ``sync`` runs at.
    late
        As above.

    Raises
    ------
    ValueError
        Where the PLL can give nothing within a fifth of what is wanted.
    """

    def __init__(self, resource: str, source: float, wanted: float, late: bool = False) -> None:
        self._resource, self.late = resource, late
        slow_enough = [s for s in self._settings(source) if s.mhz <= wanted + 1e-6]
        best = max(slow_enough, key=lambda s: s.mhz, default=None)
        if best is None or best.mhz < 0.8 * wanted:
            raise refusal("clock", f"{wanted:g} MHz", f"one that {source:g} MHz can be made into")
        self._dividers, self.mhz = best.dividers, best.mhz

    @staticmethod
    @abstractmethod
    def _settings(source: float) -> Iterator[Setting]:
        """What is possible."""

    @abstractmethod
    def _instance(self, m: Module, port: io.PortLike, out: Value, lock: Value) -> Instance:
        """The PLL from the pin ``port``."""

    def elaborate(self, platform) -> Module:
        m = Module()
        m.domains.wait = ClockDomain(local=True)
        lock, count, held = Signal(), Signal(range(WAIT)), Signal(init=1)
        port = platform.request(self._resource, dir="-")
        m.submodules.pll = self._instance(m, port, ClockSignal(), lock)
        m.d.comb += ClockSignal("wait").eq(ClockSignal())
        m.submodules.lock = ResetSynchronizer(~lock, domain="wait")
        with m.If(count == WAIT - 1):
            m.d.wait += held.eq(0)
        with m.Else():
            m.d.wait += count.eq(count + 1)
        m.submodules.reset = ResetSynchronizer(held)
        return m


class Ice40Pll(Pll):
    """SB_PLL40_CORE (Lattice FPGA-TN-02052)."""

    @staticmethod
    def _settings(source: float) -> Iterator[Setting]:
        # The phase detector takes 10 to 133 MHz, the oscillator makes 533 to 1,066 MHz.
        for divr in range(16):
            detector = source / (divr + 1)
            if not 10 <= detector <= 133:
                continue
            for divf in range(128):
                if 533 <= detector * (divf + 1) <= 1066:
                    for divq in range(1, 7):
                        mhz = detector * (divf + 1) / 2**divq
                        yield Setting(mhz, {"DIVR": divr, "DIVF": divf, "DIVQ": divq})

    def _instance(self, m: Module, port: io.PortLike, out: Value, lock: Value) -> Instance:
        m.submodules.clk = buffer = io.Buffer("i", port)
        return self._pll("SB_PLL40_CORE", out, lock, i_REFERENCECLK=buffer.i)

    def _pll(self, kind: str, out: Value, lock: Value, **clock: Value) -> Instance:
        return Instance(
            kind,
            p_FEEDBACK_PATH="SIMPLE",
            p_FILTER_RANGE=Const(1, 3),  # of a detector that gets less than 17 MHz
            p_DIVR=Const(self._dividers["DIVR"], 4),
            p_DIVF=Const(self._dividers["DIVF"], 7),
            p_DIVQ=Const(self._dividers["DIVQ"], 3),
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=out,
            o_LOCK=lock,
            **clock,
        )


class Ice40PadPll(Ice40Pll):
    """SB_PLL40_PAD, where the clock comes in at the PLL's own pin."""

    def _instance(self, m: Module, port: io.PortLike, out: Value, lock: Value) -> Instance:
        return self._pll("SB_PLL40_PAD", out, lock, io_PACKAGEPIN=port.io)


class Ecp5Pll(Pll):
    """EHXPLLL with its first output fed back (Lattice FPGA-TN-02200)."""

    @staticmethod
    def _settings(source: float) -> Iterator[Setting]:
        # The detector takes from 3.125 MHz, the oscillator makes 400 to 800 MHz.
        for divide in range(1, 129):
            detector = source / divide
            if detector < 3.125:
                break
            for feedback in range(1, 81):
                mhz = source * feedback / divide
                output = max(1, round(600 / mhz))
                if output <= 128 and 400 <= mhz * output <= 800:
                    yield Setting(mhz, {"CLKI": divide, "CLKFB": feedback, "CLKOP": output})

    def _instance(self, m: Module, port: io.PortLike, out: Value, lock: Value) -> Instance:
        m.submodules.clk = buffer = io.Buffer("i", port)
        dividers = self._dividers
        behind: dict[str, Any] = {}
        if self.late:
            # In eighths of the oscillator's cycle.
            whole, rest = divmod(dividers["CLKOP"] * 8 // 4, 8)
            behind = {
                "p_CLKOS_ENABLE": "ENABLED",
                "p_CLKOS_DIV": dividers["CLKOP"],
                "p_CLKOS_CPHASE": dividers["CLKOP"] // 2 + whole,
                "p_CLKOS_FPHASE": rest,
                "o_CLKOS": ClockSignal("late"),
            }
        off = ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PLLWAKESYNC", "ENCLKOP")
        on = ("PHASEDIR", "PHASESTEP", "PHASELOADREG")
        return Instance(
            "EHXPLLL",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_CLKOP_ENABLE="ENABLED",
            p_CLKI_DIV=dividers["CLKI"],
            p_CLKFB_DIV=dividers["CLKFB"],
            p_CLKOP_DIV=dividers["CLKOP"],
            p_CLKOP_CPHASE=dividers["CLKOP"] // 2,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            i_CLKI=buffer.i,
            i_CLKFB=out,
            o_CLKOP=out,
            o_LOCK=lock,
            **behind,
            **{f"i_{pin}": Const(0) for pin in off},
            **{f"i_{pin}": Const(1) for pin in on},
        )
