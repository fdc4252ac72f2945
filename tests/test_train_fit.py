"""The training loop: it learns, stops, is interrupted and goes on as if nothing had been."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from golden.fixed import Q  # noqa: E402
from golden.formats import Formats  # noqa: E402
from train.course.fit import Fit, FitParameters, _batches, reproducible  # noqa: E402
from train.course.goals import FrameClasses, OneClass  # noqa: E402
from train.data.recordings import Sequences  # noqa: E402
from train.nets.delta_rnn import DeltaRNN  # noqa: E402
from train.nets.float_rnn import FloatRNN  # noqa: E402

SHORT = FitParameters(epochs=6, batch=8, learning_rate=2e-2, sequence_noise=0.1, frame_noise=0.1)


def data(count: int, seed: int) -> Sequences:
    """Two classes: the mean of the first feature is above or below 0."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    frames = tuple(
        rng.normal(size=(rng.integers(5, 12), 3)) + [2.0 * label - 1, 0, 0] for label in labels
    )
    return Sequences(frames, labels)


TRAIN, VALIDATION = data(64, 1), data(24, 2)


def run(fit: Fit):
    with reproducible(3):
        network = FloatRNN(3, 6, 2)
        return fit.run(network, TRAIN, VALIDATION, False), network


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_it_learns_and_the_seed_decides():
    record, network = run(Fit(OneClass(), SHORT))
    assert record.error <= 0.1
    assert 1 <= record.epoch <= record.epochs == 6
    again, twin = run(Fit(OneClass(), SHORT))
    assert again == record
    assert same(network, twin)


class InterruptedGoal(OneClass):
    """Ctrl-C after so many losses."""

    left = [20]  # noqa: RUF012  # shared on purpose: counts down over the whole run

    def loss(self, outputs, mask, labels):
        self.left[0] -= 1
        if self.left[0] < 0:
            raise KeyboardInterrupt
        return super().loss(outputs, mask, labels)


def test_an_interrupted_run_goes_on_to_the_same_end(tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    whole, network = run(Fit(OneClass(), SHORT))
    InterruptedGoal.left[0] = 20
    with pytest.raises(KeyboardInterrupt):
        run(Fit(InterruptedGoal(), SHORT, checkpoint=checkpoint))
    kept = torch.load(checkpoint, weights_only=True)
    assert kept["epoch"] == 2
    assert kept["best"]["epoch"] in (1, 2)
    InterruptedGoal.left[0] = 1000
    resumed, twin = run(Fit(InterruptedGoal(), SHORT, checkpoint=checkpoint))
    assert resumed == whole
    assert same(network, twin)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    run(Fit(OneClass(), SHORT, checkpoint=checkpoint))
    with pytest.raises(ValueError, match="another run's checkpoint"):
        run(Fit(OneClass(), replace(SHORT, batch=4), checkpoint=checkpoint))
    checkpoint.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="no checkpoint"):
        run(Fit(OneClass(), SHORT, checkpoint=checkpoint))


def test_patience_ends_it_early():
    still = replace(SHORT, epochs=50, learning_rate=1e-12, sequence_noise=0.0, patience=3)
    seen = []

    class Counted(OneClass):
        def loss(self, outputs, mask, labels):
            seen.append(len(labels))
            return super().loss(outputs, mask, labels)

    record, _ = run(Fit(Counted(), still))
    assert record.epoch < 50
    assert len(seen) < 50 * 9


def test_batches_cover_an_epoch_and_keep_lengths_together():
    lengths = list(np.random.default_rng(0).integers(1, 100, 500))
    with reproducible(0):
        batches = list(_batches(lengths, 16))
    assert sorted(np.concatenate(batches)) == list(range(500))
    spread = np.mean([np.ptp([lengths[n] for n in batch]) for batch in batches])
    assert spread < 25


def test_the_cost_of_deltas_lowers_them():
    with reproducible(3):
        base = FloatRNN(3, 8, 2)
        Fit(OneClass(), SHORT).run(base, TRAIN, VALIDATION, False)
        costs = []
        for weight in (0.0, 3.0):
            network = DeltaRNN(base.floats(), Formats())
            network.set_thresholds((4, 2, 2))
            fit = Fit(OneClass(), SHORT, weight, Q(3, 4))
            costs.append(fit.run(network, TRAIN, VALIDATION, False))
    assert costs[1].macs < 0.95 * costs[0].macs


def test_labels_are_cropped_with_their_frames():
    rng = np.random.default_rng(5)
    labels = tuple(rng.integers(0, 2, 60) for _ in range(6))
    # The label is in the frame itself: cropped apart, nothing could be learned.
    stream = Sequences(tuple(np.stack([2.0 * y - 1] * 3, axis=1) for y in labels), labels)
    cropped = replace(SHORT, epochs=60, batch=3, crop=20)
    with reproducible(3):
        network = FloatRNN(3, 6, 2)
        record = Fit(FrameClasses(), cropped).run(network, stream, stream, False)
    assert record.error < 0.05
