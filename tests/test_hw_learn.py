"""The parts of a core that learns against their twins in golden.learn, on random inputs."""

import numpy as np
import pytest

from golden import gru, lstm
from golden.fixed import Q, sat
from golden.formats import Formats
from golden.learn import loss
from golden.learn.cells import CELLS
from golden.learn.formats import LearningFormats
from golden.learn.update import Step, Sweep, encoder_errors
from hw.learn.cell import learning_cell
from hw.learn.deltas import DeltaErrors, EncoderErrors
from hw.learn.loss import Loss
from hw.learn.sweep import SweepLanes
from hw.learn.units import ErrorUnit, SlopeUnit
from tests.bench import run_bench

FORMATS = {
    "Q3.4": Formats(),
    "fine": Formats(activation=Q(3, 7), state=Q(1, 14), gate=Q(1, 10), preactivation=Q(3, 6)),
    "coarse": Formats(
        activation=Q(0, 7), state=Q(3, 3), gate=Q(1, 3), readout=Q(7, 2), cell=Q(0, 5)
    ),
}
LEARNING = {
    "as it is": LearningFormats(),
    "wide slopes": LearningFormats(slope=Q(1, 14)),
    "narrow": LearningFormats(error=Q(0, 9), slope=Q(0, 4), master=12),
}
LENGTH = 1200


def ends(rng, q, *shape):
    """Any codes of a format; a tenth at its ends, where things saturate, and a tenth 0."""
    values = rng.integers(q.min, q.max + 1, shape)
    kind = rng.random(shape)
    return np.where(kind < 0.1, rng.choice([q.min, q.max], shape), np.where(kind > 0.9, 0, values))


def piped(dut, latency, rows, drive, look):
    """What ``look`` gives ``latency`` cycles after ``drive`` set each of ``rows``, one a cycle."""
    found = []

    async def bench(ctx):
        for n in range(len(rows) + latency):
            drive(ctx, rows[min(n, len(rows) - 1)])
            if n >= latency:
                found.append(look(ctx))
            await ctx.tick()

    run_bench(dut, bench)
    return found


@pytest.mark.parametrize("learning", LEARNING)
@pytest.mark.parametrize("formats", FORMATS)
def test_slopes_of_a_gru(formats, learning):
    check_slopes("gru", FORMATS[formats], LEARNING[learning])


@pytest.mark.parametrize("learning", LEARNING)
@pytest.mark.parametrize("formats", FORMATS)
def test_slopes_of_an_lstm(formats, learning):
    check_slopes("lstm", FORMATS[formats], LEARNING[learning])


def check_slopes(kind, formats, learning):
    rng = np.random.default_rng(1)
    cell = learning_cell(kind)(formats, learning)
    weight_frac = 6
    wide = Q(4, formats.accumulator_frac(weight_frac))
    m = rng.integers(wide.min, wide.max + 1, (LENGTH, 4, 1))
    if kind == "gru":
        states = ends(rng, formats.state, LENGTH + 1, 1)
        r, u, c, m_hc = gru.gates(formats, weight_frac, m)
        seen = {"r": r, "u": u, "c": c, "m_hc": m_hc, "h": states[:-1]}
    else:
        states = ends(rng, formats.cell, LENGTH + 1, 1)
        i, f, g, o = lstm.gates(formats, weight_frac, m)
        y = lstm.shown(formats, states[1:])
        seen = {"i": i, "f": f, "g": g, "o": o, "c": states[:-1], "y": y}
    expected = CELLS[kind].keep(formats, learning.slope, weight_frac, m, states)[:, :, 0]
    rows = [{key: int(values[n, 0]) for key, values in seen.items()} for n in range(LENGTH)]
    dut = SlopeUnit(cell)
    found = piped(
        dut,
        dut.latency,
        rows,
        lambda ctx, row: ctx.set(dut.i.payload, row),
        lambda ctx: [ctx.get(dut.o.payload[key]) for key in CELLS[kind].kept],
    )
    assert np.array_equal(found, expected)
    assert len(np.unique(expected[:, 0])) > 5


