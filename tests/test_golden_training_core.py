"""The cycles and the memory of a core that learns, against counts by hand."""

import numpy as np
import pytest

from golden.fixed import Q
from golden.formats import Formats
from golden.learn.fixed_point import TrainingFormats
from golden.parameters import CoreParameters, LayerParameters, NetworkParameters
from golden.predict.learning_core import TrainingCore, Work

# Two lanes. The GRU layer 2 -> 3 has 2 blocks of units, so 3 * 2 row blocks an event; the read-out
# 3 -> 2 has one.
LAYERS = (LayerParameters("gru", 2, 3, 6, 0, 0), LayerParameters("linear", 3, 2, 5, 0))
NETWORK = NetworkParameters(Formats(), LAYERS, 20)
TRAINING = TrainingFormats(error=Q(1, 14), gradient=Q(3, 8), master=Q(2, 13))


def core(ports: int = 2, network: NetworkParameters = NETWORK) -> TrainingCore:
    return TrainingCore(CoreParameters(network, 2), TRAINING, ports)


def work() -> Work:
    """Two frames: x 1 and x 0, h none and h 1 and 2, of the read-out all and then none."""
    deltas_x = [np.array([[0, 5], [-2, 0]]), np.array([[1, 1, 1], [0, 0, 0]])]
    deltas_h = [np.array([[0, 0, 0], [0, 3, -1]]), np.zeros((2, 0), dtype=np.int64)]
    return Work.of_deltas(deltas_x, deltas_h)


def test_work_is_counted_from_deltas():
    found = work()
    assert found.events_x.tolist() == [[1, 3], [1, 0]]
    assert found.events_h.tolist() == [[0, 0], [2, 0]]
    assert found.touched.tolist() == [4, 3]


def test_two_frames_by_hand():
    """Forward: 6 + 3 and 18; no errors for x of the GRU layer: 3 and 12. Elementwise: 11 for each
    of 2 blocks, twice. Update: 4 columns of 6 words, 3 of 1; biases 4 * 2 and 1; 8 columns' f_w.
    """
    cycles = core().cycles(work())
    assert (cycles.forward, cycles.error, cycles.gradient) == (27, 15, 27)
    assert cycles.elementwise == 44
    assert cycles.update == 24 + 3 + 9 + 8
    assert cycles.total == 27 + 15 + 27 + 44 + 44


def test_one_port_takes_two_cycles_for_what_is_rewritten():
    one, two = core(1).cycles(work()), core(2).cycles(work())
    assert (one.gradient, one.update) == (54, 80)
    assert (one.forward, one.error, one.elementwise) == (two.forward, two.error, two.elementwise)


def test_dense_by_hand():
    """5 columns of 6 and 3 of 1 in each of 4 frames: 33; 2 columns fewer for the errors: 21."""
    cycles = core().dense_cycles(4)
    assert (cycles.forward, cycles.error, cycles.gradient) == (132, 84, 132)
    assert cycles.update == 33 + 9 + 8


def test_nothing_to_learn_costs_what_is_elementwise_biases_and_fractions():
    cycles = core().cycles(Work.uniform(LAYERS, 3, 0.0))
    assert vars(cycles) == {
        "forward": 0,
        "error": 0,
        "gradient": 0,
        "elementwise": 66,
        "update": 9 + 8,
    }


def test_uniform_work_carries_parts_of_events_over():
    found = Work.uniform(LAYERS, 3, 0.4)
    assert found.events_x.tolist() == [[1, 1], [1, 1], [0, 2]]  # 0.8, 1.6, 2.4; 1.2, 2.4, 3.6
    assert found.events_h.tolist() == [[1, 0], [1, 0], [2, 0]]
    assert found.touched.tolist() == [5, 3]


def test_memory_by_hand():
    """51 weights and 14 biases; 14 sums; 8 columns; 3 units with a state."""
    fixed = core().fixed_bits()
    assert fixed == {
        "masters": 65 * 16,
        "gradients": 65 * 12,
        "accumulators": 14 * (20 + 16),
        "encoders": 8 * (8 + 16),
        "fractions": 8 * 4,
        "state": 3 * (8 + 32),
    }
    # An event is an index of 2 bits, or 0 where there is no h, and a delta of 9.
    full = core().frame_bits(1.0)
    assert full == {"lists": (2 + 3 + 3) * 11 + 3 * 2, "gates": 3 * (24 + 16 + 8)}
    half = core().frame_bits(0.5)
    assert half["lists"] == (1 + 2 + 2) * 11 + 3 * 2
    room = sum(fixed.values()) + 3 * sum(full.values())
    assert [core().longest(bits, 1.0) for bits in (0, room - 1, room)] == [0, 2, 3]


def test_an_lstm_by_hand():
    """4 gates of 2 blocks: 8 row blocks; 16 multiplications a block."""
    layers = (LayerParameters("lstm", 2, 3, 6, 0, 0), LAYERS[1])
    lstm = core(network=NetworkParameters(Formats(), layers, 20))
    cycles = lstm.dense_cycles(1)
    assert (cycles.forward, cycles.elementwise) == (5 * 8 + 3, 32)
    assert lstm.frame_bits(1.0)["gates"] == 3 * (32 + 16)


def test_ports_that_no_memory_has_are_refused():
    with pytest.raises(ValueError, match="ports: found 3, expected an integer from 1 to 2"):
        core(3)
