"""Sparse BPTT against PyTorch's autograd through the masked network, written once more here."""

from itertools import pairwise

import numpy as np
import pytest

from golden.learn.bptt import (
    Gradient,
    Layer,
    Projection,
    backward,
    forward,
    linear_layer,
    sent,
)
from golden.learn.columns import Events, add_weight_gradient, encode, encoder_errors, error_product
from golden.learn.gru import gru_layer
from golden.learn.lstm import lstm_layer
from golden.predict.learning import dense_cost, sparse_cost

MAKERS = {"gru": (3, 4, gru_layer), "lstm": (4, 4, lstm_layer)}
THETAS = {"zero": (0.0, 0.0), "some": (0.4, 0.06), "input only": (0.7, 0.0), "nothing": (9.0, 9.0)}


def random_network(kind: str, sizes: tuple[int, ...], outputs: int, thetas) -> list[Layer]:
    rng = np.random.default_rng(7)
    gates, accumulators, make = MAKERS[kind]
    layers = [
        make(
            rng.normal(size=(gates * units, inputs)) / 2,
            rng.normal(size=(gates * units, units)) / 2,
            rng.normal(size=accumulators * units) / 2,
            *thetas,
        )
        for inputs, units in pairwise(sizes)
    ]
    readout = rng.normal(size=(outputs, sizes[-1])), rng.normal(size=outputs)
    return [*layers, linear_layer(*readout, thetas[1])]


def random_sequences(batch: int, length: int, inputs: int) -> np.ndarray:
    """[B, T, I] in which some elements stay, some creep and some jump; one frame repeats."""
    rng = np.random.default_rng(3)
    steps = rng.normal(size=(batch, length, inputs)) * rng.integers(0, 2, (batch, length, inputs))
    frames = np.cumsum(steps, axis=1) / 2
    frames[:, 4] = frames[:, 3]
    return frames


def by_autograd(torch, kind, network, frames, weigh, delta_cost):
    """Loss, and its gradients by parameter: the masked network as PyTorch differentiates it."""
    parameters, cost = [], 0.0
    frames = torch.tensor(frames, requires_grad=True)

    def leaf(values):
        parameters.append(torch.tensor(values, requires_grad=True))
        return parameters[-1]

    def encoded(v, memory, theta):
        nonlocal cost
        fires = ((v - memory).abs() > theta).detach()
        new = torch.where(fires, v, memory)
        cost = cost + (new - memory).abs().sum()
        return new, new - memory

    x = list(frames.unbind(dim=1))
    for layer in network[:-1]:
        weight_x, weight_h = leaf(layer.of_x.weight), leaf(layer.of_h.weight)
        bias = leaf(layer.bias.ravel())
        units, batch = weight_h.shape[1], len(frames)
        sent_x, sent_h = torch.zeros_like(x[0]), x[0].new_zeros(batch, units)
        h = c = torch.zeros_like(sent_h)
        m = bias.expand(batch, -1)
        for t in range(len(x)):
            sent_x, delta_x = encoded(x[t], sent_x, layer.of_x.theta)
            sent_h, delta_h = encoded(h, sent_h, layer.of_h.theta)
            of_x, of_h = delta_x @ weight_x.T, delta_h @ weight_h.T
            if kind == "gru":
                ru, last = 2 * units, torch.zeros_like(h)
                m = m + torch.cat([of_x[:, :ru] + of_h[:, :ru], of_x[:, ru:], last], dim=1)
                m = m + torch.cat([torch.zeros_like(of_x), of_h[:, ru:]], dim=1)
                m_r, m_u, m_xc, m_hc = m.split(units, dim=1)
                u, new = torch.sigmoid(m_u), torch.tanh(m_xc + torch.sigmoid(m_r) * m_hc)
                h = new + u * (h - new)
            else:
                m = m + of_x + of_h
                i, f, g, o = m.split(units, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            x[t] = h
    weight, m = leaf(network[-1].of_x.weight), leaf(network[-1].bias[0])
    memory, loss = torch.zeros_like(x[0]), 0.0
    for t in range(len(x)):
        memory, delta = encoded(x[t], memory, network[-1].of_x.theta)
        m = m + delta @ weight.T
        loss = loss + (torch.tensor(weigh[:, t]) * m).sum()
    loss = loss + delta_cost * cost
    found = torch.autograd.grad(loss, [*parameters, frames], allow_unused=True)
    zeros = [torch.zeros_like(p) for p in (*parameters, frames)]
    return float(loss.detach()), [z if g is None else g for g, z in zip(found, zeros, strict=True)]


def summed(some: list[Gradient], others: list[Gradient]) -> list[Gradient]:
    return [a + b for a, b in zip(some, others, strict=True)]


def flat(gradients: list[Gradient]) -> list[np.ndarray]:
    """In the order in which ``by_autograd`` meets the parameters."""
    found = []
    for each in gradients:
        found += [w for w in (each.weight_x, each.weight_h) if w is not None]
        found.append(each.bias.ravel())
    return found


@pytest.mark.parametrize("delta_cost", [0.0, 0.3])
@pytest.mark.parametrize("sizes", [(4, 6), (3, 7, 5)], ids=["one layer", "two layers"])
@pytest.mark.parametrize("thetas", THETAS.values(), ids=THETAS)
@pytest.mark.parametrize("kind", MAKERS)
def test_the_gradient_is_that_of_autograd(kind, thetas, sizes, delta_cost):
    torch = pytest.importorskip("torch")
    network = random_network(kind, sizes, 3, thetas)
    frames = random_sequences(3, 14, sizes[0])
    weigh = np.random.default_rng(5).normal(size=(3, 14, 3))
    wanted_loss, wanted = by_autograd(torch, kind, network, frames, weigh, delta_cost)
    loss, total, of_frames = 0.0, None, []
    for sequence, weights in zip(frames, weigh, strict=True):
        outputs, tapes = forward(network, sequence)
        gradients, of_sequence = backward(network, tapes, weights, delta_cost)
        loss += (weights * outputs).sum() + delta_cost * sent(tapes)
        of_frames.append(of_sequence)
        total = gradients if total is None else summed(total, gradients)
    assert loss == pytest.approx(wanted_loss, rel=1e-12)
    assert total is not None
    for a, b in zip([*flat(total), np.stack(of_frames)], wanted, strict=True):
        assert np.abs(a - b.numpy()).max() <= 1e-10 * float(b.abs().max())


def test_what_thresholds_are_tested_with_is_sparse_and_has_a_frame_without_events():
    network = random_network("gru", (4, 6), 3, THETAS["some"])
    _, (layer, _) = forward(network, random_sequences(1, 14, 4)[0])
    fired_x = [e.columns.size for e in layer.events_x]
    fired_h = [e.columns.size for e in layer.events_h]
    assert 0 < sum(fired_x) < 0.6 * 14 * 4
    assert 0 < sum(fired_h) < 0.8 * 14 * 6
    assert fired_x[4] == 0


@pytest.mark.parametrize("kind", MAKERS)
def test_a_network_in_which_nothing_fires_learns_its_biases_only(kind):
    network = random_network(kind, (4, 6), 3, THETAS["nothing"])
    _, tapes = forward(network, random_sequences(1, 14, 4)[0])
    (gru, readout), of_frames = backward(network, tapes, np.ones((14, 3)))
    assert not gru.weight_x.any()
    assert not readout.weight_x.any()
    assert readout.bias.tolist() == [[14.0] * 3]
    assert not of_frames.any()


def test_an_error_goes_to_the_frame_that_was_sent():
    """v = 0, 3, 4, 9, 8 with theta 2 sends 3 and 6; dL/ddelta is 5 and then 7."""
    memory, lists = np.zeros(1), []
    for v in (0.0, 3.0, 4.0, 9.0, 8.0):
        lists.append(encode(np.array([v]), memory, 2.0))
    assert [e.deltas.tolist() for e in lists] == [[], [3.0], [], [6.0], []]
    held = np.array([1.0])  # as a frame that is still to come would leave it
    errors = [np.zeros(0), np.array([5.0]), np.zeros(0), np.array([7.0]), np.zeros(0)]
    found = [
        encoder_errors(held, error, events).tolist()
        for error, events in zip(reversed(errors), reversed(lists), strict=True)
    ]
    assert found == [[0.0], [1.0 + 7.0], [0.0], [-7.0 + 5.0], [0.0]]
    assert held.tolist() == [-5.0]


def test_columns_that_did_not_fire_are_not_read_or_written():
    weight = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, 4.0]])
    gradient = np.full((2, 3), np.nan)
    gradient[:, [0, 2]] = 0
    events = Events(np.array([0, 2]), np.array([10.0, -1.0]))
    assert error_product(weight, np.array([1.0, 2.0]), events).tolist() == [7.0, 10.0]
    add_weight_gradient(gradient, np.array([1.0, 2.0]), events)
    assert gradient[:, [0, 2]].tolist() == [[10.0, -1.0], [20.0, -2.0]]
    assert np.isnan(gradient[:, 1]).all()


