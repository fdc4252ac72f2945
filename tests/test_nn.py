"""DeltaGRU and DeltaLSTM: PyTorch's own at thresholds 0, and golden's with formats."""

import copy
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils.rnn import pack_sequence  # noqa: E402

from deltarnn.nn import DeltaGRU, DeltaLSTM  # noqa: E402
from golden.delta import DeltaEncoder  # noqa: E402
from golden.fixed import Q, quantize  # noqa: E402
from golden.formats import Formats  # noqa: E402
from golden.model_file import load_model  # noqa: E402
from golden.network import DeltaNetwork, run_sequences  # noqa: E402
from tests.slow import every  # noqa: E402
from train.importers import read_network  # noqa: E402

PAIRS = {"gru": (DeltaGRU, nn.GRU), "lstm": (DeltaLSTM, nn.LSTM)}
I, H, T, B = 5, 7, 12, 3  # noqa: E741


def pair(kind, seed=1, given=None, **more):
    """A module of ours and PyTorch's, with the same weights."""
    torch.manual_seed(seed)
    cls, pytorch = PAIRS[kind]
    ours, theirs = cls(I, H, **(given or {}), **more), pytorch(I, H, **(given or {}))
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def walks(seed=2, batch=B, frames=T, step=0.3):
    torch.manual_seed(seed)
    return (step * torch.randn(batch, frames, I)).cumsum(1).transpose(0, 1).contiguous()


def initial(kind, layers):
    torch.manual_seed(3)
    h, c = torch.randn(2, layers, B, H).tanh()
    return h if kind == "gru" else (h, c)


def flat(result):
    """All tensors of a forward call's result."""
    if isinstance(result, torch.Tensor):
        return [result]
    return [tensor for each in result for tensor in flat(each)]


def assert_close(ours, theirs):
    for a, b in zip(flat(ours), flat(theirs), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize(
    "given",
    [{}, {"num_layers": 2}, {"batch_first": True, "num_layers": 2}, {"bias": False}],
    ids=str,
)
def test_at_thresholds_0_results_and_gradients_are_pytorch_s(kind, given, started):
    ours, theirs = pair(kind, given=given)
    x = walks().transpose(0, 1) if given.get("batch_first") else walks()
    hx = initial(kind, given.get("num_layers", 1)) if started else None
    results, gradients = [], []
    for module in (ours, theirs):
        mine = x.clone().requires_grad_()
        result = module(mine, hx)
        results.append(result)
        sum((tensor**2).sum() for tensor in flat(result)).backward()
        gradients.append([mine.grad, *(p.grad for p in module.parameters())])
    assert_close(*results)
    assert [each.shape for each in flat(results[0])] == [each.shape for each in flat(results[1])]
    assert_close(*gradients)


@pytest.mark.parametrize("kind", PAIRS)
def test_one_recording_and_packed_ones_are_taken_as_pytorch_takes_them(kind):
    ours, theirs = pair(kind, given={"num_layers": 2})
    alone = walks()[:, 0]
    assert_close(ours(alone), theirs(alone))
    assert ours(alone)[0].shape == (T, H)
    hx = initial(kind, 2)
    for lengths in ((5, 12, 5), (12, 9, 9)):
        ragged = [walks()[:n, b] for b, n in enumerate(lengths)]
        packed = pack_sequence(ragged, enforce_sorted=lengths[0] == 12)
        (found, end), (expected, expected_end) = (module(packed, hx) for module in (ours, theirs))
        assert_close(found.data, expected.data)
        assert_close(end, expected_end)
        for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
            a, b = getattr(found, name), getattr(expected, name)
            assert (a is None and b is None) or torch.equal(a, b)
    # Padding neither fires nor counts.
    assert ours.occupancy() == (1.0, 1.0)


@pytest.mark.parametrize("kind", PAIRS)
def test_a_state_dict_goes_there_and_back(kind, tmp_path):
    made = []
    for cls in PAIRS[kind]:
        torch.manual_seed(1)
        made.append(cls(I, H, num_layers=2))
    ours, theirs = made
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=0, rtol=0)  # as they begin
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    learned = PAIRS[kind][0](I, H, num_layers=2, theta_x=0.2, learn_theta=True)
    learned.load_state_dict(theirs.state_dict())
    assert learned.theta_x.tolist() == pytest.approx([0.2, 0.2])
    again = PAIRS[kind][0](I, H, num_layers=2, learn_theta=True)
    again.load_state_dict(learned.state_dict())
    assert again.theta_x.tolist() == pytest.approx([0.2, 0.2])
    with pytest.raises(RuntimeError, match="Missing key"):
        learned.load_state_dict({})
    torch.save(ours.state_dict(), tmp_path / "m.pt")
    network = read_network(tmp_path / "m.pt")
    x = walks()[:, 0]
    np.testing.assert_allclose(network.run(x.double().numpy()), ours(x)[0].detach(), atol=1e-6)


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("learned", [False, True])
def test_what_is_sent_is_what_moved(kind, learned):
    """The encoders of both layers against golden's, one call after another."""
    given = {"num_layers": 2}
    ours, _ = pair(
        kind, given=given, theta_x=(0.5, 0.03), theta_h=(0.02, 0.01), learn_theta=learned
    )
    x = walks(frames=30)
    with torch.no_grad():
        outputs, _ = ours(x)
    sent = ours._last.sent.sent
    for v, found, theta in ((x, sent[0], 0.5), (outputs[:-1], sent[3][1:], 0.01)):
        encoder, expected = DeltaEncoder(v.shape[2], B), []
        encoder.memory = np.zeros(v.shape[1:])
        for frame in v.double().numpy():
            encoder.encode(frame, np.float64(np.float32(theta)))
            expected.append(encoder.memory.copy())
        np.testing.assert_array_equal(found.double().numpy(), np.stack(expected))
    of_x, of_h = ours.occupancy()
    assert 0 < of_x < 1
    assert 0 < of_h < 1
    if learned:
        counts = [float((torch.diff(s, dim=0, prepend=0 * s[:1]) != 0).sum()) for s in sent]
        assert float(ours.delta_cost()) == pytest.approx(sum(counts) / (30 * B * (I + 3 * H)))


