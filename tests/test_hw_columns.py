"""Engines whose weights lie outside, against golden; and the parts that make them so."""

import numpy as np
import pytest

from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.core import Core
from hw.lanes.columns import ColumnSweep
from hw.target import GENERIC
from hw.walk.column_layout import ColumnLayout
from hw.walk.layout import CoreLayout
from tests.bench import run_bench
from tests.networks import random_frames, random_model
from tests.slow import every
from tests.test_hw_engine import random_case, run_engine

OUTSIDE = GENERIC.with_columns()


def columns_of(core, model):
    """What a memory answers: the words of a column, by its address."""
    layout = ColumnLayout(core)
    words, columns = layout.weight_words(model).tolist(), {}
    for layer in layout.layers:
        count = layer.columns_x + layer.columns_h
        for n in range(count):
            address = layer.base_x + n * layer.words
            columns[address] = words[address : address + layer.words]
    return columns


def run_outside(model, core, frames, *, wait=0.0, seed=1, target=GENERIC, **how):
    """Outputs int [T, O], finishes, and the columns that were asked for, by address.

    ``wait`` is the fraction of cycles in which the memory takes no request, and offers no word.
    """
    rng = np.random.default_rng(seed)
    columns = columns_of(core, model)
    asked, waiting = [], []

    def memory(dut):
        async def remember(ctx):
            request = dut.columns.request
            while True:
                ctx.set(request.ready, int(rng.random() >= wait))
                _, _, valid, ready, address, words = await ctx.tick().sample(
                    request.valid, request.ready, request.payload.address, request.payload.words
                )
                if valid and ready:
                    asked.append(address)
                    assert len(columns[address]) == words
                    waiting.extend(columns[address])

        async def answer(ctx):
            word, offered = dut.columns.word, False
            while True:
                if waiting and not offered and rng.random() >= wait:
                    for lane, value in enumerate(waiting.pop(0)):
                        ctx.set(word.payload[lane], value)
                    offered = True
                ctx.set(word.valid, int(offered))
                _, _, ready = await ctx.tick().sample(word.ready)
                offered = offered and not ready

        return remember, answer

    shape = {"activations": core.activations, "target": target.with_columns(), "seed": seed}
    beside = {"beside": memory, "limit": 60_000}
    found, finishes = run_engine(model, core.lanes, frames, **shape, **beside, **how)
    return found, finishes, asked


def asked_for(core, trace):
    """Addresses of the columns of a run's events, in the order of frames, layers and vectors."""
    addresses = []
    layers = list(enumerate(ColumnLayout(core).layers))
    for t in range(len(trace.outputs)):
        for k, layer in layers:
            x = (layer.base_x, trace.deltas_x[k][t])
            h = [(layer.base_h, trace.deltas_h[k][t])] if k < len(trace.deltas_h) else []
            for base, deltas in [*h, x] if len(layers) > 1 else [x, *h]:
                addresses += (base + np.flatnonzero(deltas) * layer.words).tolist()
    return addresses


@pytest.mark.parametrize("wait", [0.0, 0.7])
@pytest.mark.parametrize(
    ("kinds", "sizes", "outputs", "lanes", "activations"),
    [
        (("gru",), (1, 1), None, 1, 1),
        (("lstm",), (5, 7), 3, 2, 2),
        (("gru", "lstm"), (4, 9, 5), 2, 1, 1),
        (("lstm", "gru"), (3, 5, 4), None, 4, 2),
    ],
)
def test_equals_golden_and_asks_for_the_columns_of_events_alone(
    kinds, sizes, outputs, lanes, activations, wait
):
    model = random_model(sizes, outputs, kinds=kinds, theta=(2, 1))
    core = CoreParameters(model.parameters, lanes, activations)
    frames = random_frames(model, 15)
    found, _, asked = run_outside(model, core, frames, wait=wait)
    trace = DeltaNetwork(model).run(frames)
    assert np.array_equal(found, trace.outputs)
    # The memory is asked ahead: perhaps, but for nothing else.
    assert asked == asked_for(core, trace)


