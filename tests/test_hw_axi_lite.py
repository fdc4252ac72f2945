"""The AXI4-Lite port against a model of 32-bit words, with every order and delay of channels."""

import random

import pytest
from amaranth.hdl import Module

from hw.bus.axi_lite import OKAY, SLVERR, AxiLitePort
from tests.bench import run_bench

WORDS = 6  # of these exist; any other word fails


@pytest.mark.parametrize("seed", range(4))
def test_answers_each_access_once_in_any_order_of_channels(seed):
    source = random.Random(seed)
    dut = AxiLitePort(8)
    m = Module()
    m.submodules.dut = dut
    words = [0] * WORDS
    accesses = [
        (source.randrange(0, 40), source.getrandbits(32), source.getrandbits(4)) for _ in range(60)
    ]
    m.d.comb += [
        dut.write_fails.eq(dut.write_word >= WORDS),
        dut.read_fails.eq(dut.read_word >= WORDS),
    ]

    async def memory(ctx):
        """What stands behind the port: applies the strobes, answers in the same cycle."""
        while True:
            ctx.set(dut.read_data, words[min(ctx.get(dut.read_word), WORDS - 1)])
            if ctx.get(dut.write) and ctx.get(dut.write_word) < WORDS:
                old, n = words[ctx.get(dut.write_word)], ctx.get(dut.write_word)
                mask = sum(0xFF << 8 * b for b in range(4) if ctx.get(dut.write_strobe) >> b & 1)
                words[n] = (ctx.get(dut.write_data) & mask) | (old & ~mask)
            await ctx.tick()
            ctx.set(dut.read_data, words[min(ctx.get(dut.read_word), WORDS - 1)])

    async def offer(ctx, valid, ready, payload):
        await ctx.tick().repeat(source.randrange(1, 4))
        for signal, value in payload:
            ctx.set(signal, value)
        ctx.set(valid, 1)
        await ctx.tick().until(ready)
        ctx.set(valid, 0)

    async def manager(ctx):
        bus = dut.bus
        expected = [0] * WORDS
        for address, value, strobe in accesses:
            channels = [
                (bus.awvalid, bus.awready, [(bus.awaddr, address)]),
                (bus.wvalid, bus.wready, [(bus.wdata, value), (bus.wstrb, strobe)]),
            ]
            source.shuffle(channels)
            for channel in channels:
                await offer(ctx, *channel)
            for _ in range(source.randrange(0, 5)):
                await ctx.tick()
            while not ctx.get(bus.bvalid):
                await ctx.tick()
            word = address >> 2
            assert ctx.get(bus.bresp) == (OKAY if word < WORDS else SLVERR)
            ctx.set(bus.bready, 1)
            await ctx.tick()
            ctx.set(bus.bready, 0)
            assert not ctx.get(bus.bvalid)
            if word < WORDS:
                mask = sum(0xFF << 8 * b for b in range(4) if strobe >> b & 1)
                expected[word] = (value & mask) | (expected[word] & ~mask)

            await offer(ctx, bus.arvalid, bus.arready, [(bus.araddr, address)])
            while not ctx.get(bus.rvalid):
                await ctx.tick()
            await ctx.tick().repeat(source.randrange(1, 4))  # held until it is taken
            assert ctx.get(bus.rvalid)
            assert ctx.get(bus.rresp) == (OKAY if word < WORDS else SLVERR)
            if word < WORDS:
                assert ctx.get(bus.rdata) == expected[word]
            ctx.set(bus.rready, 1)
            await ctx.tick()
            ctx.set(bus.rready, 0)
        assert words == expected

    run_bench(m, manager, background=(memory,))
