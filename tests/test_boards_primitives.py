"""Each target's lane and weight memory alone, with the models of their cells, against integers."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from boards.family.ice40 import Mac16Lane, SpramWeights
from boards.family.targets import TARGETS
from tests.verilog import run_verilog, signed


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(("delta_width", "width"), [(9, 20), (9, 23), (5, 14), (16, 32), (9, 32)])
def test_a_lane_is_exact_in_every_cycle(name, delta_width, width, tmp_path):
    """Random and extreme factors; sums begin anew at random; what does not fit wraps."""
    rng = np.random.default_rng(width)
    choice = TARGETS[name]
    lane = choice.target.lane(delta_width=delta_width, width=width)
    cycles = 400
    half, limit = 1 << (delta_width - 1), 1 << (width - 1)
    extremes = rng.random((2, cycles)) < 0.2
    weights = np.where(extremes[0], rng.choice([-128, -1, 0, 127], cycles), 0)
    weights += np.where(extremes[0], 0, rng.integers(-128, 128, cycles))
    deltas = np.where(extremes[1], rng.choice([-half, -1, 0, half - 1], cycles), 0)
    deltas += np.where(extremes[1], 0, rng.integers(-half, half, cycles))
    first = rng.random(cycles) < 0.2
    first[0] = True
    m = rng.integers(-limit, limit, cycles)
    expected, total = [], 0
    for n in range(cycles):
        total = signed(int(m[n] if first[n] else total) + int(weights[n]) * int(deltas[n]), width)
        expected.append(total)
    late = [0] * (lane.latency - 1)  # ``first`` and ``m`` come so much later than the factors
    rest = [0] * lane.latency
    inputs = {
        "weight": [*weights.tolist(), *rest],
        "delta": [*deltas.tolist(), *rest],
        "first": [*late, *map(int, first), 0],
        "m": [*late, *m.tolist(), 0],
    }
    rows = run_verilog(lane, choice.cells.models(), tmp_path, inputs, ["total"])
    found = [signed(row[0], width) for row in rows[lane.latency :]]
    assert found == expected


@pytest.mark.parametrize(
    ("lane", "naming"),
    [
        (lambda: Mac16Lane(delta_width=9, width=33), "accumulators: found 33 bits, expected at mo"),
        (lambda: Mac16Lane(delta_width=17, width=32), "shifts: found 17 bits, expected at most 16"),
    ],
)
def test_what_does_not_fit_into_a_mac16_is_refused(lane, naming):
    with pytest.raises(ValueError, match=naming):
        lane()


class Loaded(Component):
    """A weight memory that has its words, whatever it takes to get them there."""

    def __init__(self, kind, words):
        self.memory = kind(words)
        self.latency, self._words = self.memory.latency, words
        port = self.memory.port
        address, word = port.request.payload.shape(), port.word.payload.as_value().shape()
        super().__init__({"address": In(address), "word": Out(word), "ready": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        m.d.comb += [
            memory.port.request.payload.eq(self.address),
            self.word.eq(memory.port.word.payload),
        ]
        if not memory.loads:
            m.d.comb += self.ready.eq(1)
            return m
        stream = [int(w) & 0xFF for word in self._words for w in word]
        m.submodules.stream = stored = Memory(shape=8, depth=len(stream) + 1, init=stream)
        read = stored.read_port(domain="comb")
        n = Signal(range(len(stream) + 1))
        m.d.comb += [
            memory.free.eq(1),
            memory.load.valid.eq(n != len(stream)),
            read.addr.eq(n),
            memory.load.payload.byte.eq(read.data),
            memory.load.payload.last.eq(n == len(stream) - 1),
            self.ready.eq(memory.loaded),
        ]
        with m.If(memory.load.valid & memory.load.ready):
            m.d.sync += n.eq(n + 1)
        return m


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    ("count", "lanes"), [(2, 1), (37, 3), (64, 8), (600, 2), (3000, 1), (5000, 1)]
)
def test_a_weight_memory_gives_each_word_after_its_latency(name, count, lanes, tmp_path):
    rng = np.random.default_rng(count)
    choice = TARGETS[name]
    words = rng.integers(-128, 128, (count, lanes)).tolist()
    dut = Loaded(choice.target.weights, words)
    wait = count * lanes + 8 if dut.memory.loads else 0
    order = rng.integers(0, count, 100).tolist()
    inputs = {"address": [*([0] * wait), *order, *([0] * dut.latency)]}
    rows = run_verilog(dut, choice.cells.models(), tmp_path, inputs, ["word", "ready"])
    images = [sum((int(w) & 0xFF) << 8 * n for n, w in enumerate(word)) for word in words]
    assert [row[0] for row in rows[wait + dut.latency :]] == [images[n] for n in order]
    assert all(row[1] for row in rows[wait:])


@pytest.mark.parametrize("name", ["up5k", "ecp5"])
def test_words_beyond_the_deepest_memory_lie_in_the_next(name, tmp_path):
    """A bank is as deep as its address is wide: the bank of a word goes along with its data."""
    choice = TARGETS[name]
    count = (1 << 14) + 3
    words = [[n % 251 - 125] for n in range(count)]
    dut = Loaded(choice.target.weights, words)
    wait = count + 8 if dut.memory.loads else 0
    order = [0, 1 << 14, 1, (1 << 14) + 2, (1 << 14) - 1, 5, (1 << 14) + 1, 0]
    inputs = {"address": [*([0] * wait), *order, *([0] * dut.latency)]}
    rows = run_verilog(dut, choice.cells.models(), tmp_path, inputs, ["word"])
    found = [signed(row[0], 8) for row in rows[wait + dut.latency :]]
    assert found == [words[n][0] for n in order]


@pytest.mark.parametrize(
    ("lanes", "count", "said"),
    [
        (10, 1, "lanes: found 10, expected at most 8"),
        (9, 1, "lanes: found 9, expected at most 8"),
        (4, 3 << 14, "weights of 4 lanes in SPRAM: found 192 kB, expected at most 128 kB: fewer u"),
        (2, 90 << 13, r"weights of 2 lanes in SPRAM: found 1.41 MB, expected at most 128 kB: few"),
    ],
)
def test_more_than_four_sprams_are_refused(lanes, count, said):
    with pytest.raises(ValueError, match=said):
        SpramWeights([[0] * lanes] * count)
