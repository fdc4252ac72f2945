"""The way back of whole sequences: every master that golden.learn has, from its tape and errors."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from boards.family.targets import TARGETS
from golden.learn.formats import LearningFormats
from golden.learn.sequence import LearningNetwork, Settings
from golden.learn.tape import LayerTape, TapeSize
from golden.learn.training import Training
from golden.parameters import CoreParameters
from golden.predict.learning_core import Work
from hw.learn.backward import Backward
from hw.learn.layout import LearningLayout
from hw.learn.masters import MasterMemory
from hw.target import GENERIC
from tests.bench import run_bench
from tests.networks import LEARNERS, LEARNING, random_frames, random_model

FRAMES = 6


def made(sizes, outputs, kinds, lanes, activations, *, target=GENERIC, learning=None, theta=(1, 1)):
    """A network and its core: layers differ in thresholds and in f_w."""
    model = random_model(sizes, outputs, kinds=kinds, theta=theta)
    learning = learning or LearningFormats()
    golden = LearningNetwork.of(model, learning)
    training = Training(TapeSize.of(golden.layers, FRAMES), learning)
    core = CoreParameters(model.parameters, lanes, activations, training=training)
    layout = LearningLayout(core)
    return model, golden, layout, Backward(layout, target)


def lists_of(tapes):
    """What a forward walk sends to the tape: (layer, vector, column, delta, fires, last), a cycle
    each, None where one passes without."""
    walked = []
    for t in range(len(tapes[0].x)):
        for k, tape in enumerate(tapes):
            events = [
                (k, vector, column, int(deltas[column]), 1, 0)
                for vector, deltas in ((1, tape.h[t]), (0, tape.x[t]))
                for column in np.flatnonzero(deltas).tolist()
            ]
            *events, (*ends, _) = events or [(k, 0, 0, 0, 0, 0)]
            walked += [*events, (*ends, 1), None]
    return walked


async def begun(ctx, dut, tapes, of_result, settings, ways):
    """Fills the tape and begins the way back."""
    ctx.set(dut.tape.restart, 1)
    await ctx.tick()
    ctx.set(dut.tape.restart, 0)
    for step in lists_of(tapes):
        ctx.set(dut.tape.i.valid, step is not None)
        if step is not None:
            layer, vector, column, delta, fires, last = step
            event = {"column": column, "delta": delta}
            given = {"layer": layer, "vector": vector, "event": event, "fires": fires, "last": last}
            ctx.set(dut.tape.i.payload, given)
        await ctx.tick()
    ctx.set(dut.tape.i.valid, 0)
    for k, tape in enumerate(tapes[:-1]):
        kept = getattr(dut.tape, f"kept_{k}")
        names = list(kept.payload.shape().elem_shape.members)
        frames, values, units = tape.kept.shape
        padded = np.zeros((frames, values, -(-units // ways) * ways), np.int64)
        padded[..., :units] = tape.kept
        ctx.set(kept.valid, 1)
        for frame in padded:
            for group in frame.reshape(values, -1, ways).transpose(1, 2, 0).tolist():
                ctx.set(kept.payload, [dict(zip(names, unit, strict=True)) for unit in group])
                await ctx.tick()
        ctx.set(kept.valid, 0)
    ctx.set(dut.of_results.valid, 1)
    for number, e in enumerate(of_result.tolist()):
        ctx.set(dut.of_results.payload, {"e": e, "number": number})
        await ctx.tick()
    ctx.set(dut.of_results.valid, 0)
    assert not ctx.get(dut.tape.full)
    ctx.set(dut.rate, settings.rate)
    ctx.set(dut.cost, settings.cost)
    ctx.set(dut.frames, len(tapes[0].x))
    while not ctx.get(dut.ready):
        await ctx.tick()
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)


async def learned(ctx, dut, tapes, of_result, settings, ways):
    """As ``begun``, to the end: how many cycles the way back takes. The places are still to be
    cleared then, while the tape may be filled anew."""
    await begun(ctx, dut, tapes, of_result, settings, ways)
    cycles = 0
    while not ctx.get(dut.free):
        await ctx.tick()
        cycles += 1
    return cycles


def connected(m, memory, dut):
    masters = dut.masters
    m.d.comb += [
        memory.address.eq(masters.address),
        memory.write_address.eq(masters.write_address),
        memory.write.eq(masters.write.replicate(len(memory.write))),
        memory.written.eq(masters.written),
        masters.word.eq(memory.word),
    ]


def check(made, target=GENERIC, rates=(5, 0, 8, 6), costs=(0, 64, 7, 4095)):
    """One sequence after another: masters, read out of what is written, are golden's."""
    model, golden, layout, dut = made
    ways, stages = layout.core.activations, target.stages(layout.core)
    held = layout.master_words(golden.masters)
    begin, outputs = held.copy(), model.parameters.outputs
    memory = MasterMemory(
        held, width=golden.learning.master, stages=stages, read_latency=target.weights.latency
    )
    whole = Module()
    whole.submodules.dut = dut
    whole.submodules.memory = memory
    connected(whole, memory, dut)
    masters = dut.masters
    writes, saturated = 0, []

    async def watch(ctx):
        nonlocal writes
        late = [(0, 0)] * len(stages)
        signals = masters.write, masters.write_address, *masters.written
        async for _, _, write, address, *written in ctx.tick().sample(*signals):
            writes += write
            late = [(write, address), *late[:-1]]
            for stage, (now, where) in zip(stages, late, strict=True):
                if now:
                    held[where, list(stage)] = [written[lane] for lane in stage]

    async def bench(ctx):
        nonlocal writes
        rng = np.random.default_rng(9)
        q = golden.learning.error
        for n, (rate, cost) in enumerate(zip(rates, costs, strict=True)):
            frames = random_frames(model, (FRAMES, 1, 4, 5)[n], seed=n)
            settings = Settings(rate, outputs, cost)
            errors = rng.integers(q.min, q.max + 1, outputs)
            before = layout.master_words(golden.masters)
            trace = golden.learn(frames, settings, errors)
            writes = 0
            await learned(ctx, dut, trace.tapes, trace.of_result, settings, ways)
            await ctx.tick().repeat(len(stages) + 1)
            expected = layout.master_words(golden.masters)
            assert np.array_equal(held, expected), np.argwhere(held != expected)[:5]
            assert (expected != before).any() == (rate > 0)
            assert ctx.get(dut.saturated) == trace.saturated
            saturated.append(trace.saturated)
            rows = [layer.blocks * layer.layer.gates for layer in layout.layers]
            tapes = zip(trace.tapes, rows, strict=True)
            assert writes == sum(k * np.count_nonzero(v) for t, k in tapes for v in (t.x, t.h))

    run_bench(whole, bench, background=(watch,))
    assert not all(saturated)
    assert (held != begin).any()
    again = layout.masters(held)
    for mine, theirs in zip(again, golden.masters, strict=True):
        assert np.array_equal(mine.x, theirs.x)
        assert np.array_equal(mine.h, theirs.h)


