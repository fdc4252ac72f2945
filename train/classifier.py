"""From a dataset to a model file: train, quantise, choose formats, calibrate, judge, save."""

import platform
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from golden.errors import refusal
from golden.fixed import Q
from golden.model import Model, save_model
from golden.parameters import Formats
from train.data import Dataset, Floats, save_recordings
from train.fit import FitParameters, fit, reproducible
from train.formats import Candidate, cheapest
from train.gru import GRUClassifier, float_accuracy, float_network
from train.quantize import quantize_network
from train.score import Score, score
from train.thresholds import Budget, calibrate

CALIBRATION_SEED = 0  # as the split's: every training seed is measured on the same recordings
HELD_OUT_EVERY = 5  # of the test recordings, each fifth goes beside the model


@dataclass(frozen=True)
class Recipe:
    """What a task decides.

    Parameters
    ----------
    units, layers
        H and the number of GRU layers.
    fit
        How to train.
    formats
        What to try, cheapest first; the first that loses no more than ``format_tolerance`` nats
        to the best of them is taken.
    span
        Standard deviations of a feature that the activation format reaches from 0: features are
        scaled so that it does, and not centred, because the first layer's bias can do that.
    shifted_copies
        Formats and thresholds are measured on the validation part and this many copies of it,
        shifted as ``fit.sequence_noise`` says: a network that gets all of a small part right
        shows too late, and too jumpily, what a threshold costs it on another day's recordings.
    budget
        What thresholds may cost on those.
    """

    units: int
    layers: int
    fit: FitParameters
    formats: tuple[Formats, ...]
    format_tolerance: float
    span: float
    shifted_copies: int
    budget: Budget


SPEAKERS = Recipe(
    units=32,
    layers=1,
    fit=FitParameters(),
    formats=(
        Formats(),
        Formats(state=Q(1, 14)),
        Formats(activation=Q(2, 5), state=Q(2, 5)),
        Formats(activation=Q(2, 5), state=Q(1, 14)),
        Formats(activation=Q(1, 6), state=Q(1, 6)),
        Formats(activation=Q(1, 6), state=Q(1, 14)),
    ),
    format_tolerance=0.005,
    span=8.0,
    shifted_copies=3,
    budget=Budget(accuracy=0.01, loss=0.004),
)


def frames_path(model: Path) -> Path:
    """Where a model's held-out recordings lie: beside it."""
    return model.with_suffix(".frames.npz")


def train_classifier(
    data: Dataset, recipe: Recipe, output: Path, seed: int, progress: bool
) -> dict[str, Any]:
    """Writes the model to ``output`` and its recordings beside it; returns the report, for JSON.

    The same seed, versions and machine give the same files.
    """
    if not output.parent.is_dir():  # said before the work, not after it
        raise refusal(str(output.parent), "no folder", "a folder to write the model to")
    console = Console(stderr=True, quiet=not progress)
    mean, std = data.train.moments()
    with reproducible(seed):
        network = GRUClassifier(len(mean), recipe.units, len(data.labels), recipe.layers)
        fitted = fit(
            network,
            data.train.standardized(mean, std),
            data.validation.standardized(mean, std),
            recipe.fit,
            progress,
        )
        float_test = float_accuracy(network, data.test.standardized(mean, std))
    calibration = data.validation.with_shifted_copies(
        recipe.shifted_copies, recipe.fit.sequence_noise * std, CALIBRATION_SEED
    )

    def quantised(formats: Formats) -> tuple[Model, Floats]:
        """The model in these formats, and its input scale."""
        scale = input_scale(std, formats.activation, recipe.span)
        folded = deepcopy(network)
        folded.fold_input(gain=scale * std, offset=mean / std)
        layers = float_network(folded.gru, folded.readout)
        model = quantize_network(data.name, formats, layers, data.labels)
        return model, scale

    def measured(formats: Formats) -> Candidate:
        model, scale = quantised(formats)
        return Candidate(formats, score(model, calibration.quantized(scale, formats.activation)))

    with console.status("quantising") as status:
        candidates = [measured(formats) for formats in recipe.formats]
        model, scale = quantised(cheapest(candidates, recipe.format_tolerance))
        activation = model.parameters.formats.activation
        frames = calibration.quantized(scale, activation)

        def show(s: Score) -> None:
            status.update(f"calibrating: {s.macs:.0%} of the MACs, loss {s.loss:.4f}")

        delta = calibrate(model, frames, recipe.budget, show)

    test = data.test.quantized(scale, activation)
    held_out = test.pick(np.arange(0, len(test), HELD_OUT_EVERY))
    scores = _scores(len(test), float_test, score(model, test), score(delta, test))
    extra = {
        "source": data.source,
        "licence": data.licence,
        "input_scale": scale.tolist(),
        "readout": "sum",
        "training": {"seed": seed, "recipe": _recipe_record(recipe), "versions": versions()},
        "validation": {"recordings": len(data.validation), **asdict(fitted)},
        "calibration": _calibration(candidates, score(delta, frames), len(frames)),
        "scores": scores,
        "held_out": {
            "file": frames_path(output).name,
            "rule": f"every test recording k with k % {HELD_OUT_EVERY} == 0",
            "recordings": len(held_out),
            "frames": sum(len(x) for x in held_out.frames),
            "delta": score(delta, held_out).accuracy,
        },
    }
    save_recordings(held_out, frames_path(output))
    save_model(replace(delta, extra=extra), output)
    return {
        "task": data.name,
        "model": str(output),
        "frames": str(frames_path(output)),
        "formats": _format_record(delta.parameters.formats),
        "layers": [asdict(layer) for layer in delta.parameters.layers],
        **{key: extra[key] for key in ("scores", "held_out", "training")},
    }


def input_scale(std: Floats, activation: Q, span: float) -> Floats:
    """What each feature is multiplied by, float64 [I]: ``span`` deviations reach the range's end.

    Six digits: what the file says is what was used.
    """
    return np.array([float(f"{2.0**activation.m / (span * s):.6g}") for s in std])


def versions() -> dict[str, str]:
    """What the result depends on besides the seed."""
    packages = {name: version(name) for name in ("torch", "aeon", "numpy")}
    return {"python": platform.python_version(), **packages}


def _scores(recordings: int, real: float, quantised: Score, delta: Score) -> dict[str, Any]:
    """On the test part: accuracies, and what the delta network needs of the dense one's work."""
    return {
        "recordings": recordings,
        "float": real,
        "quantised": quantised.accuracy,
        "delta": delta.accuracy,
        "occupancy": delta.occupancy,
        "occupancy_at_threshold_0": quantised.occupancy,
        "mac_reduction": 1 / delta.macs,
    }


def _calibration(candidates: list[Candidate], delta: Score, recordings: int) -> dict[str, Any]:
    """What formats and thresholds were chosen by: measured on the shifted copies as well."""
    return {
        "recordings": recordings,
        "formats": [{**_format_record(c.formats), **asdict(c.score)} for c in candidates],
        "delta": asdict(delta),
    }


def _recipe_record(recipe: Recipe) -> dict[str, Any]:
    record = asdict(recipe)
    del record["formats"]  # "calibration" lists them, with what they scored
    return record


def _format_record(formats: Formats) -> dict[str, str]:
    return {name: str(q) for name, q in vars(formats).items()}
