"""Goals: losses against PyTorch's own on the frames that count, and errors by hand."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from golden.readings import edit_distance, transcript  # noqa: E402
from train.course.goals import (  # noqa: E402
    FrameClasses,
    OneClass,
    Transcript,
    Value,
    padded,
)

RNG = np.random.default_rng(4)
LENGTHS = (5, 9, 7)
OUTPUTS = [RNG.normal(size=(n, 4)).astype(np.float32) for n in LENGTHS]
BATCH, MASK = padded(OUTPUTS)


def test_padding_is_masked():
    assert BATCH.shape == (3, 9, 4)
    assert MASK.sum(dim=1).tolist() == list(LENGTHS)
    assert not BATCH[0, 5:].any()


def test_one_class_is_the_largest_sum():
    labels = np.array([0, 3, 1])
    means = torch.tensor(np.stack([o.mean(axis=0) for o in OUTPUTS]))
    expected = torch.nn.functional.cross_entropy(means, torch.tensor(labels))
    torch.testing.assert_close(OneClass().loss(BATCH, MASK, labels), expected)
    right = np.array([o.sum(axis=0).argmax() for o in OUTPUTS])
    assert OneClass().error(OUTPUTS, right) == 0
    assert OneClass().error(OUTPUTS, (right + [0, 1, 0]) % 4) == pytest.approx(1 / 3)


def test_frame_classes_count_every_frame_once():
    labels = tuple(RNG.integers(0, 4, n) for n in LENGTHS)
    frames, wanted = np.concatenate(OUTPUTS), np.concatenate(labels)
    expected = torch.nn.functional.cross_entropy(torch.tensor(frames), torch.tensor(wanted))
    torch.testing.assert_close(FrameClasses().loss(BATCH, MASK, labels), expected)
    assert FrameClasses().error(OUTPUTS, labels) == np.mean(frames.argmax(axis=1) != wanted)


def test_a_transcript_s_loss_does_not_see_the_padding():
    labels = (np.array([0, 1]), np.array([2]), np.array([1, 1, 0]))
    dirty = BATCH + 50 * (1 - MASK)[..., None] * torch.eye(4)[0]
    loss = Transcript().loss(BATCH, MASK, labels)
    torch.testing.assert_close(Transcript().loss(dirty, MASK, labels), loss)


def test_a_transcript_is_read_without_blanks_and_repeats():
    best = [3, 0, 0, 3, 0, 1, 1, 3, 3]
    assert transcript(np.eye(4)[best]).tolist() == [0, 0, 1]
    goal = Transcript()
    assert goal.error([np.eye(4)[best]], (np.array([0, 0, 1]),)) == 0
    assert goal.error([np.eye(4)[best]] * 2, (np.array([0, 1]), np.array([2, 0, 1]))) == 2 / 5


@pytest.mark.parametrize(
    ("found", "wanted", "edits"),
    [("", "", 0), ("", "ab", 2), ("abc", "", 3), ("kitten", "sitting", 3), ("abc", "abc", 0)],
)
def test_edit_distances(found, wanted, edits):
    assert edit_distance([ord(c) for c in found], [ord(c) for c in wanted]) == edits


def test_a_value_is_a_root_mean_square_in_its_unit():
    goal = Value(output_scale=10.0, unit="degrees", second=2)
    labels = tuple(10.0 * o[:, 0].astype(np.float64) + 3.0 for o in OUTPUTS)
    assert goal.error(OUTPUTS, labels) == pytest.approx(3.0)
    assert float(goal.loss(BATCH, MASK, labels)) == pytest.approx(0.09, rel=1e-5)


def test_values_may_be_several_in_a_frame():
    goal = Value(output_scale=10.0, unit="degrees", second=2)
    labels = tuple(10.0 * o[:, :2].astype(np.float64) + [3.0, 4.0] for o in OUTPUTS)
    assert goal.error(OUTPUTS, labels) == pytest.approx(np.sqrt((9 + 16) / 2))
    assert float(goal.loss(BATCH, MASK, labels)) == pytest.approx(0.125, rel=1e-5)


def test_persistence_is_the_value_of_a_second_ago():
    goal = Value(output_scale=1.0, unit="degrees", second=2)
    assert goal.persistence((np.array([0.0, 1.0, 3.0, 5.0]), np.array([0.0, 0.0, 0.0]))) == (
        pytest.approx(np.sqrt((9 + 16 + 0) / 3))
    )
