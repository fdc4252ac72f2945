"""Learning in integers and with floats: the same forward pass, and errors that do the same."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deltarnn.bench import training_core  # noqa: E402
from golden.fixed import Q  # noqa: E402
from golden.learn.fixed_point import TrainingFormats  # noqa: E402
from golden.learn.noise import Nearest  # noqa: E402
from tests.test_bench import context, shown  # noqa: E402
from train.course.integer_training import (  # noqa: E402
    Course,
    InFloat,
    InIntegers,
    cross_entropy,
    initial,
    learn,
    padded,
)
from train.data.recordings import Dataset, Sequences  # noqa: E402

# On the grid of these masters the float network is the integer one.
FINE = TrainingFormats(error=Q(2, 20), gradient=Q(6, 17), slope=Q(1, 16), master=Q(2, 20))
SMALL = Course(units=6, thresholds=(5, 3, 1), epochs=4, batch=4)


def learners():
    network = initial(np.random.default_rng(4), 3, 6, 2)
    return InIntegers(network, SMALL, FINE, Nearest()), InFloat(network, SMALL)


def frames(count: int = 4) -> np.ndarray:
    steps = np.random.default_rng(5).integers(-14, 15, (count, 11, 3))
    return np.clip(np.cumsum(steps, axis=1), -128, 127)


def test_both_forward_passes_are_the_same_in_every_bit():
    integers, floats = learners()
    np.testing.assert_array_equal(integers.forward(frames()), floats.forward(frames()))
    mask = np.ones((4, 11))
    assert integers.occupancy(mask) == floats.occupancy(mask)
    assert 0.1 < integers.occupancy(mask) < 0.9


def test_a_step_in_fine_integers_is_that_in_floats():
    integers, floats = learners()
    before = [p.detach().double().numpy().copy() for p in floats.network.parameters()]
    errors = np.random.default_rng(6).normal(size=(4, 11, 2)) / 20
    for learner in (integers, floats):
        learner.forward(frames())
        learner.learn(errors, 4)
    after = [p.detach().double().numpy() for p in floats.network.parameters()]
    gru, readout = integers.trainee.masters
    masters = (gru.weight_x, gru.weight_h, gru.bias, readout.weight_x, readout.bias)
    for was, is_, master in zip(before, after, masters, strict=True):
        moved, found = is_ - was, master / FINE.master.scale - was
        # The float pass takes float32, and slopes of gates as they are: both make the same step.
        assert np.abs(found - moved).max() < 0.01 * np.abs(moved).max()


def test_work_is_that_of_each_sequence_s_own_frames():
    integers, _ = learners()
    integers.forward(frames(2))
    mask = np.ones((2, 11))
    mask[1, 7:] = 0
    first, second = integers.work(mask)
    assert (len(first.events_x), len(second.events_x)) == (11, 7)
    fetched = sum(int(((w.events_x + w.events_h) @ [18, 2]).sum()) for w in (first, second))
    assert integers.occupancy(mask) == fetched / (18 * (18 * 9 + 2 * 6))


def test_the_derivative_of_the_loss_is_that_of_autograd():
    results, mask = padded([np.random.default_rng(n).normal(size=(n + 2, 3)) for n in range(4)])
    labels = np.array([0, 2, 1, 2])
    tensor = torch.tensor(results, requires_grad=True)
    means = (tensor * torch.tensor(mask)[..., None]).sum(1) / torch.tensor(mask).sum(1)[:, None]
    wanted = torch.nn.functional.cross_entropy(means, torch.tensor(labels), reduction="sum")
    wanted.backward()
    loss, derivative = cross_entropy(results, mask, labels)
    assert loss == pytest.approx(float(wanted.detach()))
    assert tensor.grad is not None
    np.testing.assert_allclose(derivative, tensor.grad.numpy(), atol=1e-12)


def two_classes() -> Dataset:
    """Sequences that rise, and sequences that fall."""

    def part(seed: int) -> Sequences:
        rng = np.random.default_rng(seed)
        labels = np.tile([0, 1], 12)
        slopes = np.where(labels, 1.0, -1.0)
        made = [s * np.arange(8)[:, None] * [1.0, 0.5] + rng.normal(size=(8, 2)) for s in slopes]
        return Sequences(tuple(made), labels)

    return Dataset("slopes", ("falls", "rises"), "made", "none", part(1), part(2), part(3))


def test_it_learns_and_says_how_well():
    def make(network):
        return InIntegers(network, SMALL, TrainingFormats(), Nearest())

    found, again = (learn(two_classes(), SMALL, 1, make) for _ in range(2))
    assert found.error <= 0.1
    assert found.loss < np.log(2) / 2
    assert (found.error, found.loss) == (again.error, again.loss)
    assert found.mask.shape == (24, 8)


def test_a_core_that_learns_is_measured_drawn_and_shown(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("train.tasks.japanese_vowels.load", two_classes)
    monkeypatch.setattr("train.course.integer_training.Course", lambda: SMALL)
    report = training_core.run(
        context(), training_core.VARIANTS[:2], (1,), training_core.SHAPES[:1]
    )
    floats, integers = report["accuracy"]
    assert floats["formats"] is None
    assert "cycles" not in floats
    assert integers["formats"]["error"] == "Q1.14"
    assert 0 < integers["cycles"] < integers["dense_cycles"]
    up5k, ecp5 = report["cores"]
    assert (up5k["chip"], ecp5["chip"]) == ("UP5K", "ECP5-85k")
    assert [point["sparsity"] for point in up5k["points"]] == list(training_core.SPARSITIES)
    assert up5k["points"][0]["speedup"] == 1
    assert 9 < ecp5["points"][-2]["speedup_of_products"] <= 10.01
    shown(report, training_core.TRAINING_CORE, tmp_path, "gru 12 -> 32 -> 9")


def test_chips_have_the_multipliers_for_their_lanes():
    for chip in training_core.CHIPS:
        assert chip.lanes <= chip.multipliers
