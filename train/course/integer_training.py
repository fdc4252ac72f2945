"""A task learned as a core would, one sequence after another, and the same with float errors.

Both forward passes are docs/numerics.md with the same thresholds; both learn by plain gradient
descent with a learning rate that is a power of two, from the same weights and noise. One is
golden.learn.sequence; the other is train.nets.delta_rnn, which takes batches in lock step.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from golden.errors import refusal, require_int
from golden.fixed import Integers, quantize, rshift, sat
from golden.formats import Formats
from golden.learn.formats import RATE_OFFSET, LearningFormats
from golden.learn.loss import Verdict, hinge
from golden.learn.masters import Masters
from golden.learn.sequence import LearningNetwork
from golden.learn.tape import LayerTape
from golden.parameters import LayerParameters
from golden.readings import by_sum
from train.course.fit import reproducible
from train.data.recordings import Dataset, Floats, Sequences
from train.nets.delta_rnn import DeltaRNN
from train.nets.in_place import InPlace, Kept
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
    batch
        Sequences in lock step, where errors are floats.
    rates
        Learning rates 2^-n of equal parts of the epochs, of the sum over a batch.
    weight_frac
        f_w of both layers, where they are integers.
    window
        Frames of a chunk, which is learned before the next one comes, where errors are integers;
        None: a sequence is learned whole.
    sequence_noise, frame_noise
        As train.course.fit.FitParameters.
    """

    units: int = 32
    thresholds: tuple[int, int, int] = (6, 4, 0)
    epochs: int = 36
    batch: int = 9
    rates: tuple[int, ...] = (3, 4, 5)
    weight_frac: int = 6
    window: int | None = None
    sequence_noise: float = 0.5
    frame_noise: float = 0.3
    formats: Formats = Formats()  # noqa: RUF009  # frozen


