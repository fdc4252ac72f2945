"""A layer stands still only where its next update could not change a thing."""

import pytest
from amaranth.hdl import Assert, Elaboratable, Module, Mux, Signal

from hw.walk.standstill import Standstill
from tests.bench import run_bench
from tests.networks import random_model
from tests.proof import proves

TWO_AND_A_READ_OUT = random_model((2, 3, 2), 2).parameters


async def make(ctx, dut, layer, moved):
    """One layer's update, in as many groups as ``moved`` has entries."""
    for n, each in enumerate(moved):
        ctx.set(dut.made.payload.layer, layer)
        ctx.set(dut.made.payload.moved, each)
        ctx.set(dut.made.payload.last, n == len(moved) - 1)
        ctx.set(dut.made.valid, 1)
        await ctx.tick()
        ctx.set(dut.made.valid, 0)


def test_a_layer_is_still_after_an_update_that_moved_nothing_but_not_after_the_first():
    dut = Standstill(TWO_AND_A_READ_OUT)
    found = []

    async def bench(ctx):
        for frame in ([0, 0], [0, 0], [0, 1], [0, 0]):
            for layer in range(2):
                await make(ctx, dut, layer, frame)
            found.append(ctx.get(dut.still) & 0b11)
        ctx.set(dut.theta_changes, 1)
        found.append(ctx.get(dut.still) & 0b11)  # at once
        await ctx.tick()
        ctx.set(dut.theta_changes, 0)
        found.append(ctx.get(dut.still) & 0b11)

    run_bench(dut, bench)
    assert found == [0b00, 0b11, 0b00, 0b11, 0, 0]


def test_a_read_out_is_still_after_a_walk_without_an_event_whose_result_is_out():
    dut = Standstill(TWO_AND_A_READ_OUT)
    found = []

    async def walk(ctx, event):
        ctx.set(dut.walks, 1)
        await ctx.tick()
        ctx.set(dut.walks, 0)
        ctx.set(dut.slot.payload.layer, 2)
        ctx.set(dut.slot.payload.event, event)
        ctx.set(dut.slot.valid, 1)
        await ctx.tick()
        ctx.set(dut.slot.valid, 0)
        found.append(ctx.get(dut.still[2]))
        ctx.set(dut.out, 1)
        await ctx.tick()
        ctx.set(dut.out, 0)
        found.append(ctx.get(dut.still[2]))

    async def bench(ctx):
        for event in (0, 0, 1, 0):  # the first one may not count
            await walk(ctx, event)

    run_bench(dut, bench)
    assert found == [0, 0, 0, 1, 0, 0, 0, 1]


class StillIsUnmoved(Elaboratable):
    """What counts as still has, since the thresholds last changed, been updated without moving.

    For the recurrent layers: after the second update of the last layer at least. For the read-out:
    its last walk had no event, and its result is out.
    """

    def __init__(self, dut=None):
        self.dut = dut or Standstill(TWO_AND_A_READ_OUT)
        made, slot = self.dut.made, self.dut.slot
        self.inputs = [made.valid, made.payload, slot.valid, slot.payload]
        self.inputs += [getattr(self.dut, n) for n in ("walks", "out", "theta_changes", "restart")]

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        made = dut.made.payload
        forgets = dut.theta_changes | dut.restart
        moving = Signal()
        with m.If(dut.made.valid):
            m.d.sync += moving.eq((moving | made.moved) & ~made.last)
        for k in range(2):
            unmoved = Signal(name=f"unmoved_{k}")
            with m.If(dut.made.valid & made.last & (made.layer == k)):
                m.d.sync += unmoved.eq(~(moving | made.moved))
            with m.If(forgets):
                m.d.sync += unmoved.eq(0)
            m.d.comb += Assert(~dut.still[k] | (unmoved & ~dut.theta_changes))
        # The read-out: events since its walk before, its last slot a cycle after it is left.
        events, quiet, walked, owed = Signal(), Signal(), Signal(), Signal(2)
        event = dut.slot.valid & dut.slot.payload.event & (dut.slot.payload.layer == 2)
        m.d.sync += [walked.eq(dut.walks), owed.eq(owed + dut.walks - dut.out)]
        m.d.sync += events.eq(Mux(walked, 0, events | event))
        with m.If(walked):
            m.d.sync += quiet.eq(~(events | event))
        with m.If(forgets):
            m.d.sync += quiet.eq(0)
        m.d.comb += Assert(~dut.still[2] | (quiet & (owed == 0) & ~dut.theta_changes))
        return m


class Forgetful(Standstill):
    """Standstill with a fault: a threshold that changes is not heeded."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = Standstill(TWO_AND_A_READ_OUT)
        for name in ("walks", "out", "restart"):
            m.d.comb += getattr(inner, name).eq(getattr(self, name))
        for name in ("made", "slot"):
            here, there = getattr(self, name), getattr(inner, name)
            m.d.comb += [there.valid.eq(here.valid), there.payload.eq(here.payload)]
        m.d.comb += self.still.eq(inner.still)
        return m


@pytest.mark.parametrize(
    ("dut", "holds"),
    [(None, True), (Forgetful(TWO_AND_A_READ_OUT), False)],
    ids=["right", "thresholds not heeded"],
)
def test_proof_what_is_still_has_not_moved(dut, holds, tmp_path):
    proof = StillIsUnmoved(dut)
    assert proves(proof, proof.inputs, tmp_path, depth=14, mode="bmc") == holds
