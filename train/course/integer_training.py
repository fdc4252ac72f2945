"""A task learned in integers, as a training core would, and the same with a float backward pass.

Both forward passes are docs/numerics.md with the same thresholds; both learn by plain gradient
descent with a learning rate that is a power of two, from the same weights, batches and noise. One
comes back by golden.learn.fixed_point, the other by train.nets.delta_rnn in float32.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from golden.fixed import Integers, quantize
from golden.formats import Formats
from golden.learn.fixed_point import Masters, Rounding, Trainee, TrainingFormats
from golden.parameters import LayerParameters
from golden.predict.learning_core import Work
from golden.readings import by_sum
from train.course.fit import reproducible
from train.data.recordings import Dataset, Floats, Sequences
from train.nets.delta_rnn import DeltaRNN
from train.quantised.float_network import FloatGRU, FloatLinear, FloatNetwork


@dataclass(frozen=True)
class Course:
    """How to learn.

    Parameters
    ----------
    units
        H of the one GRU layer.
    thresholds
        theta_x and theta_h of the GRU layer, theta_x of the read-out, in activation LSBs.
    rates
        Learning rates 2^-n of equal parts of the epochs, of the sum over a batch.
    sequence_noise, frame_noise
        As train.course.fit.FitParameters.
    """

    units: int = 32
    thresholds: tuple[int, int, int] = (6, 4, 0)
    epochs: int = 36
    batch: int = 9
    rates: tuple[int, ...] = (3, 4, 5)
    sequence_noise: float = 0.5
    frame_noise: float = 0.3
    formats: Formats = Formats()  # noqa: RUF009  # frozen


@dataclass(frozen=True)
class Learned:
    """What came of it.

    Attributes
    ----------
    error
        The fraction wrong on the test part.
    loss
        The mean over the last epoch, while it learned.
    learner
        The network, which has just seen the test part.
    mask : float64 [n, T]
        1 on the frames of the test part.
    """

    error: float
    loss: float
    learner: "Learner"
    mask: Floats


class Learner(Protocol):
    """A network that can be taught by errors of its results."""

    def forward(self, frames: Integers) -> Floats:
        """Results [B, T, O], real numbers, of frames [B, T, I] in activation LSBs."""
        ...

    def occupancy(self, mask: Floats) -> float:
        """The fraction of all weights that the last frames, mask [B, T], fetched."""
        ...

    def learn(self, of_outputs: Floats, rate: int) -> None:
        """A step down dL/dresults [B, T, O] of the last frames, with learning rate 2^-rate."""
        ...


class InIntegers:
    """golden.learn.fixed_point."""

    def __init__(
        self, network: FloatNetwork, course: Course, training: TrainingFormats, rounding: Rounding
    ) -> None:
        self.rounding = rounding
        gru, readout = network.layers
        assert isinstance(gru, FloatGRU)
        assert isinstance(readout, FloatLinear)
        theta_x, theta_h, theta_o = course.thresholds
        layers = (
            LayerParameters("gru", gru.inputs, gru.units, 0, theta_x, theta_h),
            LayerParameters("linear", readout.inputs, readout.units, 0, theta_o),
        )
        none = np.zeros((readout.units, 0))
        reals = ((gru.weight_x, gru.weight_h, gru.bias), (readout.weight, none, readout.bias))
        masters = tuple(Masters(*(quantize(v, training.master) for v in each)) for each in reals)
        self.trainee = Trainee(course.formats, training, layers, masters)

    def forward(self, frames: Integers) -> Floats:
        outputs, self.tapes = self.trainee.forward(frames)
        frac = self.trainee.formats.accumulator_frac(self.trainee.frac(1))
        return np.ldexp(outputs.astype(np.float64), -frac)

    def occupancy(self, mask: Floats) -> float:
        fetched, dense = 0.0, 0.0
        for tape, layer in zip(self.tapes, self.trainee.layers, strict=True):
            for deltas in (tape.deltas_x, tape.deltas_h):
                fetched += (
                    layer.gates * layer.units * float((deltas != 0).sum(axis=2)[mask.T > 0].sum())
                )
            dense += layer.weights * float(mask.sum())
        return fetched / dense

    def work(self, mask: Floats) -> list[Work]:
        """What a core has to do for each sequence of the last frames."""
        return [
            Work.of_deltas(
                [tape.deltas_x[: int(frames), n] for tape in self.tapes],
                [tape.deltas_h[: int(frames), n] for tape in self.tapes],
            )
            for n, frames in enumerate(mask.sum(axis=1))
        ]

    def learn(self, of_outputs: Floats, rate: int) -> None:
        errors = quantize(of_outputs, self.trainee.training.error)
        gradients = self.trainee.backward(self.tapes, errors)
        self.trainee = self.trainee.updated(gradients, rate, self.rounding)


class InFloat:
    """train.nets.delta_rnn."""

    def __init__(self, network: FloatNetwork, course: Course) -> None:
        self.network, self.scale = (
            DeltaRNN(network, course.formats),
            course.formats.activation.scale,
        )
        self.network.set_thresholds(course.thresholds)

    def forward(self, frames: Integers) -> Floats:
        self.found = self.network(torch.from_numpy(frames).float() / self.scale)
        return np.asarray(self.found.outputs.detach(), dtype=np.float64)

    def occupancy(self, mask: Floats) -> float:
        fetched, dense = self.found.cost(torch.from_numpy(mask))
        return fetched / dense

    def learn(self, of_outputs: Floats, rate: int) -> None:
        parameters = list(self.network.parameters())
        gradients = torch.autograd.grad(
            self.found.outputs, parameters, torch.from_numpy(of_outputs).float()
        )
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= 2.0**-rate * gradient


def learn(
    data: Dataset, course: Course, seed: int, make: Callable[[FloatNetwork], Learner]
) -> Learned:
    """Teaches what ``make`` makes all of the training and validation parts, and tests it.

    Nothing is chosen by the test part: the last epoch is what counts.
    """
    taught = Sequences(
        (*data.train.frames, *data.validation.frames),
        np.concatenate([np.asarray(data.train.labels), np.asarray(data.validation.labels)]),
    )
    moments = taught.moments()
    taught, test = (part.standardized(*moments) for part in (taught, data.test))
    labels = np.asarray(taught.labels)
    rng = np.random.default_rng(seed)
    loss = 0.0
    with reproducible(seed):
        learner = make(initial(rng, taught.frames[0].shape[1], course.units, int(labels.max()) + 1))
        for epoch in range(course.epochs):
            rate = course.rates[epoch * len(course.rates) // course.epochs]
            order, loss = rng.permutation(len(taught)), 0.0
            for first in range(0, len(order), course.batch):
                which = order[first : first + course.batch]
                frames, mask = padded([taught.frames[n] for n in which])
                results = learner.forward(_noisy(rng, frames, course))
                lost, of_results = cross_entropy(results, mask, labels[which])
                learner.learn(of_results, rate)
                loss += lost / len(order)
        frames, mask = padded(test.frames)
        results = learner.forward(quantize(frames, course.formats.activation))
    found = np.array([by_sum(r[m > 0]) for r, m in zip(results, mask, strict=True)])
    error = float((found != np.asarray(test.labels)).mean())
    return Learned(error, loss, learner, mask)


def initial(rng: np.random.Generator, inputs: int, units: int, outputs: int) -> FloatNetwork:
    """PyTorch's own: uniform within 1 / sqrt(H)."""

    def draw(*shape: int) -> Floats:
        return rng.uniform(-(units**-0.5), units**-0.5, shape)

    rows = 3 * units
    gru = FloatGRU.with_bias(draw(rows, inputs), draw(rows, units), draw(4 * units))
    return FloatNetwork((gru, FloatLinear(draw(outputs, units), draw(outputs))))


