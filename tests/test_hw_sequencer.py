"""The sequencer alone: the order and number of its slots, however its lists grow."""

import numpy as np
import pytest
from amaranth.hdl import Array, Module, Signal, unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from golden.parameters import CoreParameters
from hw.walk.layout import CoreLayout
from hw.walk.sequencer import Sequencer
from tests.bench import run_bench
from tests.networks import random_model

FIELDS = ("event", "segment", "base", "row", "first", "close", "count_it")


def sweeps_of(layer):
    """The groups of each gate, and the segments that each group walks."""
    if not layer.recurrent:
        return [[(1,)]]
    last = [(0,), (1,)] if layer.splits else [(0, 1)]
    return [*[[(0, 1)]] * (layer.gates - 1), last]


def expected_slots(layout, counts, still=()):
    """One frame's slots: (layer, tag, segment, index, base, row, first, close, count_it).

    ``counts`` are (x, h) of each layer, ``still`` layers stand still. A group without an event
    takes a slot all the same, whose segment, index and base are None.
    """
    slots = []
    base = row = 0
    for k, layer in enumerate(layout.layers):
        x, h = counts[k]
        events = [h, x] if layout.x_last else [x, h]
        if k in still and not any(events):
            base, row = base + layer.words, row + layer.rows
            continue
        sweeps = sweeps_of(layer)
        for block in range(layer.blocks):
            for gate, groups in enumerate(sweeps):
                for n, group in enumerate(groups):
                    walk = [(s, i) for s in group for i in range(events[s])]
                    final = n == len(groups) - 1 and gate == len(sweeps) - 1
                    tag = 3 if final else layer.first_row + gate
                    first_walk = block == 0 and gate == 0
                    for i, (segment, index) in enumerate(walk):
                        start = base + (layer.segment_columns[0] if segment else 0)
                        ends = i == len(walk) - 1
                        where = (segment, index, start, row, i == 0, ends, first_walk)
                        slots.append((k, tag if ends else None, *where))
                    if not walk:
                        slots.append((k, tag, None, None, None, row, True, True, first_walk))
                    row += 1
                base += layer.columns
    return slots


def columns_of(core, k):
    """Columns (x, h) of layer k."""
    layer = core.network.layers[k]
    return layer.inputs, layer.units if layer.recurrent else 0


class Lists:
    """A sequencer's event lists: of each layer and each of two frames, driven by a test.

    Only with ``early`` does the sequencer hear of the next frame's x before that frame's turn.
    """

    def __init__(self, core, reopen=1, *, early=False):
        self.dut = Sequencer(core, reopen)
        layers = len(CoreLayout(core).layers)
        size = max(max(layer.segment_columns) for layer in CoreLayout(core).layers)
        one = data.StructLayout({"count": unsigned(bits_for(size)), "complete": 1})
        self.lists = [
            [[Signal(one, name=f"{v}_{p}_{k}") for v in "xh"] for k in range(layers)]
            for p in range(2)
        ]
        self.still = Signal(layers)
        self.module = m = Module()
        m.submodules.dut = dut = self.dut
        for status, layer, parity in (
            (dut.now, dut.layer, dut.parity),
            (dut.next, dut.next_layer, dut.next_parity),
        ):
            for n, vector in enumerate((status.x, status.h)):
                chosen = Array([Array([pair[n] for pair in half])[layer] for half in self.lists])
                m.d.comb += vector.eq(chosen[parity])
            m.d.comb += status.still.eq(self.still.bit_select(layer, 1))
        if early:
            x = Array([self.lists[p][0][0] for p in range(2)])
            m.d.comb += dut.coming.eq(x[~dut.parity])