@pytest.mark.parametrize("learning", LEARNING)
@pytest.mark.parametrize("formats", FORMATS)
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_errors(kind, formats, learning):
    formats, learning = FORMATS[formats], LEARNING[learning]
    rng = np.random.default_rng(2)
    cell, q = learning_cell(kind)(formats, learning), learning.error
    names = CELLS[kind].kept
    gates = rng.integers(0, formats.gate.scale + 1, (LENGTH, len(names)))
    kept = np.where(
        [name.startswith("s_") for name in names],
        ends(rng, learning.slope, LENGTH, len(names)),
        gates,
    )
    of_output, of_h, of_state = (ends(rng, q, LENGTH) for _ in range(3))
    g = ends(rng, q, LENGTH, 4)
    e = sat(of_output + of_h, q)
    own, before = CELLS[kind].errors(formats, learning, kept.T, e, of_state)
    expected = np.concatenate([sat(g.T + own, q), before[None]]).T
    rows = [
        {
            "kept": dict(zip(names, kept[n].tolist(), strict=True)),
            "of_output": int(of_output[n]),
            "of_h": int(of_h[n]),
            "of_state": int(of_state[n]),
            "g": g[n].tolist(),
        }
        for n in range(LENGTH)
    ]
    dut = ErrorUnit(cell, 4)
    found = piped(
        dut,
        dut.latency,
        rows,
        lambda ctx, row: ctx.set(dut.i.payload, row),
        lambda ctx: [*(ctx.get(each) for each in dut.o.payload.g), ctx.get(dut.o.payload.of_state)],
    )
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("rate", [0, 1, 8])
@pytest.mark.parametrize("stages", [[4], [4, 4, 2], [1, 1]], ids=str)
@pytest.mark.parametrize("learning", LEARNING)
def test_a_sweep(learning, stages, rate):
    """Masters of each lane, and the sum of W G, whatever comes the cycle before."""
    learning, formats, frac = LEARNING[learning], Formats(), 6
    rng = np.random.default_rng(rate)
    begins = np.cumsum([0, *stages])
    ranges = [range(a, b) for a, b in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True)]
    lanes = ranges[-1].stop
    far = learning.step_shift(formats, frac, 1)
    shift = learning.step_shift(formats, frac, rate) if rate else None
    dut = SweepLanes(learning=learning, delta_width=9, stages=ranges, far=far, nearest=7)
    masters = ends(rng, learning.range, LENGTH, lanes)
    g = ends(rng, learning.error, LENGTH, lanes)
    deltas = np.where(rng.random(LENGTH) < 0.1, -255, rng.integers(1, 256, LENGTH))
    valid = rng.random(LENGTH) < 0.9
    step = Step(learning, frac, shift, 0)
    new = np.array(
        [
            step.sweep(masters[n][:, None].copy(), g[n], deltas[n : n + 1], asked=False).new[:, 0]
            for n in range(LENGTH)
        ]
    )
    sums = (g * (masters >> learning.below)).sum(axis=1)
    found_sums, found_new, reached = [], np.zeros_like(masters), 0

    async def bench(ctx):
        nonlocal reached
        for n in range(LENGTH + dut.ahead + len(ranges) + 4):
            now = min(n, LENGTH - 1)
            ctx.set(dut.i.valid, n < LENGTH and bool(valid[n]))
            reached += ctx.get(dut.saturated)
            slot = {"delta": int(deltas[now]), "learns": int(rate > 0)}
            ctx.set(dut.i.payload, {**slot, "near": 0 if shift is None else far - shift})
            for k, stage in enumerate(ranges):
                behind = n - dut.ahead - k
                late = min(max(behind, 0), LENGTH - 1)
                for lane in stage:
                    ctx.set(dut.g[lane], int(g[late, lane]))
                    ctx.set(dut.master[lane], int(masters[late, lane]))
                if 0 <= behind - 2 < LENGTH:
                    of = [ctx.get(dut.o.payload[lane]) for lane in stage]
                    found_new[behind - 2, stage.start : stage.stop] = of
            if 0 <= n - dut.latency < LENGTH:
                found_sums.append(ctx.get(dut.sum))
            await ctx.tick()

    run_bench(dut, bench)
    q = learning.range
    moved = ((new == q.min) | (new == q.max)) & (new != masters) & valid[:, None]
    # A cycle of each stage that has such a lane; those of two stages may fall together.
    cycles = {
        n + k
        for k, stage in enumerate(ranges)
        for n in np.flatnonzero(moved[:, list(stage)].any(axis=1)).tolist()
    }
    assert reached == len(cycles)
    assert found_sums == sums.tolist()
    assert np.array_equal(found_new, new)
    assert (new != masters).any() == (rate > 0)


