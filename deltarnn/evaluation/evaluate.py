"""What a model makes of recordings: its answers, how right they are, and what they cost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from golden.errors import refusal
from golden.model import Model
from golden.network import Trace, run_sequences
from golden.parameters import CoreParameters
from golden.predict.inference import delta_cost, occupancy
from golden.readings import Answers
from golden.recordings import Recordings, Wanted

if TYPE_CHECKING:
    from train.quantised.float_network import FloatNetwork

TOGETHER = 1 << 22  # words of all events, about, that are computed at once


@dataclass(frozen=True)
class Evaluation:
    """Recordings, and the integer network's results on them; see ``evaluate``.

    Attributes
    ----------
    model
        The model.
    recordings
        Its classes as numbers.
    frames : per recording int [T, I]
        In activation LSBs.
    outputs : per recording int64 [T, O]
        In LSBs.
    events_x, events_h
        Fractions of columns that fired.
    fetches
        Weights fetched / those of the dense network.
    events : int64 [frames, layers]
        Events of every frame of all recordings in a row.
    """

    model: Model
    recordings: Recordings
    frames: Sequence[np.ndarray]
    outputs: Sequence[np.ndarray]
    events_x: float
    events_h: float
    fetches: float
    events: np.ndarray

    @cached_property
    def answers(self) -> Answers:
        return Answers.of(self.model)

    @cached_property
    def results(self) -> list[np.ndarray]:
        """float64 [T, O] of each recording, in their unit."""
        return [self.answers.results(each) for each in self.outputs]

    @cached_property
    def said(self) -> list[np.ndarray] | None:
        """The answer to each recording, where the model says how results are read."""
        reading = self.answers.reading
        return None if reading is None else [reading.answer(each) for each in self.results]

    @property
    def probability(self) -> list[np.ndarray] | None:
        """For each recording float64 [classes], or [T, classes] where each frame has a class; None
        where answers are no single classes.
        """
        reading = self.answers.reading
        if reading is None or reading.logits is None:
            return None
        return [reading.probability(each) for each in self.results]

    @property
    def error(self) -> float | None:
        """In the reading's unit; None where nothing is wanted."""
        return self.error_of(self.results)

    def error_of(self, results: Sequence[np.ndarray]) -> float | None:
        """The error of whoever gives these results [T, O] of each recording."""
        wanted, reading = self.recordings.wanted, self.answers.reading
        if wanted is None:
            return None
        assert reading is not None
        return reading.error([reading.answer(each) for each in results], wanted)

    @property
    def saturated(self) -> float:
        """The fraction of values that are at an end of the activation's range."""
        q = self.model.parameters.formats.activation
        values = np.concatenate([np.ravel(each) for each in self.frames])
        return float(np.mean((values == q.min) | (values == q.max)))

    @property
    def confusion(self) -> np.ndarray | None:
        """int64 [wanted, said]: how often; None where answers are no single classes."""
        said, wanted, reading = self.said, self.recordings.wanted, self.answers.reading
        if said is None or wanted is None or reading is None or not reading.countable:
            return None
        classes = self.model.parameters.outputs
        counts = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(counts, (_row(wanted), _row(said)), 1)
        return counts

    @property
    def mistakes(self) -> list[tuple[str, str, int]]:
        """What was wanted, what was said instead, and how often: the most frequent first."""
        counts = self.confusion
        if counts is None:
            return []
        wrong = counts - np.diag(np.diag(counts))
        places = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
        return [
            (self.answers.words(k), self.answers.words(n), int(wrong[k, n]))
            for k, n in zip(*np.unravel_index(places, wrong.shape), strict=True)
        ]

    def bound(self, lanes: int) -> float:
        """Cycles a frame that no core of so many lanes goes below."""
        core = CoreParameters(self.model.parameters, lanes)
        return float(core.ideal_cycles(self.events).mean())


