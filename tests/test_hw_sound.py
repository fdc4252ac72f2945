"""Blocks of the front end against their golden twins, cycle by cycle in Amaranth's simulator."""

import random

import numpy as np
import pytest

from golden.sound.decision import NOTHING, Decision
from golden.sound.front_end import FrontEnd
from golden.sound.modulator import modulated
from hw.sound.bank import Bank
from hw.sound.decimator import Decimator
from hw.sound.decision import Decider
from hw.sound.digits import DIGIT_BITS, recoded
from hw.sound.logarithm import Logarithm
from hw.sound.path import SoundPath
from hw.sound.scale import Scale
from tests.bench import run_bench

SMALL = FrontEnd(
    pdm_rate=384_000,
    decimation=24,
    drop=0,
    bands=5,
    hop=7,
    floor=6,
    gains=(64, 30, 255, 0, 100),
)
OTHER = FrontEnd(
    pdm_rate=128_000, decimation=8, order=4, drop=2, bands=2, hop=3, leak=4, guard=0, floor=7
)


def digit(code: int) -> int:
    return -1 if code == 3 else code


@pytest.mark.parametrize("digits", [1, 4, 7])
def test_recoded_digits_are_the_number(digits):
    most = (4**digits - 1) // 3
    for value in {-most, 2 * most, *np.random.default_rng(1).integers(-most, 2 * most, 300)}:
        codes = [recoded(int(value), digits) >> DIGIT_BITS * n & 3 for n in range(digits)]
        assert sum(digit(code) * 4**n for n, code in enumerate(codes)) == value
    for value in (-most - 1, 2 * most + 1):
        with pytest.raises(ValueError, match=f"coefficient: found {value}, expected from -{most}"):
            recoded(value, digits)


async def give(ctx, stream, values, every: int = 1):
    """Payloads one by one, so many cycles apart at the least."""
    for value in values:
        ctx.set(stream.payload, value)
        ctx.set(stream.valid, 1)
        if "ready" in stream.signature.members and not stream.signature.always_ready:
            await ctx.tick().until(stream.ready)
        else:
            await ctx.tick()
        ctx.set(stream.valid, 0)
        if every > 1:
            await ctx.tick().repeat(every - 1)


def run(dut, sends, seen, cycles, takes=1.0):
    """What leaves by ``dut.o``, cycle by cycle (number, payload), and how often each strobe was."""
    source = random.Random(1)
    found, strobes = [], dict.fromkeys(seen, 0)

    async def receive(ctx):
        held, n = None, 0
        while True:
            if not dut.o.signature.always_ready:
                ctx.set(dut.o.ready, source.random() < takes)
            signals = [getattr(dut, name) for name in seen]
            _, _, valid, ready, payload, *values = await ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o.payload, *signals
            )
            n += 1
            for name, value in zip(seen, values, strict=True):
                strobes[name] += value
            plain = payload if isinstance(payload, int) else {k: payload[k] for k in members}
            if held is not None and not strobes.get("lost"):
                assert (valid, plain) == (1, held)  # what was offered and not taken stays
            held = plain if valid and not ready else None
            if valid and ready:
                found.append((n, plain))

    members = getattr(dut.o.payload.shape(), "members", {})

    async def send(ctx):
        await sends(ctx)
        await ctx.tick().repeat(cycles)

    run_bench(dut, send, background=(receive,))
    return found, strobes


