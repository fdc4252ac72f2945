"""Layers that stand still are skipped, the last one too, and no result differs for it."""

import numpy as np
import pytest

from golden.fixed import Q
from golden.formats import Formats
from golden.lstm import LSTMWeights
from golden.model import Model
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters, LayerParameters
from hw.engine import Engine
from tests.bench import run_bench, send_frame
from tests.networks import random_frames, random_model
from tests.slow import every

SETTLING = Formats(cell=Q(3, 3))  # finer ones creep for longer than these tests last


def play(model, lanes, activations, steps, *, gap=0.0, pause=0.0, seed=1):
    """Results int [T, O], and (frame, layer) of each skip.

    A step is a frame; or "reset"; or (theta_x, theta_h) for all layers, written once all frames
    before have come out.
    """
    rng = np.random.default_rng(seed)
    core = CoreParameters(model.parameters, lanes, activations)
    dut = Engine(core, model)
    outputs, skips = [], []
    frames = sum(isinstance(step, np.ndarray) for step in steps)
    finished = 0

    async def set_thetas(ctx, thetas):
        for k, (theta_x, theta_h) in enumerate(thetas):
            ctx.set(dut.theta_x[k], min(theta_x, 255))
            ctx.set(dut.theta_h[k], min(theta_h or 0, 255))

    async def send(ctx):
        layers = model.parameters.layers
        await set_thetas(ctx, [(layer.theta_x, layer.theta_h) for layer in layers])
        sent = 0
        for step in steps:
            if isinstance(step, str):
                ctx.set(dut.reset_request, 1)
                await ctx.tick()
                ctx.set(dut.reset_request, 0)
                continue
            if isinstance(step, tuple):
                while len(outputs) < sent:
                    await ctx.tick()
                await ctx.tick().repeat(30)
                ctx.set(dut.theta_changes, 1)
                await ctx.tick()
                ctx.set(dut.theta_changes, 0)
                await set_thetas(ctx, [step] * len(layers))
                continue
            await send_frame(ctx, dut.i, step, idle=lambda: rng.random() < gap)
            sent += 1

    async def receive(ctx):
        nonlocal finished
        row, idle = [], 0
        while len(outputs) < frames:
            ctx.set(dut.o.ready, int(rng.random() >= pause))
            sampled = await ctx.tick().sample(
                dut.o.valid,
                dut.o.ready,
                dut.o.payload.last,
                dut.monitor.skip_valid,
                dut.monitor.skip_layer,
                dut.monitor.finish,
                *dut.o.payload.value,
            )
            valid, ready, last, skip, layer, finish, *values = sampled[2:]
            if skip:
                skips.append((finished, layer))
            finished += finish
            idle += 1
            if valid and ready:
                row += values
                idle = 0
                if last:
                    outputs.append(row[: core.network.outputs])
                    row = []
            assert idle < 5_000, f"only {len(outputs)} of {frames} frames came out"

    run_bench(dut, receive, background=(send,))
    return np.array(outputs), skips


def expected(model, steps):
    """What golden does with the steps; a new theta_h is first seen in the frame after the next."""
    network, outputs, late = DeltaNetwork(model), [], None
    for step in steps:
        if isinstance(step, str):
            network.reset()
            late = None if late is None else _set_h(network, late)
        elif isinstance(step, tuple):
            for layer in network.layers:
                layer.theta_x = step[0]
            late = step[1]
        else:
            outputs.append(network.run(step[None]).outputs[0])
            late = None if late is None else _set_h(network, late)
    return np.array(outputs)


def _set_h(network, theta):
    for layer in network.layers:
        if hasattr(layer, "theta_h"):
            layer.theta_h = theta


@pytest.mark.parametrize(("gap", "pause"), every(2, [(0, 0), (0, 0.97), (0.8, 0.5)]))
@pytest.mark.parametrize(
    ("sizes", "outputs", "lanes", "activations"),
    every(
        5,
        [
            ((2, 5), None, 2, 1),
            ((2, 5), None, 4, 4),
            ((2, 5), None, 8, 2),
            ((2, 1), None, 1, 1),
            ((2, 4, 3), None, 2, 2),
            ((2, 5), 3, 2, 1),
            ((2, 5), 1, 4, 4),
            ((2, 4, 3), 6, 2, 2),
            ((1, 1), 1, 1, 1),
        ],
    ),
)
def test_results_are_right_whatever_is_skipped(sizes, outputs, lanes, activations, gap, pause):
    kinds = ("lstm",) if (lanes + activations + bool(gap)) % 2 else ("gru",)
    model = random_model(sizes, outputs, kinds=kinds, theta=(2, 4), formats=SETTLING)
    a, b, c = random_frames(model, 3, seed=5)
    steps = [*[a] * 14, *[b] * 14, "reset", *[b] * 3, "reset", *[a] * 14]
    steps += [(0, 0), *[a] * 14, (300, 300), *[c] * 8, "reset", *[c] * 4, (1, 6), *[b] * 14, c, a]
    found, skips = play(model, lanes, activations, steps, gap=gap, pause=pause)
    assert np.array_equal(found, expected(model, steps))
    last = len(model.parameters.layers) - 1
    assert len([n for n, k in skips if k == last]) >= 5
    assert not {n for n, _ in skips if n in (0, 28, 31)}  # after a reset all is walked


def test_an_lstm_whose_cell_stands_still_is_walked_while_its_output_moves():
    """The cell is full and o opens for one frame: the next one is not to show the one before."""
    follows = np.array([[0], [0], [0], [0], [0], [0], [127], [127]], dtype=np.int8)  # o does, x
    opened = np.array([4000] * 6 + [0] * 2, dtype=np.int32)  # i, f and g are
    weights = LSTMWeights(follows, np.zeros((8, 2), dtype=np.int8), opened)
    layer = LayerParameters("lstm", 1, 2, 6, 0, 255)
    model = Model.of("m", SETTLING, (layer,), (weights,))
    steps = [np.array([x], dtype=np.int8) for x in [-20] * 30 + [20] * 6 + [-20, 20, 20, -20, -20]]
    found, skips = play(model, 1, 1, steps)
    assert np.array_equal(found, expected(model, steps))
    assert len(set(found[30:, 0].tolist())) == 2
    assert {29, 35} <= {n for n, _ in skips}


@pytest.mark.parametrize("kinds", [("gru",), ("lstm",)], ids="-".join)
def test_a_network_at_rest_skips_every_layer(kinds):
    model = random_model((1, 6), 3, kinds=kinds, theta=(2, 4), formats=SETTLING)
    frame = random_frames(model, 1)
    _, skips = play(model, 2, 1, [*frame] * 30)
    assert {(n, k) for n in range(20, 30) for k in range(2)} <= set(skips)