def run_frames(core, frames, *, grow=None, still=(), early=None):
    """The slots of each frame, and the cycles it took; ``frames`` holds counts (x, h) by layer.

    ``early`` is a list that takes those slots that a frame has before its turn, a list for each; by
    default there are none. With it x of a layer only grows when the layer below has been left.
    Lists are there at once, or grow at random (``grow``, a random generator). A list is emptied
    when its layer is left, and refilled for the frame after the next.
    """
    of_below = early is not None
    bench = Lists(core, early=of_below)
    dut = bench.dut
    layers = len(core.network.layers)
    early = early if early is not None else []
    early += [[] for _ in range(len(frames) + 1)]
    found, cycles, left = [[]], [], []
    pending = [[[(0, None)] * 2 for _ in range(layers)] for _ in range(2)]

    async def watch(ctx):
        async def fill(parity, k, counts):
            for n in range(2):
                pending[parity][k][n] = counts[n]
                target = bench.lists[parity][k][n]
                ctx.set(target.count, 0 if grow is not None else counts[n])
                ctx.set(target.complete, grow is None)

        for p in range(min(2, len(frames))):
            for k in range(layers):
                await fill(p, k, frames[p][k])
        ctx.set(bench.still, sum(1 << k for k in still))
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.start[0], 1)
        ctx.set(dut.start[1], len(frames) > 1)
        p = dut.o.payload
        slot = [dut.o.valid, p.tag.layer, p.tag.row, *(getattr(p, name) for name in FIELDS)]
        strobes = [dut.index, dut.parity, dut.layer, dut.leave, dut.skip, dut.finish]
        frame = since = 0
        index_before, frame_before, parity_before = None, 0, 0  # a slot is of the cycle before
        async for sampled in ctx.tick().sample(*strobes, *slot):
            index, parity, layer, leave, skip, finish, valid, of_layer, gate, *values = sampled[2:]
            since += 1
            assert since < 20_000, f"stands still in frame {frame}"
            if valid:
                event, segment, base, row, first, close, count_it = values
                # Before its closing slot a group's tag is not looked at, and without an event
                # neither is where it is.
                place = (segment, index_before, base) if event else (None, None, None)
                tag = gate if close else None
                rest = (row, bool(first), bool(close), bool(count_it))
                in_turn = parity_before == frame_before % 2
                into = found[frame_before] if in_turn else early[frame_before + 1]
                into.append((of_layer, tag, *place, *rest))
            index_before, frame_before, parity_before = index, frame, parity
            if frame == len(frames):
                return
            if leave:
                left.append((frame, layer, skip))
                if frame + 2 < len(frames):
                    await fill(frame % 2, layer, frames[frame + 2][layer])
            if grow is not None:
                walked = {each[:2] for each in left}
                for side, (half, targets) in enumerate(zip(pending, bench.lists, strict=True)):
                    of_frame = frame + (side != frame % 2)
                    for k in range(layers):
                        for n in range(2):
                            if of_below and k and n == 0 and (of_frame, k - 1) not in walked:
                                continue
                            status = targets[k][n]
                            count, most = ctx.get(status.count), half[k][n]
                            if count < most and grow.random() < 0.4:
                                ctx.set(status.count, count + 1)
                                # That it is the last one is known with it or later, but of a
                                # full list with it.
                                full = count + 1 == columns_of(core, k)[n]
                                ends = count + 1 == most and (full or grow.random() < 0.5)
                                ctx.set(status.complete, ends)
                            elif count == most and grow.random() < 0.2:
                                ctx.set(status.complete, 1)
            if finish:
                cycles.append(since)
                since = 0
                frame += 1
                ctx.set(dut.start[frame % 2 ^ 1], frame + 1 < len(frames))
                if frame < len(frames):
                    found.append([])
                else:  # one cycle more, for its last slot
                    ctx.set(dut.start[frame % 2], 0)

    run_bench(bench.module, watch)
    return found, cycles, left


MANY, FEW, NONE = [(3, 5), (5, 4), (4, 0)], [(1, 0), (0, 2), (1, 0)], [(0, 0)] * 3


KINDS = pytest.mark.parametrize("kinds", [("gru",), ("lstm",), ("lstm", "gru")], ids="-".join)


def core_of(lanes, activations=1, kinds=("gru",)):
    network = random_model((3, 5, 4), 2, kinds=kinds).parameters
    return CoreParameters(network, lanes, activations)


