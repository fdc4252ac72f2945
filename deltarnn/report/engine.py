"""What the engine does in the frames of a recording, for a page."""

from typing import Any

import numpy as np

from golden.model import Model
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from sim.timeline import runs, timeline

CYCLES = 3000  # of a page's timeline: simulated in seconds, or half a minute where a core is large
AROUND = 24  # cycles of a frame beyond its bound, about


def frames_for(core: CoreParameters, model: Model, frames: np.ndarray) -> int:
    """How many of the first frames take some CYCLES; one in any case."""
    trace = DeltaNetwork(model).run(frames)
    ends = np.cumsum(core.ideal_cycles(trace.events_x + trace.events_h) + AROUND)
    return max(1, int(np.searchsorted(ends, CYCLES, side="right")))


def timeline_record(
    core: CoreParameters, model: Model, frames: np.ndarray, recording: int
) -> dict[str, Any]:
    """Frames int [T, I] of the page's ``recording`` from reset, back to back, cycle by cycle.

    Returns the cycle in which each frame's last slot went out, each frame's events and bound, and
    for each part of the engine the runs of cycles in which it is busy (sim.timeline).
    """
    seen = timeline(core, model, frames)
    trace = DeltaNetwork(model).run(frames)
    events = trace.events_x + trace.events_h
    return {
        "recording": recording,
        "lanes": core.lanes,
        "finishes": seen.finishes.tolist(),
        "events": events.sum(axis=1).tolist(),
        "ideal": core.ideal_cycles(events).tolist(),
        "rows": {name: runs(row) for name, row in seen.rows.items()},
    }
