"""Primitives that do not go together are refused where the target is made, by name."""

import pytest

from hw.primitive.lane import Lane
from hw.primitive.loaded_weights import LoadedWeights
from hw.primitive.masters import MasterStore
from hw.primitive.serializer import MuxSerializer
from hw.target import Target
from tests.slow_lane import SlowLane
from tests.stores import WaitingStore

STAGES = {"lane": SlowLane, "serializer": MuxSerializer, "stage_lanes": 2}


class SlowMasters(MasterStore):
    latency = 2


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        (
            {"read_latency": 2, "lane": Lane},
            "latency of a lane of target t: found 2, expected more than the 2 of its memory",
        ),
        (
            {"read_latency": 3, "lane": SlowLane},
            "read_latency of target t: found 3, expected an integer from 1 to 2",
        ),
        (
            {"read_latency": 0},
            "read_latency of target t: found 0, expected an integer from 1 to 2",
        ),
        (
            {"weights": LoadedWeights, **STAGES},
            "stage_lanes of target t: found 2, expected None, one stage, where weights are loaded "
            "or may wait",
        ),
        (
            {"weights": WaitingStore, **STAGES},
            "stage_lanes of target t: found 2, expected None, one stage, where weights are loaded "
            "or may wait",
        ),
        (
            {"stage_lanes": 0},
            "stage_lanes of target t: found 0, expected an integer >= 1",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(choices, text):
    with pytest.raises(ValueError, match="target t") as refused:
        Target("t", **choices)
    assert str(refused.value) == text


def test_what_goes_together_is_not():
    assert not Target("t", read_latency=2, lane=SlowLane).loads
    assert Target("t", weights=LoadedWeights).loads
    assert Target("t", **STAGES).stage_lanes == 2


def test_a_memory_takes_the_shape_of_which_it_needs_fewest():
    target = Target("t", block_shapes=((256, 16), (512, 8), (1024, 4)))
    words = [(1, 1), (256, 16), (256, 17), (257, 8), (512, 16), (1024, 12), (1025, 4)]
    assert [target.blocks(*size) for size in words] == [1, 1, 2, 1, 2, 3, 2]
    assert Target("t").blocks(1 << 16, 40) == 0


def test_masters_are_no_slower_than_the_weights_that_they_stand_in_for():
    target = Target("t", masters=SlowMasters)  # for a core that does not train they are nothing
    text = "latency of masters of target t: found 2, expected at most the 1 of its weights"
    with pytest.raises(ValueError, match=text):
        target.require_training()
