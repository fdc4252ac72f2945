"""A delta network from scratch: events from the first training step, and what they save.

Beside it, by the method "dense", the same network with thresholds 0, which skips nothing: the same
beginning, batches and noise.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from train.course.fit import reproducible
from train.course.methods import METHODS
from train.course.operations import Meter
from train.course.recipe import Task
from train.course.tuner import Tuner, scaled
from train.course.writing import training_record, write
from train.data.recordings import Dataset
from train.nets.delta_rnn import DeltaRNN
from train.nets.float_rnn import FloatRNN


def beginning(task: Task, data: Dataset, method: str) -> tuple[Tuner, DeltaRNN]:
    """A network with random weights, in the first of the recipe's formats, and who trains it."""
    recipe = task.recipe
    formats = recipe.formats[0]
    mean, std = data.train.moments()
    random = FloatRNN(len(mean), recipe.units, data.outputs, recipe.layers, recipe.cell)
    network, scale = scaled(random, mean, std, formats.activation, recipe.span)
    tuner = Tuner(task.goal, recipe, METHODS[method], formats, scale)
    return tuner, tuner.network(network)


def train_from_scratch(
    task: Task,
    data: Dataset,
    method: str,
    output: Path,
    seed: int,
    progress: bool,
    checkpoint: Path | None,
) -> dict[str, Any]:
    """By a method of SCRATCH, with the recipe's ``fit``; as ``train_task``.

    The report and the file have the record of every epoch (train/course/operations.py).
    """
    meter = Meter(METHODS[method].deltas)
    with reproducible(seed):
        tuner, network = beginning(task, data, method)
        record = tuner.fit(network, data, task.recipe.fit, progress, checkpoint, meter)
    model = network.exported(data.name, data.labels)
    epochs = [asdict(epoch) for epoch in meter.epochs]
    made = {
        "training": {**training_record(task.recipe, method, seed), "epochs": epochs},
        "validation": {"recordings": len(data.validation), "tuned": asdict(record)},
        "input_scale": tuner.scale.tolist(),
    }
    test = data.test.quantized(tuner.scale, tuner.formats.activation)
    return write(task.goal, data, replace(model, extra=made), test, {}, output)
