"""The soak: cases are whole, what is wrong is found and shrinks, a refusal is no failure."""

import json
import time
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

import deltarnn.evidence.soak as soak_module
from deltarnn.command import main
from deltarnn.evidence.case import FRAME_STYLES, Case, styled_frames
from deltarnn.evidence.journal import Journal
from deltarnn.evidence.soak import Tally, check, load_case, save_case, soak
from deltarnn.evidence.space import cases
from golden.errors import refusal
from tests.slow import quick

SMALL = Case(
    kinds=("gru",),
    sizes=(2, 3),
    outputs=2,
    formats={},
    weight_fracs=(6, 5),
    thetas=((1, 2), (3, 0)),
    shifts=(0,),
    weights="any",
    biases="small",
    lanes=2,
    activations=1,
    target="generic",
    gaps=0.3,
    pauses=0.3,
    seed=3,
    steps=(("frames", "any", 6),),
)
STREAMS = "two layers and a read-out, four streams, two units a cycle"
# Cases of the kinds in which something was wrong once, one of each kind of step, and streams.
NAMED = {
    "steps": replace(
        SMALL,
        steps=(
            ("frames", "some move", 9),
            ("broken", 1),
            ("broken", 5),
            ("threshold", 0, "h", 0),
            ("threshold", 1, "x", 9),
            ("frames", "any", 5),
            ("counters",),
            ("wait", 30),
            ("reset",),
            ("frames", "around the threshold", 9),
            ("counters",),
        ),
    ),
    "two units a cycle, a layer rests above one in which all fires": replace(
        SMALL,
        kinds=("gru", "gru"),
        sizes=(1, 16, 4),
        outputs=None,
        weight_fracs=(6, 5),
        thetas=((0, 0), (255, 255)),
        shifts=(0, 0),
        lanes=8,
        activations=2,
        steps=(("frames", "any", 12),),
    ),
    "both kinds, a read-out narrower than an index": replace(
        SMALL,
        kinds=("gru", "lstm"),
        sizes=(2, 3, 3),
        formats={"readout": (3, 4), "preactivation": (3, 6)},
        weight_fracs=(4, 3, 5),
        thetas=((1, 1), (2, 3), (3, 0)),
        shifts=(0, 0),
        steps=(("frames", "any", 12),),
    ),
    "loaded weights, thresholds on the way": replace(
        SMALL,
        target="up5k",
        steps=(
            ("frames", "any", 12),
            ("threshold at once", 0, "h", 7),
            ("threshold at once", 1, "x", 0),
            ("load",),
            ("frames", "some move", 12),
        ),
    ),
    STREAMS: replace(
        SMALL,
        kinds=("gru", "gru"),
        sizes=(5, 8, 6),
        outputs=3,
        weight_fracs=(6, 5, 4),
        thetas=((2, 3), (1, 4), (2, 0)),
        shifts=(1, 0),
        lanes=4,
        activations=2,
        streams=4,
        steps=(
            ("frames", "some move", 9),
            ("broken", 2),
            ("broken", 9),
            ("threshold", 1, "h", 0),
            ("frames", "nothing for long", 16),
            ("counters",),
            ("reset",),
            ("frames", "around the threshold", 6),
        ),
    ),
    "weights outside, in a memory that waits": replace(
        SMALL,
        kinds=("gru", "lstm"),
        sizes=(3, 5, 4),
        weight_fracs=(6, 5, 4),
        thetas=((1, 2), (3, 0), (2, 0)),
        shifts=(1, 0),
        memory=(5, 0.5),
        steps=(
            ("frames", "some move", 9),
            ("threshold at once", 0, "h", 7),
            ("frames", "any", 5),
            ("reset",),
            ("frames", "nothing for long", 16),
        ),
    ),
    "both kinds, three streams of results as they are made": replace(
        SMALL,
        kinds=("lstm", "gru", "lstm"),
        sizes=(3, 7, 5, 9),
        outputs=None,
        weight_fracs=(5, 6, 4),
        thetas=((0, 9), (3, 1), (1, 2)),
        shifts=(0, 2, 1),
        lanes=4,
        activations=4,
        target="ecp5",
        streams=3,
        pauses=0.9,
        steps=(("frames", "any", 6), ("frames", "nothing for long", 20)),
    ),
    "the smallest layers, sixteen streams": replace(
        SMALL,
        sizes=(1, 1),
        outputs=1,
        thetas=((0, 0), (0, 0)),
        lanes=1,
        gaps=0.0,
        pauses=0.0,
        streams=16,
        steps=(("frames", "one element moves", 24), ("reset",), ("frames", "plateau and jump", 9)),
    ),
    "loaded weights, thresholds on the way, two streams": replace(
        SMALL,
        kinds=("lstm",),
        target="up5k",
        streams=2,
        steps=(
            ("frames", "any", 12),
            ("threshold at once", 0, "h", 7),
            ("threshold at once", 1, "x", 0),
            ("load",),
            ("frames", "some move", 12),
        ),
    ),
}