@pytest.mark.parametrize("front", [SMALL, OTHER])
def test_decimator(front):
    rng = np.random.default_rng(1)
    bits = np.concatenate([rng.integers(0, 2, 900), np.ones(700), np.zeros(700)]).astype(int)
    dut = Decimator(front)
    every = -(-dut.latency // front.decimation) + 1

    found, strobes = run(dut, lambda ctx: give(ctx, dut.i, bits.tolist(), every), ["lost"], 99)
    assert [value for _, value in found] == front.samples(bits).tolist()
    assert found[0][0] == (front.decimation - 1) * every + 1 + dut.latency
    assert strobes["lost"] == 0


def test_decimator_of_whom_nobody_takes_loses_samples_and_says_so():
    bits = np.random.default_rng(2).integers(0, 2, 60 * SMALL.decimation)
    dut = Decimator(SMALL)
    found, strobes = run(dut, lambda ctx: give(ctx, dut.i, bits.tolist(), 3), ["lost"], 99, 0.01)
    every = SMALL.samples(bits).tolist()
    assert len(found) + strobes["lost"] == len(every)
    assert strobes["lost"] > 10
    rest = iter(every)
    assert all(value in rest for _, value in found)  # those that were taken are right, in order


@pytest.mark.parametrize("front", [SMALL, OTHER])
def test_bank(front):
    """Samples at full scale, of noise and of silence; as soon as they may come."""
    rng = np.random.default_rng(3)
    full = front.sample_max
    samples = np.concatenate([rng.integers(-full, full + 1, 60), full * rng.choice([-1, 1], 60)])
    samples = np.append(samples, np.zeros(30, int))
    dut = Bank(front)

    async def send(ctx):
        ctx.set(dut.room, 1)
        await give(ctx, dut.i, samples.tolist(), dut.cycles + 2)

    found, strobes = run(dut, send, ["dropped"], 20)
    wanted = front.envelopes(samples)
    assert wanted.max() >= 1 << (front.word - 5)  # nearly all bits are used
    assert [value["envelope"] for _, value in found] == wanted.ravel().tolist()
    assert [value["band"] for _, value in found] == [*range(front.bands)] * len(wanted)
    assert [value["last"] for _, value in found] == [*[0] * (front.bands - 1), 1] * len(wanted)
    assert strobes["dropped"] == 0


def test_bank_takes_a_sample_in_its_cycles():
    dut, starts = Bank(SMALL), []

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        for n in range(3 * dut.cycles):
            if ctx.get(dut.i.ready):
                starts.append(n)
            await ctx.tick()

    run_bench(dut, bench)
    assert starts == [0, dut.cycles, 2 * dut.cycles]


def test_bank_without_room_drops_whole_frames_and_says_so():
    """What comes out are frames of some hops, whole and right; the others are counted."""
    rng = np.random.default_rng(4)
    samples = rng.integers(-5000, 5000, 25 * SMALL.hop)
    dut, source = Bank(SMALL), random.Random(2)

    async def send(ctx):
        for sample in samples.tolist():
            ctx.set(dut.room, source.random() < 0.1)
            await give(ctx, dut.i, [sample], dut.cycles + 2)
        ctx.set(dut.room, 1)

    found, strobes = run(dut, send, ["dropped"], 20 * dut.cycles)
    frames = np.array([v["envelope"] for _, v in found]).reshape(-1, SMALL.bands).tolist()
    assert len(frames) + strobes["dropped"] == 25
    assert 3 < strobes["dropped"] < 22
    rest = iter(SMALL.envelopes(samples).tolist())
    assert all(frame in rest for frame in frames)


@pytest.mark.parametrize("front", [SMALL, OTHER])
def test_logarithm(front):
    rng = np.random.default_rng(5)
    powers = [1 << n for n in range(front.word - 1)]
    envelopes = [0, (1 << (front.word - 1)) - 1, *powers, *(n - 1 for n in powers)]
    envelopes += (2 ** rng.uniform(0, front.word - 1, 200)).astype(int).tolist()
    dut = Logarithm(front)

    async def send(ctx):
        for envelope in envelopes:
            while not ctx.get(dut.room):
                await ctx.tick()
            await give(ctx, dut.i, [{"envelope": envelope, "band": envelope & 1, "last": 1}])

    found, _ = run(dut, send, [], 99, 0.5)
    wanted = front.logarithms(np.array(envelopes)).tolist()
    assert [value["logarithm"] for _, value in found] == wanted
    assert [value["band"] for _, value in found] == [envelope & 1 for envelope in envelopes]


@pytest.mark.parametrize("takes", [1.0, 0.1])
@pytest.mark.parametrize("front", [SMALL, OTHER])
def test_scale(front, takes):
    rng = np.random.default_rng(6)
    most = (front.word - front.floor) << front.log_frac
    logarithms = rng.integers(0, most, (40, front.bands))
    logarithms[0], logarithms[1] = 0, most - 1
    dut = Scale(front)
    sent = [
        {"logarithm": int(value), "band": n, "last": n == front.bands - 1}
        for frame in logarithms
        for n, value in enumerate(frame)
    ]
    found, _ = run(dut, lambda ctx: give(ctx, dut.i, sent), [], 99, takes)
    wanted = front.activations(logarithms)
    assert front is OTHER or (wanted == front.activation.max).any()
    assert [value["value"] for _, value in found] == wanted.ravel().tolist()
    assert [value["last"] for _, value in found] == [each["last"] for each in sent]


def listened(dut, bits, every, rest, takes=1.0):
    """What leaves, and how often a frame was dropped and a sample lost."""
    source = random.Random(1)
    found, dropped, lost = [], 0, 0

    async def receive(ctx):
        nonlocal dropped, lost
        held = None
        while True:
            ctx.set(dut.m_axis_tready, source.random() < takes)
            _, _, valid, ready, *beat, was_dropped, was_lost = await ctx.tick().sample(
                dut.m_axis_tvalid,
                dut.m_axis_tready,
                dut.m_axis_tdata,
                dut.m_axis_tlast,
                dut.dropped,
                dut.lost,
            )
            if held is not None:  # what was offered and not taken stays
                assert (valid, beat) == (1, held)
            held = beat if valid and not ready else None
            if valid and ready:
                found.append(beat)
            dropped, lost = dropped + was_dropped, lost + was_lost

    async def speak(ctx):
        for bit in bits.tolist():
            ctx.set(dut.pdm, bit)
            ctx.set(dut.pdm_valid, 1)
            await ctx.tick()
            ctx.set(dut.pdm_valid, 0)
            await ctx.tick().repeat(every - 1)
        await ctx.tick().repeat(rest)

    run_bench(dut, speak, background=(receive,))
    return found, dropped, lost


@pytest.mark.parametrize("takes", [1.0, 0.004])
@pytest.mark.parametrize("front", [SMALL, OTHER])
def test_the_whole_path(front, takes):
    """A tone that grows, through a modulator, and bits at random."""
    rng = np.random.default_rng(7)
    t = np.arange(100)
    tone = (np.sin(0.2 * t) * 240 * t).astype(int)
    bits = np.append(modulated(tone, 8), rng.integers(0, 2, 200))
    dut = SoundPath(front)
    every = -(-dut.cycles // front.decimation)
    rest = 40 * front.bands if takes == 1.0 else 9999
    found, dropped, lost = listened(dut, bits, every, rest, takes)
    assert lost == 0
    frames = np.array([value for value, _ in found]).reshape(-1, front.bands).tolist()
    wanted = front.frames(bits).tolist()
    assert len(frames) + dropped == len(wanted)
    assert [last for _, last in found] == [*[0] * (front.bands - 1), 1] * len(frames)
    if takes == 1.0:
        assert frames == wanted
    else:
        assert dropped > 0
    ordered = iter(wanted)
    assert all(frame in ordered for frame in frames)


def test_fewer_cycles_than_it_takes_lose_samples_and_say_so():
    bits = np.random.default_rng(8).integers(0, 2, 2000)
    dut = SoundPath(SMALL)
    assert listened(dut, bits, 3, 500)[2] > 0


@pytest.mark.parametrize(
    "decision",
    [
        Decision(classes=3, background=2, result_width=10, smoothing=2, margin=100, pause=3),
        Decision(classes=7, background=0, result_width=6, smoothing=0, pause=0),
        Decision(classes=2, background=0, result_width=20, smoothing=6, margin=1 << 20, pause=9),
    ],
)
def test_decider(decision):
    """Results that wander, with the ends of the format and equal ones among them."""
    rng = np.random.default_rng(9)
    most = 1 << (decision.result_width - 1)
    steps = rng.integers(-most, most, (160, decision.classes))
    results = np.append(np.clip(steps[:80].cumsum(0), -most, most - 1), steps[80:], axis=0)
    results[20:30] = results[20, 0]
    dut, source, found = Decider(decision), random.Random(3), []
    frames = 0

    async def send(ctx):
        for frame in results.tolist():
            for n, value in enumerate(frame):
                while source.random() < 0.3:
                    await ctx.tick()
                last = n == decision.classes - 1
                await give(ctx, dut.i, [{"value": value, "last": last}])
        await ctx.tick().repeat(5)

    async def receive(ctx):
        nonlocal frames
        taken = 0
        async for *_, valid, ready, last, told, word in ctx.tick().sample(
            dut.i.valid, dut.i.ready, dut.i.payload.last, dut.told, dut.word
        ):
            if told:
                found.append((taken - 1, word))
            taken += valid & ready & last
            frames = taken

    run_bench(dut, send, background=(receive,))
    assert frames == len(results)
    told = decision.words(results)
    assert found == [(n, word) for n, word in enumerate(told.tolist()) if word != NOTHING]
    assert len(found) > 3
