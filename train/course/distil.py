"""A network trained elsewhere is tuned to deltas, without labels: its float network is the teacher.

The delta network learns to give what the float network gives, in the core's arithmetic and with
thresholds. It goes in rounds: thresholds go up until the error is well beyond its limit, training
brings it back, and thresholds are chosen anew, on frames that training has not seen. What is
reported is measured on others, which neither has seen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from golden.errors import refusal
from golden.features import Features
from golden.model import Model
from train.course.fit import Fit, FitParameters, reproducible
from train.course.score import Score, score
from train.course.twin import Twin
from train.data.recordings import Floats, Labels, Sequences
from train.nets.delta_rnn import DeltaRNN
from train.quantised.float_network import FloatNetwork
from train.quantised.thresholds import Step, Thresholds, descend, thresholds, with_thresholds

LIMIT = 1.5  # times the error at thresholds 0
USABLE = 1.0  # of the results' spread: with a larger error a model is another network's
LEAST_FRAMES = 60  # of a recording
PIECE, HOP = 128, 64  # frames of a piece that training takes, and from one to the next
_THETA_FRAC = 6  # fraction bits in which thresholds are searched
_FEWEST = 0.15  # of the dense network's fetches: the search ends there
_FINER = 4  # times, when the limit is near
_POINTS = 10  # of a curve


@dataclass(frozen=True)
class Course:
    """How to tune.

    Parameters
    ----------
    rounds, steps
        Rounds, and about how many batches each trains with.
    batch, learning_rate
        Of AdamW; the rate is divided by the root of the columns of the widest layer, whose products
        would else move the further the wider it is.
    over
        Times the limit: the error at whose thresholds a round begins to train.
    """

    rounds: int = 2
    steps: int = 40
    batch: int = 16
    learning_rate: float = 4e-3
    over: float = 1.5


@dataclass(frozen=True)
class Following:
    """Results like another network's: labels are those, float64 [T, O], and ``spread`` is the RMS
    of theirs about their mean. A goal (train/course/goals.py).
    """

    spread: float
    readout: str = "value"
    unit: str = "of the results' spread"
    output_scale: None = None

    @classmethod
    def of(cls, data: Sequences) -> "Following":
        """The goal of ``data``'s labels. Raises ValueError where they stay the same."""
        wanted = np.concatenate(data.labels)
        spread = float(np.sqrt(np.mean((wanted - wanted.mean(axis=0)) ** 2)))
        if not spread > 1e-12 * np.abs(wanted).max():
            found = "the same in every frame of a part of the recordings"
            raise refusal("results", found, "recordings that change throughout")
        return cls(spread)

    def loss(self, outputs: Tensor, mask: Tensor, labels: Labels) -> Tensor:
        wanted = torch.from_numpy(np.concatenate(labels))
        found = outputs[mask.bool()].double()
        return nn.functional.mse_loss(found, wanted) / self.spread**2

    def error(self, outputs: Sequence[np.ndarray], labels: Labels) -> float:
        squares = (np.concatenate(outputs) - np.concatenate(labels)) ** 2
        return float(np.sqrt(squares.mean())) / self.spread


