"""The sparse layer against golden's BPTT, its dense twin and PyTorch's own layers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from golden.learn.bptt import layer_backward, layer_forward  # noqa: E402
from golden.learn.gru import gru_layer  # noqa: E402
from golden.learn.lstm import lstm_layer  # noqa: E402
from train.nets.cells import GRU, LSTM  # noqa: E402
from train.nets.dense_bptt import dense_layer  # noqa: E402
from train.nets.sparse_bptt import sparse_layer  # noqa: E402

CELLS = {"gru": GRU, "lstm": LSTM}
T, I, H = 30, 5, 7  # noqa: E741
THETAS = {"zero": (0.0, 0.0), "some": (0.5, 0.06), "h only": (0.0, 0.1), "nothing": (50.0, 50.0)}


def given(kind: str, seed: int = 4):
    """x, weight_x, weight_h, bias_x, bias_h, and what the outputs are weighed with; float64."""
    rng = np.random.default_rng(seed)
    rows = CELLS[kind].gates * H
    steps = rng.normal(size=(T, I)) * rng.integers(0, 2, (T, I))
    values = [np.cumsum(steps, axis=0) / 2]
    values += [rng.normal(size=shape) / 2 for shape in ((rows, I), (rows, H), rows, rows)]
    values.append(rng.normal(size=(T, H)))
    return [torch.tensor(v) for v in values]


def sparse(kind, x, weight_x, weight_h, bias_x, bias_h, thetas):
    tables = weight_x.t().contiguous(), weight_h.t().contiguous()
    return sparse_layer(x, *tables, bias_x, bias_h, thetas, CELLS[kind])


def gradients(loss, tensors):
    return [g.numpy() for g in torch.autograd.grad(loss, tensors)]


def close(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= 1e-10 * np.abs(b).max()


def as_golden(kind, thetas):
    """The layer and its frames in golden's terms."""
    x, weight_x, weight_h, bias_x, bias_h, _ = (v.numpy() for v in given(kind))
    if kind == "lstm":
        return lstm_layer(weight_x, weight_h, bias_x + bias_h, *thetas), x
    both, apart = np.split(bias_h, [2 * H])
    bias = np.concatenate([bias_x[: 2 * H] + both, bias_x[2 * H :], apart])
    return gru_layer(weight_x, weight_h, bias, *thetas), x


@pytest.mark.parametrize("delta_cost", [0.0, 0.3])
@pytest.mark.parametrize("thetas", THETAS.values(), ids=THETAS)
@pytest.mark.parametrize("kind", CELLS)
def test_the_gradient_is_golden_s(kind, thetas, delta_cost):
    *tensors, weigh = given(kind)
    for tensor in tensors:
        tensor.requires_grad_()
    outputs, sent = sparse(kind, *tensors, thetas)
    found = gradients((weigh * outputs).sum() + delta_cost * sent, tensors)
    layer, x = as_golden(kind, thetas)
    wanted, tape = layer_forward(layer, x)
    gradient, of_x = layer_backward(layer, tape, weigh.numpy(), delta_cost)
    of_weights = [gradient.weight_x, gradient.weight_h]
    of_biases = [gradient.bias.ravel()[p.rows] for p in (layer.of_x, layer.of_h)]
    close([outputs.detach().numpy(), *found], [wanted, of_x, *of_weights, *of_biases])


@pytest.mark.parametrize("thetas", [THETAS["zero"], THETAS["some"]])
@pytest.mark.parametrize("kind", CELLS)
def test_leaving_work_out_changes_nothing(kind, thetas):
    *tensors, weigh = given(kind)
    for tensor in tensors:
        tensor.requires_grad_()
    dense = dense_layer(*tensors, thetas, CELLS[kind])
    outputs, _ = sparse(kind, *tensors, thetas)
    close([outputs.detach().numpy()], [dense.detach().numpy()])
    wanted = gradients((weigh * dense).sum(), tensors)
    close(gradients((weigh * outputs).sum(), tensors), wanted)


@pytest.mark.parametrize("kind", CELLS)
def test_without_thresholds_it_is_pytorch_s_layer(kind):
    x, *tensors, weigh = given(kind)
    theirs = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind](I, H, dtype=torch.float64)
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), tensors, strict=True):
            parameter.copy_(value)
    for tensor in tensors:
        tensor.requires_grad_()
    outputs, _ = sparse(kind, x, *tensors, (0.0, 0.0))
    wanted, _ = theirs(x)
    close([outputs.detach().numpy()], [wanted.detach().numpy()])
    close(
        gradients((weigh * outputs).sum(), tensors),
        gradients((weigh * wanted).sum(), list(theirs.parameters())),
    )


@pytest.mark.parametrize("kind", CELLS)
def test_what_did_not_fire_is_not_kept(kind):
    """An event takes 12 bytes in float64; all else is the tape's and the weights'."""
    *tensors, _ = given(kind)
    for tensor in tensors:
        tensor.requires_grad_()
    kept = {}
    for name, thetas in THETAS.items():
        sizes = []

        def note(tensor, sizes=sizes):
            sizes.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            outputs, _ = sparse(kind, *tensors, thetas)
        _, tape = layer_forward(*as_golden(kind, thetas))
        events = sum(e.columns.size for e in (*tape.events_x, *tape.events_h))
        kept[name] = sum(sizes) - 12 * events
        assert outputs.requires_grad
    assert len(set(kept.values())) == 1


@pytest.mark.parametrize("kind", CELLS)
def test_gates_that_saturate_in_float32_do_no_harm(kind):
    *tensors, weigh = ((1e4 * each).float() for each in given(kind))
    for tensor in tensors:
        tensor.requires_grad_()
    outputs, sent = sparse(kind, *tensors, THETAS["some"])
    found = gradients((weigh * outputs).sum() + sent, tensors)
    assert outputs.dtype == torch.float32
    assert outputs.abs().max() == 1
    assert all(np.isfinite(each).all() for each in found)