@dataclass(frozen=True)
class Tested:
    """What a network makes of sequences.

    Attributes
    ----------
    results
        [T, O] of each.
    fired
        The fraction of all weights that their frames fetched: in chunks, where it learns in chunks.
    tapes
        Of each sequence, or of each of its chunks, and of each layer, where it was computed in
        integers.
    """

    results: list[Floats]
    fired: float
    tapes: Sequence[Sequence[LayerTape]] = ()


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
        What has learned.
    frames, tested
        The test part in activation LSBs, and what it made of that.
    """

    error: float
    loss: float
    learner: "Learner"
    frames: Sequence[Integers]
    tested: Tested


class Learner(Protocol):
    """A network that can be taught."""

    def test(self, frames: Sequence[Integers]) -> Tested:
        """Of sequences [T, I] in activation LSBs."""
        ...

    def learn(self, frames: Sequence[Integers], labels: Integers, rate: int) -> float:
        """Learns these sequences with learning rate 2^-rate; their losses, summed."""
        ...


class InIntegers:
    """golden.learn.sequence, compiled.

    Parameters
    ----------
    loss
        "hinge" of a label alone, or "softmax": errors from the host.
    cost
        lambda of the L1 cost on deltas, in error LSBs.
    known
        Classes that are known, the first ones; None: all of them.
    tell
        Is told of each sequence or chunk that is learned: its frames, what is said of it, which is
        its label or the host's errors, and register RATE.
    so_far
        A chunk's errors are of the mean of all results of the sequence so far, as a host can make
        them, and not of the chunk's own.
    opens
        Chunks begin with an opening frame. Without, M stays W v^ + b of the W before: for
        comparison.
    """

    def __init__(
        self,
        network: FloatNetwork,
        course: Course,
        loss: str,
        cost: int = 0,
        learning: LearningFormats | None = None,
        known: int | None = None,
        tell: Callable[[Integers, int | Integers, int], None] = lambda *_: None,
        so_far: bool = False,
        opens: bool = True,
    ) -> None:
        if loss not in ("hinge", "softmax"):
            raise refusal("loss", repr(loss), "'hinge' or 'softmax'")
        if course.window is not None:
            require_int("window", course.window, 1)
        gru, readout = network.layers
        assert isinstance(gru, FloatGRU)
        assert isinstance(readout, FloatLinear)
        self.loss, self.cost, learning = loss, cost, learning or LearningFormats()
        self.tell, self.known = tell, known or readout.units
        self.window, self.so_far, self.opens = course.window, so_far, opens
        theta_x, theta_h, theta_o = course.thresholds
        frac = course.weight_frac
        layers = (
            LayerParameters("gru", gru.inputs, gru.units, frac, theta_x, theta_h),
            LayerParameters("linear", readout.inputs, readout.units, frac, theta_o),
        )
        none = np.zeros((readout.units, 0))
        reals = (
            (np.column_stack([gru.weight_x, gru.bias_x]), _with(gru.weight_h, gru.bias_h)),
            (_with(readout.weight, readout.bias), none),
        )

        def master(real: Floats) -> Integers:
            code = np.floor(np.ldexp(real, learning.master_frac(frac)) + 0.5).astype(np.int64)
            return sat(code + learning.half, learning.range)

        masters = [Masters(*map(master, each)) for each in reals]
        self.network = LearningNetwork(course.formats, layers, masters, learning)
        self.compiled = InPlace(self.network)

    def test(self, frames: Sequence[Integers]) -> Tested:
        found, tapes = zip(*map(self.network.infer, frames), strict=True)
        if self.window:
            tapes = [tape for each in frames for tape in self._tapes(each)]
        return Tested([self._real(each) for each in found], self._fired(tapes), tapes)

    def _tapes(self, frames: Integers) -> Iterator[tuple[LayerTape, LayerTape]]:
        """Of each chunk of a sequence, and of both layers."""
        for _, kept in self._chunks(frames):
            none, no_slopes = kept.above[:, :0], kept.slopes[:, :0]
            yield LayerTape(kept.x, kept.h, kept.slopes), LayerTape(kept.above, none, no_slopes)

    def _chunks(self, frames: Integers) -> Iterator[tuple[Integers, Kept]]:
        """Each chunk's frames and what was kept of it. The next one is computed when it is asked
        for, with the masters as they are then.
        """
        window, carried = self.window or len(frames), self.compiled.reset()
        for first in range(0, len(frames), window):
            chunk = frames[first : first + window]
            yield chunk, self.compiled.infer(chunk, carried, self.opens or not first)

    def _fired(self, tapes: Sequence[Sequence[LayerTape]]) -> float:
        fetched, dense = 0, 0
        for of_layers in tapes:
            for layer, tape in zip(self.network.layers, of_layers, strict=True):
                of_h = tape.h[:, : layer.columns - layer.inputs]
                events = np.count_nonzero(tape.x[:, :-1]) + np.count_nonzero(of_h)
                fetched += events * layer.gates * layer.units
                dense += layer.weights * len(tape.x)
        return fetched / dense

    def _real(self, results: Integers) -> Floats:
        frac = self.network.formats.accumulator_frac(self.network.layers[-1].weight_frac)
        return np.ldexp(results.astype(np.float64), -frac)

    def learn(self, frames: Sequence[Integers], labels: Integers, rate: int) -> float:
        return sum(self._one(x, int(y), rate) for x, y in zip(frames, labels, strict=True))

    def _one(self, frames: Integers, label: int, rate: int) -> float:
        """The mean loss of its chunks."""
        sums, seen, losses = np.zeros(self.network.layers[-1].units, dtype=np.int64), 0, []
        for chunk, kept in self._chunks(frames):
            sums, seen = sums + kept.sums, seen + len(chunk)
            judged = (sums, seen) if self.so_far else (kept.sums, len(chunk))
            loss, said, e = self._judged(*judged, len(chunk), label)
            losses.append(loss)
            self.tell(chunk, said, RATE_OFFSET - rate)
            of_result = rshift(e, _halvings(len(chunk)))
            self.compiled.learn(kept, of_result, RATE_OFFSET - rate, self.cost)
        return float(np.mean(losses))

    def _judged(
        self, sums: Integers, frames: int, length: int, label: int
    ) -> tuple[float, int | Integers, Integers]:
        """The loss of sums [O] over so many frames, what is said, and e of a chunk's results."""
        readout, q = self.network.layers[-1], self.network.learning.error
        if self.loss == "hinge":
            frac = self.network.formats.accumulator_frac(readout.weight_frac)
            found = Verdict(sums, _halvings(frames), int(sums.argmax()))
            e = hinge(found, frac, self.network.learning, label, self.known)
            loss = float(np.square(e / q.scale).sum()) / 2
            return loss, e if self.so_far else label, e
        means = self._real(sums)[None, None] / frames
        loss, of_means = cross_entropy(means, np.ones((1, 1)), [label])
        e = quantize(of_means[0, 0] * 2.0 ** _halvings(length) / length, q)
        return loss, e, e


