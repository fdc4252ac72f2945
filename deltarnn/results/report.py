"""What the runs say, as data: every figure of the tables and pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deltarnn.results.studies import CLIMBER, IncrementalStudy, ScratchStudy, Study
from golden.kinds import KINDS
from golden.model import Model
from golden.model_file import load_model
from golden.parameters import CoreParameters
from sim.simulate import simulate
from sim.simulator import Simulator
from train.course.goals import Value
from train.course.writing import frames_path
from train.data.recordings import load_recordings

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
        found["studies"][name] = _ENTRIES[type(study)](study, folder, simulator)
    return found


def _of_methods(study: Study, folder: Path, simulator: Simulator) -> dict[str, Any]:
    methods = {method: _method(study.models(folder, method)) for method in study.methods}
    entry: dict[str, Any] = {"methods": methods}
    best = study.path(folder, study.methods[-1], study.seeds[0])
    if not study.name.startswith(f"{CLIMBER}_"):
        entry["formats"] = load_model(best).extra["formats_tried"]
        entry["cycles"] = _cycles(best, simulator)
        goal = study.task().goal
        if isinstance(goal, Value):
            entry["persistence"] = goal.persistence(load_recordings(frames_path(best)).labels)
    return entry


def _method(runs: list[Model]) -> dict[str, Any]:
    scores = [run.extra["scores"] for run in runs]
    figures = ("float", "quantised", "delta", "occupancy_x", "occupancy_h", "mac_reduction")
    return {
        **_network(runs),
        **{figure: _spread([score[figure] for score in scores]) for figure in figures},
        "sweeps": [run.extra["sweep"] for run in runs],
    }


def _network(runs: list[Model]) -> dict[str, Any]:
    """What all runs of a method say of themselves."""
    scores, parameters = runs[0].extra["scores"], runs[0].parameters
    unused = {kind.state for kind in KINDS.values()}
    unused -= {KINDS[layer.kind].state for layer in parameters.recurrent}
    return {
        "unit": scores["unit"],
        "recordings": scores["recordings"],
        "seeds": [run.extra["training"]["seed"] for run in runs],
        "network": [parameters.inputs, *(layer.units for layer in parameters.layers)],
        "weights": parameters.weights,
        "formats": {k: str(q) for k, q in vars(parameters.formats).items() if k not in unused},
        "thresholds": [
            [[layer.theta_x, layer.theta_h] for layer in run.parameters.layers] for run in runs
        ],
    }


def _from_scratch(study: Study, folder: Path, simulator: Simulator) -> dict[str, Any]:
    """Errors of the test part, what training cost to its last epoch, cycles of what came of it."""
    methods = {}
    for method in study.methods:
        runs = study.models(folder, method)
        epochs = [run.extra["training"]["epochs"] for run in runs]
        scores = [run.extra["scores"] for run in runs]
        figures = {"error": "delta", "mac_reduction": "mac_reduction"}
        methods[method] = {
            **_network(runs),
            **{name: _spread([s[figure] for s in scores]) for name, figure in figures.items()},
            **_training([each[-1] for each in epochs]),
            **{
                key: _spread([float(np.mean([epoch[key] for epoch in each])) for each in epochs])
                for key in ("occupancy_x", "occupancy_h")
            },
            "epochs": epochs,
        }
    core = study.path(folder, study.methods[-1], study.seeds[0])
    return {"scratch": methods, "cycles": _cycles(core, simulator)}


def _in_increments(study: Study, folder: Path, _: Simulator) -> dict[str, Any]:
    """Errors of the test part after each step, and what the step cost."""
    methods = {}
    for method in study.methods:
        runs = study.models(folder, method)
        steps = zip(*(run.extra["training"]["steps"] for run in runs), strict=True)
        methods[method] = {
            **_network(runs),
            "steps": [
                {
                    **{key: together[0][key] for key in ("known", "sequences")},
                    **{k: _spread([step[k] for step in together]) for k in ("error", "old", "new")},
                    **_training(together),
                }
                for together in steps
            ],
        }
    return {"increments": methods}


def _training(runs: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Multiply-accumulates, and their share of the dense network's."""
    return {
        "operations": _spread([run["operations"] for run in runs]),
        "share": _spread([run["operations"] / run["dense"] for run in runs]),
    }


_ENTRIES: dict[type[Study], Callable[[Study, Path, Simulator], dict[str, Any]]] = {
    Study: _of_methods,
    ScratchStudy: _from_scratch,
    IncrementalStudy: _in_increments,
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
