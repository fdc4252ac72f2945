"""The cocotb bench: plays a job against a core and writes down everything the core did.

Runs inside the simulator. It knows nothing of the golden model: what it records is the RTL's, and
sim.compare holds the record against the golden model afterwards. The partners on all three buses
are cocotbext-axi's.
"""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from hw.bus.registers import CONTROL, CONTROL_RESET_STATE

EVENT = ("event_layer", "event_h", "event_column", "event_delta")
STATE = ("state_layer", "state_unit")
SKIP = ("skip_layer",)
OTHERS = ("event_valid", "state_valid", "state_value", "skip_valid", "finish")
# Each stream: its name, what its ports' names begin with, and what comes with valid.
CHANNELS = (
    ("s_axis", "s_axis_t", ("data", "last", "id")),
    ("m_axis", "m_axis_t", ("data", "last", "keep", "id")),
    ("s_weights", "s_weights_t", ("data", "last")),
    ("s_axil aw", "s_axil_aw", ("addr", "prot")),
    ("s_axil w", "s_axil_w", ("data", "strb")),
    ("s_axil b", "s_axil_b", ("resp",)),
    ("s_axil ar", "s_axil_ar", ("addr", "prot")),
    ("s_axil r", "s_axil_r", ("data", "resp")),
)


def _random_pauses(seed: int, fraction: float) -> Iterator[bool]:
    source = random.Random(seed)
    while True:
        yield source.random() < fraction


def _each(tid) -> list[int]:
    """The tid of each beat, of which cocotbext-axi gives one where they are all alike."""
    return tid if isinstance(tid, list) else [tid]


class _Channel:
    """A stream, of which nothing may change between a valid that waits and the ready it waits for.

    That holds for those that the core drives and for those that the bench does.
    """

    def __init__(self, dut, name: str, prefix: str, payload: tuple[str, ...]) -> None:
        self._name = name
        self._valid, self._ready = getattr(dut, f"{prefix}valid"), getattr(dut, f"{prefix}ready")
        ports = (f"{prefix}{word}" for word in payload)
        self._payload = [getattr(dut, port) for port in ports if hasattr(dut, port)]
        self._waiting: list[str] | None = None  # the payload of a valid that was not taken

    def watch(self, cycle: int) -> bool:
        """Looks at what is there before an edge; whether a valid is there that was not before."""
        before = self._waiting
        if not self._valid.value:
            if before is not None:
                self._changed(cycle, self._valid, "1", "0")
            return False
        # Most of the time nothing waits, and then nobody need look at the payload.
        taken = bool(self._ready.value)
        if before is None and taken:
            return True
        now = [str(port.value) for port in self._payload]
        if before is not None and now != before:
            for port, old, new in zip(self._payload, before, now, strict=True):
                if old != new:
                    self._changed(cycle, port, old, new)
        self._waiting = None if taken else now
        return before is None

    def _changed(self, cycle: int, port, old: str, new: str) -> NoReturn:
        raise AssertionError(
            f"{self._name} changed while it waited for ready: cycle {cycle}: "
            f"{port._name} was {old}, is {new}"
        )