@given(cases())
@settings(max_examples=60, deadline=None)
def test_a_case_goes_through_json_unchanged(case):
    assert Case.parse(json.loads(json.dumps(case.as_json()))) == case


@given(cases())
@settings(max_examples=40, deadline=None)
def test_a_case_is_a_model_or_refused_and_its_frames_have_the_format(case):
    try:
        model = case.model()
    except ValueError as error:
        if ": found " not in str(error):
            raise
        return
    activation = model.parameters.formats.activation
    for how in FRAME_STYLES:
        frames = styled_frames(model, how, 9, np.random.default_rng(1))
        assert frames.shape == (9, case.sizes[0])
        assert activation.min <= frames.min() <= frames.max() <= activation.max


@pytest.mark.parametrize("case", quick(NAMED, ("steps", STREAMS)))
def test_a_named_case_equals_golden(case):
    tally = Tally()
    check(case, tally)
    assert (tally.equal, tally.refused) == (1, 0)
    assert tally.words > 100
    assert tally.events > 0


def test_what_is_refused_is_counted_by_name():
    tally = Tally()
    check(replace(SMALL, formats={"gate": (0, 7)}), tally)
    check(replace(SMALL, lanes=3, activations=2), tally)
    assert tally.refusals == {"format gate": 1, "activations": 1}
    assert (tally.equal, tally.tried) == (0, 2)


def test_golden_follows_thresholds_resets_and_broken_frames():
    """What the RTL is held against comes from the steps alone; a whole frame says the same."""
    model = SMALL.model()

    def played(*steps):
        return replace(SMALL, steps=steps).played(model, None)

    whole = played(("broken", 2), ("broken", 2), ("counters",))
    assert len(whole.trace.outputs) == 2
    assert whole.replies[0] == (0, 2)  # frames
    short = played(("frames", "at the ends", 1), ("broken", 1)).trace
    assert short.deltas_x[0][1, 1] == 0  # the element that did not come stays as it was
    still = played(("threshold", 0, "x", 999), ("frames", "any", 3), ("counters",))
    assert not still.trace.deltas_x[0].any()
    assert still.replies[:3] == [(0, 0), (0, 3), (0, 255)]


def _few_lanes(case: Case, tally: Tally) -> None:
    if case.lanes > 2:
        raise RuntimeError("too many lanes")
    tally.equal += 1


def test_a_case_that_fails_shrinks_to_the_smallest_and_is_saved(monkeypatch, tmp_path):
    monkeypatch.setattr(soak_module, "check", _few_lanes)
    tally = soak(1, 1, 1, lambda _: None)
    assert tally.failure is not None
    case, reason = tally.failure
    assert reason == "RuntimeError: too many lanes"
    assert (case.lanes, max(case.sizes), case.outputs, case.gaps) == (3, 1, None, 0)
    save_case(case, reason, tmp_path / "case.json")
    assert load_case(tmp_path / "case.json") == case


