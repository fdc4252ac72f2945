"""Scores, formats and thresholds: chosen by measurement, within what is allowed."""

import numpy as np
import pytest

pytest.importorskip("torch")

from golden.formats import Formats
from golden.network import run_sequences
from tests.networks import random_frames, random_model
from train.course.formats import Candidate, cheapest
from train.course.goals import OneClass
from train.course.score import Score, score
from train.course.twin import Twin
from train.data.recordings import Sequences
from train.quantised.thresholds import descend, thresholds, with_thresholds

TOP = Formats().activation.max


@pytest.fixture(scope="module")
def model():
    return random_model((4, 8), 3, theta=(0, 0), seed=4, scale=30)


@pytest.fixture(scope="module")
def data(model):
    """Recordings that wander; each is labelled by what the network says at threshold 0."""
    frames = tuple(random_frames(model, 10 + n % 5, seed=n, moving=0.4) // 8 for n in range(30))
    sums = [trace.outputs.sum(axis=0) for trace in run_sequences(model, frames)]
    return Sequences(frames, np.array([s.argmax() for s in sums]))


@pytest.fixture(scope="module")
def twin(model, data):
    return Twin(model, data, OneClass())


def test_thresholds_in_and_out(model):
    assert thresholds(model) == (0, 0, 0)
    changed = with_thresholds(model, (1, 2, 3))
    assert thresholds(changed) == (1, 2, 3)
    assert [layer.theta_h for layer in changed.parameters.layers] == [2, None]
    assert thresholds(model) == (0, 0, 0)


def test_a_score_counts_every_column_once(model, data):
    s = score(model, data, OneClass())
    traces = run_sequences(model, data.frames)
    frames = sum(len(x) for x in data.frames)
    of_x = np.sum([t.events_x.sum(axis=0) for t in traces], axis=0)
    of_h = sum(int(t.events_h.sum()) for t in traces)
    assert s.error == 0.0
    assert s.occupancy_x == of_x.sum() / (frames * (4 + 8))
    assert s.occupancy_h == of_h / (frames * 8)
    assert s.macs == (24 * (of_x[0] + of_h) + 3 * of_x[1]) / (frames * (24 * 12 + 3 * 8))


@pytest.mark.parametrize("values", [(0, 0, 0), (3, 0, 1), (1, 5, 4)])
def test_the_twin_says_what_golden_says(model, data, twin, values):
    _, found = twin.measure([(7, 7, 7), values])  # in one batch
    judged = score(with_thresholds(model, values), data, OneClass())
    assert found.error == judged.error
    assert found.loss == pytest.approx(judged.loss, rel=1e-5)
    for name in ("occupancy_x", "occupancy_h", "macs"):
        assert getattr(found, name) == pytest.approx(getattr(judged, name), rel=1e-12)


@pytest.mark.parametrize("loss", [0.001, 0.05])
def test_the_descent_saves_and_keeps_to_what_is_allowed(twin, loss):
    seen: list[Score] = []
    ceiling = twin.measure([(0, 0, 0)])[0].loss + loss
    path = descend((0, 0, 0), TOP, twin.measure, lambda then: then.loss <= ceiling, seen.append)
    assert path[0].thresholds == (0, 0, 0)
    assert path[-1].measured.macs < path[0].measured.macs
    assert path[-1].measured.loss <= ceiling
    assert [step.measured for step in path[1:]] == seen
    assert [s.macs for s in seen] == sorted((s.macs for s in seen), reverse=True)
    last = path[-1].thresholds
    for k in range(len(last)):
        (step,) = twin.measure([last[:k] + (last[k] + 1,) + last[k + 1 :]])
        assert step.loss > ceiling or step.macs >= path[-1].measured.macs


def test_the_descent_begins_where_it_is_told_and_ends_at_the_top(twin):
    path = descend((2, 126, 1), TOP, twin.measure, lambda _: True)
    assert path[0].thresholds == (2, 126, 1)
    assert max(path[-1].thresholds) <= TOP


def test_the_cheapest_formats_within_the_tolerance():
    def candidate(formats: Formats, loss: float) -> Candidate:
        return Candidate(formats, Score(0.0, loss, 0.5, 0.5, 0.5))

    a, b, c = Formats(), object(), object()
    tried = [candidate(a, 0.3), candidate(b, 0.21), candidate(c, 0.2)]  # type: ignore[arg-type]
    assert cheapest(tried, 0.1) is a
    assert cheapest(tried, 0.02) is b
    assert cheapest(tried, 0.0) is c
