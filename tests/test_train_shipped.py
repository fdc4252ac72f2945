"""The shipped model: its recorded scores, measured again by the golden network."""

from pathlib import Path

import numpy as np
import pytest

from golden.model_file import load_model
from train.course.goals import OneClass
from train.course.score import score
from train.data.recordings import load_recordings
from train.quantised.thresholds import thresholds, with_thresholds

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture(scope="module")
def model():
    return load_model(MODELS / "japanese_vowels.safetensors")


@pytest.fixture(scope="module")
def held_out():
    return load_recordings(MODELS / "japanese_vowels.frames.npz")


def test_what_the_file_says_of_itself(model):
    assert model.labels == tuple(f"speaker {n}" for n in range(1, 10))
    assert model.extra["readout"] == "sum"
    assert model.extra["licence"] == "CC BY 4.0"
    assert "10.24432/C5NS47" in model.extra["source"]
    assert len(model.extra["input_scale"]) == model.parameters.inputs == 12
    assert model.extra["training"]["versions"].keys() == {"python", "torch", "aeon", "numpy"}


def test_the_held_out_recordings(model, held_out):
    record = model.extra["held_out"]
    assert len(held_out) == record["recordings"] == 74
    assert sum(len(x) for x in held_out.frames) == record["frames"]
    assert set(held_out.labels) == set(range(9))
    assert score(model, held_out, OneClass()).error == record["delta"]


def test_the_delta_network_is_within_a_point_of_the_float_one(model):
    scores = model.extra["scores"]
    assert scores["float"] <= 0.03
    assert scores["delta"] <= scores["float"] + 0.01
    assert scores["mac_reduction"] > 5


def test_the_recorded_scores_are_those_of_the_whole_test_set(model, held_out):
    pytest.importorskip("aeon")
    from train.tasks.japanese_vowels import load

    activation = model.parameters.formats.activation
    test = load().test.quantized(model.extra["input_scale"], activation)
    scores = model.extra["scores"]
    dense = score(with_thresholds(model, (0,) * len(thresholds(model))), test, OneClass())
    delta = score(model, test, OneClass())
    assert len(test) == scores["recordings"] == 370
    assert dense.error == scores["quantised"]
    assert delta.error == scores["delta"]
    assert delta.occupancy_h == scores["occupancy_h"]
    assert 1 / delta.macs == scores["mac_reduction"]
    for ours, shipped in zip(test.frames[::5], held_out.frames, strict=True):
        np.testing.assert_array_equal(ours, shipped)
