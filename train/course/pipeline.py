"""From a dataset to a model file: train, quantise, choose formats, train on as a delta network,
choose thresholds, judge, save. Or all of the training as a delta network.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from golden.errors import refusal
from golden.formats import Formats
from golden.model import Model
from train.course.fit import Fit, FitRecord, reproducible
from train.course.formats import Candidate, cheapest
from train.course.goals import padded, unpadded
from train.course.methods import METHODS
from train.course.recipe import Task
from train.course.score import Score
from train.course.scratch import train_from_scratch
from train.course.tuner import Tuner, scaled
from train.course.twin import Twin
from train.course.writing import format_record, training_record, write
from train.data.recordings import Dataset, Floats, Sequences
from train.nets.float_rnn import FloatRNN
from train.quantised.float_network import FloatNetwork
from train.quantised.quantize import quantize_network
from train.quantised.thresholds import Step, Thresholds, descend, with_thresholds
from train.quantised.thresholds import thresholds as thresholds_of

CALIBRATION_SEED = 0  # as the split's: every training seed is measured on the same recordings
SWEPT = 8  # of the thresholds passed on the way, how many are measured on the test part


@dataclass(frozen=True)
class Pretrained:
    """A float network on standardised features, and how it does.

    Attributes
    ----------
    network
        What torch trained.
    mean, std : float64 [I]
        Mean and deviation of the features it takes.
    fitted
        Its record on the validation part.
    error
        On the test part, in the goal's unit.
    """

    network: FloatRNN
    mean: Floats
    std: Floats
    fitted: FitRecord
    error: float

    def scaled(self, formats: Formats, span: float) -> tuple[FloatNetwork, Floats]:
        """The float network that takes scaled features, and the scale [I]."""
        return scaled(self.network, self.mean, self.std, formats.activation, span)


def checkpoint_path(model: Path, part: str) -> Path:
    """Where an unfinished run is kept: beside the model it will be."""
    return model.with_name(f"{model.stem}.{part}.checkpoint")


def train_task(task: Task, method: str, output: Path, seed: int, progress: bool) -> dict[str, Any]:
    """Writes the model to ``output`` and its recordings beside it; returns the report, for JSON.

    The same seed, versions and machine give the same files. A run that was interrupted left
    checkpoints beside ``output`` and goes on from them.
    """
    if not output.parent.is_dir():  # said before the work, not after it
        raise refusal(str(output.parent), "no folder", "a folder to write the model to")
    if method not in METHODS:
        raise refusal("method", repr(method), " or ".join(METHODS))
    data = task.load()
    tune_checkpoint = checkpoint_path(output, "tune")
    if METHODS[method].scratch:
        report = train_from_scratch(task, data, method, output, seed, progress, tune_checkpoint)
    else:
        pretrained = pretrain(task, data, seed, progress, checkpoint_path(output, "float"))
        report = finish(task, data, pretrained, method, output, seed, progress, tune_checkpoint)
    for part in ("float", "tune"):
        checkpoint_path(output, part).unlink(missing_ok=True)
    return report


def pretrain(
    task: Task, data: Dataset, seed: int, progress: bool, checkpoint: Path | None
) -> Pretrained:
    """The float network of a task."""
    mean, std = data.train.moments()
    recipe = task.recipe
    with reproducible(seed):
        network = FloatRNN(len(mean), recipe.units, data.outputs, recipe.layers, recipe.cell)
        fitted = Fit(task.goal, recipe.fit, checkpoint=checkpoint, title="float network").run(
            network,
            data.train.standardized(mean, std),
            data.validation.standardized(mean, std),
            progress,
        )
        frames, _ = padded(data.test.standardized(mean, std).frames)
        with torch.no_grad():
            outputs = unpadded(network(frames).outputs, data.test.frames)
        error = task.goal.error(outputs, data.test.labels)
    return Pretrained(network, mean, std, fitted, error)


def finish(
    task: Task,
    data: Dataset,
    pretrained: Pretrained,
    method: str,
    output: Path,
    seed: int,
    progress: bool,
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """From the float network to the model file, by one of the methods; as ``train_task``."""
    formats, candidates = choose_formats(task, data, pretrained, progress)
    network, scale = pretrained.scaled(formats, task.recipe.span)
    if METHODS[method].rounds:
        tuner = Tuner(task.goal, task.recipe, METHODS[method], formats, scale)
        with reproducible(seed):
            delta_rnn = tuner.network(network)
            fitted = tuner.fit(delta_rnn, data, task.recipe.tune, progress, checkpoint)
        model = delta_rnn.exported(data.name, data.labels)
    else:
        model, fitted = quantize_network(data.name, formats, network, data.labels), None
    made = {
        "training": training_record(task.recipe, method, seed),
        "validation": {
            "recordings": len(data.validation),
            "float": asdict(pretrained.fitted),
            "tuned": fitted and asdict(fitted),
        },
        "formats_tried": [{**format_record(c.formats), **asdict(c.score)} for c in candidates],
        "input_scale": scale.tolist(),
    }
    return judge(task, data, pretrained, replace(model, extra=made), output, progress)


def choose_formats(
    task: Task, data: Dataset, pretrained: Pretrained, progress: bool
) -> tuple[Formats, list[Candidate]]:
    """The cheapest that lose nothing, and how all of the recipe's do, at thresholds 0."""
    calibration = _calibration(task, data, pretrained)

    def measured(formats: Formats) -> Candidate:
        network, scale = pretrained.scaled(formats, task.recipe.span)
        model = quantize_network(data.name, formats, network, data.labels)
        frames = calibration.quantized(scale, formats.activation)
        return Candidate(formats, Twin(model, frames, task.goal).measure([_zeros(model)])[0])

    with Console(stderr=True, quiet=not progress).status("choosing formats"):
        candidates = [measured(formats) for formats in task.recipe.formats]
    return cheapest(candidates, task.recipe.format_tolerance), candidates


