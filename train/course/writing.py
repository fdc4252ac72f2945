"""A model's file, with the recordings beside it and what must be said of it."""

import platform
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from golden.formats import Formats
from golden.model import Model
from golden.model_file import save_model
from train.course.goals import Goal
from train.course.recipe import Recipe
from train.course.score import score
from train.data.recordings import Dataset, Sequences, save_recordings

HELD_OUT = 75  # recordings, about, that go beside the model


def frames_path(model: Path) -> Path:
    """Where a model's held-out recordings lie: beside it."""
    return model.with_suffix(".frames.npz")


def write(
    goal: Goal,
    data: Dataset,
    model: Model,
    test: Sequences,
    before: dict[str, float],
    output: Path,
) -> dict[str, Any]:
    """Scores ``model`` on ``test``, writes it to ``output``; returns the report, for JSON.

    ``model.extra`` says how it was made, ``before`` what its forerunners scored there.
    """
    judged = score(model, test, goal)  # of what is written, golden's own word
    every = -(-len(test) // HELD_OUT)
    held_out = test.pick(np.arange(0, len(test), every))
    extra = {
        **model.extra,
        "source": data.source,
        "licence": data.licence,
        "readout": goal.readout,
        "scores": {
            "unit": goal.unit,
            "recordings": len(test),
            **before,
            "delta": judged.error,
            "occupancy_x": judged.occupancy_x,
            "occupancy_h": judged.occupancy_h,
            "mac_reduction": 1 / judged.macs,
        },
        "held_out": {
            "file": frames_path(output).name,
            "rule": f"every test recording k with k % {every} == 0",
            "recordings": len(held_out),
            "frames": sum(len(x) for x in held_out.frames),
            "delta": score(model, held_out, goal).error,
        },
    }
    if data.offset is not None:
        extra["input_offset"] = data.offset.tolist()
    if goal.output_scale is not None:
        extra["output_scale"] = goal.output_scale
    save_recordings(held_out, frames_path(output))
    save_model(replace(model, extra=extra), output)
    return {
        "task": data.name,
        "model": str(output),
        "frames": str(frames_path(output)),
        "formats": format_record(model.parameters.formats),
        "layers": [asdict(layer) for layer in model.parameters.layers],
        **{key: extra[key] for key in ("scores", "held_out", "training")},
    }


def training_record(recipe: Recipe, method: str, seed: int) -> dict[str, Any]:
    """What was asked for, and what else the result depends on."""
    packages = {name: version(name) for name in ("torch", "aeon", "numpy")}
    asked = asdict(recipe)
    del asked["formats"]  # the file has those that were taken
    return {
        "seed": seed,
        "method": method,
        "recipe": asked,
        "versions": {"python": platform.python_version(), **packages},
    }


def format_record(formats: Formats) -> dict[str, str]:
    """Each format by name."""
    return {name: str(q) for name, q in vars(formats).items()}
