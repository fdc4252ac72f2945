"""An engine with its trainer: frames and labels in, results out, and a network that learns."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect, flipped

from golden.learn import masters
from golden.model import Model
from golden.parameters import CoreParameters
from hw.engine import Engine
from hw.learn.layout import LearningLayout
from hw.learn.port import host_port
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
    target : Target
        Whose primitives it is made of.

    Members
    -------
    Those of hw.engine.Engine without ``learning``, and

    host : In
        hw.learn.port.host_port.
    """

    def __init__(self, core: CoreParameters, model: Model, target: Target = GENERIC) -> None:
        self._engine = Engine(core, model, target)
        self.loads = self._engine.loads
        learning = LearningLayout(core).training.learning
        self._trainer = Trainer(core, masters.of_model(model, learning), target)
        members = dict(self._engine.signature.members)
        del members["learning"]
        super().__init__({**members, "host": In(host_port(core))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.engine = engine = self._engine
        m.submodules.trainer = trainer = self._trainer
        connect(m, engine.learning, trainer.engine)
        connect(m, flipped(self.host), trainer.host)
        for name, member in self.signature.members.items():
            if name == "host":
                continue
            inner, outer = getattr(engine, name), getattr(self, name)
            if member.is_signature:
                connect(m, inner, flipped(outer))
            elif member.dimensions:
                m.d.comb += [i.eq(o) for i, o in zip(inner, outer, strict=True)]
            else:
                to, of = (inner, outer) if member.flow == In else (outer, inner)
                m.d.comb += to.eq(of)
        return m