@pytest.mark.parametrize(("lanes", "activations"), [(1, 1), (3, 1), (8, 1), (4, 2), (4, 4)])
@pytest.mark.parametrize("counts", [MANY, FEW, NONE], ids=["many events", "few", "none"])
@KINDS
def test_walks_every_event_for_every_row(counts, lanes, activations, kinds):
    core = core_of(lanes, activations, kinds)
    frames = [counts, FEW, MANY, counts]
    found, _, _ = run_frames(core, frames)
    assert found == [expected_slots(CoreLayout(core), frame) for frame in frames]


def random_counts(rng, core):
    """Counts (x, h) of each layer, empty lists and full ones among them."""
    return [
        tuple(int(rng.choice([0, n, rng.integers(n + 1)])) for n in columns_of(core, k))
        for k in range(len(core.network.layers))
    ]


@pytest.mark.parametrize("seed", range(30))
@KINDS
def test_walks_lists_that_grow(seed, kinds):
    """As above, where lists are read as they come: a group may then take one slot more to end."""
    rng = np.random.default_rng(seed)
    sizes = [(3, 5, 4), (2, 6), (3, 1, 7, 2), (1, 1)][seed % 4]
    outputs = [2, None][seed // 4 % 2]
    lanes = int(rng.choice([1, 2, 3, 8]))
    core = CoreParameters(random_model(sizes, outputs, kinds=kinds).parameters, lanes)
    layout = CoreLayout(core)
    frames = [random_counts(rng, core) for _ in range(6)]
    found, _, _ = run_frames(core, frames, grow=rng)
    for slots, counts in zip(found, frames, strict=True):
        assert rows_of(slots) == rows_of(expected_slots(layout, counts))


def rows_of(slots):
    """[((layer, row), tag, events)], row by row as they are opened and closed."""
    rows, opened = [], None
    for layer, tag, segment, index, base, row, first, close, count_it in slots:
        if first:
            opened, events = (layer, row), []
        assert opened == (layer, row)
        if index is not None:
            events.append((segment, index, base, count_it))
        else:
            assert close  # the only slot without an event is one that closes
        if close:
            rows.append((opened, tag, events))
            opened = None
    assert opened is None
    return rows


@pytest.mark.parametrize("seed", range(4))
@KINDS
def test_x_of_the_next_frame_is_walked_early(seed, kinds):
    """Row by row from the second on, and seen in its own frame; a row then takes what is left."""
    rng = np.random.default_rng(seed)
    sizes, outputs = [((3, 5, 4), None), ((2, 6), 3), ((3, 7, 2), 1), ((4, 1), 1)][seed]
    core = CoreParameters(random_model(sizes, outputs, kinds=kinds).parameters, 2)
    layout = CoreLayout(core)
    frames = [random_counts(rng, core) for _ in range(5)]
    early = []
    found, _, _ = run_frames(core, frames, grow=rng if seed else None, early=early)
    assert any(early)
    if seed == 1:  # beyond the first block
        assert max(len(rows_of(slots)) for slots in early) > layout.layers[0].whole_gates
    for slots, before, counts in zip(found, early, frames, strict=False):
        wanted = rows_of(expected_slots(layout, counts))
        rows = rows_of(slots)
        assert [each[:2] for each in rows] == [each[:2] for each in wanted]
        ahead = rows_of(before)
        both = [where for where, *_ in wanted if where[0] == 0 and takes_both(layout, where[1])]
        assert [where for where, _, _ in ahead] == both[1 : 1 + len(ahead)]
        assert all(tag != 3 for _, tag, _ in ahead)  # nor is a block read out
        taken = {where: events for where, _, events in ahead}
        for (where, _, left), (_, _, events) in zip(rows, wanted, strict=True):
            assert sorted(left + taken.get(where, [])) == sorted(events)
            assert {event[0] for event in taken.get(where, [])} <= {1}


def takes_both(layout, row):
    """Whether row ``row`` of the first layer takes x and h."""
    first = layout.layers[0]
    return row % first.accumulators < first.whole_gates


@pytest.mark.parametrize("sizes", [(3, 5, 4), (6, 9)])
@pytest.mark.parametrize("outputs", [2, None])
@KINDS
def test_an_event_takes_a_cycle_and_nothing_else_does(sizes, outputs, kinds):
    """With events in all lists: blocks of units that go out while the next one is multiplied."""
    core = CoreParameters(random_model(sizes, outputs, kinds=kinds).parameters, 2)
    counts = [columns_of(core, k) for k in range(len(core.network.layers))]
    _, cycles, _ = run_frames(core, [counts] * 6)
    ideal = core.ideal_cycles([x + h for x, h in counts])
    assert cycles[1:] == [ideal] * 5


@pytest.mark.parametrize("grow", [False, True])
@pytest.mark.parametrize("still", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)], ids=str)
@KINDS
def test_a_still_layer_without_events_is_skipped(still, grow, kinds):
    """Also the last one; with an event it is walked all the same."""
    core = core_of(3, kinds=kinds)
    layout = CoreLayout(core)
    frames = [NONE, FEW, NONE, MANY, NONE, NONE]
    rng = np.random.default_rng(1) if grow else None
    found, cycles, left = run_frames(core, frames, still=still, grow=rng)
    assert [(frame, layer) for frame, layer, _ in left] == [
        (n, k) for n in range(6) for k in range(3)
    ]
    skips = {(frame, layer) for frame, layer, skip in left if skip}
    for n, counts in enumerate(frames):
        for k in still:
            assert ((n, k) in skips) == (counts[k] == (0, 0))
    assert {layer for _, layer in skips} <= set(still)
    if not grow:
        assert found == [expected_slots(layout, counts, still) for counts in frames]
    if still == (0, 1, 2) and not grow:
        assert max(cycles[4:]) <= 3 * 2  # a cycle or two a layer