@dataclass(frozen=True)
class Parts:
    """Recordings, each float [T, I] as the float network takes them: ``taught`` for the weights,
    ``chosen`` for the thresholds, ``judged`` for the report.
    """

    taught: tuple[Floats, ...]
    chosen: tuple[Floats, ...]
    judged: tuple[Floats, ...]

    @classmethod
    def of(cls, recordings: Mapping[str, Floats]) -> "Parts":
        """Judged is the last fifth of the recordings, or of the only one; chosen the last third of
        each of the others.

        Raises ValueError that says the name of one that is too short.
        """
        for name, x in recordings.items():
            if len(x) < LEAST_FRAMES:
                raise refusal(name, f"{len(x)} frames", f"at least {LEAST_FRAMES}")
        every = list(recordings.values())
        if len(every) == 1:
            (only,) = every
            rest, judged = [only[: -(len(only) // 5)]], [only[-(len(only) // 5) :]]
        else:
            apart = -(-len(every) // 5)
            rest, judged = every[:-apart], every[-apart:]
        return cls.parted(rest, judged)

    @classmethod
    def parted(cls, rest: Sequence[Floats], judged: Sequence[Floats]) -> "Parts":
        """The parts of those to judge with, and of the others."""
        cuts = [len(x) - len(x) // 3 for x in rest]
        return cls(
            tuple(x[:cut] for x, cut in zip(rest, cuts, strict=True)),
            tuple(x[cut:] for x, cut in zip(rest, cuts, strict=True)),
            tuple(judged),
        )


@dataclass(frozen=True)
class Distilled:
    """The tuned model and what was measured on the judged part.

    Attributes
    ----------
    model
        Tuned, thresholds included.
    limit
        What the error was to keep, on the part that thresholds are chosen on.
    scores
        By name: the model as it was at "thresholds 0", it with "thresholds alone", and "tuned".
    curves
        The last two over raised thresholds, beyond the limit.
    """

    model: Model
    limit: float
    scores: dict[str, Score]
    curves: dict[str, list[Step[Score]]]

    def at(self, fewer: float) -> dict[str, float | None]:
        """The least error of each curve with that many times fewer fetches than dense, or more;
        None where there is none.
        """
        return {
            name: min(
                (s.measured.error for s in curve if s.measured.macs * fewer <= 1), default=None
            )
            for name, curve in self.curves.items()
        }

    def record(self) -> dict[str, Any]:
        """For JSON: errors as fractions of the results' spread, fetches of the dense network's."""
        curves = {
            name: [{"thresholds": list(step.thresholds), **_told(step.measured)} for step in curve]
            for name, curve in self.curves.items()
        }
        scores = {name: _told(found) for name, found in self.scores.items()}
        return {"limit": self.limit, "scores": scores, "curves": curves}

    def saved(self, record: dict[str, Any]) -> Model:
        """The tuned model with its record."""
        return replace(self.model, extra={**self.model.extra, "tuning": record})


def _told(found: Score) -> dict[str, float]:
    return {
        "error": found.error,
        "fetches": found.macs,
        "occupancy_x": found.occupancy_x,
        "occupancy_h": found.occupancy_h,
    }


def require_same(model: Model, network: FloatNetwork, name: str) -> None:
    """Refuses a float network, called ``name``, of other layers than the model's."""

    def told(layers: Any, kinds: Sequence[str]) -> str:
        sizes = zip(kinds, layers, strict=True)
        return ", ".join(f"{kind} {layer.inputs} -> {layer.units}" for kind, layer in sizes)

    layers = model.parameters.layers
    found = told(network.layers, [getattr(each, "kind", "linear") for each in network.layers])
    expected = told(layers, [layer.kind for layer in layers])
    if found != expected:
        raise refusal(name, found, f"{expected}, as the model has")


def distil(
    model: Model,
    network: FloatNetwork,
    parts: Parts,
    *,
    limit: float | None = None,
    seed: int = 0,
    course: Course | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Distilled:
    """Tunes ``model`` to follow ``network``, of which it was made.

    Parameters
    ----------
    limit
        The error that thresholds may lead to, in the results' spread; None: LIMIT times the error
        at thresholds 0.
    report
        Is told in words of every step, for someone who waits.

    Raises
    ------
    ValueError
        Where the model does not follow the network at thresholds 0 either, or the network's
        results stay the same in all that is chosen or judged with.
    """
    report("asking the float network")
    features = Features.of(model)

    def followed(recordings: Sequence[Floats]) -> Sequences:
        codes = (features.frames(x) for x in recordings)
        return Sequences(tuple(codes), tuple(network.run(x) for x in recordings))

    def in_pieces(recordings: Sequence[Floats]) -> Sequences:
        return followed([piece for x in recordings for piece in _pieces(x)])

    taught, checked = in_pieces(parts.taught), in_pieces(parts.chosen)
    chosen, judged = followed(parts.chosen), followed(parts.judged)
    goal = Following.of(judged)
    zeros = (0,) * len(thresholds(model))
    dense = with_thresholds(model, zeros)
    first = score(dense, chosen, Following.of(chosen))
    if not first.error < USABLE:
        found = f"an error of {first.error:.0%} of their spread at thresholds 0"
        raise refusal("results of the model", found, "a model of this network")
    limit = LIMIT * first.error if limit is None else limit
    tuning = _Tuning(course or Course(), taught, checked, chosen, limit, report)
    plain = tuning.raised(dense)
    with reproducible(seed):
        best = tuning.run(dense, plain)
    report("measuring")

    def curve(found: _Raised) -> list[Step[Score]]:
        path = tuning.raised(found.model, USABLE).path
        some = sorted({round(n * (len(path) - 1) / _POINTS) for n in range(_POINTS + 1)})
        tried = [path[n].thresholds for n in some]
        measured = Twin(found.model, judged, goal).measure(tried)
        return [Step(*each) for each in zip(tried, measured, strict=True)]

    tuned = with_thresholds(replace(best.model, extra=model.extra), best.fitting.thresholds)
    models = {
        "thresholds 0": dense,
        "thresholds alone": with_thresholds(dense, plain.fitting.thresholds),
        "tuned": tuned,
    }
    return Distilled(
        tuned,
        limit,
        {name: score(each, judged, goal) for name, each in models.items()},
        {"thresholds alone": curve(plain), "tuned": curve(best)},
    )


@dataclass(frozen=True)
class _Raised:
    """A model, a descent over its thresholds, and those of a finer one that keep the limit."""

    model: Model
    path: list[Step[Score]]
    fitting: Step[Score]


@dataclass(frozen=True)
class _Tuning:
    """What rounds share. ``checked`` is the chosen part in pieces, as training takes them."""

    course: Course
    taught: Sequences
    checked: Sequences
    chosen: Sequences
    limit: float
    report: Callable[[str], None]

    def raised(self, model: Model, most: float | None = None) -> _Raised:
        """From thresholds 0 to an error of ``most``."""
        most = self.course.over * self.limit if most is None else most
        activation = model.parameters.formats.activation
        twin = Twin(model, self.chosen, Following.of(self.chosen))
        size = 1 << max(0, activation.f - _THETA_FRAC)

        def path(start: Thresholds, most: float, size: int) -> list[Step[Score]]:
            return descend(
                start,
                activation.max,
                twin.measure,
                lambda then: then.error <= most and then.macs >= _FEWEST,
                lambda then: self._say("thresholds", then),
                size,
            )

        coarse = path((0,) * len(thresholds(model)), most, size)
        kept = _within(coarse, self.limit)
        fine = path(kept.thresholds, self.limit, max(1, size // _FINER))
        return _Raised(model, coarse, fine[-1])

    def run(self, model: Model, best: _Raised) -> _Raised:
        """The best of all rounds, and of ``best``, which is ``model`` with thresholds alone."""
        network, last = DeltaRNN.of(model, torch.float64), best
        columns = max(layer.columns for layer in model.parameters.layers)
        rate = self.course.learning_rate / columns**0.5
        for n in range(self.course.rounds):
            begin = _within(last.path, self.course.over * self.limit).thresholds
            self.report(f"round {n + 1} of {self.course.rounds}: training")
            self._train(network, begin, rate)
            last = self.raised(network.exported(model.name, model.labels))
            best = min(best, last, key=self._rank)
        return best

    def _train(self, network: DeltaRNN, begin: Thresholds, rate: float) -> None:
        course = self.course
        network.set_thresholds(begin)
        epochs = max(1, round(course.steps / -(-len(self.taught) // course.batch)))
        parameters = FitParameters(epochs, course.batch, rate, 0.0, 0.0, 0.0)
        lsb = network.formats.activation.scale
        taught, checked = (
            Sequences(tuple(x / lsb for x in part.frames), part.labels)
            for part in (self.taught, self.checked)
        )
        Fit(Following.of(taught), parameters).run(network, taught, checked, False)

    def _rank(self, found: _Raised) -> tuple[float, float]:
        """The error beyond the limit, then the fetches: less is better."""
        measured = found.fitting.measured
        return max(measured.error, self.limit), measured.macs

    def _say(self, what: str, found: Score) -> None:
        self.report(f"{what}: {found.macs:.0%} of the fetches, error {found.error:.4f}")


def _within(path: Sequence[Step[Score]], limit: float) -> Step[Score]:
    """The fewest fetches of those within the limit; the first where none is."""
    kept = [step for step in path if step.measured.error <= limit]
    return min(kept, key=lambda step: step.measured.macs, default=path[0])


def _pieces(x: np.ndarray) -> list[np.ndarray]:
    """Pieces that overlap, the last one at the end."""
    last = max(0, len(x) - PIECE)
    return [x[n : n + PIECE] for n in (*range(0, last, HOP), last)]
