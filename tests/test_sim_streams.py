"""Several streams on one core: each equals a golden model of its own, whatever the others do."""

import numpy as np
import pytest

from boards.family.targets import TARGETS
from golden.network import DeltaNetwork, Trace, run_sequences
from golden.parameters import CoreParameters
from hw.bus.registers import STATUS, STATUS_ACTIVE, STATUS_STREAM_WRONG, register_map
from hw.core import Core
from hw.emit.verilog import emit
from hw.walk.layout import CoreLayout
from sim.build import build
from sim.compare import first_mismatch, first_mismatch_of
from sim.fast.harness import Harness
from sim.job import Job
from sim.run import play, traces_of
from sim.simulate import side_by_side, simulate
from sim.simulators import SIMULATORS
from tests.bench import run_bench
from tests.networks import random_frames, random_model

QUICK = Harness(optimised=False)


@pytest.fixture(scope="module")
def three():
    """Three streams on a core of two layers and a read-out."""
    model = random_model((4, 6, 5), 3, kinds=("gru", "lstm"), theta=(1, 3))
    core = CoreParameters(model.parameters, 4, 2, 3)
    return model, core, emit(core, model, TARGETS["ecp5"].target)


@pytest.mark.parametrize("name", ["icarus", "verilator"])
def test_on_both_simulators(three, name):
    model, core, emission = three
    sequences = [random_frames(model, length, seed=length) for length in (9, 4, 7, 5)]
    models = TARGETS["ecp5"].cells.models()
    result = simulate(core, model, sequences, SIMULATORS[name], emission=emission, models=models)
    assert result.mismatch is None
    assert len(result.found.outputs) == 9 + 4 + 7 + 5
    assert len(result.cycles) == 9 + 5  # rounds
    expected = Trace.joined(run_sequences(model, sequences))
    assert first_mismatch(expected, result.found) is None
    report = result.report()
    assert (report["streams"], report["frames"]) == (3, 25)


def test_a_reset_in_mid_round_waits_for_its_end(three):
    model, core, emission = three
    frames = [random_frames(model, 8, seed=n) for n in range(3)]
    rows = np.stack(frames, axis=1).reshape(-1, 4)
    models = TARGETS["ecp5"].cells.models()
    simulation = build(emission, QUICK, models=models)
    job = Job().frames(rows[:13]).reset().frames(rows[13:]).settle()
    record = play(simulation, core, job)
    expected = [Trace.joined(run_sequences(model, [f[:5], f[5:]])) for f in frames]
    assert first_mismatch_of(expected, traces_of(record, core)) is None


def test_a_round_that_has_begun_is_not_forgotten_while_an_older_one_is_left():
    """Its frames press while the core walks; what is missing of it comes much later."""
    model = random_model((4, 6), theta=(0, 0))
    core = CoreParameters(model.parameters, 2, 1, 4)
    frames = np.stack([random_frames(model, 3, seed=n) for n in range(4)], axis=1).reshape(-1, 4)
    registers = {register.name: register.address for register in register_map(model.parameters)}
    job = Job().frames(frames[:11]).wait(3000).read(STATUS).read(registers["FRAMES"])
    job.frames(frames[11:]).settle().read(registers["FRAMES"])
    record = play(build(emit(core, model), QUICK), core, job)
    (_, status), (_, begun), (_, done) = record.replies.tolist()
    assert status >> STATUS_ACTIVE & 1
    assert (begun, done) == (3, 3)


