"""The ECP5's store of masters, with the models of its cells, against what it shall hold."""

from itertools import pairwise

import numpy as np
import pytest
from amaranth.hdl import Value

from boards.family.ecp5 import EBR_DEPTHS, EbrMasters
from boards.family.targets import TARGETS
from hw.learn.masters import MasterMemory
from hw.primitive.memory import banks_of
from tests.verilog import run_verilog

CYCLES = 400
SHAPES = [*EBR_DEPTHS.items()]


@pytest.mark.parametrize(
    ("count", "lanes", "width"),
    [
        (1, 1, 2),
        (37, 3, 16),
        (1024, 2, 9),
        (1025, 1, 16),
        (2500, 2, 12),
        (4209, 4, 16),
        (3100, 1, 31),
        (7000, 1, 16),
        (17000, 1, 2),
    ],
)
def test_masters_come_as_they_were_written(count, lanes, width, tmp_path):
    """Words of every bank are read and, lane by lane, written."""
    rng = np.random.default_rng(count)
    held = rng.integers(-(1 << (width - 1)), 1 << (width - 1), (count, lanes))
    dut = EbrMasters(held.tolist(), width=width)
    banks = banks_of(count, width, SHAPES)
    ends = [n for bank in banks for n in (bank.start, min(bank.stop, count) - 1)]
    addresses = rng.integers(0, count, (2, CYCLES))
    near = rng.random((2, CYCLES)) < 0.8
    addresses = np.where(near, rng.choice(ends, (2, CYCLES)), addresses)
    write = rng.integers(0, 1 << lanes, CYCLES) * (rng.random(CYCLES) < 0.7)
    write[addresses[0] == addresses[1]] = 0  # what is written is not read
    written = rng.integers(-(1 << (width - 1)), 1 << (width - 1), (CYCLES, lanes))

    def image(word):
        return sum((int(w) & ((1 << width) - 1)) << width * n for n, w in enumerate(word))

    expected = []
    for n in range(CYCLES):
        expected.append(image(held[addresses[0, n]]))
        for lane in range(lanes):
            if write[n] >> lane & 1:
                held[addresses[1, n], lane] = written[n, lane]
    inputs = {
        "address": addresses[0].tolist(),
        "write_address": addresses[1].tolist(),
        "write": write.tolist(),
        "written": [image(word) for word in written],
    }
    inputs = {
        name: values for name, values in inputs.items() if len(Value.cast(getattr(dut, name)))
    }
    inputs = {name: [*values, *[0] * dut.latency] for name, values in inputs.items()}
    rows = run_verilog(dut, TARGETS["ecp5"].cells.models(), tmp_path, inputs, ["word"])
    assert [row[0] for row in rows[dut.latency :]] == expected


@pytest.mark.parametrize("width", [2, 9, 12, 16, 18, 20, 31])
def test_banks_take_few_block_ram_and_hold_all_words(width):
    for words in (1, 1024, 1025, 4209, 7000, 12289, 40000):
        banks = banks_of(words, width, SHAPES)
        assert banks[0].start == 0
        assert all(a.stop == b.start for a, b in pairwise(banks))
        assert banks[-1].start < words <= banks[-1].stop
        assert all(bank.start % len(bank) == 0 for bank in banks)
        taken = sum(-(-width // EBR_DEPTHS[len(bank)]) for bank in banks)
        alike = (-(-words // depth) * -(-width // bits) for depth, bits in EBR_DEPTHS.items())
        assert taken <= min(alike)


def test_deep_masters_of_16_bits_lie_in_two_banks():
    assert [len(bank) for bank in banks_of(4209, 16, SHAPES)] == [4096, 1024]


def test_a_memory_no_slower_than_its_store():
    init = np.zeros((2, 2), np.int64)
    with pytest.raises(ValueError, match="read_latency: found 2, expected an integer >= 3"):
        MasterMemory(init, width=16, stages=[range(2)], read_latency=2, store=EbrMasters)