@pytest.mark.parametrize(
    ("cost", "most", "fracs"), [(0, 9, (6, 5, 0)), (64, 1, (7,)), (4095, 9, (9, 2))]
)
@pytest.mark.parametrize("learning", LEARNING)
def test_errors_of_deltas(learning, cost, most, fracs):
    """Lists of one event and of many, whose sweeps follow each other without a gap or with some."""
    learning, rng, rows = LEARNING[learning], np.random.default_rng(cost), 12
    dut = DeltaErrors(
        events=most,
        error=learning.error,
        sum_width=8 + learning.error.width,
        total_width=8 + learning.error.width + 4,
        weight_fracs=fracs,
        cost_max=4095,
        places=40,
    )
    slots, expected = [], []
    for _ in range(120):
        events = min(int(rng.choice([1, 1, 2, 3, most])), most)
        layer = int(rng.integers(len(fracs)))
        sweeps = int(rng.integers(1, rows + 1))
        masters = ends(rng, learning.range, sweeps, events)
        g = ends(rng, learning.error, sweeps)
        deltas = rng.choice([-200, -3, 1, 255], events)
        places = rng.permutation(40)[:events]
        found = Step(learning, fracs[layer], None, cost).sweep(masters, g, deltas, asked=True)
        expected += list(zip(found.of_deltas.tolist(), places.tolist(), strict=True))
        for n in range(sweeps):
            for event in range(events):
                slot = {
                    "event": event,
                    "sum": int(g[n] * (masters[n, event] >> learning.below)),
                    "first": int(n == 0),
                    "last": int(n == sweeps - 1),
                    "layer": layer,
                    "below": int(deltas[event] < 0),
                    "place": int(places[event]),
                }
                slots.append(slot)
            slots += [None] * int(rng.choice([0, 0, 0, 1, 4]))
    made = []

    async def bench(ctx):
        ctx.set(dut.cost, cost)
        for slot in [*slots, *[None] * dut.latency]:
            ctx.set(dut.i.valid, slot is not None)
            if slot is not None:
                ctx.set(dut.i.payload, slot)
            if ctx.get(dut.o.valid):
                made.append((ctx.get(dut.o.payload.d), ctx.get(dut.o.payload.place)))
            await ctx.tick()

    run_bench(dut, bench)
    assert made == expected


