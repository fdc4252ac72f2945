"""The training loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from train.data import Sequences
from train.gru import GRUClassifier, padded


@dataclass(frozen=True)
class FitParameters:
    """How to train.

    Parameters
    ----------
    epochs, batch, learning_rate, weight_decay
        Of AdamW under a one-cycle schedule.
    sequence_noise, frame_noise
        Standard deviation of what is added to the (standardised) features: one draw for a whole
        sequence, as another day or microphone would, and one for each frame. Small sets of
        recordings need both, and a delta network sees inputs that are off by up to a threshold.
    clip
        Largest norm of a gradient.
    """

    epochs: int = 100
    batch: int = 27
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    sequence_noise: float = 0.5
    frame_noise: float = 0.3
    clip: float = 1.0


@dataclass(frozen=True)
class FitRecord:
    """Which epoch (from 1) was kept, and its validation loss and accuracy."""

    epoch: int
    loss: float
    accuracy: float


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """A seed and a single thread inside, both as they were outside.

    With more threads the order of float sums, and so the result, would depend on the machine.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def fit(
    network: GRUClassifier,
    train: Sequences,
    validation: Sequences,
    parameters: FitParameters,
    progress: bool,
) -> FitRecord:
    """Trains ``network`` in place and leaves it as it was after its best epoch on validation."""
    frames, mask, labels = padded(train)
    optimizer = torch.optim.AdamW(
        network.parameters(), parameters.learning_rate, weight_decay=parameters.weight_decay
    )
    steps = parameters.epochs * -(-len(train) // parameters.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, parameters.learning_rate, total_steps=steps
    )
    best = FitRecord(0, float("inf"), 0.0)
    kept = deepcopy(network.state_dict())
    with _bar(progress) as bar:
        task = bar.add_task("training", total=parameters.epochs, loss=float("nan"))
        for epoch in range(1, parameters.epochs + 1):
            network.train()
            for batch in torch.randperm(len(train)).split(parameters.batch):
                x = _noisy(frames[batch], parameters)
                loss = nn.functional.cross_entropy(network(x, mask[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), parameters.clip)
                optimizer.step()
                schedule.step()
            record = _validate(network, validation, epoch)
            if record.loss < best.loss:
                best, kept = record, deepcopy(network.state_dict())
            bar.update(task, advance=1, loss=record.loss)
    network.load_state_dict(kept)
    network.eval()
    return best


def _noisy(frames: torch.Tensor, parameters: FitParameters) -> torch.Tensor:
    n, length, inputs = frames.shape
    return (
        frames
        + parameters.sequence_noise * torch.randn(n, 1, inputs)
        + parameters.frame_noise * torch.randn(n, length, inputs)
    )


@torch.no_grad()
def _validate(network: GRUClassifier, data: Sequences, epoch: int) -> FitRecord:
    network.eval()
    frames, mask, labels = padded(data)
    logits = network(frames, mask)
    loss = float(nn.functional.cross_entropy(logits, labels))
    return FitRecord(epoch, loss, float((logits.argmax(dim=1) == labels).double().mean()))


def _bar(visible: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("validation loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not visible,
    )