def test_a_frame_of_another_stream_is_flagged_and_taken_in_turn(three):
    model, core, _ = three
    dut = Core(core, model)
    found = []

    async def status(ctx):
        ctx.set(dut.s_axil_araddr, STATUS)
        ctx.set(dut.s_axil_arvalid, 1)
        await ctx.tick().until(dut.s_axil_arready)
        ctx.set(dut.s_axil_arvalid, 0)
        ctx.set(dut.s_axil_rready, 1)
        *_, data = await ctx.tick().sample(dut.s_axil_rdata).until(dut.s_axil_rvalid)
        found.append(data >> STATUS_STREAM_WRONG & 1)

    async def bench(ctx):
        for stream, tid in ((0, 0), (1, 2), (2, 2)):
            ctx.set(dut.s_axis_tid, tid)
            ctx.set(dut.s_axis_tvalid, 1)
            for column in range(4):
                ctx.set(dut.s_axis_tlast, column == 3)
                await ctx.tick().until(dut.s_axis_tready)
            ctx.set(dut.s_axis_tvalid, 0)
            await status(ctx)
            if stream == 1:
                ctx.set(dut.s_axil_awaddr, STATUS)
                ctx.set(dut.s_axil_wdata, 1 << STATUS_STREAM_WRONG)
                ctx.set(dut.s_axil_wstrb, 0b1111)
                ctx.set(dut.s_axil_bready, 1)
                ctx.set(dut.s_axil_awvalid, 1)
                ctx.set(dut.s_axil_wvalid, 1)
                await ctx.tick()
                ctx.set(dut.s_axil_awvalid, 0)
                ctx.set(dut.s_axil_wvalid, 0)
                await ctx.tick().repeat(3)
        ctx.set(dut.m_axis_tready, 1)
        for stream in range(3):  # all three of the round come out
            for result in range(3):
                *_, tid, last = (
                    await ctx.tick()
                    .sample(dut.m_axis_tid, dut.m_axis_tlast)
                    .until(dut.m_axis_tvalid)
                )
                assert (tid, last) == (stream, result == 2)

    run_bench(dut, bench)
    assert found == [0, 1, 0]


def test_a_mismatch_says_of_which_stream_and_what_was_added_is_not_timed(three):
    model, core, emission = three
    wrong = random_model((4, 6, 5), 3, kinds=("gru", "lstm"), theta=(1, 3), seed=2)
    sequences = [random_frames(model, length, seed=length) for length in (9, 4, 7)]
    models = TARGETS["ecp5"].cells.models()
    result = simulate(core, model, sequences, QUICK, emission=emission, models=models)
    assert result.steady.tolist() == [False, True, True, True, *[False] * 5]  # 4 rounds are whole
    assert result.report()["frames_timed"] == 3 * 3
    result = simulate(core, wrong, sequences, QUICK, emission=emission, models=models)
    assert str(result.mismatch).startswith("stream ")


def test_no_stream_takes_weights_of_its_own():
    model = random_model((4, 6, 5), 3)
    one, four = (CoreLayout(CoreParameters(model.parameters, 4, 2, n)) for n in (1, 4))
    assert np.array_equal(one.weight_words(model), four.weight_words(model))
    assert (four.words, four.rows) == (one.words, 4 * one.rows)
    rows, begin = four.bias_rows(model), 0
    for first, of_one in zip(four.layers[::4], one.layers, strict=True):
        own = one.bias_rows(model)[of_one.row : of_one.row + of_one.rows]
        assert np.array_equal(rows[begin : begin + 4 * of_one.rows], np.tile(own, (4, 1)))
        assert (first.row, first.base) == (begin, of_one.base)
        begin += 4 * of_one.rows


def test_sequences_side_by_side():
    sequences = [np.full((n, 2), n) for n in (3, 1, 2, 5)]
    first, second = side_by_side(sequences, 3)
    assert first.shape == (3, 3, 2)
    assert first[:, 1].tolist() == [[1, 1]] * 3  # goes on with its last frame
    assert second[:, :, 0].tolist() == [[5, 3, 1]] * 5
    assert [len(f) for f in side_by_side(sequences, 1)] == [3, 1, 2, 5]


@pytest.mark.parametrize("streams", [0, 17, 2.0])
def test_refuses_other_streams(streams):
    with pytest.raises(ValueError, match=r"streams: found .*, expected "):
        CoreParameters(random_model((2, 3), 2).parameters, 2, 1, streams)


def test_streams_know_nothing_of_each_other(three):
    """A stream's results are the same whatever its neighbours are sent."""
    model, core, emission = three
    simulation = build(emission, QUICK, models=TARGETS["ecp5"].cells.models())
    given = random_frames(model, 10, seed=5)
    expected = DeltaNetwork(model).run(given)
    for others in (np.zeros_like(given), random_frames(model, 10, seed=6)):
        rows = np.stack([others, given, others], axis=1)
        record = play(simulation, core, Job().rounds(rows).settle())
        assert first_mismatch(expected, traces_of(record, core)[1]) is None
