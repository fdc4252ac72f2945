"""A lane that is slower than a memory of two cycles."""

from amaranth.hdl import Module

from hw.primitive.lane import Lane


class SlowLane(Lane):
    """A lane with a register on its factors."""

    latency = 3

    def elaborate(self, platform):
        m = Module()
        m.submodules.lane = lane = Lane(delta_width=len(self.delta), width=len(self.total))
        m.d.sync += [lane.weight.eq(self.weight), lane.delta.eq(self.delta)]
        m.d.comb += [lane.first.eq(self.first), lane.m.eq(self.m), self.total.eq(lane.total)]
        return m