def test_restart_goes_back_to_the_first_frame():
    bench = Lists(core_of(2))
    dut = bench.dut

    async def watch(ctx):
        for half in bench.lists:
            for pair in half:
                for status in pair:
                    ctx.set(status.count, 1)
                    ctx.set(status.complete, 1)
        ctx.set(dut.o.ready, 1)
        for n in range(2):
            ctx.set(dut.start[n], 1)
        await ctx.tick().until(dut.finish)
        await ctx.tick().repeat(7)
        assert ctx.get(dut.parity)
        assert ctx.get(dut.active)
        ctx.set(dut.start[0], 0)
        ctx.set(dut.start[1], 0)
        ctx.set(dut.restart, 1)
        await ctx.tick().repeat(2)
        ctx.set(dut.restart, 0)
        assert not ctx.get(dut.parity)
        for _ in range(5):
            assert not ctx.get(dut.active)
            assert not ctx.get(dut.o.valid)
            await ctx.tick()
        ctx.set(dut.start[0], 1)
        await ctx.tick().until(dut.o.valid)

    run_bench(bench.module, watch)


@pytest.mark.parametrize("reopen", [1, 4, 5, 6, 9])
def test_a_row_waits_until_it_may_be_opened_again(reopen):
    """The smallest of cores, whose frames have a slot for each of four rows and nothing else."""
    core = CoreParameters(random_model((1, 1)).parameters, 1)
    bench = Lists(core, reopen)
    dut = bench.dut
    closed_at, gaps = {}, []

    async def watch(ctx):
        for half in bench.lists:
            for status in half[0]:
                ctx.set(status.complete, 1)
            ctx.set(half[0][0].count, 1)
        ctx.set(dut.o.ready, 1)
        for n in range(2):
            ctx.set(dut.start[n], 1)
        p = dut.o.payload
        for cycle in range(60):
            _, _, valid, row, first, close = await ctx.tick().sample(
                dut.o.valid, p.row, p.first, p.close
            )
            if valid and first and row in closed_at:
                gaps.append(cycle - closed_at[row])
            if valid and close:
                closed_at[row] = cycle

    run_bench(bench.module, watch)
    assert min(gaps) == max(reopen, 4)
    assert len(gaps) > 20