def cross_entropy(results: Floats, mask: Floats, labels: np.ndarray) -> tuple[float, Floats]:
    """Summed over the batch, of the mean results of each sequence (train.course.goals.OneClass);
    and its derivative by results [B, T, O]. ``mask`` [B, T] is 1 on a frame.
    """
    weights = mask / mask.sum(axis=1, keepdims=True)
    means = np.einsum("bto,bt->bo", results, weights)
    means -= means.max(axis=1, keepdims=True)
    chances = np.exp(means) / np.exp(means).sum(axis=1, keepdims=True)
    said = np.arange(len(labels)), labels
    loss = -float(np.log(chances[said]).sum())
    chances[said] -= 1
    return loss, weights[:, :, None] * chances[:, None, :]


def padded(frames: Sequence[np.ndarray]) -> tuple[Floats, Floats]:
    """[n, T, I] of arrays [T, I], padded with zeros to the longest, and the mask [n, T]."""
    longest = max(len(x) for x in frames)
    batch, mask = (
        np.zeros((len(frames), longest, frames[0].shape[1])),
        np.zeros((len(frames), longest)),
    )
    for n, x in enumerate(frames):
        batch[n, : len(x)], mask[n, : len(x)] = x, 1
    return batch, mask


def _noisy(rng: np.random.Generator, frames: Floats, course: Course) -> Integers:
    n, length, inputs = frames.shape
    whole = course.sequence_noise * rng.standard_normal((n, 1, inputs))
    each = course.frame_noise * rng.standard_normal((n, length, inputs))
    return quantize(frames + whole + each, course.formats.activation)
