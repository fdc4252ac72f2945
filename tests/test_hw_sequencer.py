"""The sequencer alone, with lists that are there at once: the order and number of its slots."""

import pytest

from golden.parameters import CoreParameters
from hw.layout import CoreLayout
from hw.sequencer import Sequencer
from tests.bench import run_bench
from tests.networks import random_model


def expected_slots(layout, counts):
    """(layer, gate tag, segment, index or None, base, row, first, close) of one frame."""
    slots = []
    base = row = 0
    for k, layer in enumerate(layout.layers):
        x, h = counts[k]
        events = [h, x] if layout.x_last else [x, h]
        sweeps = [[(0, 1)], [(0, 1)], [(0,), (1,)]] if layer.recurrent else [[(1,)]]
        for _ in range(layer.blocks):
            for gate, groups in enumerate(sweeps):
                for n, group in enumerate(groups):
                    walk = [(s, i) for s in group for i in range(events[s])]
                    walk = walk or [(group[-1], None)]  # an empty group takes a slot all the same
                    final = n == len(groups) - 1 and gate == len(sweeps) - 1
                    for i, (segment, index) in enumerate(walk):
                        start = base + (layer.segment_columns[0] if segment else 0)
                        ends = i == len(walk) - 1
                        tag = 3 if final and ends else gate
                        slots.append((k, tag, segment, index, start, row, i == 0, ends))
                    row += 1
                base += layer.columns
    return slots


@pytest.mark.parametrize("lanes", [1, 3, 8])
@pytest.mark.parametrize(
    "counts",
    [[(3, 5), (5, 4), (4, 0)], [(1, 0), (0, 2), (1, 0)], [(0, 0), (0, 0), (0, 0)]],
    ids=["many events", "few", "none"],
)
def test_walks_every_event_for_every_row(counts, lanes):
    core = CoreParameters(random_model((3, 5, 4), 2).parameters, lanes)
    layout = CoreLayout(core)
    dut = Sequencer(core)
    found = []

    async def lists(ctx):
        while True:
            x, h = counts[ctx.get(dut.layer)]
            for status, count in ((dut.x, x), (dut.h, h)):
                ctx.set(status.count, count)
                ctx.set(status.complete, 1)
            await ctx.changed(dut.layer)

    async def watch(ctx):
        ctx.set(dut.start, 1)
        p = dut.o.payload
        fields = (p.event, p.segment, dut.index, p.base, p.row, p.first, p.close, p.tag.gate)
        async for _, _, valid, layer, finish, *values in ctx.tick().sample(
            dut.o.valid, dut.layer, dut.finish, *fields
        ):
            if valid:
                event, segment, index, base, row, first, close, gate = values
                # Before its closing slot a group's tag is not looked at.
                tag = gate if close else None
                where = (segment, index if event else None, base, row, bool(first), bool(close))
                found.append((layer, tag, *where))
            if finish:
                return

    run_bench(dut, watch, background=(lists,))
    expected = [
        (k, tag if ends else None, *where, ends)
        for k, tag, *where, ends in expected_slots(layout, counts)
    ]
    # The base of a slot without an event is only ever multiplied by 0.
    blank = [tuple(None if i == 4 and s[3] is None else v for i, v in enumerate(s)) for s in found]
    wanted = [
        tuple(None if i == 4 and s[3] is None else v for i, v in enumerate(s)) for s in expected
    ]
    ignore_segment = [
        [(*s[:2], None if s[3] is None else s[2], *s[3:]) for s in side] for side in (blank, wanted)
    ]
    assert ignore_segment[0] == ignore_segment[1]
