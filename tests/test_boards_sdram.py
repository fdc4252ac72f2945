"""Weights in an SDRAM: columns through LiteDRAM's own Verilog, and what it has to be told first."""

import re
from dataclasses import replace

import numpy as np
import pytest

from boards.family.targets import TARGETS
from boards.memory.control import ControlWrites
from boards.memory.litedram import Controller, controller
from boards.memory.native import NativeColumns
from boards.memory.simulated import beside_sdram
from deltarnn.memories import Sdram
from golden.parameters import CoreParameters
from hw.emit.verilog import emit
from hw.target import GENERIC
from sim.fast.harness import Harness
from sim.memory import image_file
from sim.simulate import simulate
from sim.simulators import SIMULATORS
from tests.bench import run_bench
from tests.networks import random_frames, random_model

QUICK = Harness(optimised=False)


@pytest.mark.parametrize("latency", [1, 9])
@pytest.mark.parametrize("wait", [0.0, 0.6])
def test_words_come_as_they_were_asked_for(latency, wait):
    """A controller that answers late and does not wait; nothing is lost, and no cycle either."""
    dut = NativeColumns(words=5000, longest=40, room=16)
    rng = np.random.default_rng(1)
    columns = [(int(rng.integers(4900)), int(rng.integers(1, 41))) for _ in range(30)]
    expected = [first + n for first, words in columns for n in range(words)]
    found, coming, cycles = [], [], []

    async def ask(ctx):
        request = dut.columns.request
        for address, words in columns:
            while rng.random() < wait:
                await ctx.tick()
            ctx.set(request.payload, {"address": address, "words": words})
            ctx.set(request.valid, 1)
            await ctx.tick().until(request.ready)
            ctx.set(request.valid, 0)

    async def remember(ctx):
        port, cycle = dut.port, 0
        while True:
            due = bool(coming) and coming[0][0] <= cycle
            ctx.set(port.cmd.ready, int(rng.random() >= wait))
            ctx.set(port.rvalid, due)
            if due:
                ctx.set(port.rdata, coming.pop(0)[1])
            _, _, valid, ready, address = await ctx.tick().sample(
                port.cmd.valid, port.cmd.ready, port.cmd.payload
            )
            cycle += 1
            if valid and ready:
                coming.append((cycle + latency - 1, address))

    async def take(ctx):
        word = dut.columns.word
        while len(found) < len(expected):
            ctx.set(word.ready, int(rng.random() >= wait))
            _, _, valid, ready, value = await ctx.tick().sample(
                word.valid, word.ready, word.payload.as_value()
            )
            cycles.append(None)
            if valid and ready:
                found.append(value)
            assert len(cycles) < 20_000

    run_bench(dut, take, background=(ask, remember))
    assert found == expected
    if not wait:
        assert len(cycles) < len(expected) + 20


def test_all_is_written_once_in_order():
    writes = [(0x80C, 1, 0), (0x800, 14, 9), (0, 1, 2)]
    dut = ControlWrites(writes)
    rng, found, ends = np.random.default_rng(1), [], []

    async def watch(ctx):
        cycle = 0
        while len(found) < len(writes):
            ack = bool(ctx.get(dut.cycle)) and rng.random() < 0.4
            ctx.set(dut.ack, ack)
            if ack:
                found.append((ctx.get(dut.address) << 2, ctx.get(dut.value)))
                ends.append(cycle)
            await ctx.tick()
            cycle += 1
        for _ in range(20):
            assert not ctx.get(dut.cycle)
            await ctx.tick()

    run_bench(dut, watch)
    assert found == [(address, value) for address, value, _ in writes]
    assert ends[2] - ends[1] > 9


@pytest.fixture(scope="module")
def core():
    """Two layers and a read-out, for two lanes."""
    model = random_model((4, 9, 6), 3, kinds=("gru", "lstm"), theta=[(1, 3), (2, 5), (3, 0)])
    parameters = CoreParameters(model.parameters, 2)
    return model, parameters, emit(parameters, model, GENERIC.with_columns())


@pytest.mark.parametrize(
    "simulator", [QUICK, pytest.param(SIMULATORS["icarus"], marks=pytest.mark.slow)]
)
def test_a_core_on_an_sdram_equals_golden(core, simulator):
    model, parameters, emission = core
    frames = [random_frames(model, 120, seed=n, moving=0.5) for n in range(2)]
    whole = Sdram().beside(emission)
    result = simulate(parameters, model, frames, simulator, emission=whole)
    assert result.mismatch is None
    assert result.cycles.sum() > 3 * 782  # some refreshes came in between


@pytest.mark.slow
@pytest.mark.parametrize("name", ["up5k", "ecp5"])
def test_streams_of_finer_rows_on_an_sdram_equal_golden(name):
    """Of a family's cells, two units a cycle."""
    choice = TARGETS[name]
    model = random_model((3, 7, 5), None, kinds=("lstm", "gru"), theta=(1, 4), shifts=2)
    parameters = CoreParameters(model.parameters, 2, 2, 3)
    whole = Sdram().beside(emit(parameters, model, choice.target.with_columns()))
    frames = [random_frames(model, 40, seed=n, moving=0.5) for n in range(3)]
    models = choice.cells.models()
    result = simulate(parameters, model, frames, QUICK, emission=whole, models=models)
    assert result.mismatch is None


FAULTS = {
    "tRCD": ("RCD = 2", "RCD = 4"),
    "tRP": ("RP = 2", "RP = 6"),
    "tRAS": ("RAS = 5", "RAS = 900"),
    "tRC": ("RC = 7", "RC = 900"),
    "tRFC": ("RFC = 7", "RFC = 60"),
    "a refresh": ("9 * 782", "700"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", FAULTS)
def test_chips_that_want_more_time_say_so(core, what):
    """The controller keeps times that these chips would not be content with."""
    model, parameters, emission = core
    whole = Sdram().beside(emission)
    right, wrong = FAULTS[what]
    assert whole.verilog.count(right) == 1
    whole = replace(whole, verilog=whole.verilog.replace(right, wrong))
    frames = [random_frames(model, 120, moving=0.5)]
    with pytest.raises(RuntimeError, match="harness failed") as raised:
        simulate(parameters, model, frames, QUICK, emission=whole)
    assert f"{what} comes too early" in str(raised.value)


def test_other_lanes_are_refused(core):
    model, *_ = core
    emission = emit(CoreParameters(model.parameters, 4), model, GENERIC.with_columns())
    with pytest.raises(ValueError, match="lanes of a core with an SDRAM: found 4, expected 2"):
        beside_sdram(emission, image_file(emission)[0], Controller("", ((0, 0, 0),)))


def test_what_litedram_refuses_is_said_in_a_line():
    with pytest.raises(ValueError, match=r"litedram_gen: found .*, expected a controller"):
        controller("LFE5U-85F-6BG381C", "no such chips", 100.0)


def test_the_controller_is_told_what_its_own_software_would():
    """The mode: bursts of one word, CAS latency 2; then it is on its own."""
    found = controller("LFE5U-85F-6BG381C", "MT48LC16M16", 100.0)
    assert re.search(r"^module litedram_core", found.verilog, re.MULTILINE)
    values = [value for _, value, _ in found.writes]
    assert 0x20 in values
    assert found.writes[-2][1] == found.writes[-1][1] == 1
    assert max(wait for *_, wait in found.writes) >= 20_000  # 200 us at 100 MHz
