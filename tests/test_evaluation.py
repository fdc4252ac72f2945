"""`deltarnn eval`: a user's floats in, answers out, judged."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from deltarnn.command import cli
from deltarnn.evaluation.evaluate import evaluate, traces
from golden.model_file import save_model
from golden.network import run_sequences
from golden.readings import READINGS
from golden.recordings import Recordings
from tests.networks import random_frames, random_model

MODEL = "models/japanese_vowels.safetensors"
FRAMES = "models/japanese_vowels.frames.npz"


def run(*arguments):
    result = CliRunner().invoke(
        cli, ["eval", *map(str, arguments), "--json"], catch_exceptions=False
    )
    return json.loads(result.stdout)


def of_readings(name, **extra):
    model = random_model((3, 5), 4)
    model.extra.update(readout=name, **extra)
    sequences = tuple(random_frames(model, n, seed=n) for n in (6, 9, 4))
    return model, sequences


def test_the_shipped_archive_is_as_right_as_it_was_when_trained():
    report = run(MODEL, FRAMES)
    assert report["recordings"] == 74
    assert report["error"]["integers"] == pytest.approx(0.04054054054054054)
    confusion = np.array(report["confusion"])
    assert confusion.sum() == 74
    assert np.trace(confusion) == 71
    assert sum(n for *_, n in report["mistakes"]) == 3
    assert all(wanted != said for wanted, said, _ in report["mistakes"])
    assert report["weight_fetches"] < 0.2


@pytest.mark.parametrize("name", READINGS)
def test_what_a_model_says_is_never_wrong_by_its_own_word(name):
    model, sequences = of_readings(name)
    said = evaluate(model, Recordings(("a", "b", "c"), sequences)).said
    again = evaluate(model, Recordings(("a", "b", "c"), sequences, tuple(said)))
    assert again.error == 0
    if again.confusion is not None:
        assert np.trace(again.confusion) == again.confusion.sum() > 0


def test_a_class_of_a_recording_is_that_of_its_frames_and_the_other_way_round():
    model, sequences = of_readings("frame")
    classes = tuple(np.asarray(n) for n in (1, 2, 0))
    spread = tuple(np.full(len(x), n) for x, n in zip(sequences, classes, strict=True))
    names = ("a", "b", "c")
    one, other = (evaluate(model, Recordings(names, sequences, w)) for w in (classes, spread))
    assert one.error == other.error
    model.extra["readout"] = "last"
    one, other = (evaluate(model, Recordings(names, sequences, w)) for w in (classes, spread))
    assert one.error == other.error


def test_strings_are_judged_by_their_edits():
    model, sequences = of_readings("ctc")
    recordings = Recordings(("a", "b", "c"), sequences)
    said = [each.tolist() for each in evaluate(model, recordings).said]
    wanted = [[*said[0], 0, 1], [], said[2]]
    found = evaluate(model, recordings.wanting(wanted))
    assert found.error == (2 + len(said[1])) / (len(wanted[0]) + len(wanted[2]))
    assert found.confusion is None
    assert evaluate(model, recordings.wanting([[]] * 3)).error == sum(map(len, said))


def test_results_are_in_their_unit():
    model, sequences = of_readings("value", output_scale=7.0)
    (first, *_) = evaluate(model, Recordings(("a", "b", "c"), sequences)).results
    trace = run_sequences(model, sequences)[0]
    assert np.allclose(first, trace.outputs * 7.0 / 2.0**model.parameters.output_frac)


def test_recordings_in_parts_are_as_in_one(monkeypatch):
    model, sequences = of_readings("sum")
    whole = run_sequences(model, sequences)
    monkeypatch.setattr("deltarnn.evaluation.evaluate.TOGETHER", 50)
    for a, b in zip(traces(model, sequences), whole, strict=True):
        assert np.array_equal(a.outputs, b.outputs)


@pytest.mark.parametrize(
    ("readout", "wanted", "message"),
    [
        (None, (np.asarray(1),) * 3, "key 'readout': found none"),
        ("sum", (np.asarray(4),) * 3, "class 4, expected 0..3"),
        ("sum", (np.asarray(-1),) * 3, "class -1, expected 0..3"),
        ("sum", (np.asarray(0.5),) * 3, r"found numbers \[\], expected the class with"),
        ("value", (np.asarray(1),) * 3, "found classes"),
        ("ctc", (np.asarray(1),) * 3, r"found classes \[\], expected a string of labels \[n\]"),
        ("frame", (np.array([0, 1]),) * 3, r"found classes \[2\], expected a class in every"),
        ("nonsense", (np.asarray(1),) * 3, "key 'readout': found 'nonsense'"),
    ],
)
def test_what_is_no_answer_of_the_model_is_refused(readout, wanted, message):
    model, sequences = of_readings(readout)
    if readout is None:
        del model.extra["readout"]
    with pytest.raises(ValueError, match=message):
        evaluate(model, Recordings(("a", "b", "c"), sequences, wanted))


def test_thresholds_rise_within_what_they_may_cost(tmp_path):
    pytest.importorskip("torch")
    picture, model, few = (tmp_path / name for name in ("p.svg", "m.safetensors", "few.npz"))
    with np.load(FRAMES) as whole:
        start = whole["start"][:8]
        np.savez(few, frames=whole["frames"][: start[-1]], start=start, label=whole["label"][:7])
    report = run(MODEL, few, "--accuracy-drop", 0, "--write-model", model, "--picture", picture)
    steps = report["thresholds"]
    assert steps[-1]["cycles"] < steps[0]["cycles"]
    assert max(step["error"] for step in steps) <= steps[0]["error"]
    assert run(model, few)["error"] == report["error"]
    assert b"<svg" in picture.read_bytes()


@pytest.mark.parametrize("name", READINGS)
def test_probabilities_are_softmax_of_what_the_answer_is_the_largest_of(name, tmp_path):
    model, sequences = of_readings(name)
    save_model(model, tmp_path / "m.safetensors")
    start = np.cumsum([0, *map(len, sequences)])
    np.savez(tmp_path / "d.npz", frames=np.concatenate(sequences).astype(np.int8), start=start)
    run(tmp_path / "m.safetensors", tmp_path / "d.npz", "-o", tmp_path / "o.npz")
    with np.load(tmp_path / "o.npz") as arrays:
        assert ("probability" in arrays) == (name in ("sum", "last", "frame"))
        if "probability" not in arrays:
            return
        found, answers, results = (arrays[k] for k in ("probability", "answers", "results"))
    parts = np.split(results, start[1:-1])
    if name == "frame":
        logits = results
    else:
        logits = [part.mean(axis=0) if name == "sum" else part[-1] for part in parts]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert (found.argmax(axis=1) == answers).all()


def test_a_probability_of_large_results_is_one():
    results = np.array([[1e4, -1e4, 0.0], [0.0, 0.0, -1e300]])
    assert READINGS["frame"].probability(results).tolist() == [[1, 0, 0], [0.5, 0.5, 0]]


def test_results_come_as_floats(tmp_path):
    model, sequences = of_readings("last")
    save_model(model, tmp_path / "m.safetensors")
    np.save(tmp_path / "one.npy", sequences[0].astype(np.int8))
    np.save(tmp_path / "many.npy", np.stack([x[:4] for x in sequences]).astype(np.int8))
    for name, shape in (("one", (6, 4)), ("many", (3, 4, 4))):
        run(tmp_path / "m.safetensors", tmp_path / f"{name}.npy", "-o", tmp_path / "o.npz")
        with np.load(tmp_path / "o.npz") as arrays:
            assert arrays["results"].shape == shape
            answers = arrays["answers"]
            assert len(answers) == len(arrays["lengths"])
    np.save(tmp_path / "labels.npy", answers)
    report = run(
        tmp_path / "m.safetensors", tmp_path / "many.npy", "--labels", tmp_path / "labels.npy"
    )
    assert report["error"]["integers"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--simulated-board"], "--board: found none beside --simulated-board, expected which"),
        (["--port", "/dev/null"], "--board: found none beside --port, expected which one it is"),
        (["--board", "icebreaker"], "port: found neither, expected --port TTY or --simulated-bo"),
        (["--board", "none", "--simulated-board"], "board: found 'none', expected"),
        (["--board", "icebreaker", "--simulated-board"], "found 65536, expected at most 65528"),
        (["--board", "upduino-v3", "--simulated-board"], "of weights on upduino-v3: "),
        (["--board", "ice40-hx8k-b-evn", "--simulated-board"], "of weights on ice40-hx8k-b-evn: "),
    ],
)
def test_a_board_is_one_that_there_is_and_holds_the_model(words, message, tmp_path):
    sizes = (65536, 1) if "65528" in message else (90, 280)
    save_model(random_model(sizes, 3), tmp_path / "m.safetensors")
    done = CliRunner().invoke(cli, ["eval", str(tmp_path / "m.safetensors"), "none.npy", *words])
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