def test_products_counted_by_hand():
    """GRU 2 -> 3 and a read-out of 2. A column of the GRU layer is 9 weights, of the read-out 2.

    Frame 0: both x fire, h was 0. Frame 1: one x, and whatever of h moved, which theta 0 makes all.
    """
    network = random_network("gru", (2, 3), 2, (0.0, 0.0))
    _, tapes = forward(network, np.array([[1.0, 2.0], [1.0, 3.0]]))
    sparse, dense = sparse_cost(network, tapes), dense_cost(network, tapes)
    assert sparse.multiplications.tolist() == [[18 + 6, 6, 18 + 6], [36 + 6, 27 + 6, 36 + 6]]
    assert dense.multiplications.tolist() == [[45 + 6, 27 + 6, 45 + 6]] * 2
    assert sparse.weight_reads.tolist() == [[24, 6, 0], [42, 33, 0]]
    assert sparse.gradient_reads.tolist() == [[0, 0, 24], [0, 0, 42]]
    assert dense.gradient_writes.tolist() == [[0, 0, 51]] * 2


def test_nothing_fires_nothing_counts():
    network = random_network("lstm", (4, 6), 3, THETAS["nothing"])
    _, tapes = forward(network, random_sequences(1, 5, 4)[0])
    cost = sparse_cost(network, tapes)
    assert not any(counts.any() for counts in vars(cost).values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": np.zeros((2, 3))}, "rows of a weight matrix: found 2, expected 4"),
        ({"theta": -0.5}, "theta: found -0.5, expected a number >= 0"),
        ({"theta": float("nan")}, "theta: found nan, expected a number >= 0"),
    ],
)
def test_projections_that_cannot_be_are_refused(change, message):
    right = {"weight": np.zeros((4, 3)), "rows": np.arange(4), "theta": 0.0}
    with pytest.raises(ValueError, match=message):
        Projection(**{**right, **change})