def _halvings(frames: int) -> int:
    """K = ceil(log2 T)."""
    return (frames - 1).bit_length()


def _with(weight: Floats, bias: Floats) -> Floats:
    return np.column_stack([weight, bias])


class InFloat:
    """train.nets.delta_rnn."""

    def __init__(self, network: FloatNetwork, course: Course) -> None:
        self.network, self.scale = (
            DeltaRNN(network, course.formats),
            course.formats.activation.scale,
        )
        self.network.set_thresholds(course.thresholds)

    def test(self, frames: Sequence[Integers]) -> Tested:
        batch, mask = padded(frames)
        found = self.network(torch.from_numpy(batch).float() / self.scale)
        results = np.asarray(found.outputs.detach(), dtype=np.float64)
        fetched, dense = found.cost(torch.from_numpy(mask))
        return Tested([r[m > 0] for r, m in zip(results, mask, strict=True)], fetched / dense)

    def learn(self, frames: Sequence[Integers], labels: Integers, rate: int) -> float:
        batch, mask = padded(frames)
        found = self.network(torch.from_numpy(batch).float() / self.scale)
        results = np.asarray(found.outputs.detach(), dtype=np.float64)
        loss, of_results = cross_entropy(results, mask, labels)
        parameters = list(self.network.parameters())
        gradients = torch.autograd.grad(
            found.outputs, parameters, torch.from_numpy(of_results).float()
        )
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= 2.0**-rate * gradient
        return loss


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
        learner = make(initial(rng, taught.frames[0].shape[1], course.units, data.outputs))
        for epoch in range(course.epochs):
            rate = course.rates[epoch * len(course.rates) // course.epochs]
            order, loss = rng.permutation(len(taught)), 0.0
            for first in range(0, len(order), course.batch):
                which = order[first : first + course.batch]
                frames = _noisy(rng, [taught.frames[n] for n in which], course)
                loss += learner.learn(frames, labels[which], rate) / len(order)
        frames = [quantize(x, course.formats.activation) for x in test.frames]
        tested = learner.test(frames)
    found = np.array([by_sum(results) for results in tested.results])
    error = float((found != np.asarray(test.labels)).mean())
    return Learned(error, loss, learner, frames, tested)


def initial(rng: np.random.Generator, inputs: int, units: int, outputs: int) -> FloatNetwork:
    """PyTorch's own: uniform within 1 / sqrt(H)."""

    def draw(*shape: int) -> Floats:
        return rng.uniform(-(units**-0.5), units**-0.5, shape)

    rows = 3 * units
    gru = FloatGRU.with_bias(draw(rows, inputs), draw(rows, units), draw(4 * units))
    return FloatNetwork((gru, FloatLinear(draw(outputs, units), draw(outputs))))


def cross_entropy(
    results: Floats, mask: Floats, labels: Sequence[int] | np.ndarray
) -> tuple[float, Floats]:
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


def _noisy(rng: np.random.Generator, frames: Sequence[Floats], course: Course) -> list[Integers]:
    """The frames in activation LSBs, with an offset of each sequence's own and noise."""
    made = []
    for x in frames:
        whole = course.sequence_noise * rng.standard_normal(x.shape[1])
        each = course.frame_noise * rng.standard_normal(x.shape)
        made.append(quantize(x + whole + each, course.formats.activation))
    return made
