"""The cycles and the block RAM of a core that learns: by hand, against RTL, and what is wanted."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from golden.formats import Formats
from golden.learn.sequence import LearningNetwork
from golden.learn.tape import words
from golden.parameters import CoreParameters, LayerParameters, NetworkParameters
from golden.predict.learning_core import LearningCore, Pipeline, Work, block_rams
from tests.networks import random_frames, random_model

ECP5 = Pipeline(activate=32, gather=16, errors=20)
NONE = Pipeline(0, 0, 0, 0)


def core(kind, sizes, outputs, lanes, activations=1, pipeline=ECP5, ports=2) -> LearningCore:
    layers = [LayerParameters(kind, i, u, 6, 0, 0) for i, u in pairwise(sizes)]
    if outputs:
        layers.append(LayerParameters("linear", sizes[-1], outputs, 6, 0))
    network = NetworkParameters(Formats(), tuple(layers), 24)
    return LearningCore(CoreParameters(network, lanes, activations), pipeline, ports=ports)


# A GRU layer 2 -> 3 on two lanes has 2 blocks, so 6 row blocks an event; the read-out 3 -> 2 has 1.
TINY = core("gru", (2, 3), 2, 2, pipeline=NONE)


def test_work_is_counted_from_tapes():
    network = LearningNetwork.of(random_model((2, 3), 2, theta=(4, 3)))
    _, tapes = network.infer(random_frames(random_model((2, 3), 2), 7, moving=0.5))
    work, need = Work.of_tapes(tapes), words(tapes)
    assert work.events_x.shape == work.events_h.shape == (7, 2)
    assert work.events_x[:, 0].sum() + 7 == need["input"]
    assert work.events_h.sum() + 7 == need["h"]
    assert work.events_h[:, 1].tolist() == [0] * 7
    assert work.events_x[:, 1].sum() + 7 == need["above"]


def test_uniform_work_carries_parts_of_events_over():
    """0.8, 1.6, 2.4 of x and 1.2, 2.4, 3.6 of h; a constant column in frame 0, of h in a GRU."""
    found = Work.uniform(TINY.layers, 3, 0.4)
    assert found.events_x.tolist() == [[2, 2], [1, 1], [0, 2]]
    assert found.events_h.tolist() == [[2, 0], [1, 0], [2, 0]]


def test_without_latencies_and_with_many_events_lanes_are_always_busy():
    """Forward 40 x and 60 h of 6 row blocks, and 30 of 1: 630. Backward the same, but that the
    last frame's first block waits for its 2 units."""
    work = Work(np.full((5, 2), [40, 30]), np.full((5, 2), [60, 0]))
    cycles = TINY.cycles(work)
    assert (cycles.forward, cycles.backward) == (5 * 630, 5 * 630 + 2)
    assert TINY.bound(work) == 2 * 5 * 630
    # Reset of 2 * 4 rows and 1, two results, K = 3.
    assert cycles.once == 9 + 2 + 3
    assert cycles.total == 2 * 5 * 630 + 2 + 14


def test_one_port_takes_two_cycles_for_what_is_rewritten():
    work = Work(np.full((5, 2), [40, 30]), np.full((5, 2), [60, 0]))
    one = replace(TINY, ports=1)
    cycles = one.cycles(work)
    assert (cycles.forward, cycles.backward) == (5 * 630, 2 * 5 * 630 + 2)
    assert one.bound(work) == 3 * 5 * 630


def test_a_frame_without_events_by_hand():
    """One unit a cycle, latencies 10, 5 and 7. Forward: the GRU's 4 rows of 2 blocks, a slot each,
    end at 4 and 8; units 2 and 1 are out at 6 and 9, their events come at 19; the read-out's slot.
    Backward: the read-out's list takes 1 cycle and its errors come at 1 + 5; 2 units, then 1, and G
    of the first block 7 cycles later, at 15; h and x, a cycle each.
    """
    tiny = replace(TINY, pipeline=Pipeline(10, 5, 7))
    cycles = tiny.cycles(Work(np.zeros((1, 2), np.int64), np.zeros((1, 2), np.int64)))
    assert cycles.forward == 19
    assert cycles.backward == 15 + 2
    assert cycles.once == 9 + 10 + 2


