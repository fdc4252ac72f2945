"""A class more: how its data is made, and what the shipped model learns."""

from pathlib import Path

import numpy as np
import pytest

from golden.learn.sequence import LearningNetwork, order
from golden.model_file import load_model
from train.course.new_class import Beginning, NewClass, last, learn, wrong
from train.data.recordings import Dataset, Sequences, load_recordings

MODEL = Path(__file__).parents[1] / "models/japanese_vowels_eight.safetensors"


def test_any_class_may_come_last():
    labels = np.array([0, 1, 2, 3, 1])
    part = Sequences(tuple(np.full((2, 1), n) for n in labels), labels)
    data = Dataset("d", ("a", "b", "c", "d"), "s", "l", part, part, part)
    found = last(data, 1)
    assert found.labels == ("a", "c", "d", "b")
    for n, name in zip(labels, np.array(found.labels)[found.test.labels], strict=True):
        assert name == data.labels[n]


def test_every_epoch_has_all_recordings_in_another_order():
    turns = list(order(5, 3, 7))
    epochs = [turns[n : n + 5] for n in (0, 5, 10)]
    assert all(sorted(each) == list(range(5)) for each in epochs)
    assert len(set(map(tuple, epochs))) > 1
    assert turns == list(order(5, 3, 7)) != list(order(5, 3, 8))


@pytest.mark.slow
def test_the_shipped_model_learns_what_the_page_says():
    """docs/speakers.md: its 74 utterances, before and after 272 lessons."""
    model = load_model(MODEL)
    lessons = load_recordings(MODEL.with_suffix(".lessons.npz"))
    test = load_recordings(MODEL.with_suffix(".frames.npz"))
    how, new = NewClass(), np.asarray(test.labels) == 8
    counts = np.bincount(np.asarray(lessons.labels)).tolist()
    assert counts == [how.replay] * 8 + [how.recordings]
    before = wrong(LearningNetwork.of(model), test, 9)
    assert before[new].mean() > 0.5  # he was never heard
    after = wrong(learn(Beginning(model, lessons, test), how, 0), test, 9)
    assert (after.sum(), after[new].sum()) == (2, 0)