@pytest.mark.parametrize("target", ["generic", "ecp5"])
@pytest.mark.parametrize("name", LEARNERS)
def test_masters_are_goldens(name, target):
    target = TARGETS[target].target
    check(made(*LEARNERS[name], target=target), target)


@pytest.mark.parametrize("learning", LEARNING)
def test_in_other_formats(learning):
    check(made(*LEARNERS["both"], learning=LEARNING[learning]))


@pytest.mark.parametrize("seed", range(12))
def test_any_network(seed):
    """Sizes, kinds, lanes and formats at random; from still networks to such that always fire."""
    rng = np.random.default_rng(seed)
    layers = int(rng.choice([1, 1, 2, 3]))
    sizes = tuple(rng.integers(1, 14, layers + 1).tolist())
    kinds = tuple(rng.choice(["gru", "lstm"], layers).tolist())
    activations = int(rng.choice([1, 2, 4]))
    most = 1 << (max(*sizes[1:], 8) - 1).bit_length()
    lanes = activations * int(rng.integers(1, most // activations + 1))
    theta = tuple(int(n) for n in rng.choice([0, 1, 3, 20, 200], 2))
    target = TARGETS[str(rng.choice(["generic", "ecp5"]))].target
    learning = list(LEARNING.values())[seed % 3 - 1] if seed % 3 else LearningFormats()
    outputs = int(rng.integers(1, 9))
    lanes = min(lanes, most)
    network = made(
        sizes, outputs, kinds, lanes, activations, theta=theta, target=target, learning=learning
    )
    check(network, target, rates=(8, 3), costs=(0, 9))


def test_a_reset_in_mid_sequence_leaves_nothing_behind():
    """It comes while errors are on their way, in a sequence that changes no master."""
    network = made(*LEARNERS["both"])
    model, golden, layout, dut = network
    init = layout.master_words(golden.masters)
    memory = MasterMemory(init, width=16, stages=GENERIC.stages(layout.core))
    reset = Signal()
    inside = Module()
    inside.submodules.dut = dut
    whole = Module()
    whole.submodules.inside = ResetInserter(reset)(inside)
    whole.submodules.memory = memory
    connected(whole, memory, dut)
    held, ways = init.copy(), layout.core.activations

    async def watch(ctx):
        masters = dut.masters
        signals = masters.write, masters.write_address, *masters.written
        async for _, _, write, address, *written in ctx.tick().sample(*signals):
            if write:
                held[address] = written

    async def bench(ctx):
        outputs = model.parameters.outputs
        frames = random_frames(model, FRAMES)
        errors = np.full(outputs, 9000)
        nothing, learns = (Settings(rate, outputs) for rate in (0, 6))
        trace = golden.learn(frames, nothing, errors)
        for cycles in (70, 150, 300):
            await begun(ctx, dut, trace.tapes, trace.of_result, nothing, ways)
            await ctx.tick().repeat(cycles)
            assert not ctx.get(dut.free)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            assert ctx.get(dut.free)
            trace = golden.learn(frames, learns, errors)
            await learned(ctx, dut, trace.tapes, trace.of_result, learns, ways)
            await ctx.tick().repeat(3)
            assert np.array_equal(held, layout.master_words(golden.masters)), cycles

    run_bench(whole, bench, background=(watch,))


@pytest.mark.parametrize(
    ("sizes", "outputs", "streams", "shifts", "said"),
    [
        ((2, 3), None, 1, 0, "last layer: found 'gru', expected a linear layer"),
        ((2, 3, 2), None, 1, 0, "last layer: found 'gru', expected a linear layer"),
        ((2, 3), 2, 2, 0, "streams of a core that trains: found 2, expected"),
        ((2, 3), 2, 1, 2, "row shifts: found some, expected none"),
    ],
)
def test_refuses_what_cannot_learn(sizes, outputs, streams, shifts, said):
    model = random_model(sizes, outputs, shifts=shifts)
    training = Training(TapeSize(1, 1, 1, 1))
    with pytest.raises(ValueError, match=re.escape(said)):
        CoreParameters(model.parameters, 2, 1, streams, training=training)


PAGE = Path(__file__).parents[1] / "docs/training-core.md"
# Of the page's table: kinds, sizes, results, lanes, units a cycle; frames to count, a row each.
COUNTED = {
    "gru 12 -> 32 -> 9, 8, 1": (((12, 32), 9, ("gru",), 8, 1), 16),
    "gru 40 -> 128 -> 10, 16, 2": (((40, 128), 10, ("gru",), 16, 2), 10),
    "lstm 16 -> 64 -> 64 -> 31, 16, 2": (((16, 64, 64), 31, ("lstm",), 16, 2), 10),
}


def counted(network, frames, still, monkeypatch):
    """Cycles a frame that the RTL for an ECP5 takes for lists at random, all columns alike, and its
    bound: a cycle for each row of each event."""
    monkeypatch.setattr(sys.modules[__name__], "FRAMES", frames)
    _, golden, layout, dut = made(*network, target=TARGETS["ecp5"].target)
    work = Work.uniform(golden.layers, frames, 1 - still)
    rng, tapes = np.random.default_rng(1), []
    for k, layer in enumerate(golden.layers):
        lists = [np.zeros((frames, n), np.int64) for n in layer.trained_columns]
        for deltas, events in zip(lists, (work.events_x, work.events_h), strict=True):
            for t, n in enumerate(events[:, k]):
                deltas[t, rng.permutation(deltas.shape[1])[:n]] = 5
        kept = np.zeros((frames, len(layout.layers[k].cell.kept), layer.units), np.int64)
        tapes.append(LayerTape(*lists, kept))
    rows = np.array([each.blocks * each.layer.gates for each in layout.layers])
    bound = int(((work.events_x + work.events_h) @ rows).sum())
    cycles = []

    async def bench(ctx):
        errors, settings = np.zeros(network[1], np.int64), Settings(1, network[1])
        found = await learned(ctx, dut, tapes, errors, settings, network[-1])
        cycles.append(found)

    run_bench(dut, bench)
    return cycles[0] / frames, bound / frames


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTED)
def test_the_pages_cycles_are_those_of_the_rtl(name, monkeypatch):
    """Where a tenth of the columns fires."""
    cycles, bound = counted(*COUNTED[name], 0.9, monkeypatch)
    row = next(row for row in PAGE.read_text().splitlines() if row.startswith(f"| {name} | 90%"))
    assert row.split(" | ")[2:5] == [f"{bound:.1f}", f"{cycles:.1f}", f"{bound / cycles:.2f}"]


def test_lanes_hardly_wait(monkeypatch):
    """Where a tenth of the columns fires, in a network of a middle size."""
    cycles, bound = counted(((20, 64), 10, ("gru",), 8, 2), FRAMES, 0.9, monkeypatch)
    assert bound < cycles < 1.08 * bound
