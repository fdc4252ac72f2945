"""Training from scratch: what is counted, what a column that did not fire gets, and the record."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from golden.fixed import Q  # noqa: E402
from golden.formats import Formats  # noqa: E402
from golden.model_file import load_model  # noqa: E402
from tests.test_train_delta_rnn import KINDS, H, I, O, network, walks  # noqa: E402
from train.course.fit import FitParameters  # noqa: E402
from train.course.goals import FirstClasses, OneClass  # noqa: E402
from train.course.increments import Increments, train_in_increments  # noqa: E402
from train.course.operations import Meter  # noqa: E402
from train.course.pipeline import train_task  # noqa: E402
from train.course.recipe import Recipe, Task  # noqa: E402
from train.course.score import score  # noqa: E402
from train.data.recordings import Dataset, Sequences  # noqa: E402
from train.nets.delta_rnn import DeltaRNN  # noqa: E402
from train.quantised.thresholds import Budget  # noqa: E402

CLASSES = 5


@pytest.mark.parametrize("kinds", KINDS)
def test_every_kernel_is_counted_on_the_columns_that_fired(kinds):
    delta_rnn = DeltaRNN(network(3, kinds=KINDS[kinds]), Formats())
    delta_rnn.set_thresholds((9, 3, 2, 5, 4))
    frames = torch.tensor(walks(8)).float() / 16
    mask = torch.ones(frames.shape[:2])
    mask[:, 30:] = 0
    with torch.no_grad():
        found = delta_rnn(frames)
    rows = [len(layer.weight_x) for layer in delta_rnn.recurrent]
    rows = (rows[0], rows[0], rows[1], rows[1], O)
    done = dense = 0
    for n, (sent, columns) in enumerate(zip(found.sent, (I, H[0], H[0], H[1], H[1]), strict=True)):
        values = sent[:30].numpy()
        fired = np.count_nonzero(np.diff(values, axis=0, prepend=0 * values[:1]))
        kernels = 3 if n else 2
        done += kernels * rows[n] * fired
        dense += kernels * rows[n] * columns * 30 * len(frames)
    assert found.training_cost(mask) == (done, dense)
    assert 0 < done < dense
    meter, full = Meter(skips=True), Meter(skips=False)
    for each in (meter, full):
        each.count(found, mask)
        each.count(found, mask)
        each.close(0.5, 0.25)
    assert (meter.epochs[0].operations, meter.epochs[0].dense) == (2 * done, 2 * dense)
    assert full.epochs[0].operations == 2 * dense
    assert (meter.epochs[0].occupancy_x, meter.epochs[0].occupancy_h) == pytest.approx(
        found.occupancy(mask)
    )
    meter.count(found, mask)
    meter.close(0.4, 0.2)
    assert [epoch.operations for epoch in meter.epochs] == [2 * done, 3 * done]


@pytest.mark.parametrize("kinds", KINDS)
def test_a_column_that_did_not_fire_gets_no_gradient(kinds):
    """So that the product with W^T needs the columns that fired, and no others."""
    delta_rnn = DeltaRNN(network(3, kinds=KINDS[kinds]), Formats())
    delta_rnn.set_thresholds((20, 3, 2, 5, 4))
    frames = (torch.tensor(walks(8)).float() / 16).requires_grad_()
    found = delta_rnn(frames)
    found.outputs.square().sum().backward()
    sent = found.sent[0].detach()
    fired = torch.diff(sent, dim=0, prepend=torch.zeros_like(sent[:1])).transpose(0, 1) != 0
    assert frames.grad is not None
    assert (frames.grad[~fired] == 0).all()
    assert (frames.grad[fired] != 0).float().mean() > 0.5


def test_the_gradient_of_a_weight_is_that_of_the_deltas():
    """dW = sum of (the sum of dM from here on) d^T: nothing of what did not fire."""
    delta_rnn = DeltaRNN(network(3, kinds=KINDS["lstm"]), Formats())
    delta_rnn.set_thresholds((9, 3, 2, 5, 4))
    found = delta_rnn(torch.tensor(walks(8)).float() / 16)
    weigh = torch.randn(found.outputs.shape)
    (found.outputs * weigh).sum().backward()
    later = weigh.transpose(0, 1).flip(0).cumsum(0).flip(0)  # of M, and of all Ms that follow
    sent = found.sent[-1].detach()
    d = torch.diff(sent, dim=0, prepend=torch.zeros_like(sent[:1]))
    expected = torch.einsum("tbo,tbi->oi", later, d)
    torch.testing.assert_close(delta_rnn.readout.weight_x.grad, expected, rtol=1e-4, atol=1e-4)


def sequences(count: int, seed: int) -> Sequences:
    """A class is the feature that is high."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    frames = []
    for label in labels:
        x = rng.normal(size=(rng.integers(6, 12), CLASSES)).cumsum(axis=0) * 0.2
        x[:, label] += 2
        frames.append(x)
    return Sequences(tuple(frames), labels)


