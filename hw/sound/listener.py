"""Microphone to word: the front end, a core and the decision in one component."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from golden.errors import refusal
from golden.model import Model
from golden.parameters import CoreParameters
from golden.sound.decision import Decision
from golden.sound.front_end import FrontEnd
from hw.core import Core
from hw.sound.decision import Decider
from hw.sound.path import SoundPath
from hw.target import GENERIC, Target

LOAD = ("tdata", "tvalid", "tready", "tlast")


class Listener(wiring.Component):
    """golden.sound's front end, golden.network's frames and golden.sound's decision in a row.

    Parameters
    ----------
    front : FrontEnd
        Bands, and gains next to the model's ``input_scale`` (FrontEnd.scaled).
    core : CoreParameters
        One stream, and a result a beat.
    model : Model
        As a Core's.
    decision : Decision
        When a word is told.
    target : Target
        As a Core's; its weights lie on the chip.

    Members
    -------
    pdm, pdm_valid, dropped, lost
        As a SoundPath's.
    told, word
        As a Decider's.
    s_weights_* : AXI4-Stream in
        As a Core's, where the target's weights must be loaded.

    Raises
    ------
    ValueError
        Where these do not fit together.
    """

    def __init__(
        self,
        front: FrontEnd,
        core: CoreParameters,
        model: Model,
        decision: Decision,
        target: Target = GENERIC,
    ) -> None:
        network = core.network
        for name, found, expected in (
            ("bands", front.bands, network.inputs),
            ("format activation", front.activation, network.formats.activation),
            ("classes", decision.classes, network.outputs),
            ("result_width", decision.result_width, network.output_width),
            ("results a beat", core.results_per_beat, 1),
            ("streams", core.streams, 1),
            ("training", core.training, None),
            ("weights outside", target.by_column, False),
        ):
            if found != expected:
                raise refusal(f"{name} of a listener", found, str(expected))
        self._path, self._core = SoundPath(front), Core(core, model, target)
        self._decider = Decider(decision)
        self._width = decision.result_width
        members = {
            "pdm": In(1),
            "pdm_valid": In(1),
            "dropped": Out(1),
            "lost": Out(1),
            "told": Out(1),
            "word": Out(max(1, ceil_log2(decision.classes))),
        }
        if self._core.loads:
            of_core = self._core.signature.members
            members |= {f"s_weights_{name}": of_core[f"s_weights_{name}"] for name in LOAD}
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.path = path = self._path
        m.submodules.core = core = self._core
        m.submodules.decider = decider = self._decider
        m.d.comb += [
            path.pdm.eq(self.pdm),
            path.pdm_valid.eq(self.pdm_valid),
            self.dropped.eq(path.dropped),
            self.lost.eq(path.lost),
            core.s_axis_tdata.eq(path.m_axis_tdata),
            core.s_axis_tvalid.eq(path.m_axis_tvalid),
            core.s_axis_tlast.eq(path.m_axis_tlast),
            path.m_axis_tready.eq(core.s_axis_tready),
            decider.i.payload.value.eq(core.m_axis_tdata[: self._width]),
            decider.i.payload.last.eq(core.m_axis_tlast),
            decider.i.valid.eq(core.m_axis_tvalid),
            core.m_axis_tready.eq(decider.i.ready),
            self.told.eq(decider.told),
            self.word.eq(decider.word),
        ]
        if core.loads:
            m.d.comb += [
                core.s_weights_tdata.eq(self.s_weights_tdata),
                core.s_weights_tvalid.eq(self.s_weights_tvalid),
                core.s_weights_tlast.eq(self.s_weights_tlast),
                self.s_weights_tready.eq(core.s_weights_tready),
            ]
        return m
