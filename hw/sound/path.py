"""The whole front end: a microphone's bits in, frames for a core out."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from golden.sound.front_end import FrontEnd
from hw.core import bus_width
from hw.sound.bank import Bank
from hw.sound.decimator import Decimator
from hw.sound.logarithm import Logarithm
from hw.sound.scale import Scale


class SoundPath(wiring.Component):
    """golden.sound.front_end.FrontEnd.frames.

    Parameters
    ----------
    front : FrontEnd
        All of its numbers.

    Members
    -------
    pdm, pdm_valid : In
        A bit of the microphone, where it is valid. There are ``cycles`` from the first bit of a
        sample to that of the next one at least.
    m_axis_* : AXI4-Stream out
        Frames, an element a beat, sign-extended to whole bytes; ``tlast`` at the end of a frame: a
        Core's ``s_axis``. A microphone does not wait, but a frame may be taken as slowly as hops
        follow one another.
    dropped : Out
        Strobe: a frame was left out, because its forerunner had not wholly been taken.
    lost : Out
        Strobe: a sample was lost, because there are fewer cycles than ``cycles`` from one to the
        next.

    Attributes
    ----------
    cycles : int
        The least from sample to sample.
    """

    def __init__(self, front: FrontEnd) -> None:
        self._decimator, self._bank = Decimator(front), Bank(front)
        self._logarithm, self._scale = Logarithm(front), Scale(front)
        self.cycles = max(self._bank.cycles + 2, self._decimator.latency)
        super().__init__(
            {
                "pdm": In(1),
                "pdm_valid": In(1),
                "m_axis_tdata": Out(bus_width(front.activation.width)),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "m_axis_tlast": Out(1),
                "dropped": Out(1),
                "lost": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.decimator = decimator = self._decimator
        m.submodules.bank = bank = self._bank
        m.submodules.logarithm = logarithm = self._logarithm
        m.submodules.scale = scale = self._scale
        connect(m, decimator.o, bank.i)
        connect(m, bank.o, logarithm.i)
        connect(m, logarithm.o, scale.i)
        m.d.comb += [
            decimator.i.payload.eq(self.pdm),
            decimator.i.valid.eq(self.pdm_valid),
            bank.room.eq(logarithm.room),
            self.m_axis_tdata.eq(scale.o.payload.value),
            self.m_axis_tvalid.eq(scale.o.valid),
            self.m_axis_tlast.eq(scale.o.payload.last),
            scale.o.ready.eq(self.m_axis_tready),
            self.dropped.eq(bank.dropped),
            self.lost.eq(decimator.lost),
        ]
        return m