TRAINED = [("gru", True), ("gru", False), ("lstm", False), ("lstm", True)]


@pytest.mark.parametrize(("kind", "learned"), every(2, TRAINED))
def test_training_with_the_cost_of_deltas_lowers_it(kind, learned):
    """Of sequences whose mean of feature 0 is wanted; the loss falls all the same."""
    ours, _ = pair(kind, theta_x=0.1, theta_h=0.05, learn_theta=learned)
    head = nn.Linear(H, 1)
    x = walks(batch=16, frames=12)
    wanted = x[:, :, 0].mean(dim=0)
    parameters = [*ours.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-2)
    losses, costs, occupancies = [], [], []
    for _ in range(60):
        outputs, _ = ours(x)
        loss = ((head(outputs[-1])[:, 0] - wanted) ** 2).mean()
        cost = ours.delta_cost()
        optimizer.zero_grad()
        (loss + (0.3 if learned else 3.0) * cost).backward()
        optimizer.step()
        losses.append(loss.item())
        costs.append(cost.item())
        occupancies.append(sum(ours.occupancy()))
    assert losses[-1] < 0.6 * losses[0]
    assert costs[-1] < 0.8 * costs[0]
    assert occupancies[-1] < 0.9 * occupancies[0]
    if learned:
        assert ours.theta_x.item() > 0.11
        assert ours.theta_h.item() > 0.06


def test_a_threshold_below_0_is_0_and_comes_back():
    ours, theirs = pair("gru", learn_theta=True)
    with torch.no_grad():
        ours.theta_x.fill_(-0.3)
    x = walks()
    assert_close(ours(x), theirs(x))
    ours.delta_cost().backward()
    assert ours.theta_x.grad is not None
    assert ours.theta_x.grad.item() < 0  # a step against it raises the threshold


