"""Learning in integers and with floats: the same forward pass, and errors that do the same."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deltarnn.bench import training_core  # noqa: E402
from golden.fixed import Q, quantize  # noqa: E402
from golden.learn.formats import RATE_OFFSET, LearningFormats  # noqa: E402
from golden.learn.loss import hinge, verdict  # noqa: E402
from golden.learn.sequence import LearningNetwork, Settings  # noqa: E402
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

FINE = LearningFormats(error=Q(2, 20), slope=Q(1, 16), master=31)
SMALL = Course(units=6, thresholds=(5, 3, 1), epochs=4, batch=4)


def network():
    """Of weights and biases that eight bits hold, for which both passes are one network."""
    made = initial(np.random.default_rng(4), 3, 6, 2)
    for layer in made.layers:
        for v in vars(layer).values():
            v[...] = np.clip(np.rint(v * 200), -127, 127) / 64
        next(iter(vars(layer).values()))[0, 0] = 127 / 64  # float learning takes f_w from them
    return made


def frames(count: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    steps = [rng.integers(-14, 15, (7 + n, 3)) for n in range(count)]
    return [np.clip(np.cumsum(each, axis=0), -128, 127) for each in steps]


def test_both_forward_passes_are_the_same_in_every_bit():
    integers, floats = InIntegers(network(), SMALL, "hinge"), InFloat(network(), SMALL)
    ours, theirs = integers.test(frames()), floats.test(frames())
    for a, b in zip(ours.results, theirs.results, strict=True):
        np.testing.assert_array_equal(a, b)
    assert ours.fired == theirs.fired
    assert 0.1 < ours.fired < 0.9


@pytest.mark.parametrize("loss", ["hinge", "softmax"])
def test_it_learns_what_golden_does(loss):
    """Labels as they are; the errors of a softmax as a host makes them of results."""
    integers, rng = InIntegers(network(), SMALL, loss, 20), np.random.default_rng(7)
    golden = LearningNetwork(SMALL.formats, integers.network.layers, integers.network.masters)
    settings = Settings(RATE_OFFSET - 3, 2, 20)
    for x in frames(12):
        label = int(rng.integers(2))
        integers.learn([x], np.array([label]), 3)
        if loss == "hinge":
            golden.learn(x, settings, label)
            continue
        means = golden.infer(x)[0].mean(axis=0) / 1024
        wanted = np.exp(means) / np.exp(means).sum() - (np.arange(2) == label)
        halvings = (len(x) - 1).bit_length()
        host = quantize(wanted * 2**halvings / len(x), golden.learning.error)
        golden.learn(x, settings, host)
    for ours, theirs in zip(integers.network.masters, golden.masters, strict=True):
        np.testing.assert_array_equal(ours.x, theirs.x)
        np.testing.assert_array_equal(ours.h, theirs.h)


def test_chunks_are_learned_as_golden_learns_them():
    """By a label, and by errors that a host makes of all results so far."""
    small = replace(SMALL, window=4)
    for so_far in (False, True):
        told: list[tuple] = []
        integers = InIntegers(network(), small, "hinge", tell=told_by(told), so_far=so_far)
        golden = LearningNetwork(SMALL.formats, integers.network.layers, integers.network.masters)
        settings = Settings(RATE_OFFSET - 3, 2)
        for n, x in enumerate(frames(6)):
            integers.learn([x], np.array([n % 2]), 3)
            before, results = None, np.zeros((0, 2), dtype=np.int64)
            for first in range(0, len(x), 4):
                chunk, said, rate = told.pop(0)
                np.testing.assert_array_equal(chunk, x[first : first + 4])
                assert rate == settings.rate
                if so_far:
                    made = golden.learn(chunk, replace(settings, rate=0), n % 2, before)
                    results = np.concatenate([results, made.results])
                    wanted = hinge(verdict(results, 2), 10, golden.learning, n % 2, 2)
                    np.testing.assert_array_equal(said, wanted)
                else:
                    assert said == n % 2
                before = golden.learn(chunk, settings, said, before).after
            assert not told
        for ours, theirs in zip(integers.network.masters, golden.masters, strict=True):
            np.testing.assert_array_equal(ours.x, theirs.x)
            np.testing.assert_array_equal(ours.h, theirs.h)


def told_by(told: list):
    return lambda *each: told.append(each)


def test_a_window_of_the_longest_sequence_is_no_window():
    learners = [InIntegers(network(), replace(SMALL, window=w), "softmax") for w in (None, 10)]
    for learner in learners:
        learner.learn(frames(4), np.array([0, 1, 1, 0]), 3)
    for ours, theirs in zip(*(each.network.masters for each in learners), strict=True):
        np.testing.assert_array_equal(ours.x, theirs.x)
        np.testing.assert_array_equal(ours.h, theirs.h)


def test_a_step_in_fine_integers_is_that_in_floats():
    """One sequence, a slow rate: float32, and slopes of gates as they are, make the same step."""
    integers = InIntegers(network(), SMALL, "softmax", 0, FINE)
    floats, x = InFloat(network(), SMALL), frames(1)
    before = [each.copy() for each in integers.network.masters]
    was = [p.detach().double().numpy().copy() for p in floats.network.parameters()]
    losses = [learner.learn(x, np.array([1]), 10) for learner in (integers, floats)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    moved = [
        p.detach().double().numpy() - w
        for p, w in zip(floats.network.parameters(), was, strict=True)
    ]
    lsb = 2.0 ** -FINE.master_frac(6)
    (x0, h0), (x1, _) = (
        ((is_.x - was_.x) * lsb, (is_.h - was_.h) * lsb)
        for was_, is_ in zip(before, integers.network.masters, strict=True)
    )
    bias = np.concatenate([x0[:, -1], h0[12:, -1]])
    ours = (x0[:, :-1], h0[:, :-1], bias, x1[:, :-1], x1[:, -1])
    for a, b in zip(ours, moved, strict=True):
        assert np.abs(a - b).max() < 0.01 * np.abs(b).max()


def test_a_loss_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="loss: found 'mse', expected 'hinge' or 'softmax'"):
        InIntegers(network(), SMALL, "mse")


def test_a_window_without_frames_is_refused():
    with pytest.raises(ValueError, match="window: found 0, expected an integer"):
        InIntegers(network(), replace(SMALL, window=0), "hinge")


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


@pytest.mark.parametrize("loss", ["hinge", "softmax", None])
def test_it_learns_and_says_how_well(loss):
    def make(network):
        return InFloat(network, SMALL) if loss is None else InIntegers(network, SMALL, loss)

    found, again = (learn(two_classes(), SMALL, 1, make) for _ in range(2))
    assert found.error <= 0.1
    assert found.loss < np.log(2) / 2
    assert (found.error, found.loss) == (again.error, again.loss)
    assert len(found.tested.results) == 24


def test_a_core_that_learns_is_measured_drawn_and_shown(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("train.tasks.japanese_vowels.load", two_classes)
    monkeypatch.setattr("train.course.integer_training.Course", lambda: SMALL)
    monkeypatch.setattr(training_core, "JAPANESE_VOWELS", training_core.Shape("gru", (2, 6), 2))
    variants, cores = training_core.VARIANTS, training_core.CORES
    chunks = [replace(each, course={"window": 3}) for each in training_core.CHUNKS[3:7]]
    report = training_core.run(context(), variants[:3], (1,), (cores[0], cores[-1]), chunks)
    floats, host, label = report["accuracy"]
    assert "cycles" not in floats
    for each in (host, label):
        assert 0 < each["cycles"] < each["dense_cycles"]
    assert [each["name"] for each in report["chunks"]] == [each.name for each in chunks]
    *opened, naive = report["chunks"]
    for each in opened:  # v^ is sent again and again
        assert naive["cycles"] < each["cycles"] < each["dense_cycles"]
        assert each["occupancy"] > naive["occupancy"]
    ecp5, up5k = report["cores"]
    assert [point["sparsity"] for point in ecp5["points"]] == list(training_core.SPARSITIES)
    assert ecp5["points"][0]["speedup"] == up5k["points"][0]["speedup"] == 1
    assert set(ecp5["block_rams"]) == {"masters", "slopes", "lists"}
    assert "block_rams" not in up5k
    shown(report, training_core.TRAINING_CORE, tmp_path, "gru 40 -> 128 -> 10")
