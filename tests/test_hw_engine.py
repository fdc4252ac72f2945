"""The whole engine in Amaranth's simulator, for what is easiest to see without Verilog."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal

from golden.fixed import Q
from golden.formats import Formats
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.engine import Engine
from hw.primitive.lane import Lane
from hw.primitive.multiply_add import MultiplyAdd, RegisteredMultiplyAdd, SplitMultiplyAdd
from hw.primitive.serializer import MuxSerializer
from hw.target import GENERIC, Target
from tests.bench import run_bench, send_frame
from tests.networks import provoking_frames, random_formats, random_frames, random_model
from tests.slow import every, quick
from tests.slow_lane import SlowLane


def run_engine(
    model,
    lanes,
    frames,
    *,
    activations=1,
    resets=(),
    gap=0.0,
    pause=0.0,
    seed=1,
    target=GENERIC,
    beside=lambda dut: (),
    limit=20_000,
):
    """Outputs int [T, O], and the cycle in which each frame's last event went to the lanes.

    A state reset is asked for before each frame of ``resets``; ``gap`` and ``pause`` are the
    fractions of cycles in which the input offers and the output takes nothing. ``beside`` gives
    more benches that run in the background; all must be over within ``limit`` cycles.
    """
    rng = np.random.default_rng(seed)
    core = CoreParameters(model.parameters, lanes, activations)
    dut = Engine(core, model, target)
    most = (1 << core.network.formats.activation.width) - 1
    outputs, finishes = [], []

    async def send(ctx):
        for k, layer in enumerate(model.parameters.layers):
            ctx.set(dut.theta_x[k], min(layer.theta_x, most))
            ctx.set(dut.theta_h[k], min(layer.theta_h or 0, most))
        for n, frame in enumerate(frames):
            if n in resets:
                ctx.set(dut.reset_request, 1)
                await ctx.tick()
                ctx.set(dut.reset_request, 0)
            await send_frame(ctx, dut.i, frame, idle=lambda: rng.random() < gap)

    async def receive(ctx):
        row, cycle = [], 0
        while len(outputs) < len(frames):
            ctx.set(dut.o.ready, int(rng.random() >= pause))
            _, _, valid, ready, last, finish, *values = await ctx.tick().sample(
                dut.o.valid,
                dut.o.ready,
                dut.o.payload.last,
                dut.monitor.finish,
                *dut.o.payload.value,
            )
            cycle += 1
            if finish:
                finishes.append(cycle)
            if valid and ready:
                row += values
                if last:
                    outputs.append(row[: core.network.outputs])
                    row = []
            assert cycle < limit, f"only {len(outputs)} of {len(frames)} frames came out"

    run_bench(dut, receive, background=(send, *beside(dut)))
    return np.array(outputs), np.array(finishes)


def ideal_cycles(model, lanes, trace):
    core = CoreParameters(model.parameters, lanes)
    return core.ideal_cycles(trace.events_x + trace.events_h)


KINDS = {"gru": ("gru",), "lstm": ("lstm",), "lstm-gru": ("lstm", "gru")}


# What lies between these is tried by the random cores below, with other formats besides.
@pytest.mark.parametrize(("lanes", "activations"), every(4, [(1, 1), (3, 1), (8, 4)]))
@pytest.mark.parametrize(
    ("sizes", "outputs", "theta"),
    every(
        2,
        [
            ((1, 1), None, (0, 0)),
            ((5, 7), 3, (2, 1)),
            ((4, 9, 5), 2, (0, 6)),
            ((3, 4), None, (300, 0)),
        ],
    ),
)
@pytest.mark.parametrize(
    "kinds",
    quick({"-".join(k): k for k in [("gru",), ("lstm",), ("lstm", "gru")]}, ("gru", "lstm")),
)
def test_equals_golden(kinds, sizes, outputs, theta, lanes, activations):
    model = random_model(sizes, outputs, kinds=kinds, theta=theta)
    frames = random_frames(model, 25)
    found, _ = run_engine(model, lanes, frames, activations=activations)
    assert np.array_equal(found, DeltaNetwork(model).run(frames).outputs)


@pytest.mark.parametrize("kind", every(2, ["gru", "lstm"]))
def test_a_column_that_does_not_fire_costs_no_cycle(kind):
    """Every steady frame of a dense run takes its ideal cycles exactly, not one more."""
    model = random_model((20, 24), kinds=(kind,), theta=(0, 0), scale=20)
    frames = random_frames(model, 12)
    _, finishes = run_engine(model, 4, frames)
    trace = DeltaNetwork(model).run(frames)
    ideal = ideal_cycles(model, 4, trace)
    events = (trace.events_x + trace.events_h)[:, 0]
    assert len(set(events[2:])) > 1  # frames differ in what fires, and in their cycles alike
    assert np.diff(finishes)[1:].tolist() == ideal[2:].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "inputs", "theta_h", "least"), [("gru", 40, 14, 0.90), ("lstm", 16, 4, 0.97)]
)
def test_utilisation_at_ten_percent_occupancy(kind, inputs, theta_h, least):
    """H 128, 8 lanes: so many of the cycles, at least, are multiplications that had to be."""
    model = random_model((inputs, 128), kinds=(kind,), theta=(0, theta_h), scale=20)
    frames = random_frames(model, 12, seed=3, moving=0.1)
    found, finishes = run_engine(model, 8, frames)
    trace = DeltaNetwork(model).run(frames)
    assert np.array_equal(found, trace.outputs)
    events = (trace.events_x + trace.events_h)[3:, 0]
    assert 0.08 < events.mean() / (inputs + 128) < 0.12
    assert ideal_cycles(model, 8, trace)[3:].sum() / np.diff(finishes)[2:].sum() >= least


@pytest.mark.parametrize(("kind", "least"), [("gru", 0.95), ("lstm", 0.88)])
def test_x_of_the_next_frame_fills_the_wait_of_a_read_out(kind, least):
    """Without it 0.85 and 0.82 of the cycles would be multiplications that had to be."""
    model = random_model((12, 16), 3, kinds=(kind,), theta=(0, 14), scale=20)
    frames = random_frames(model, 12, seed=3, moving=0.3)
    found, finishes = run_engine(model, 4, frames)
    trace = DeltaNetwork(model).run(frames)
    assert np.array_equal(found, trace.outputs)
    assert ideal_cycles(model, 4, trace)[3:].sum() / np.diff(finishes)[2:].sum() >= least


MULTIPLY_ADDS = (MultiplyAdd(), RegisteredMultiplyAdd(), SplitMultiplyAdd())


@pytest.mark.parametrize(
    ("kind", "activations"), [("gru", 2), ("gru", 8), ("lstm", 2), ("lstm", 4)]
)
def test_a_layer_is_skipped_while_events_of_the_one_below_wait(kind, activations):
    """Every unit below fires, the layer above rests: its skip must not move the lists below."""
    theta = ((0, 0), (255, 255))
    model = random_model((1, 16, 4), kinds=(kind,), theta=theta, formats=Formats(cell=Q(3, 3)))
    frames = random_frames(model, 12)
    found, _ = run_engine(model, 8, frames, activations=activations)
    assert np.array_equal(found, DeltaNetwork(model).run(frames).outputs)


@pytest.mark.parametrize(
    ("readout", "preactivation"), [(Q(3, 4), Q(3, 6)), (Q(3, 3), Q(3, 4)), (Q(1, 4), Q(2, 3))]
)
@pytest.mark.parametrize("kinds", [("gru", "lstm"), ("lstm", "gru")], ids="-".join)
def test_an_index_wider_than_the_readout_is_whole(kinds, readout, preactivation):
    """Where rows hold R(M) in one layer and an index in another, there is room for both."""
    formats = Formats(readout=readout, preactivation=preactivation)
    model = random_model((2, 3, 3), kinds=kinds, weight_frac=4, formats=formats, scale=127)
    frames = random_frames(model, 12)
    found, _ = run_engine(model, 1, frames)
    assert np.array_equal(found, DeltaNetwork(model).run(frames).outputs)


@pytest.mark.parametrize("outputs", [None, 3])
@pytest.mark.parametrize("weight_frac", [0, 3])
@pytest.mark.parametrize("kinds", [("gru",), ("lstm", "gru")], ids="-".join)
def test_what_a_row_shift_moves_below_a_coarse_accumulator_is_read(kinds, weight_frac, outputs):
    """R(M) has more fraction bits than M of a row without a shift, but not than one with 3."""
    model = random_model((3, 5, 4), outputs, kinds=kinds, weight_frac=weight_frac, shifts=3)
    frames = random_frames(model, 12)
    found, _ = run_engine(model, 2, frames)
    assert np.array_equal(found, DeltaNetwork(model).run(frames).outputs)


def random_case(seed):
    """A model, parameters of a core, a target, frames, and before which of them to reset.

    Shapes, kinds and their mix, formats, thresholds by layer, lanes, latencies and inputs at
    random: whatever a model file may say and a core may be made of.
    """
    rng = np.random.default_rng(seed)
    sizes = tuple(int(n) for n in rng.integers(1, 13, int(rng.integers(2, 5))))
    outputs = int(rng.integers(1, 6)) if rng.random() < 0.6 else None
    theta = [tuple(int(rng.choice([0, 1, 5, 255, 300])) for _ in "xh") for _ in range(5)]
    kinds = (("gru",), ("lstm",), ("gru", "lstm"), ("lstm", "gru"))[seed % 4]
    model = random_model(
        sizes,
        outputs,
        kinds=kinds,
        seed=seed,
        theta=theta,
        weight_frac=int(rng.integers(0, 8)),
        scale=int(rng.choice([20, 60, 128])),
        formats=random_formats(rng) if rng.random() < 0.7 else Formats(cell=Q(3, 3)),
        shifts=(0, 3, 0, 1, 2)[seed % 5],
    )
    activations = int(rng.choice([1, 2, 4]))
    lanes = int(rng.integers(1, 5)) * activations
    target = Target(
        read_latency=int(rng.integers(1, 3)),
        lane=SlowLane,
        multiply_add=MULTIPLY_ADDS[int(rng.integers(0, 3))],
    )
    if target.read_latency < Lane.latency and rng.random() < 0.5:
        target = replace(target, lane=Lane)
    if rng.random() < 0.5:
        target = replace(target, serializer=MuxSerializer, stage_lanes=int(rng.integers(1, 9)))
    frames = np.concatenate([provoking_frames(model, 12, rng) for _ in range(2)])
    resets = set(rng.choice(len(frames), 3, replace=False).tolist())
    return model, CoreParameters(model.parameters, lanes, activations), target, frames, resets


@pytest.mark.parametrize("seed", every(10, range(20)))
def test_random_cores_with_resets_gaps_and_pauses(seed):
    model, core, target, frames, resets = random_case(seed)
    gap, pause = np.random.default_rng(seed).choice([0, 0.5, 0.9], 2)
    found, _ = run_engine(
        model,
        core.lanes,
        frames,
        activations=core.activations,
        resets=resets,
        gap=gap,
        pause=pause,
        seed=seed,
        target=target,
    )
    golden = DeltaNetwork(model)
    for n, frame in enumerate(frames):
        if n in resets:
            golden.reset()
        assert np.array_equal(found[n], golden.run(frame[None]).outputs[0])


@pytest.mark.parametrize("seed", every(5, range(12)))
def test_rst_in_mid_work_leaves_nothing_behind(seed):
    """A cycle of rst, whenever it comes: nothing that was on its way may arrive after it."""
    rng = np.random.default_rng(seed)
    kinds = (("gru",), ("lstm",))[seed % 2]
    model = random_model((3, 5, 4), 2, kinds=kinds, theta=(0, 0), seed=seed)
    target = Target(read_latency=2, lane=SlowLane, multiply_add=RegisteredMultiplyAdd())
    dut = Engine(CoreParameters(model.parameters, 2), model, target)
    rst = Signal()
    frames = random_frames(model, 6, seed=seed)
    found = []

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        for k in range(3):
            ctx.set(dut.theta_x[k], 0)
            ctx.set(dut.theta_h[k], 0)
        ctx.set(dut.i.valid, 1)  # a frame without end
        await ctx.tick().repeat(int(rng.integers(30, 160)))
        ctx.set(dut.i.valid, 0)
        ctx.set(rst, 1)
        await ctx.tick()
        ctx.set(rst, 0)
        for frame in frames:
            await send_frame(ctx, dut.i, frame, idle=lambda: False)

    async def receive(ctx):
        row, since = [], 0
        await ctx.tick().until(rst)
        while len(found) < len(frames):
            _, _, valid, last, value = await ctx.tick().sample(
                dut.o.valid, dut.o.payload.last, dut.o.payload.value[0]
            )
            since += 1
            if valid:
                row.append(value)
                if last:
                    found.append(row)
                    row = []
            assert since < 3_000, f"only {len(found)} frames came out"

    run_bench(ResetInserter(rst)(dut), bench, receive)
    assert np.array_equal(found, DeltaNetwork(model).run(frames).outputs)