@pytest.mark.parametrize("places", [1, 7])
@pytest.mark.parametrize("learning", LEARNING)
def test_errors_go_through_the_encoder(learning, places):
    learning = LEARNING[learning]
    rng = np.random.default_rng(3)
    dut = EncoderErrors(error=learning.error, places=places)
    held, expected, frames = np.zeros(places, dtype=np.int64), [], []
    for n in range(150):
        if n == 100:
            held[:] = 0
        fired = np.flatnonzero(rng.random(places) < 0.5)
        d = ends(rng, learning.error, len(fired))
        none = np.zeros((0, len(fired)), dtype=np.int64)
        of_v = encoder_errors(held, Sweep(fired, d, d, none, none), learning)
        frames.append(list(zip(d.tolist(), fired.tolist(), strict=True)))
        expected += [(int(of_v[place]), int(place)) for place in fired]
    made = []

    async def bench(ctx):
        async def cycle():
            if ctx.get(dut.o.valid):
                made.append((ctx.get(dut.o.payload.of_v), ctx.get(dut.o.payload.place)))
            await ctx.tick()

        for n, frame in enumerate(frames):
            for place in range(places) if n == 100 else ():
                ctx.set(dut.clear.valid, 1)
                ctx.set(dut.clear.payload, place)
                await cycle()
            ctx.set(dut.clear.valid, 0)
            for now, event in zip([None, *frame], [*frame, None], strict=True):
                if event is not None:
                    ctx.set(dut.next_place, event[1])
                if now is not None:
                    ctx.set(dut.i.payload, {"d": now[0], "place": now[1]})
                ctx.set(dut.i.valid, now is not None)
                await cycle()
            ctx.set(dut.i.valid, 0)
            for _ in range(dut.latency):
                await cycle()

    run_bench(dut, bench)
    assert made == expected


@pytest.mark.parametrize("frac", [10, 3])
@pytest.mark.parametrize("outputs", [1, 2, 9])
@pytest.mark.parametrize("learning", LEARNING)
def test_the_loss(learning, outputs, frac):
    """Of sequences of 1 to 256 frames, with every number of classes known, and labels unknown."""
    learning, rng = LEARNING[learning], np.random.default_rng(outputs)
    width = frac + 4
    dut = Loss(learning=learning, outputs=outputs, width=width, frac=frac)
    lengths = [1, 2, 3, 4, 5, 17, 256 if outputs == 2 else 64, 1, 9]
    found, expected = [], []

    async def bench(ctx):
        for n, length in enumerate(lengths):
            near = rng.integers(-(1 << frac), (1 << frac) + 1, (length, outputs))
            far = rng.choice([-(1 << (width - 1)), (1 << (width - 1)) - 1], (length, outputs))
            results = near if n % 2 else far
            if n == 3:
                results[:] = 5  # all alike: the first is decided
            known = int(rng.integers(1, outputs + 1))
            label = int(rng.integers(known if n != 4 else outputs + 1))
            verdict = loss.verdict(results, known)
            e = loss.hinge(verdict, frac, learning, label, known) * (label < known)
            expected.append((verdict.halvings, verdict.decided, e.tolist()))
            expected.append(loss.of_each_frame(e, verdict).tolist())
            for frame in results.tolist():
                for k, value in enumerate(frame):
                    ctx.set(dut.i.payload, {"value": value, "last": int(k == outputs - 1)})
                    ctx.set(dut.i.valid, 1)
                    await ctx.tick()
                    ctx.set(dut.i.valid, 0)
                    if rng.random() < 0.2:
                        await ctx.tick()
            await ctx.tick()
            ctx.set(dut.known, known)
            ctx.set(dut.label, label)
            ctx.set(dut.ends, 1)
            await ctx.tick()
            ctx.set(dut.ends, 0)
            await ctx.tick().repeat(dut.latency - 1)
            assert ctx.get(dut.o.valid)
            made, shares = [], []
            while len(made) < outputs:
                if ctx.get(dut.o.valid):
                    made.append(ctx.get(dut.o.payload.e))
                    shares.append(ctx.get(dut.o.payload.of_frame))
                    assert ctx.get(dut.o.payload.last) == (len(made) == outputs)
                if len(made) < outputs:
                    await ctx.tick()
            found.append((ctx.get(dut.halvings), ctx.get(dut.decided), made))
            found.append(shares)
            assert ctx.get(dut.frames) == length
            await ctx.tick()
            ctx.set(dut.restart, 1)
            await ctx.tick()
            ctx.set(dut.restart, 0)

    run_bench(dut, bench)
    assert found == expected