def judge(
    task: Task,
    data: Dataset,
    pretrained: Pretrained,
    model: Model,
    output: Path,
    progress: bool,
) -> dict[str, Any]:
    """Raises the thresholds of ``model`` within the budget, scores it on the test part, writes it.

    ``model.extra`` says how it was made, with the input's scale.
    """
    goal, budget = task.goal, task.recipe.budget
    formats, start = model.parameters.formats, thresholds_of(model)
    scale = np.array(model.extra["input_scale"])
    frames = _calibration(task, data, pretrained).quantized(scale, formats.activation)
    test = data.test.quantized(scale, formats.activation)
    with Console(stderr=True, quiet=not progress).status("choosing thresholds") as status:
        twin = Twin(model, frames, goal)
        (first,) = twin.measure([start])
        wrong = max(pretrained.fitted.error, first.error) + budget.error
        ceiling = first.loss + budget.loss
        path = descend(
            start,
            formats.activation.max,
            twin.measure,
            lambda then: then.error <= wrong and then.loss <= ceiling,
            lambda then: status.update(f"{then.macs:.1%} of the MACs, loss {then.loss:.4f}"),
        )
        delta = with_thresholds(model, path[-1].thresholds)
        on_test = Twin(model, test, goal)
        (at_zero,) = on_test.measure([_zeros(model)])
        sweep = _sweep(path, on_test)

    calibration = {
        "recordings": len(frames),
        "start": asdict(first),
        "delta": asdict(path[-1].measured),
        "steps": len(path) - 1,
    }
    before = {
        "float": pretrained.error,
        "quantised": at_zero.error,
        "mac_reduction_at_threshold_0": 1 / at_zero.macs,
    }
    extra = {**model.extra, "calibration": calibration, "sweep": sweep}
    return write(goal, data, replace(delta, extra=extra), test, before, output)


def _calibration(task: Task, data: Dataset, pretrained: Pretrained) -> Sequences:
    """What formats and thresholds are measured on."""
    recipe = task.recipe
    deviation = recipe.fit.sequence_noise * pretrained.std
    return data.validation.with_shifted_copies(recipe.shifted_copies, deviation, CALIBRATION_SEED)


def _zeros(model: Model) -> Thresholds:
    return (0,) * len(thresholds_of(model))


def _sweep(path: list[Step[Score]], twin: Twin) -> list[dict[str, Any]]:
    """Some of the thresholds on the way, first and last with them, on other frames."""
    chosen = np.unique(np.linspace(0, len(path) - 1, SWEPT).round().astype(int))
    tried = [path[n].thresholds for n in chosen]
    return [
        {"thresholds": list(values), **asdict(found)}
        for values, found in zip(tried, twin.measure(tried), strict=True)
    ]
