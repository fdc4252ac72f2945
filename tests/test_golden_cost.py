import numpy as np
import pytest

from golden.network import DeltaNetwork, Trace
from golden.predict.inference import delta_cost, dense_cost, occupancy
from tests.networks import random_frames, random_model

# Two inputs, three units, two results: 3 * 3 * (2 + 3) + 2 * 3 = 51 weights.
MODEL = random_model((2, 3), 2, theta=(0, 0))
NETWORK = MODEL.parameters


def fired(x0: list[int], h0: list[int], x1: list[int]) -> Trace:
    """A trace of one frame in which just these columns fired: x and h of the GRU layer, x of the
    read-out.
    """
    return Trace(
        outputs=np.zeros((1, 2), dtype=np.int64),
        states=(np.zeros((1, 3), dtype=np.int64),),
        deltas_x=(np.array([x0]), np.array([x1])),
        deltas_h=(np.array([h0]),),
    )


# By hand. A column of the GRU layer is 3 * 3 weights, one of the read-out 2. The state: v and v^ of
# 5 and of 3 columns, v^ again for each event; M of 4 * 3 and of 2 read and written; h of 3 read and
# written, 2 results written: 2 * 8 + 2 * 14 + 6 + 2 = 52 and one for each event.
@pytest.mark.parametrize(
    ("trace", "fetches", "accesses"),
    [
        (fired([0, 0], [0, 0, 0], [0, 0, 0]), 0, 52),
        (fired([5, 0], [0, 0, 0], [0, 0, 0]), 9, 53),
        (fired([0, 0], [0, -1, 2], [0, 0, 0]), 18, 54),
        (fired([0, 0], [0, 0, 0], [0, 7, 0]), 2, 53),
        (fired([5, -9], [1, 1, 1], [1, 1, 1]), 51, 60),
    ],
    ids=["nothing", "one x", "two h", "one of the read-out", "all"],
)
def test_a_frame_counted_by_hand(trace, fetches, accesses):
    cost = delta_cost(NETWORK, trace)
    assert cost.weight_fetches.tolist() == [fetches]
    assert cost.macs.tolist() == [fetches]
    assert cost.state_accesses.tolist() == [accesses]


def test_the_dense_network_by_hand():
    """Each weight once; 2 + 3 elements read and 3 written, then 3 read and 2 written."""
    cost = dense_cost(NETWORK, 4)
    assert cost.weight_fetches.tolist() == [51] * 4
    assert cost.macs.tolist() == [51] * 4
    assert cost.state_accesses.tolist() == [13] * 4


@pytest.mark.parametrize("shape", [((4, 5), None), ((3, 5, 4), 2)])
def test_frames_add_up_event_by_event(shape):
    model = random_model(*shape, theta=(5, 3))
    trace = DeltaNetwork(model).run(random_frames(model, 80, moving=0.5))
    dense = dense_cost(model.parameters, 80)
    fetches = delta_cost(model.parameters, trace).weight_fetches
    expected = sum(
        int(np.count_nonzero(d)) * layer.gates * layer.units
        for deltas in (trace.deltas_x, trace.deltas_h)
        for d, layer in zip(deltas, model.parameters.layers, strict=False)
    )
    assert fetches.sum() == expected
    assert (fetches <= dense.weight_fetches).all()
    assert dense.weight_fetches[0] == sum(
        w.size
        for weights in model.weights
        for name, w in vars(weights).items()
        if name.startswith("weight")
    )


@pytest.mark.parametrize(
    ("trace", "of_x", "of_h"),
    [
        (fired([0, 0], [0, 0, 0], [0, 0, 0]), 0, 0),
        (fired([5, 0], [0, 0, -1], [1, 1, 0]), 3 / 5, 1 / 3),
        (fired([5, 1], [1, 1, 1], [1, 1, 1]), 1, 1),
    ],
)
def test_occupancy_is_the_fraction_of_columns_that_fired(trace, of_x, of_h):
    assert occupancy(NETWORK, trace) == (of_x, of_h)
    assert occupancy(NETWORK, Trace.joined([trace] * 3)) == (of_x, of_h)


def test_no_frames_cost_nothing():
    trace = DeltaNetwork(MODEL).run(np.zeros((0, 2), dtype=np.int8))
    assert occupancy(NETWORK, trace) == (0, 0)
    assert delta_cost(NETWORK, trace).weight_fetches.tolist() == []
