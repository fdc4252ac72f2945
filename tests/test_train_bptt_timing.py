"""What the training bench measures, apart from the times themselves."""

import pytest

torch = pytest.importorskip("torch")

from deltarnn.bench import training  # noqa: E402
from tests.test_bench import context, shown  # noqa: E402
from train.course.bptt_timing import THETA_X, Setup, kept_bytes, measure, occupancy, stream  # noqa: E402


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.75, 1.0])
def test_of_a_stream_just_the_fraction_asked_for_fires_in_every_frame(sparsity):
    v = stream(Setup("gru", 16, frames=9), sparsity)
    memory = torch.zeros(16)
    for each in v:
        assert int(((each - memory).abs() > THETA_X).sum()) == round(16 * (1 - sparsity))
        memory = each
    assert occupancy(v, THETA_X) == 1 - sparsity


def test_occupancy_counts_against_what_was_sent():
    v = torch.tensor([0.0, 3.0, 4.0, 9.0, 8.0]).reshape(-1, 1)
    assert occupancy(v, 2.0) == 2 / 5
    assert occupancy(v, 0.0) == 4 / 5


@pytest.mark.parametrize("kind", training.KINDS)
def test_a_point_has_the_sparsity_asked_for(kind):
    found = measure(Setup(kind, 32, frames=40), 0.75, repetitions=1, seed=2)
    assert found["fired_x"] == pytest.approx(0.25)
    assert found["fired_h"] == pytest.approx(0.25, abs=0.02)
    assert found["kept_bytes"]["sparse"] < found["kept_bytes"]["dense"]
    assert all(each > 0 for each in found["milliseconds"].values())


def test_what_is_kept_counts_each_tensor_once_and_no_weights():
    weight = torch.ones(4, 4, requires_grad=True)
    x = torch.ones(2, 4, requires_grad=True)

    def layer(x):
        y = (x @ weight).exp()
        return y * y

    assert kept_bytes(layer, x, [weight]) == 2 * 4 * 4


def test_training_pays_from_where_the_line_between_two_points_crosses_1():
    def points(*ratios):
        return [{"sparsity": n / 10, "dense_over_sparse": ratio} for n, ratio in enumerate(ratios)]

    assert training.pays_from(points(0.5, 0.8, 1.2)) == pytest.approx(0.15)
    assert training.pays_from(points(1.1, 1.3)) == 0.0
    assert training.pays_from(points(0.5, 0.9)) is None


def test_training_is_measured_drawn_and_shown(tmp_path):
    pytest.importorskip("matplotlib")
    report = training.run(context(), sizes=(8,), sparsities=(0.0, 0.9), repetitions=1, frames=6)
    assert [(layer["kind"], layer["units"]) for layer in report["layers"]] == [
        ("gru", 8),
        ("lstm", 8),
    ]
    assert [point["sparsity"] for point in report["layers"][0]["points"]] == [0.0, 0.9]
    shown(report, training.TRAINING, tmp_path, "training a lstm of 8, 6 frames")
