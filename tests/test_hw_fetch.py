"""Slots, events and words meet in order, each once, however long a store lets them wait."""

import numpy as np
import pytest
from amaranth.hdl import Module

from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.lanes.fetch import Fetch
from hw.primitive.weights import WeightMemory
from hw.target import Target
from hw.walk.layout import CoreLayout
from tests.bench import run_bench
from tests.networks import random_frames, random_model
from tests.slow_lane import SlowLane
from tests.stores import WaitingStore
from tests.test_hw_engine import run_engine

MODEL = random_model((3, 5, 4), 2)
CORE = CoreParameters(MODEL.parameters, 2)


@pytest.mark.parametrize("store", [WeightMemory, WaitingStore])
@pytest.mark.parametrize("read_latency", [1, 2])
def test_each_slot_meets_its_event_and_its_word(store, read_latency):
    """Slots with and without an event, of every list; lists that answer when they are asked."""
    rng = np.random.default_rng(read_latency)
    target = Target(weights=store, lane=SlowLane, read_latency=read_latency)
    dut = Fetch(CORE, target)
    words = CoreLayout(CORE).weight_words(MODEL)
    m = Module()
    m.submodules.dut = dut
    m.submodules.store = memory = store(words.tolist())
    m.d.comb += [
        memory.port.request.valid.eq(dut.store_0.request.valid),
        memory.port.request.payload.eq(dut.store_0.request.payload),
        dut.store_0.request.ready.eq(memory.port.request.ready),
        dut.store_0.word.valid.eq(memory.port.word.valid),
        dut.store_0.word.payload.eq(memory.port.word.payload),
        memory.port.word.ready.eq(dut.store_0.word.ready),
    ]
    slots = []
    for _ in range(80):
        layer = int(rng.integers(3))
        columns = 3 if layer == 0 else 4
        segment = int(rng.integers(2)) if layer < 2 else 1  # of x is 1 where there are layers above
        column = int(rng.integers(columns))
        slots.append(
            {
                "event": int(rng.random() < 0.7),
                "segment": segment,
                "base": int(rng.integers(len(words) - columns)),
                "row": int(rng.integers(CoreLayout(CORE).rows)),
                "first": int(rng.integers(2)),
                "close": int(rng.integers(2)),
                "layer": layer,
                "column": column,
                "delta": int(rng.integers(-255, 256)),
            }
        )
    found, seen = [], []

    async def send(ctx):
        """Lists answer ``read_latency`` steps after the walk, which is a step before its slot."""
        asked = []  # what the lists answer with, step by step
        for n in range(len(slots) + read_latency):
            slot = slots[n] if n < len(slots) else None
            ctx.set(dut.i.valid, slot is not None)
            if slot is not None:
                for name in ("event", "segment", "base", "row", "first", "close"):
                    ctx.set(getattr(dut.i.payload, name), slot[name])
                ctx.set(dut.i.payload.tag.layer, slot["layer"])
            asked.append(slot)
            answer = asked[n - read_latency + 1] if n >= read_latency - 1 else None
            for name in ("event_x", "event_h", "event_above"):
                ctx.set(getattr(dut, name).delta, int(rng.integers(-255, 256)))
            if answer is not None:
                of_x = "event_above" if answer["layer"] else "event_x"
                event = getattr(dut, of_x if answer["segment"] else "event_h")
                ctx.set(event.column, answer["column"])
                ctx.set(event.delta, answer["delta"])
            await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def watch(ctx):
        o = dut.o.payload
        signals = (dut.o.valid, o.delta, o.row, o.first, o.close, *dut.word)
        for _ in range(2000):
            _, _, valid, delta, *rest = await ctx.tick().sample(*signals)
            assert valid or delta == 0
            if valid:
                found.append((delta, *rest))
            if len(found) == len(slots):
                break
        for _ in range(20):
            _, _, valid = await ctx.tick().sample(dut.o.valid)
            assert not valid

    async def look(ctx):
        s = dut.seen.payload
        async for _, _, valid, event, layer, h, column, delta in ctx.tick().sample(
            dut.seen.valid, s.event, s.layer, s.h, s.column, s.delta
        ):
            if valid and event:
                seen.append((layer, h, column, delta))

    run_bench(m, send, watch, background=(look,))
    expected = []
    for slot in slots:
        column, delta = (slot["column"], slot["delta"]) if slot["event"] else (0, 0)
        word = words[slot["base"] + column].tolist()
        expected.append((delta, slot["row"], slot["first"], slot["close"], *word))
    assert found == expected
    assert seen == [
        (s["layer"], int(not s["segment"]), s["column"], s["delta"]) for s in slots if s["event"]
    ]


@pytest.mark.parametrize("read_latency", [1, 2])
@pytest.mark.parametrize(
    ("sizes", "outputs", "kinds", "activations"),
    [
        ((3, 5, 4), 2, ("lstm", "gru"), 2),
        ((6, 9, 7), 3, ("gru",), 1),
        ((5, 12), None, ("lstm",), 4),
    ],
)
def test_a_core_whose_store_waits_equals_golden(sizes, outputs, kinds, activations, read_latency):
    """Whatever the walk sends arrives no closer together than it was sent, resets included."""
    model = random_model(sizes, outputs, kinds=kinds)
    frames = random_frames(model, 14, moving=0.3)
    target = Target(weights=WaitingStore, lane=SlowLane, read_latency=read_latency)
    found, _ = run_engine(model, 4, frames, activations=activations, resets={4, 9}, target=target)
    golden = DeltaNetwork(model)
    for n, frame in enumerate(frames):
        if n in (4, 9):
            golden.reset()
        assert np.array_equal(found[n], golden.run(frame[None]).outputs[0])
