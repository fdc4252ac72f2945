"""FRAMES: frames to the core, its results and counters to the host."""

from amaranth.hdl import Array, Const, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from boards.link.beats import Gather, Scatter, beat_layout
from boards.link.command import (
    command_members,
    decide,
    give_up,
    refuse_to_wait,
    waiting_members,
)
from boards.link.protocol import VALUE, Link, Status
from boards.link.registers import register_signature
from boards.link.states import one_hot
from hw.bus.registers import ADDRESS_WIDTH, STATUS, STATUS_ACTIVE, STATUS_UNLOADED


class Frames(wiring.Component):
    """Counts the frames of a request, streams them through the core, and reads its counters.

    Parameters
    ----------
    link : Link
        The core's sizes.

    Members
    -------
    (those of boards.link.command)
    registers : Out
        To boards.link.registers.RegisterPort.
    frames, results : Out, In, streams
        The core's, of boards.link.beats.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        beat = link.result * link.per_beat
        members = {
            "registers": Out(register_signature()),
            "frames": Out(stream.Signature(beat_layout(link.element))),
            "results": In(stream.Signature(beat_layout(beat, keep=beat))),
        }
        super().__init__(command_members() | waiting_members() | members)

    def elaborate(self, platform) -> Module:
        m = Module()
        link, registers = self._link, self.registers
        m.submodules.gather = gather = Gather(link.element, link.inputs)
        m.submodules.scatter = scatter = Scatter(link.result * link.per_beat)
        connect(m, gather.o, flipped(self.frames))
        connect(m, flipped(self.results), scatter.i)

        # Bytes of the request behind the frames that have been counted; below 0 there were too few.
        left = Signal(signed(link.request.bit_length() + 1))
        count, total = Signal(range(link.frames + 1)), Signal(range(link.answer + 1))
        none_left, most, none = Signal(), Signal(), Signal()
        counter, last_counter = Signal(range(len(link.counters))), Signal()
        addresses = Array(Const(address, ADDRESS_WIDTH) for _, address in link.counters)
        # Which register is read: a counter, else STATUS; that after the frames, else before them.
        counts, streamed = Signal(), Signal()
        place, ended = Signal(range(VALUE)), Signal()
        m.d.comb += [
            gather.i.payload.eq(self.i.payload.byte),
            self.o.payload.eq(scatter.o.payload.byte),
            registers.address.eq(Mux(counts, addresses[counter], STATUS)),
            self.size.eq(total),
        ]
        m.d.sync += [
            none_left.eq(left == 0),
            most.eq(count == link.frames),
            none.eq(count == 0),
            last_counter.eq(counter == len(link.counters) - 1),
            *(strobe.eq(0) for strobe in (self.decided, self.give_up, ended)),
        ]

        with m.FSM() as fsm:
            with m.State("idle"):
                m.d.sync += [signal.eq(0) for signal in (count, counter, counts, streamed)]
                m.d.sync += [left.eq(self.length), total.eq(VALUE * len(link.counters))]
                with m.If(self.start):
                    refuse_to_wait(m, self)
                    with m.Else():
                        m.next = "count"

            # How many there are.
            with m.State("count"):
                m.d.sync += [
                    left.eq(left - link.frame),
                    count.eq(count + 1),
                    total.eq(total + link.results),
                ]
                m.next = "counted"
            with m.State("counted"):  # for the registers to say something of that
                m.next = "more"
            with m.State("more"):
                m.next = "count"
                with m.If(none_left):
                    m.next = "point" if link.loads else "accept"
                with m.Elif((left < 0) | most):
                    decide(m, self, Status.LENGTH)
                    m.next = "idle"

            # A register.
            with m.State("point"):
                m.d.comb += registers.point.eq(1)
                m.next = "pointed"
            with m.State("pointed"):
                m.next = "read"
            with m.State("read"):
                m.d.comb += registers.read.eq(1)
                m.next = "reading"
            with m.State("reading"), m.If(registers.done):
                m.next = "unloaded"
                with m.If(streamed):
                    m.next = "settled"
                with m.If(counts):
                    m.next = "bytes"
            with m.State("unloaded"):
                m.next = "accept"
                with m.If(registers.value[STATUS_UNLOADED]):
                    decide(m, self, Status.UNLOADED)
                    m.next = "idle"
            with m.State("settled"):  # STATUS again, or the first counter
                m.d.sync += counts.eq(~registers.value[STATUS_ACTIVE])
                m.next = "point"
                with m.If(registers.value[STATUS_ACTIVE] & self.ended):
                    give_up(m, self)
            with m.State("bytes"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.eq(registers.value[:8]),
                    registers.shift.eq(self.o.ready),
                ]
                with m.If(self.o.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == VALUE - 1):
                        m.d.sync += counter.eq(counter + 1)
                        m.next = "point"
                        with m.If(last_counter):
                            m.next = "idle"

            # Through the core. Patience begins anew with the answer's header.
            with m.State("accept"):
                decide(m, self, Status.OK)
                m.next = "header"
            with m.State("header"), m.If(self.o.ready):
                m.next = "stream"
            with m.State("stream"):
                m.d.comb += [
                    gather.i.valid.eq(self.i.valid),
                    self.i.ready.eq(gather.i.ready),
                    self.o.valid.eq(scatter.o.valid),
                    scatter.o.ready.eq(self.o.ready),
                ]
                m.d.sync += [
                    streamed.eq(1),
                    ended.eq(scatter.o.valid & self.o.ready & scatter.o.payload.last),
                ]
                with m.If(ended):
                    m.d.sync += count.eq(count - 1)
                with m.If(none):
                    m.next = "point"
                with m.Elif(self.ended):
                    give_up(m, self)
        one_hot(fsm.state)
        return m
