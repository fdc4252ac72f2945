"""A frame's timeline: who is busy when."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from deltarnn.bench.context import Bench, Context, figure
from golden.model import Model
from golden.network import DeltaNetwork
from sim.sweep import Shape, moving_frames, with_thresholds
from sim.timeline import runs, timeline


@dataclass(frozen=True)
class Scene:
    """A core at work, ``frames`` of its frames after the first ``settle`` ones.

    In each of them a fraction ``moving`` of its inputs moves; ``theta`` is h's.
    """

    shape: Shape
    moving: float
    theta: int
    settle: int
    frames: int


SCENES = (
    Scene(Shape("40 -> 128, 8 lanes", (40, 128), None, 8), 0.1, 12, settle=6, frames=1),
    Scene(Shape("40 -> 128, 8 lanes", (40, 128), None, 8), 0.02, 10, settle=12, frames=2),
    Scene(Shape("16 -> 16 -> 16, 8 lanes", (16, 16, 16), None, 8), 0.1, 8, settle=12, frames=2),
)
GATES = ("r", "u", "c of x", "c of h")
COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44")
IDLE_SLOT = "#ee6677"


def run(context: Context, scenes: tuple[Scene, ...] = SCENES) -> dict[str, Any]:
    """What every part does in the cycles around some frames in the steady state.

    For each row the runs of cycles in which it does the same: first cycle, length, what
    (sim.timeline.Timeline). Cycle 0 is the first one after the last slot of the frame before.
    """
    said = context.track("timeline", scenes, lambda scene: scene.shape.name)
    return {"scenes": [_scene(scene, context.seed) for scene in said]}


def _scene(scene: Scene, seed: int) -> dict[str, Any]:
    model: Model = with_thresholds(scene.shape.model(seed), scene.theta)
    core = scene.shape.core(model)
    rng = np.random.default_rng(seed)
    frames = moving_frames(rng, scene.settle + scene.frames + 2, core.network.inputs, scene.moving)
    seen = timeline(core, model, frames)
    trace = DeltaNetwork(model).run(frames)
    shown = slice(scene.settle, scene.settle + scene.frames)
    events = (trace.events_x + trace.events_h)[shown]
    start = int(seen.finishes[scene.settle - 1]) + 1
    finishes = [int(cycle) + 1 - start for cycle in seen.finishes[scene.settle - 1 :]]
    span = finishes[scene.frames]
    first, end = start - span // 12, start + span + max(span // 12, 30)
    columns = sum(layer.columns for layer in core.network.layers)
    return {
        "name": scene.shape.name,
        "layers": len(core.network.layers),
        "events": [int(n) for n in events.sum(axis=1)],
        "occupancy": float(events.sum(axis=1).mean()) / columns,
        "ideal_cycles": [int(n) for n in core.ideal_cycles(events)],
        "cycles": [b - a for a, b in pairwise(finishes)][: scene.frames],
        "from": first - start,
        "to": end - start,
        "finishes": [cycle for cycle in finishes if cycle <= end - start],
        "rows": {name: runs(row[first:end], first - start) for name, row in seen.rows.items()},
    }


def draw(report: dict[str, Any], path: Path) -> None:
    """A panel for each scene, a line for each part of the engine."""
    from matplotlib.patches import Patch

    scenes = report["scenes"]
    with figure(path, len(scenes), 1, (14, 4.2 * len(scenes))) as panels:
        for (axes,), scene in zip(panels, scenes, strict=True):
            rows = scene["rows"]
            for n, (name, found) in enumerate(rows.items()):
                bars = [(first, length) for first, length, _ in found]
                colours = [_colour(value) for *_, value in found] if name == "slots" else "0.35"
                axes.broken_barh(bars, (n - 0.28, 0.56), facecolors=colours, linewidth=0)
                if name == "slots" and scene["layers"] > 1:
                    _underline_layers(axes, found, n)
            for cycle in scene["finishes"]:
                axes.axvline(cycle, color="black", linewidth=1, linestyle=":")
            cycles = " and ".join(
                f"{taken} cycles (bound {ideal})"
                for taken, ideal in zip(scene["cycles"], scene["ideal_cycles"], strict=True)
            )
            axes.set_title(
                f"{scene['name']}, {100 * scene['occupancy']:.1f} % of columns fire: {cycles}",
                loc="left",
            )
            axes.set(xlim=(scene["from"], scene["to"]), ylim=(len(rows) - 0.4, -0.6))
            axes.set_yticks(range(len(rows)), list(rows))
            axes.set_xlabel("cycles since the last slot of the frame before")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(visible=True, axis="x", color="0.93")
            axes.set_axisbelow(True)
        patches = [Patch(color=c, label=g) for g, c in zip(GATES, COLOURS, strict=True)]
        patches.append(Patch(color=IDLE_SLOT, label="slot without an event"))
        top = panels[0][0].figure
        top.suptitle("Who is busy when; dotted: a frame's last slot")
        top.legend(
            handles=patches, loc="outside lower center", ncol=5, frameon=False, title="slots"
        )


def _colour(value: int) -> str:
    """The colour of a slot's value (sim.timeline.Timeline)."""
    what = (value - 1) % 8
    return IDLE_SLOT if what >= 4 else COLOURS[what]


def _underline_layers(axes: Any, found: list[list[int]], n: int) -> None:
    """The number of the layer below the slots that are its."""
    spans: list[list[int]] = []
    for first, length, value in found:
        layer = (value - 1) // 8
        if spans and spans[-1][2] == layer:
            spans[-1][1] = first + length
        else:
            spans.append([first, first + length, layer])
    for first, end, layer in spans:
        axes.text((first + end) / 2, n + 0.5, f"layer {layer}", ha="center", va="center", size=8)


def tables(report: dict[str, Any]) -> list[Table]:
    """How busy each part is between the frames' ends."""
    shown = []
    for scene in report["scenes"]:
        table = Table(title=f"timeline of {scene['name']}", title_justify="left")
        table.add_column("part")
        table.add_column("busy cycles", justify="right")
        span = scene["finishes"][len(scene["cycles"])]
        for name, found in scene["rows"].items():
            busy = sum(max(0, min(a + n, span) - max(a, 0)) for a, n, _ in found)
            table.add_row(name, f"{busy} of {span}")
        shown.append(table)
    return shown


TIMELINE = Bench(run, draw, tables)