def test_the_command_saves_what_failed(monkeypatch, tmp_path, capsys):
    tally = Tally(equal=3, failure=(SMALL, "RuntimeError: wrong"))
    monkeypatch.setattr(soak_module, "soak", lambda *_: tally)
    file = tmp_path / "case.json"
    monkeypatch.setattr("sys.argv", ["deltarnn", "soak", "--save", str(file)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "case.json: RuntimeError: wrong" in capsys.readouterr().err
    assert load_case(file) == SMALL


def test_the_same_seed_tries_the_same_cases(monkeypatch):
    def note(case: Case, tally: Tally) -> None:
        tally.features[json.dumps(case.as_json())] += 1
        tally.equal += 1

    monkeypatch.setattr(soak_module, "check", note)
    first, second, other = (soak(s, 1, 2, lambda _: None, 40) for s in (5, 5, 6))
    assert first.features == second.features != other.features
    assert len(first.features) > 30


def test_a_soak_that_is_stopped_goes_on_with_its_journal(monkeypatch, tmp_path):
    tried = []

    def note(case: Case, tally: Tally) -> None:
        tried.append(case)
        tally.refusals["a thing"] += 1
        tally.refused += 1
        if not whole and len(tried) > 30:
            raise KeyboardInterrupt

    monkeypatch.setattr(soak_module, "check", note)
    monkeypatch.setattr(soak_module, "ProcessPoolExecutor", _Here)
    whole = True
    plain = soak(5, 1, 1, lambda _: None, 60)
    assert plain.tried == len(tried) == 60
    tried.clear()
    whole = False
    with pytest.raises(KeyboardInterrupt):
        soak(5, 1, 1, lambda _: None, 60, Journal(tmp_path / "journal"))
    tried.clear()
    whole = True
    rest = soak(5, 1, 1, lambda _: None, 60, Journal(tmp_path / "journal"))
    assert len(tried) == 60 - soak_module.BATCH
    assert replace(rest, seconds=0) == replace(plain, seconds=0)
    tried.clear()
    again = soak(5, 1, 1, lambda _: None, 60, Journal(tmp_path / "journal"))
    assert not tried
    assert again == rest


class _Here:
    """A pool of this process alone, where a test can look."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, *arguments):
        future: Future[Tally] = Future()
        future.set_result(function(*arguments))
        return future


def test_a_batch_that_failed_or_was_cut_off_is_not_in_the_journal(monkeypatch, tmp_path):
    monkeypatch.setattr(soak_module, "check", _few_lanes)
    soak(1, 1, 1, lambda _: None, 60, Journal(tmp_path / "failed"))
    monkeypatch.setattr(soak_module, "check", lambda case, tally: time.sleep(0.01))
    soak(1, 1e-5, 1, lambda _: None, 60, Journal(tmp_path / "late"))
    assert not any(tmp_path.iterdir())


def test_a_journal_of_other_sources_is_refused(monkeypatch, tmp_path):
    file = tmp_path / "journal"
    Journal(file).add(1, 2, Tally().as_json())
    assert Journal(file).tally(1, 2) == Tally().as_json()
    assert Journal(file).tally(1, 3) is None
    monkeypatch.setattr("deltarnn.evidence.journal.made_by", lambda: "others")
    with pytest.raises(ValueError, match="journal: found a journal of other sources or tools"):
        Journal(file)


def test_a_soak_ends_in_time(monkeypatch):
    monkeypatch.setattr(soak_module, "check", lambda case, tally: time.sleep(0.01))
    begin = time.monotonic()
    soak(1, 1e-5, 2, lambda _: None)
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hours", "0"], "--hours: found 0.0, expected above 0, at most 1000"),
        (["--hours", "nan"], "--hours: found nan, expected above 0, at most 1000"),
        (["--seed", "-1"], "--seed: found -1, expected from 0 to 2^32 - 1"),
        (["--jobs", "0"], "--jobs: found 0, expected from 1 to 64"),
        (["--cases", "0"], "--cases: found 0, expected at least 1"),
        (
            ["--case", "absent"],
            "absent: found No such file or directory, expected a case that deltarnn soak",
        ),
        (["--case", "other"], "other: found something else, expected a case that deltarnn soak"),
        (["--journal", "other"], "other: found something else, expected a soak's journal"),
        (["--journal", "x", "--save", "x"], "x: found the same file for --journal and --save"),
        (["--save", "no/x"], "no: found No such file or directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").write_text('{"case": {"lanes": 3}}')
    monkeypatch.setattr("sys.argv", ["deltarnn", "soak", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert said in error, error
    assert error.count("\n") == 1


def test_what_hypothesis_itself_refuses_is_no_case(monkeypatch):
    def refuses(case: Case, tally: Tally) -> None:
        raise refusal("a thing", 1, "2")

    monkeypatch.setattr(soak_module, "check", refuses)
    tally = soak(1, 1, 1, lambda _: None)
    assert tally.failure is not None
    assert tally.failure[1] == "ValueError: a thing: found 1, expected 2"
