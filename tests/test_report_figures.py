"""What the page makes of results: figures.js and pictures.js under Node.js, against Python."""

import base64

import numpy as np
import pytest

from deltarnn.evaluation.evaluate import evaluate
from deltarnn.report.data import checksum, model_record, recording_records
from golden.parameters import CoreParameters
from golden.readings import READINGS, Answers, with_meaning
from golden.recordings import Recordings
from tests.javascript import said_by
from tests.networks import random_frames, random_model

DRIVER = """
const { model, recordings, lanes } = given;
const ready = decoded(model);
const summaries = recordings.map((each) => {
  const trace = runNetwork(ready, integers(each.frames, Int8Array), ownThresholds(ready));
  return summaryOf(ready, trace, each.wanted);
});
say(summaries.map((each) => each.answer));
say(figuresOf(ready, summaries, lanes));
"""


def wanted_of(readout: str, said: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """The answers themselves, but for some."""
    if readout == "value":
        return [each + rng.normal(size=each.shape) for each in said]
    changed = []
    for n, each in enumerate(said):
        each = np.array(each)
        if n % 3 == 0 and each.size:
            each = (each + 1) % 4
        elif n % 3 == 1 and each.ndim:
            each = each[: len(each) // 2] if readout == "ctc" else each
        changed.append(each)
    return changed


@pytest.mark.parametrize("readout", READINGS)
def test_answers_errors_and_costs_are_those_of_python(readout):
    rng = np.random.default_rng(3)
    model = random_model((3, 6, 5), 5, kinds=("gru", "lstm"), theta=(2, 1), scale=90)
    model = with_meaning(model, readout, None)
    model.extra["output_scale"] = -0.3
    frames = [random_frames(model, n, seed=n, moving=0.4) for n in (1, 7, 30, 12, 25, 40)]
    first = evaluate(model, Recordings.of(frames))
    assert first.said is not None
    wanted = wanted_of(readout, first.said, rng)
    found = evaluate(model, Recordings.of(frames).wanting(list(wanted)))
    given = {
        "model": model_record(model),
        "recordings": recording_records(model, found.recordings, frames),
        "lanes": 4,
    }
    answers, figures = said_by(("golden.js", "figures.js"), DRIVER, given)
    if readout in ("sum", "last", "ctc"):
        assert answers == [each.tolist() for each in first.said]
    else:
        ends = [each[-1] for each in first.said]
        assert np.allclose(answers, ends, rtol=1e-15, atol=0)
    assert 0 < figures["error"] == pytest.approx(found.error, rel=1e-12)
    core = CoreParameters(model.parameters, 4)
    assert figures["events"] == found.events.sum(axis=0).tolist()
    assert figures["cycles"] == pytest.approx(found.bound(4))
    assert figures["cyclesDense"] == core.dense_cycles
    assert figures["fetchesDense"] == model.parameters.weights
    assert figures["fetches"] / figures["fetchesDense"] == pytest.approx(found.fetches)
    assert figures["checksum"] == sum(map(checksum, found.outputs)) % 2**32


def test_without_labels_there_is_no_error():
    model = random_model((2, 3), theta=(1, 1))
    frames = [random_frames(model, 5)]
    records = recording_records(model, Recordings.of(frames), frames)
    given = {"model": model_record(model), "recordings": records, "lanes": 1}
    (answer,), figures = said_by(("golden.js", "figures.js"), DRIVER, given)
    assert (answer, figures["error"], Answers.of(model).reading) == (None, None, None)


def test_a_checksum_sees_the_order_of_results():
    outputs = np.array([[1, -(1 << 39)], [(1 << 39) - 1, 7]])
    assert checksum(outputs) != checksum(outputs[::-1]) != checksum(outputs.T)
    assert checksum(outputs) == (1 - (1 << 40) + 3 * ((1 << 39) - 1) + 28) % (1 << 32)


def test_frames_keep_their_bits():
    model = random_model((2, 3))
    frames = [np.array([[-128, 127]], np.int8)]
    (record,) = recording_records(model, Recordings.of(frames), frames)
    assert base64.b64decode(record["frames"]) == b"\x80\x7f"
    assert record["bits"] == 8


@pytest.mark.parametrize("sizes", [[1], [5, 3, 2, 1], [100, 1, 1, 1, 1], list(range(30, 0, -1))])
def test_areas_are_those_of_the_sizes_and_none_covers_another(sizes):
    driver = "say(treemap(given, 0, 0, 2, 1));"
    (boxes,) = said_by(("figures.js", "pictures.js"), driver, sizes)
    box = np.array(boxes)
    assert np.allclose(box[:, 2] * box[:, 3], 2 * np.array(sizes) / sum(sizes))
    assert (box[:, :2] >= -1e-9).all()
    assert (box[:, 0] + box[:, 2] <= 2 + 1e-9).all()
    assert (box[:, 1] + box[:, 3] <= 1 + 1e-9).all()
    for n, (x, y, wide, high) in enumerate(box):
        for a, b, w, h in box[:n]:
            across = min(x + wide, a + w) - max(x, a)
            down = min(y + high, b + h) - max(y, b)
            assert min(across, down) < 1e-9