def test_masters_are_not_read_before_they_are_written():
    """No h fires, so x follows x: after two lists without events, a cycle each, and latencies."""
    work = Work(np.full((4, 2), [1, 0]), np.zeros((4, 2), np.int64))
    quick, slow = (replace(TINY, pipeline=Pipeline(0, 0, 0, n)) for n in (0, 50))
    assert slow.cycles(work).backward >= quick.cycles(work).backward + 3 * 40


MEASURED = {
    "40 -> 128, 8 lanes": ("gru", (40, 128), 1),
    "40 -> 128, 8 lanes, 2 units a cycle": ("gru", (40, 128), 2),
    "16 -> 16 -> 16, 8 lanes": ("gru", (16, 16, 16), 1),
    "LSTM 16 -> 128, 8 lanes": ("lstm", (16, 128), 1),
}


@pytest.mark.parametrize("name", MEASURED)
def test_forward_is_what_rtl_takes(name):
    """docs/bench/cycles.json, made with the target generic, where a layer seldom stands still."""
    report = json.loads((Path(__file__).parents[1] / "docs/bench/cycles.json").read_text())
    kind, sizes, activations = MEASURED[name]
    found = core(kind, sizes, None, 8, activations, Pipeline(19, 16, 20))
    rows = [row for row in report["shapes"][name] if row["occupancy"] > 0.04]
    assert len(rows) >= 5
    for row in rows:
        work = Work.uniform(found.layers, 150, row["occupancy"])
        counted = found._forward(work) / 150
        assert row["cycles"] <= 1.03 * counted
        # Of several layers, x of the next frame is walked early, which is not counted.
        assert row["cycles"] >= (0.97 if len(sizes) == 2 else 0.84) * counted


GOALS = {0.5: 1.95, 0.2: 4.5, 0.1: 8.5}


@pytest.mark.parametrize(
    ("kind", "sizes", "outputs"), [("gru", (40, 128), 10), ("lstm", (16, 64, 64), 31)]
)
def test_the_goals_of_speed(kind, sizes, outputs):
    found = core(kind, sizes, outputs, 16, 2)
    dense = found.dense_cycles(150).total
    for occupancy, times in GOALS.items():
        work = Work.uniform(found.layers, 150, occupancy)
        cycles = found.cycles(work).total
        assert dense / cycles >= times
        assert found.bound(work) / cycles >= (0.89 if occupancy == 0.1 else 0.95)


def test_block_rams_by_hand():
    assert block_rams(1024, 18) == 1
    assert block_rams(1025, 18) == 2
    assert block_rams(2048, 9) == block_rams(16384, 1) == 1
    assert block_rams(100, 256) == 15


def test_memory_of_a_core_by_hand():
    """GRU 40 -> 128 -> 10, 16 lanes, 150 frames.

    24 row blocks of 41 + 129 columns, and 129 of one: 4,209 words of 4 masters for each of 4
    stages, 4 cuts of 1,024 * 18 wide and 5 deep. Slopes of 64 pairs a frame: 9,600 words of 80
    bits, 9 cuts of 2,048 * 9 wide and 5 deep. Lists of half of 42, 130 and 130 words, and a count:
    150 times 22, 66 and 66; 4, 10 and 10 cuts of 1,024 * 18.
    """
    found = core("gru", (40, 128), 10, 16, 2)
    assert found.master_words() == 4209
    assert found.block_rams(150, 0.5) == {"masters": 80, "slopes": 45, "lists": 24}
    longest = found.longest(208, 28, 0.5)
    held, over = (sum(found.block_rams(n, 0.5).values()) + 28 for n in (longest, longest + 1))
    assert 150 <= longest < 256
    assert held <= 208 < over
    assert found.longest(100, 28, 0.5) == 0
    assert core("lstm", (40, 128), 10, 16, 2).kept_bits(found.layers[0]) == 40
    assert found.kept_bits(core("lstm", (40, 128), 10, 16, 2).layers[0]) == 48


def test_ports_that_no_memory_has_are_refused():
    with pytest.raises(ValueError, match="ports: found 3, expected an integer from 1 to 2"):
        replace(TINY, ports=3)
