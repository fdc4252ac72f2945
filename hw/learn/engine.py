"""An engine with its trainer: frames and labels in, results out, and a network that learns."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect, flipped

from golden.learn import masters
from golden.learn.formats import LearningFormats
from golden.learn.tape import TapeSize
from golden.model import Model
from golden.parameters import CoreParameters
from hw.engine import Engine
from hw.learn.trainer import Trainer
from hw.target import GENERIC, Target


class LearningEngine(wiring.Component):
    """The Engine with a Trainer at its port of learning.

    Parameters
    ----------
    core : CoreParameters
        One that trains; its accumulators are those of golden.learn.masters.widened.
    model : Model
        What its masters are at power-up.
    tape : TapeSize
        Its tape's room.
    learning : LearningFormats
        Formats of errors, slopes and masters.
    target : Target
        Whose primitives it is made of.

    Members
    -------
    Those of hw.engine.Engine without ``learning``, and of hw.learn.trainer.Trainer without
    ``engine``.
    """

    def __init__(
        self,
        core: CoreParameters,
        model: Model,
        tape: TapeSize,
        learning: LearningFormats,
        target: Target = GENERIC,
    ) -> None:
        self._engine = Engine(core, model, target)
        made = masters.of_model(model, learning)
        self._trainer = Trainer(core, made, tape, learning, target)
        members = {**self._engine.signature.members, **self._trainer.signature.members}
        del members["engine"], members["learning"]
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.engine = engine = self._engine
        m.submodules.trainer = trainer = self._trainer
        connect(m, engine.learning, trainer.engine)
        for part in (engine, trainer):
            for name, member in part.signature.members.items():
                if name in self.signature.members:
                    inner, outer = getattr(part, name), getattr(self, name)
                    if member.is_signature:
                        connect(m, inner, flipped(outer))
                    elif member.dimensions:
                        m.d.comb += [i.eq(o) for i, o in zip(inner, outer, strict=True)]
                    else:
                        to, of = (inner, outer) if member.flow == In else (outer, inner)
                        m.d.comb += to.eq(of)
        return m
