"""A store that lets those wait who use it: what a memory outside the chip will be like."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import fifo, memory

from hw.primitive.weights import WeightMemory


class WaitingStore(WeightMemory):
    """A ROM whose requests and words wait in queues, and now and then for no reason at all."""

    latency = 3
    waits = True

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.rom = rom = memory.Memory(
            shape=self._shape, depth=len(self._words), init=self._words
        )
        read = rom.read_port(domain="comb")
        request, word = self.port.request, self.port.word
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=self._shape.size, depth=5)
        # A shift register with feedback says when it is not in the mood.
        noise = Signal(16, init=0xACE1)
        m.d.sync += noise.eq(Cat(noise[1:], noise[0] ^ noise[2] ^ noise[3] ^ noise[5]))
        # What is offered stays on offer until it is taken.
        offers = Signal()
        with m.If(word.ready & word.valid):
            m.d.sync += offers.eq(0)
        with m.Elif(noise[4:6] == 0):
            m.d.sync += offers.eq(1)
        m.d.comb += [
            read.addr.eq(request.payload),
            request.ready.eq(queue.w_rdy & noise[8]),
            queue.w_en.eq(request.valid & request.ready),
            queue.w_data.eq(read.data),
            word.valid.eq(queue.r_rdy & offers),
            word.payload.as_value().eq(queue.r_data),
            queue.r_en.eq(word.valid & word.ready),
        ]
        return m