class _Monitor:
    """Writes down the core's monitor ports, cycle by cycle, and watches all streams."""

    def __init__(self, dut, max_idle: int) -> None:
        self._dut, self._max_idle = dut, max_idle
        self._channels = {
            channel[0]: _Channel(dut, *channel)
            for channel in CHANNELS
            if hasattr(dut, f"{channel[1]}valid")
        }
        self._answers = self._channels.pop("s_axil b")
        self._handles = {
            name: getattr(dut, f"monitor_{name}") for name in (*EVENT, *STATE, *SKIP, *OTHERS)
        }
        self.cycle = 0
        self.last_sign_of_life = 0
        self.frame = 0
        self.events: list[tuple[int, ...]] = []
        self.states: list[tuple[int, ...]] = []
        self.skips: list[tuple[int, ...]] = []
        self.finishes: list[int] = []
        self.first_beats: list[int] = []
        self.state_cycles: list[int] = []
        self.writes: list[int] = []
        self._in_frame = False

    def _state(self) -> tuple[int, ...]:
        """Layer, unit and the values of its slots, as words of 32 bits, lowest first."""
        value = int(self._handles["state_value"].value)
        words = range(0, len(self._handles["state_value"]), 32)
        return (*self._fields(STATE), *(value >> bit & 0xFFFFFFFF for bit in words))

    def _fields(self, names: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(int(self._handles[name].value) for name in names)

    async def run(self) -> None:
        edge = RisingEdge(self._dut.clk)
        event, state, skip, finish = (
            self._handles[name] for name in ("event_valid", "state_valid", "skip_valid", "finish")
        )
        valid, ready, last = (
            getattr(self._dut, f"s_axis_t{name}") for name in ("valid", "ready", "last")
        )
        channels = list(self._channels.values())
        while True:
            await edge
            self.cycle += 1
            for channel in channels:
                channel.watch(self.cycle)
            if self._answers.watch(self.cycle):
                self.writes.append(self.cycle)
            if event.value:
                self.events.append((self.frame, *self._fields(EVENT)))
            if state.value:
                self.states.append(self._state())
                self.state_cycles.append(self.cycle)
            if skip.value:
                self.skips.append((self.frame, *self._fields(SKIP)))
            if finish.value:
                self.finishes.append(self.cycle)
                self.frame += 1
                self.last_sign_of_life = self.cycle
            if valid.value and ready.value:
                if not self._in_frame:
                    self.first_beats.append(self.cycle)
                self._in_frame = not last.value
                self.last_sign_of_life = self.cycle
            if self.cycle - self.last_sign_of_life > self._max_idle:
                raise AssertionError(f"the core stands still: cycle {self.cycle}")


@cocotb.test()
async def play(dut) -> None:
    """Plays the job in the folder that DELTARNN_JOB names."""
    folder = Path(os.environ["DELTARNN_JOB"])
    job = json.loads((folder / "job.json").read_text())
    arrays = np.load(folder / "frames.npz", allow_pickle=False)
    beat = np.dtype(f"<u{len(dut.s_axis_tdata) // 8}")

    tid = hasattr(dut, "s_axis_tid")
    dut.rst.value = 1
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
    weights = None  # of a core that holds them from the bitstream on
    if hasattr(dut, "s_weights_tvalid"):
        weights = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_weights"), dut.clk, dut.rst)
        weights.log.setLevel("WARNING")
        if job["gaps"]:
            weights.set_pause_generator(_random_pauses(job["seed"] + 2, job["gaps"]))
    registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    for part in (source, sink, registers.write_if, registers.read_if):
        part.log.setLevel("WARNING")
    writes, reads = registers.write_if, registers.read_if
    if job["gaps"]:
        offers = (source, writes.aw_channel, writes.w_channel, reads.ar_channel)
        for n, part in enumerate(offers):
            part.set_pause_generator(_random_pauses(job["seed"] + 16 * n, job["gaps"]))
    if job["pauses"]:
        for n, part in enumerate((sink, writes.b_channel, reads.r_channel)):
            part.set_pause_generator(_random_pauses(job["seed"] + 1 + 16 * n, job["pauses"]))

    Clock(dut.clk, 10, unit="ns").start()
    for _ in range(4):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    monitor = _Monitor(dut, job["max_idle"])
    cocotb.start_soon(monitor.run())

    outputs: list[bytes] = []
    replies: list[tuple[int, int]] = []
    sent = 0

    async def write(address: int, value: int, strobe: int) -> None:
        first, end = (strobe & -strobe).bit_length() - 1, strobe.bit_length()
        reply = await registers.write(address + first, value.to_bytes(4, "little")[first:end])
        replies.append((int(reply.resp), 0))

    async def receive() -> None:
        while len(outputs) < sent:
            frame = await sink.recv()  # less the bytes that tkeep, where there is one, leaves out
            if tid:
                expected = len(outputs) % job["streams"]
                assert set(_each(frame.tid)) == {expected}, f"results of stream {frame.tid}"
            outputs.append(bytes(frame.tdata))

    for step, *arguments in job["steps"]:
        if step == "frames":
            for frame in arrays[arguments[0]]:
                whose = sent % job["streams"] if tid else None
                await source.send(AxiStreamFrame(frame.astype(beat).tobytes(), tid=whose))
                sent += 1
        elif step == "load":
            await source.wait()
            await weights.send(AxiStreamFrame(arrays[arguments[0]].tobytes()))
            await weights.wait()
        elif step == "reset":
            await source.wait()
            await registers.write_dword(CONTROL, 1 << CONTROL_RESET_STATE)
        elif step == "write":
            await source.wait()
            await write(*arguments)
        elif step == "write_at_once":
            await write(*arguments)
        elif step == "wait":
            for _ in range(arguments[0]):
                await RisingEdge(dut.clk)
        elif step == "read":
            reply = await registers.read(arguments[0], 4)
            replies.append((int(reply.resp), int.from_bytes(reply.data, "little")))
        elif step == "settle":
            await receive()
            for _ in range(32):  # the last frame's states may come after its results
                await RisingEdge(dut.clk)
        else:
            raise AssertionError(f"unknown step {step}")
    await receive()
    for _ in range(64):  # results that nobody asked for would show
        await RisingEdge(dut.clk)
    assert sink.empty(), "more frames came out than went in"
    assert not sink.active, "results came out after the last frame"

    lengths = [len(frame) for frame in outputs]
    words = -(-len(dut.monitor_state_value) // 32)
    np.savez(
        folder / "record.npz",
        outputs=np.frombuffer(b"".join(outputs), dtype=np.uint8),
        output_lengths=np.array(lengths, dtype=np.int64),
        events=np.array(monitor.events, dtype=np.int64).reshape(-1, 5),
        states=np.array(monitor.states, dtype=np.int64).reshape(-1, 2 + words),
        skips=np.array(monitor.skips, dtype=np.int64).reshape(-1, 2),
        finishes=np.array(monitor.finishes, dtype=np.int64),
        first_beats=np.array(monitor.first_beats, dtype=np.int64),
        state_cycles=np.array(monitor.state_cycles, dtype=np.int64),
        writes=np.array(monitor.writes, dtype=np.int64),
        replies=np.array(replies, dtype=np.int64).reshape(-1, 2),
    )
