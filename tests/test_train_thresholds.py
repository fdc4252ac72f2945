"""Scores, formats and thresholds: chosen by measurement, within the budget."""

import numpy as np
import pytest

from golden.network import run_sequences
from golden.parameters import Formats
from tests.networks import random_frames, random_model
from train.data import Sequences
from train.formats import Candidate, cheapest
from train.score import Score, score
from train.thresholds import Budget, calibrate, thresholds, with_thresholds


@pytest.fixture(scope="module")
def model():
    return random_model((4, 8), 3, theta=(0, 0), seed=4, scale=30)


@pytest.fixture(scope="module")
def data(model):
    """Recordings that wander; each is labelled by what the network says at threshold 0."""
    frames = tuple(random_frames(model, 12, seed=n, moving=0.4) // 8 for n in range(30))
    sums = [trace.outputs.sum(axis=0) for trace in run_sequences(model, frames)]
    return Sequences(frames, np.array([s.argmax() for s in sums]))


def test_thresholds_in_and_out(model):
    assert thresholds(model) == (0, 0, 0)
    changed = with_thresholds(model, (1, 2, 3))
    assert thresholds(changed) == (1, 2, 3)
    assert [layer.theta_h for layer in changed.parameters.layers] == [2, None]
    assert thresholds(model) == (0, 0, 0)


def test_a_score_counts_every_column_once(model, data):
    s = score(model, data)
    traces = run_sequences(model, data.frames)
    frames = sum(len(x) for x in data.frames)
    events = np.array([[t.events_x.sum(axis=0), t.events_h.sum(axis=0)] for t in traces]).sum(0)
    assert s.accuracy == 1.0
    assert s.occupancy == events.sum() / (frames * (4 + 8 + 8))
    done = 24 * (events[0, 0] + events[1, 0]) + 3 * events[0, 1]
    assert s.macs == done / (frames * (24 * 12 + 3 * 8))


def test_the_loss_is_the_cross_entropy_of_the_mean_readout(model, data):
    one = data.pick([0])
    frac = model.parameters.output_frac
    logits = run_sequences(model, one.frames)[0].outputs.mean(axis=0) / 2**frac
    p = np.exp(logits) / np.exp(logits).sum()
    assert score(model, one).loss == pytest.approx(-np.log(p[one.labels[0]]))


@pytest.mark.parametrize("budget", [Budget(0.0, 0.001), Budget(0.1, 0.05)])
def test_calibration_saves_and_stays_within_the_budget(model, data, budget):
    seen: list[Score] = []
    before = score(model, data)
    calibrated = calibrate(model, data, budget, seen.append)
    after = score(calibrated, data)
    assert after.macs < before.macs
    assert after.accuracy >= before.accuracy - budget.accuracy
    assert after.loss <= before.loss + budget.loss
    assert seen[-1] == after
    assert [s.macs for s in seen] == sorted((s.macs for s in seen), reverse=True)


def test_no_further_step_would_have_been_affordable(model, data):
    budget = Budget(0.0, 0.01)
    before = score(model, data)
    calibrated = calibrate(model, data, budget)
    after, values = score(calibrated, data), thresholds(calibrated)
    for k in range(len(values)):
        step = score(with_thresholds(model, values[:k] + (values[k] + 1,) + values[k + 1 :]), data)
        affordable = step.accuracy >= before.accuracy and step.loss <= before.loss + budget.loss
        assert not affordable or step.macs >= after.macs


def test_a_calibration_starts_from_0_whatever_the_model_says(model, data):
    budget = Budget(0.0, 0.01)
    start = with_thresholds(model, (9, 9, 9))
    assert thresholds(calibrate(start, data, budget)) == thresholds(calibrate(model, data, budget))


def test_the_cheapest_formats_within_the_tolerance():
    def candidate(formats: Formats, loss: float) -> Candidate:
        return Candidate(formats, Score(1.0, loss, 0.5, 0.5))

    a, b, c = Formats(), object(), object()
    tried = [candidate(a, 0.3), candidate(b, 0.21), candidate(c, 0.2)]  # type: ignore[arg-type]
    assert cheapest(tried, 0.1) is a
    assert cheapest(tried, 0.02) is b
    assert cheapest(tried, 0.0) is c
