"""The whole engine in Amaranth's simulator, for what is easiest to see without Verilog."""

import numpy as np
import pytest

from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.engine import Engine
from tests.bench import run_bench
from tests.networks import random_frames, random_model


def run_engine(model, lanes, frames, *, resets=(), gap=0.0, pause=0.0, seed=1):
    """Outputs int [T, O], and the cycle in which each frame's last event went to the lanes.

    A state reset is asked for before each frame of ``resets``; ``gap`` and ``pause`` are the
    fractions of cycles in which the input offers and the output takes nothing.
    """
    rng = np.random.default_rng(seed)
    dut = Engine(CoreParameters(model.parameters, lanes), model)
    outputs, finishes = [], []

    async def send(ctx):
        for k, layer in enumerate(model.parameters.layers):
            ctx.set(dut.theta_x[k], min(layer.theta_x, 255))
            ctx.set(dut.theta_h[k], min(layer.theta_h or 0, 255))
        for n, frame in enumerate(frames):
            if n in resets:
                ctx.set(dut.reset_request, 1)
                await ctx.tick()
                ctx.set(dut.reset_request, 0)
            for column, value in enumerate(frame):
                while rng.random() < gap:
                    await ctx.tick()
                ctx.set(dut.i.payload.value, int(value))
                ctx.set(dut.i.payload.last, column == len(frame) - 1)
                ctx.set(dut.i.valid, 1)
                await ctx.tick().until(dut.i.ready)
                ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        row, cycle = [], 0
        while len(outputs) < len(frames):
            ctx.set(dut.o.ready, int(rng.random() >= pause))
            _, _, valid, ready, value, last, finish = await ctx.tick().sample(
                dut.o.valid,
                dut.o.ready,
                dut.o.payload.value,
                dut.o.payload.last,
                dut.monitor.finish,
            )
            cycle += 1
            if finish:
                finishes.append(cycle)
            if valid and ready:
                row.append(value)
                if last:
                    outputs.append(row)
                    row = []
            assert cycle < 200_000, f"only {len(outputs)} of {len(frames)} frames came out"

    run_bench(dut, receive, background=(send,))
    return np.array(outputs), np.array(finishes)


def ideal_cycles(model, lanes, trace):
    core = CoreParameters(model.parameters, lanes)
    return core.ideal_cycles(trace.events_x + trace.events_h)


@pytest.mark.parametrize("lanes", [1, 3, 8])
@pytest.mark.parametrize(
    ("sizes", "outputs", "theta"),
    [((1, 1), None, (0, 0)), ((5, 7), 3, (2, 1)), ((4, 9, 5), 2, (0, 6)), ((3, 4), None, (300, 0))],
)
def test_equals_golden(sizes, outputs, theta, lanes):
    model = random_model(sizes, outputs, theta=theta)
    frames = random_frames(model, 25)
    found, _ = run_engine(model, lanes, frames)
    assert np.array_equal(found, DeltaNetwork(model).run(frames).outputs)


def test_a_column_that_does_not_fire_costs_no_cycle():
    """Every steady frame of a dense run takes its ideal cycles exactly, not one more."""
    model = random_model((20, 24), theta=(0, 0), scale=20)
    frames = random_frames(model, 12)
    _, finishes = run_engine(model, 4, frames)
    trace = DeltaNetwork(model).run(frames)
    ideal = ideal_cycles(model, 4, trace)
    events = (trace.events_x + trace.events_h)[:, 0]
    assert len(set(events[2:])) > 1  # frames differ in what fires, and in their cycles alike
    assert np.diff(finishes)[1:].tolist() == ideal[2:].tolist()


def test_utilisation_at_ten_percent_occupancy():
    """I 40, H 128, 8 lanes: at least 0.90 of the cycles are multiplications that had to be."""
    model = random_model((40, 128), theta=(0, 14), scale=20)
    frames = random_frames(model, 12, seed=3, moving=0.1)
    found, finishes = run_engine(model, 8, frames)
    trace = DeltaNetwork(model).run(frames)
    assert np.array_equal(found, trace.outputs)
    events = (trace.events_x + trace.events_h)[3:, 0]
    assert 0.08 < events.mean() / 168 < 0.12
    assert ideal_cycles(model, 8, trace)[3:].sum() / np.diff(finishes)[2:].sum() >= 0.90


@pytest.mark.parametrize("seed", range(24))
def test_random_networks_with_resets_gaps_and_pauses(seed):
    """Shapes, lanes, thresholds and stream behaviour at random; a state reset now and then."""
    rng = np.random.default_rng(seed)
    sizes = tuple(int(n) for n in rng.integers(1, 9, int(rng.integers(2, 5))))
    outputs = int(rng.integers(1, 6)) if rng.random() < 0.6 else None
    theta = (int(rng.choice([0, 1, 5, 300])), int(rng.choice([0, 1, 3, 300])))
    model = random_model(sizes, outputs, seed=seed, theta=theta)
    lanes = int(rng.integers(1, 12))
    frames = random_frames(model, 16, seed=seed, moving=float(rng.choice([0.05, 0.5, 1.0])))
    resets = set(rng.choice(16, 3, replace=False).tolist())
    gap, pause = rng.choice([0, 0.5, 0.9], 2)
    found, _ = run_engine(model, lanes, frames, resets=resets, gap=gap, pause=pause, seed=seed)
    golden = DeltaNetwork(model)
    for n, frame in enumerate(frames):
        if n in resets:
            golden.reset()
        assert np.array_equal(found[n], golden.run(frame[None]).outputs[0])
