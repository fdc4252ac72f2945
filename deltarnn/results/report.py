"""What the runs say, as data: every figure of the tables and pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from deltarnn.results.studies import LADDER, Study, models
from golden.model import Model, load_model
from golden.parameters import CoreParameters
from sim.simulate import simulate
from sim.simulator import Simulator
from train.data import load_recordings
from train.goals import Value
from train.writing import frames_path

LANES, ACTIVATIONS = 8, 2  # of the cores that are simulated
SIMULATED_FRAMES = 4000  # of the held-out recordings, about


def report(
    wanted: dict[str, Study],
    folder: Path,
    simulator: Simulator,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Means over the seeds, with the least and the greatest; cycles of the first seed's core.

    Raises RuntimeError where RTL and golden differ in any bit.
    """
    found: dict[str, Any] = {"lanes": LANES, "activations": ACTIVATIONS, "studies": {}}
    for name, study in wanted.items():
        say(name)
        methods = {method: _method(models(study, folder, method)) for method in study.methods}
        entry: dict[str, Any] = {"methods": methods}
        found["studies"][name] = entry
        best = study.path(folder, study.methods[-1], study.seeds[0])
        if not name.startswith(f"{LADDER}_"):
            entry["formats"] = load_model(best).extra["formats_tried"]
            entry["cycles"] = _cycles(best, simulator)
            goal = study.task().goal
            if isinstance(goal, Value):
                entry["persistence"] = goal.persistence(load_recordings(frames_path(best)).labels)
    return found


def _method(runs: list[Model]) -> dict[str, Any]:
    scores = [run.extra["scores"] for run in runs]
    figures = ("float", "quantised", "delta", "occupancy_x", "occupancy_h", "mac_reduction")
    return {
        "unit": scores[0]["unit"],
        "recordings": scores[0]["recordings"],
        "seeds": [run.extra["training"]["seed"] for run in runs],
        "network": [runs[0].parameters.inputs, *(k.units for k in runs[0].parameters.layers)],
        "weights": runs[0].parameters.weights,
        "formats": {k: str(q) for k, q in vars(runs[0].parameters.formats).items()},
        "thresholds": [
            [[layer.theta_x, layer.theta_h] for layer in run.parameters.layers] for run in runs
        ],
        **{figure: _spread([score[figure] for score in scores]) for figure in figures},
        "sweeps": [run.extra["sweep"] for run in runs],
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "least": min(values), "greatest": max(values)}


def _cycles(path: Path, simulator: Simulator) -> dict[str, Any]:
    """The RTL of a model on some of its held-out recordings, against what the counts predict."""
    model, held_out = load_model(path), load_recordings(frames_path(path))
    lengths = np.cumsum([len(x) for x in held_out.frames])
    count = max(1, int(np.searchsorted(lengths, SIMULATED_FRAMES, side="right")))
    recordings = [x[:SIMULATED_FRAMES] for x in held_out.frames[:count]]
    core = CoreParameters(model.parameters, LANES, ACTIVATIONS)
    result = simulate(core, model, recordings, simulator)
    if result.mismatch is not None:
        raise RuntimeError(f"{path.name}: {result.mismatch}")
    figures = result.report()
    keys = ("words_compared", "frames", "ideal_cycles_per_frame", "cycles_per_frame")
    keys += ("dense_cycles_per_frame", "utilisation", "speedup_over_dense")
    return {"recordings": len(recordings), **{key: figures[key] for key in keys}}
