"""Who is busy when: the engine in Amaranth's simulator, looked into."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module, Mux, Value
from amaranth.sim import Simulator

from golden.model import Model
from golden.parameters import CoreParameters
from hw.engine import Engine
from hw.walk.layout import CoreLayout


@dataclass(frozen=True)
class Timeline:
    """Some frames of an engine, cycle by cycle.

    Attributes
    ----------
    rows : dict of int [cycles]
        For each thing to be looked at 0 where it is idle, else what it does: the walk's slots have
        layer * 8 + row + 1 (rows r, u, c of x, c of h; +4 where the slot has no event), all others
        1.
    finishes : int [frames]
        Cycle in which each frame's last slot went out.
    """

    rows: dict[str, np.ndarray]
    finishes: np.ndarray


class _OpenEngine(Engine):
    """An engine whose submodules can be reached once it has been elaborated."""

    def elaborate(self, platform) -> Module:
        self.module = super().elaborate(platform)
        return self.module


def timeline(core: CoreParameters, model: Model, frames: np.ndarray) -> Timeline:
    """Runs frames [T, I] back to back, with a result taken as soon as it is there.

    The thresholds are the model's.
    """
    engine = _OpenEngine(core, model)
    simulator = Simulator(engine)
    simulator.add_clock(1e-6)
    watched = _watched(engine, engine.module, core)
    seen: list[list[int]] = []
    most = (1 << core.network.formats.activation.width) - 1

    async def send(ctx):
        for k, layer in enumerate(core.network.layers):
            ctx.set(engine.theta_x[k], min(layer.theta_x, most))
            ctx.set(engine.theta_h[k], min(layer.theta_h or 0, most))
        for frame in frames:
            for column, value in enumerate(frame):
                ctx.set(engine.i.payload.value, int(value))
                ctx.set(engine.i.payload.last, column == len(frame) - 1)
                ctx.set(engine.i.valid, 1)
                await ctx.tick().until(engine.i.ready)
                ctx.set(engine.i.valid, 0)

    async def look(ctx):
        ctx.set(engine.o.ready, 1)
        left = len(frames)
        while left:
            _, _, *values = await ctx.tick().sample(*watched.values())
            seen.append(values)
            left -= values[0]

    simulator.add_testbench(send, background=True)
    simulator.add_testbench(look)
    simulator.run()
    table = np.array(seen).T
    rows = dict(zip(watched, table, strict=True))
    finish = rows.pop("finish")
    return Timeline(rows, np.flatnonzero(finish))


def _watched(engine: Engine, module: Module, core: CoreParameters) -> dict[str, Value]:
    """What is looked at, by the name that it has in the picture; ``finish`` first."""
    parts = module.submodules
    slot = parts.sequencer.o
    tag = slot.payload.tag
    of_h = slot.payload.segment ^ CoreLayout(core).x_last
    row = Mux(tag.row < 2, tag.row, 2 + of_h)
    recurrent = core.network.layers[-1].recurrent
    watched = {
        "finish": engine.finish,
        "elements come in": engine.i.valid & engine.i.ready,
        "events of x": parts.path_x.appends,
        "slots": slot.valid * (1 + row + 4 * ~slot.payload.event + 8 * tag.layer),
        "lanes multiply": parts.lanes.i.valid & (parts.lanes.i.payload.delta != 0),
        "rows are done": parts.lanes.o.valid,
        "units are sent": parts.readout.o.valid,
        "new h": parts.activation.o.valid,
        "events of h": parts.path_h.appends,
    }
    if len(core.network.layers) > 1:
        watched["events of x above"] = parts.path_above.appends
    if not recurrent:
        watched["units of the read-out"] = parts.readout.linear.valid
    watched["results go out"] = engine.o.valid & engine.o.ready
    return watched


def runs(row: np.ndarray, start: int = 0) -> list[list[int]]:
    """[first cycle, length, value] of every run of one value that is not 0."""
    edges = np.flatnonzero(np.diff(row)) + 1
    begins = [0, *edges.tolist()]
    ends = [*edges.tolist(), len(row)]
    return [
        [start + a, b - a, int(row[a])] for a, b in zip(begins, ends, strict=True) if row[a] != 0
    ]