@pytest.mark.parametrize("seed", every(6, range(12)))
def test_random_cores_with_resets_gaps_and_pauses(seed):
    model, core, target, frames, resets = random_case(seed)
    gap, pause, wait = np.random.default_rng(seed).choice([0, 0.5, 0.9], 3)
    waits = {"gap": gap, "pause": pause, "wait": wait}
    found, _, _ = run_outside(model, core, frames, resets=resets, **waits, seed=seed, target=target)
    golden = DeltaNetwork(model)
    for n, frame in enumerate(frames):
        if n in resets:
            golden.reset()
        assert np.array_equal(found[n], golden.run(frame[None]).outputs[0])


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_dense_frame_takes_its_columns_and_its_units(kind):
    """A word a cycle, and the rows of all blocks: besides those, the latency of one layer."""
    model = random_model((20, 24), kinds=(kind,), theta=(0, 0), scale=20)
    core = CoreParameters(model.parameters, 4)
    frames = random_frames(model, 8)
    _, finishes, _ = run_outside(model, core, frames)
    trace = DeltaNetwork(model).run(frames)
    ideal = core.ideal_cycles(trace.events_x + trace.events_h)
    lost = np.diff(finishes)[1:] - ideal[2:] - 4 * 6  # rows of 6 blocks
    assert (lost >= 0).all()
    assert (lost < 30).all()


@pytest.mark.parametrize("sizes", [(3, 5), (2, 4, 3)])
def test_a_column_lies_as_the_lanes_take_it(sizes):
    model = random_model(sizes, 5, kinds=("gru", "lstm"))
    core = CoreParameters(model.parameters, 2)
    layout = ColumnLayout(core)
    words = layout.weight_words(model)
    assert len(words) == layout.words
    for layer, here, weights in zip(
        model.parameters.layers, layout.layers, model.weights, strict=True
    ):
        vectors = [(here.base_x, weights.weight_x)]
        if layer.recurrent:
            vectors.append((here.base_h, weights.weight_h))
        for base, matrix in vectors:
            for column in range(matrix.shape[1]):
                expected = np.zeros((layer.blocks(2), layer.gates, 2), dtype=int)
                for gate in range(layer.gates):
                    for unit in range(layer.units):
                        value = matrix[gate * layer.units + unit, column]
                        expected[unit // 2, gate, unit % 2] = value
                first = base + column * here.words
                found = words[first : first + here.words]
                assert np.array_equal(found, expected.reshape(-1, 2))


@pytest.mark.parametrize("reopen", [3, 4])
@pytest.mark.parametrize("sizes", [(2, 1), (3, 2, 1), (2, 9)])
def test_no_row_is_opened_too_soon(sizes, reopen):
    """Visits as close as they may be: each row rests, and a column has the rows of its vector."""
    model = random_model(sizes, 1, kinds=("gru", "lstm"))
    core = CoreParameters(model.parameters, 1)
    layers, dut = CoreLayout(core).layers, ColumnSweep(core, reopen)
    rng = np.random.default_rng(1)
    visits = []
    for _ in range(40):
        layer = int(rng.integers(len(layers)))
        segment = 1 if not layers[layer].recurrent else int(rng.integers(2))
        visits.append((layer, segment, int(rng.random() < 0.7)))
    slots = []

    async def send(ctx):
        for layer, segment, event in visits:
            payload = dut.i.payload
            ctx.set(payload.layer, layer)
            ctx.set(payload.segment, segment)
            ctx.set(payload.event, event)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def watch(ctx):
        ctx.set(dut.words.valid, 1)
        expected = [row for visit in visits for row in rows_of(layers, *visit)]
        cycle = 0
        while len(slots) < len(expected):
            _, _, valid, row = await ctx.tick().sample(dut.o.valid, dut.o.payload.row)
            cycle += 1
            if valid:
                slots.append((cycle, row))
        assert [row for _, row in slots] == expected
        last = {}
        for cycle, row in slots:
            assert cycle - last.get(row, -reopen) >= reopen
            last[row] = cycle

    run_bench(dut, watch, background=(send,))


def rows_of(layers, layer, segment, event):
    """Rows of accumulators that a visit is about."""
    here = layers[layer]
    for block in range(here.blocks):
        for n in range(here.accumulators):
            split = here.splits and n >= here.whole_gates
            if not event or not split or n == here.whole_gates + segment:
                yield here.row + block * here.accumulators + n


def test_lanes_that_no_memory_has_are_refused():
    model = random_model((3, 4))
    with pytest.raises(ValueError, match="lanes of a core with weights outside: found 3"):
        Core(CoreParameters(model.parameters, 3), model, OUTSIDE)