DATA = Dataset(
    "toy",
    tuple("abcde"),
    "nowhere",
    "none",
    sequences(100, 1),
    sequences(30, 2),
    sequences(40, 3),
)


def task(cell: str) -> Task:
    fit = FitParameters(epochs=4, batch=10, learning_rate=3e-2, sequence_noise=0.1, frame_noise=0.1)
    recipe = Recipe(
        units=12,
        cell=cell,
        fit=fit,
        tune=fit,
        theta_x=4,
        theta_h=2,
        noise=0.0,
        delta_cost=0.1,
        formats=(Formats(activation=Q(1, 6)),),
        format_tolerance=0.0,
        budget=Budget(0.0, 0.0),
    )
    return Task(lambda: DATA, OneClass(), recipe)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_delta_network_learns_from_scratch_with_fewer_operations(cell, tmp_path):
    reports = {}
    for method in ("dense", "scratch"):
        path = tmp_path / f"{method}.safetensors"
        reports[method] = train_task(task(cell), method, path, 1, False)
        model = load_model(path)
        assert model.parameters.layers[0].kind == cell
        epochs = model.extra["training"]["epochs"]
        assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3, 4]
        frames = DATA.test.quantized(
            model.extra["input_scale"], model.parameters.formats.activation
        )
        assert score(model, frames, OneClass()).error == reports[method]["scores"]["delta"]
        assert reports[method]["scores"]["delta"] < 0.2
    dense, delta = (reports[name]["training"]["epochs"][-1] for name in ("dense", "scratch"))
    assert dense["operations"] == dense["dense"] == delta["dense"]
    assert 0 < delta["operations"] < 0.7 * delta["dense"]
    assert not list(tmp_path.glob("*.checkpoint"))


def test_an_interrupted_count_goes_on_where_it_was(tmp_path, monkeypatch):
    whole = train_task(task("lstm"), "scratch", tmp_path / "whole.safetensors", 1, False)
    path, close = tmp_path / "m.safetensors", Meter.close

    def interrupted(self, loss, error):
        if len(self.epochs) == 2:
            raise KeyboardInterrupt
        close(self, loss, error)

    with monkeypatch.context() as patch:
        patch.setattr(Meter, "close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_task(task("lstm"), "scratch", path, 1, False)
    again = train_task(task("lstm"), "scratch", path, 1, False)
    assert again["training"]["epochs"] == whole["training"]["epochs"]


def test_classes_yet_to_come_take_no_part():
    goal = FirstClasses(known=2)
    outputs, labels = torch.randn(3, 4, 5), np.array([0, 1, 1])
    mask = torch.ones(3, 4)
    assert goal.loss(outputs, mask, labels) == OneClass().loss(outputs[..., :2], mask, labels)
    late = [np.array([[0.0, 1.0, 9.0]]), np.array([[1.0, 0.0, 9.0]])]
    assert goal.error(late, np.array([1, 1])) == 0.5


@pytest.mark.parametrize("method", ["dense", "scratch"])
def test_classes_are_learned_in_steps(method, tmp_path):
    singly = FitParameters(epochs=2, batch=1, learning_rate=5e-3, sequence_noise=0, frame_noise=0)
    increments = Increments(known=(3, 4, 5), replay=4, fit=singly)
    path = tmp_path / "m.safetensors"
    report = train_in_increments(task("lstm"), increments, DATA, method, path, 1, False)
    steps = load_model(path).extra["training"]["steps"]
    assert steps == report["training"]["steps"]
    # Twenty recordings of each class: all of the new ones and four of each old one.
    assert [step["sequences"] for step in steps] == [60, 32, 36]
    assert [step["known"] for step in steps] == [3, 4, 5]
    assert [step["epochs"] for step in steps] == [4, 2, 2]
    assert steps[0]["old"] == 0
    old = (4 * steps[-1]["old"] + steps[-1]["new"]) / 5  # as many test recordings of each class
    assert steps[-1]["error"] == pytest.approx(old)
    assert steps[-1]["error"] == report["scores"]["delta"] < 0.3
    less = [step["operations"] < step["dense"] for step in steps]
    assert less == 3 * [method == "scratch"]
    again = train_in_increments(task("lstm"), increments, DATA, method, path, 1, False)
    assert again == report


def test_a_cell_that_is_none_is_refused():
    with pytest.raises(ValueError, match="cell: found 'rnn', expected 'gru' or 'lstm'"):
        replace(task("gru").recipe, cell="rnn")