def evaluate(
    model: Model, recordings: Recordings, report: Callable[[int], None] = lambda _: None
) -> Evaluation:
    """The integer network on every recording from reset.

    Parameters
    ----------
    report
        Is told how many recordings are done.

    Raises
    ------
    ValueError
        Where a recording is none for the model, or what is wanted is nothing that the model gives.
    """
    recordings = recordings.classes(model.labels)
    frames = recordings.frames(model)
    if recordings.wanted is not None:
        reading = Answers.of(model).reading
        if reading is None:
            expected = "one, to judge answers by: import --readout, or train"
            raise refusal(f"{model.name}, key 'readout'", "none", expected)
        recordings = recordings.fitting(reading, model.parameters.outputs)
    network, outputs, events, fetched, fired = model.parameters, [], [], 0, np.zeros(2)
    for trace in traces(model, frames):
        outputs.append(trace.outputs)
        events.append(trace.events_x + trace.events_h)
        fetched += int(delta_cost(network, trace).weight_fetches.sum())
        fired += np.array(occupancy(network, trace)) * len(trace.outputs)
        report(len(outputs))
    total = sum(recordings.lengths)
    of_x, of_h = fired / total
    return Evaluation(
        model,
        recordings,
        frames,
        outputs,
        float(of_x),
        float(of_h),
        fetched / (total * network.weights),
        np.concatenate(events),
    )


def traces(model: Model, sequences: Sequence[np.ndarray]) -> Iterator[Trace]:
    """What the golden model does with each sequence from reset, some of them at once."""
    columns = sum(layer.columns for layer in model.parameters.layers)
    first = 0
    while first < len(sequences):
        last, longest = first, 0
        while last < len(sequences):
            longest = max(longest, len(sequences[last]))
            if last > first and (last + 1 - first) * longest * columns > TOGETHER:
                break
            last += 1
        yield from run_sequences(model, sequences[first:last])
        first = last


def float_results(
    network: "FloatNetwork", evaluation: Evaluation
) -> tuple[list[np.ndarray], float]:
    """Results [T, O] of the float network, and how far the integers are from them: the RMS of the
    difference over the RMS about the mean.

    Raises ValueError where it is not of the model's size, or the recordings are no features.
    """
    parameters = evaluation.model.parameters
    found = f"{network.inputs} -> {network.layers[-1].units}"
    expected = f"{parameters.inputs} -> {parameters.outputs}"
    if found != expected:
        raise refusal("float network", found, expected)
    if any(each.dtype.kind != "f" for each in evaluation.recordings.sequences):
        raise refusal("recordings", "frames in LSBs", "features, which a float network takes")
    results = [
        network.run(each) * evaluation.answers.scale for each in evaluation.recordings.sequences
    ]
    wanted, integers = np.concatenate(results), np.concatenate(evaluation.results)
    spread = np.sqrt(np.mean((wanted - wanted.mean(axis=0)) ** 2))
    return results, float(np.sqrt(np.mean((integers - wanted) ** 2)) / spread)


def _row(values: Wanted | Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(each) for each in values])


def report_of(evaluation: Evaluation, lanes: int) -> dict[str, Any]:
    """The figures, for JSON."""
    confusion, reading = evaluation.confusion, evaluation.answers.reading
    return {
        "model": evaluation.model.name,
        "recordings": len(evaluation.frames),
        "frames": sum(evaluation.recordings.lengths),
        "saturated": evaluation.saturated,
        "occupancy_x": evaluation.events_x,
        "occupancy_h": evaluation.events_h,
        "weight_fetches": evaluation.fetches,
        "lanes": lanes,
        "cycles_bound": evaluation.bound(lanes),
        "cycles_dense": CoreParameters(evaluation.model.parameters, lanes).dense_cycles,
        "unit": None if reading is None else reading.unit,
        "error": {"integers": evaluation.error},
        "confusion": None if confusion is None else confusion.tolist(),
        "mistakes": evaluation.mistakes,
    }