FORMATS = {
    "defaults": Formats(),
    "wide": Formats(activation=Q(2, 5), state=Q(1, 14), cell=Q(3, 10)),
}


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("name", FORMATS)
def test_with_formats_it_is_golden_in_every_bit(kind, name, tmp_path):
    formats = FORMATS[name]
    given = {"num_layers": 2, "batch_first": True}
    ours, _ = pair(kind, given=given, theta_x=(0.25, 0.1), theta_h=0.07, formats=formats)
    x = walks(frames=40).transpose(0, 1)
    outputs, _ = ours(x)
    found = ours.export(tmp_path / "m.safetensors")
    model = load_model(tmp_path / "m.safetensors")
    assert (model.name, found.dense, found.delta) == ("m", None, None)
    scale = formats.activation.scale
    assert [layer.theta_x for layer in model.parameters.layers] == [scale // 4, round(0.1 * scale)]
    frames = quantize(x.double().numpy(), formats.activation)
    traces = run_sequences(model, list(frames))
    expected = np.stack([trace.outputs for trace in traces]) / scale
    np.testing.assert_array_equal(outputs.detach().numpy(), expected)
    events = sum(trace.events_x.sum() for trace in traces)
    assert ours.occupancy()[0] == pytest.approx(events / (B * 40 * (I + H)))
    (outputs**2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in ours.parameters())


@pytest.mark.parametrize("kind", every(2, PAIRS))
def test_an_export_follows_the_module(kind, tmp_path):
    ours, _ = pair(kind, given={"num_layers": 2}, theta_x=(0.2, 0.05), theta_h=0.04)
    head = nn.Linear(H, 2)
    recordings = [walks(frames=24)[:, b] for b in range(2)]
    found = ours.export(tmp_path / "m.safetensors", recordings, head, name="mine")
    model = load_model(tmp_path / "m.safetensors")
    assert model.name == "mine"
    activation = model.parameters.formats.activation
    first, second, last = model.parameters.layers
    assert first.theta_x == round(0.2 * found.input_scale.min() * activation.scale)
    assert (second.theta_x, second.theta_h, last.theta_x) == (
        round(0.05 * activation.scale),
        round(0.04 * activation.scale),
        0,
    )
    joined = torch.cat(recordings)
    frames = quantize(joined.double().numpy() * model.extra["input_scale"], activation)
    results = DeltaNetwork(model).run(frames).outputs / 2.0**model.parameters.output_frac
    with torch.no_grad():
        dense = head(PAIRS[kind][1].forward(ours, joined)[0]).double().numpy()
        own = head(ours(joined)[0]).double().numpy()
    spread = np.sqrt(np.mean((dense - dense.mean(axis=0)) ** 2))
    assert found.delta is not None
    lost, own_lost = (np.sqrt(np.mean((each - dense) ** 2)) / spread for each in (results, own))
    assert lost == pytest.approx(found.delta.loss, rel=1e-3)
    assert found.dense is not None
    assert lost <= 1.3 * own_lost + found.dense.loss


def test_a_copy_has_no_last_call():
    ours, _ = pair("lstm", theta_h=0.1)
    ours(walks())
    with pytest.raises(ValueError, match="DeltaLSTM: found no forward call, expected one before"):
        copy.deepcopy(ours).occupancy()
    assert ours.occupancy()[0] == 1.0


REFUSED = {
    "dropout: found 0.2, expected 0": {"dropout": 0.2, "num_layers": 2},
    "bidirectional: found True": {"bidirectional": True},
    "proj_size: found 3": {"proj_size": 3},
    "theta_x: found 3 thresholds, expected one, or 2": {"theta_x": (0, 0, 0), "num_layers": 2},
    r"theta_h: found \[-1.0\], expected numbers from 0": {"theta_h": -1.0},
    r"theta_h: found \[nan\]": {"theta_h": float("nan")},
    "learn_theta: found True with formats": {"learn_theta": True, "formats": Formats()},
    "tau: found 0": {"tau": 0},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_a_core_cannot_do_is_refused(message):
    with pytest.raises(ValueError, match=message):
        DeltaLSTM(I, H, **REFUSED[message])


def test_what_does_not_fit_is_refused(tmp_path):
    ours = DeltaGRU(I, H, formats=Formats())
    for x in (torch.zeros(T, B, I + 1), torch.zeros(0, B, I), torch.zeros(I)):
        with pytest.raises(
            ValueError, match=r"input: found shape .*, expected \[T, B, 5\], T >= 1"
        ):
            ours(x)
    with pytest.raises(ValueError, match=r"hx: found shape \[2, 3, 7\], expected \[1, 3, 7\]"):
        ours(walks(), torch.zeros(2, B, H))
    with pytest.raises(ValueError, match="hx: found one beside formats, expected None"):
        ours(walks(), torch.zeros(1, B, H))
    path = tmp_path / "m.safetensors"
    with pytest.raises(ValueError, match=r"head: found a ReLU, expected an nn\.Linear"):
        ours.export(path, head=nn.ReLU())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="layer 1: found 3 inputs, expected 7, as below it"):
        ours.export(path, head=nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"recordings: found shape \[4\], expected \[T, I\] each"):
        ours.export(path, [np.zeros(4)])
    fine = DeltaGRU(I, H, formats=Formats(activation=Q(3, 12)))
    with pytest.raises(ValueError, match=r"accumulators: found \d+ bits, expected at most 24: sm"):
        fine.export(path)
    assert not path.exists()


def test_the_command_line_does_without_torch():
    code = "import sys, deltarnn, deltarnn.command; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
