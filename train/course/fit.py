"""The training loop."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from golden.errors import refusal
from golden.files import written_aside
from golden.fixed import Q
from train.course.goals import Goal, padded, unpadded
from train.course.operations import Meter
from train.data.recordings import Sequences
from train.nets.straight_through import to_grid

BUCKETS = 8  # batches that are sorted by length together, so that little is padded


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
    crop
        Frames of a sequence, at most, that an epoch takes, from anywhere in it; for labels frame by
        frame. Long streams are learned in such pieces.
    patience
        Epochs without a better validation loss after which to stop.
    """

    epochs: int = 100
    batch: int = 27
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    sequence_noise: float = 0.5
    frame_noise: float = 0.3
    clip: float = 1.0
    crop: int | None = None
    patience: int | None = None


@dataclass(frozen=True)
class FitRecord:
    """Which epoch (from 1) was kept, of how many, its validation loss (with the cost of its deltas)
    and error, and the MACs it needed of the dense network's.
    """

    epoch: int
    epochs: int
    loss: float
    error: float
    macs: float


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


@dataclass(frozen=True)
class Fit:
    """A training run: what is trained for what.

    Parameters
    ----------
    goal
        What the results are held against.
    parameters
        How.
    delta_cost
        Weight of the L1 cost on deltas.
    grid
        The format that inputs are rounded to, after the noise; None: they are not.
    checkpoint
        Where the run is kept after every epoch, and taken up again; None: nowhere.
    title
        What the progress bar says.
    meter
        Counts what training costs; the network must be a delta network then.
    """

    goal: Goal
    parameters: FitParameters
    delta_cost: float = 0.0
    grid: Q | None = None
    checkpoint: Path | None = None
    title: str = "training"
    meter: Meter | None = None

    def run(
        self, network: nn.Module, train: Sequences, validation: Sequences, progress: bool
    ) -> FitRecord:
        """Trains ``network`` in place and leaves it as it was after its best epoch on validation.

        An interrupt (ctrl-C) passes on to the caller; a checkpoint then holds the best epoch so
        far and whatever is needed to go on.
        """
        p = self.parameters
        optimizer = torch.optim.AdamW(
            network.parameters(), p.learning_rate, weight_decay=p.weight_decay
        )
        steps = p.epochs * -(-len(train) // p.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, p.learning_rate, total_steps=steps
        )
        moving: dict[str, Any] = {
            "network": network,
            "optimizer": optimizer,
            "schedule": schedule,
        }
        if self.meter is not None:
            moving["meter"] = self.meter
        identity = self._identity(network, train)
        first, best, kept = self._resumed(moving, network, identity)
        with _bar(progress) as bar:
            task = bar.add_task(self.title, total=p.epochs, completed=first, loss=best.loss, macs=1)
            for epoch in range(first + 1, p.epochs + 1):
                if p.patience is not None and epoch - best.epoch > p.patience:
                    break
                network.train()
                for which in _batches([len(x) for x in train.frames], p.batch):
                    loss = self._loss(network, train.pick(which))
                    optimizer.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(network.parameters(), p.clip)
                    optimizer.step()
                    schedule.step()
                record = self._validate(network, validation, epoch)
                if self.meter is not None:
                    self.meter.close(record.loss, record.error)
                if record.loss < best.loss:
                    best, kept = record, deepcopy(network.state_dict())
                self._keep(moving, epoch, best, kept, identity)
                bar.update(task, advance=1, loss=record.loss, macs=record.macs)
        network.load_state_dict(kept)
        network.eval()
        return best

    def _loss(self, network: nn.Module, data: Sequences) -> Tensor:
        if self.parameters.crop is not None:
            data = _cropped(data, self.parameters.crop)
        frames, mask = padded(data.frames)
        found = network(self._noisy(frames))
        if self.meter is not None:
            self.meter.count(found, mask)
        loss = self.goal.loss(found.outputs, mask, data.labels)
        return loss + self.delta_cost * found.moved(mask) if self.delta_cost else loss

    def _noisy(self, frames: Tensor) -> Tensor:
        n, length, inputs = frames.shape
        p = self.parameters
        noisy = (
            frames
            + p.sequence_noise * torch.randn(n, 1, inputs)
            + p.frame_noise * torch.randn(n, length, inputs)
        )
        return noisy if self.grid is None else to_grid(noisy, self.grid)

    @torch.no_grad()
    def _validate(self, network: nn.Module, data: Sequences, epoch: int) -> FitRecord:
        network.eval()
        frames, mask = padded(data.frames)
        found = network(frames if self.grid is None else to_grid(frames, self.grid))
        loss = float(self.goal.loss(found.outputs, mask, data.labels))
        if self.delta_cost:
            loss += self.delta_cost * float(found.moved(mask))
        macs = 1.0
        if found.sent:
            fetched, dense = found.cost(mask)
            macs = fetched / dense
        error = self.goal.error(unpadded(found.outputs, data.frames), data.labels)
        return FitRecord(epoch, self.parameters.epochs, loss, error, macs)

    def _keep(
        self,
        moving: dict[str, Any],
        epoch: int,
        best: FitRecord,
        kept: dict[str, Tensor],
        identity: str,
    ) -> None:
        if self.checkpoint is None:
            return
        state = {name: each.state_dict() for name, each in moving.items()}
        state |= {"epoch": epoch, "best": asdict(best), "kept": kept, "run": identity}
        state["random"] = torch.get_rng_state()
        with written_aside(self.checkpoint) as part:
            torch.save(state, part)

    def _resumed(
        self, moving: dict[str, Any], network: nn.Module, identity: str
    ) -> tuple[int, FitRecord, dict[str, Tensor]]:
        """The last epoch done, the best record and its weights: from the checkpoint if there is."""
        nothing = FitRecord(0, self.parameters.epochs, float("inf"), 1.0, 1.0)
        if self.checkpoint is None or not self.checkpoint.exists():
            return 0, nothing, deepcopy(network.state_dict())
        try:
            state = torch.load(self.checkpoint, weights_only=True)
        except Exception:  # torch raises whatever a broken file leads to
            raise refusal(
                str(self.checkpoint), "no checkpoint", "one of this run, or none: remove it"
            ) from None
        if state.get("run") != identity:
            raise refusal(str(self.checkpoint), "another run's checkpoint", "this run's: remove it")
        for name, each in moving.items():
            each.load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        return state["epoch"], FitRecord(**state["best"]), state["kept"]

    def _identity(self, network: nn.Module, train: Sequences) -> str:
        """What a run is that goes on where another was: the same recordings and shapes too."""
        digest = hashlib.sha256()
        for frames in train.frames:
            digest.update(frames.tobytes())
        shapes = [tuple(parameter.shape) for parameter in network.parameters()]
        return (
            f"{self.title} {torch.initial_seed()} {self.parameters} {self.delta_cost} {self.goal} "
            f"{shapes} {digest.hexdigest()}"
        )


def _batches(lengths: list[int], size: int) -> Iterator[np.ndarray]:
    """Indices of one epoch, batch by batch: in random order, lengths alike where it can be."""
    order = torch.randperm(len(lengths)).numpy()
    batches = []
    for bucket in np.split(order, range(BUCKETS * size, len(order), BUCKETS * size)):
        by_length = bucket[np.argsort([lengths[n] for n in bucket], kind="stable")]
        batches += np.split(by_length, range(size, len(bucket), size))
    for n in torch.randperm(len(batches)).numpy():
        yield batches[n]


def _cropped(data: Sequences, frames: int) -> Sequences:
    """``frames`` frames of each sequence, and of its labels, from a random first one."""
    starts = [int(torch.randint(max(len(x) - frames, 0) + 1, ())) for x in data.frames]
    return Sequences(
        tuple(x[s : s + frames] for x, s in zip(data.frames, starts, strict=True)),
        tuple(y[s : s + frames] for y, s in zip(data.labels, starts, strict=True)),
    )


def _bar(visible: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("validation loss {task.fields[loss]:.4f}, {task.fields[macs]:.1%} of the MACs"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not visible,
    )
