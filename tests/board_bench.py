"""cocotb benches of a whole board: its UART at cocotbext-uart, its flash cocotbext-qspi's model.

The host here is boards.link.protocol over a line that a bench may damage. What a bench is to do
comes as JSON and arrays in the folder DELTARNN_JOB; what it found goes there.
"""

import json
import logging
import os
import random
import struct
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Timer
from cocotbext.uart import UartSink, UartSource

from boards.link.protocol import Command, Decoder, Flag, Packet, Status
from tests.damages import image_damages, line_damages

PERIOD = 20  # ns
TRIES = 40


class Line:
    """A host: requests and answers, and what may befall them.

    ``damage`` takes a line of bytes and gives another; of requests, and of answers.
    """

    def __init__(self, dut, divisor, patience):
        baud = 10**9 // (divisor * PERIOD)
        self._divisor, self._patience = divisor, patience  # bits of silence
        self.dut, self.damage_request, self.damage_answer = dut, None, None
        self._source, self._sink = UartSource(dut.rx, baud=baud), UartSink(dut.tx, baud=baud)
        for each in (self._source, self._sink):
            each.log.setLevel(logging.WARNING)
        self.sequence, self.retries, self.refused = 7, 0, 0

    async def ask(self, command, payload=b""):
        """(status, payload) of the answer; asks again where none comes."""
        self.sequence = self.sequence + 1 & 0xFF
        for _ in range(TRIES):
            line = Packet(self.sequence, command, payload).encoded()
            if self.damage_request is not None:
                line = self.damage_request(line)
            await self._source.write(line)
            await self._source.wait()
            answer = await self._answer()
            if answer is not None:
                return answer
            self.retries += 1
        raise AssertionError("the board hangs")

    async def _answer(self):
        decoder, silence = Decoder(), 0
        while silence < self._patience:
            await Timer(self._divisor * PERIOD, "ns")
            silence += 1
            if self._sink.empty():
                continue
            line, silence = bytes(self._sink.read_nowait()), 0
            if self.damage_answer is not None:
                line = self.damage_answer(line)
            for packet in decoder.take(line):
                if packet.sequence == self.sequence:
                    return packet.kind, packet.payload
        return None

    async def sure(self, command, payload=b""):
        """The payload of an answer that must be OK."""
        status, found = await self.ask(command, payload)
        assert status == Status.OK, f"{command!r}: {Status(status)!r}"
        return found

    async def write(self, address, value):
        await self.sure(Command.WRITE, struct.pack("<HI", address, value))

    async def read(self, address):
        return struct.unpack("<I", await self.sure(Command.READ, struct.pack("<H", address)))[0]

    async def booted(self):
        """HELLO until the weights are in; the flags."""
        while True:
            flags = (await self.sure(Command.HELLO))[1]
            if not flags >> Flag.BOOTING & 1:
                return flags

    async def load(self, weights, size):
        for low in range(0, len(weights), size):
            last = low + size >= len(weights)
            await self.sure(Command.LOAD, bytes([last]) + weights[low : low + size])


async def begun(job):
    """The bench's clock and its line."""
    dut = cocotb.top
    Clock(dut.clk, PERIOD, "ns").start()
    line = Line(dut, job["divisor"], job["patience"])
    return dut, line


async def powered_up(dut, image, address):
    """Reset with ``image`` in a flash that sleeps, as an iCE40 leaves it."""
    for n, byte in enumerate(image):
        dut.flash.memory[address + n].value = byte
    dut.flash.powered_up.value = 0
    await reset(dut)


async def reset(dut):
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0


def loaded_job():
    folder = Path(os.environ["DELTARNN_JOB"])
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        return json.loads((folder / "job.json").read_text()), dict(arrays)


def report(**found):
    (Path(os.environ["DELTARNN_JOB"]) / "found.json").write_text(json.dumps(found))


def results(payload, shape, size, counters):
    """Outputs and counters of an answer to FRAMES."""
    count = shape[0] * shape[1] * size
    outputs = np.frombuffer(payload[:count], dtype=f"<i{size}").reshape(shape)
    return outputs, struct.unpack(f"<{counters}I", payload[count:])


@cocotb.test()
async def frames(_):
    """Power-up, boot, frames, with registers written on the way."""
    job, arrays = loaded_job()
    dut, line = await begun(job)
    await powered_up(dut, arrays["image"].tobytes(), job["address"])
    flags = await line.booted()
    outputs, counters = [], []
    for step in job["steps"]:
        if step[0] == "write":
            await line.write(step[1], step[2])
            continue
        piece = arrays["frames"][step[1] : step[2]]
        payload = await line.sure(Command.FRAMES, piece.tobytes())
        found, counted = results(
            payload, (len(piece), job["outputs"]), job["result"], job["counters"]
        )
        outputs += found.tolist()
        counters.append(counted)
    report(outputs=outputs, counters=counters, flags=flags, retries=line.retries)


@cocotb.test()
async def damaged_lines(_):
    """Frames, each with a damage to its request, its answer or the line; exactly once each."""
    job, arrays = loaded_job()
    dut, line = await begun(job)
    await reset(dut)
    await line.sure(Command.HELLO)
    await line.load(arrays["weights"].tobytes(), 50)
    source = random.Random(job["seed"])
    kinds = line_damages(source)
    names = [*kinds, *(f"answer {name}" for name in kinds if name != "long"), "glitch", "break"]
    counts = dict.fromkeys(names, 0)
    wrong = []
    for n, (frame, expected) in enumerate(zip(arrays["frames"], arrays["outputs"], strict=True)):
        name = names[n % len(names)]
        counts[name] += 1
        pending = [kinds.get(name.removeprefix("answer "))]

        def once(data, pending=pending):
            damage = pending.pop() if pending else None
            return data if damage is None or not data else damage(data)

        line.damage_request = once if name in kinds else None
        line.damage_answer = once if name.startswith("answer") else None
        if name in ("glitch", "break"):
            low = 1 if name == "glitch" else 40 * job["divisor"]
            dut.rx.value = 0
            await ClockCycles(dut.clk, low)
            dut.rx.value = 1
            await ClockCycles(dut.clk, source.randrange(1, 30))
        payload = await line.sure(Command.FRAMES, frame.tobytes())
        found, counted = results(payload, (1, job["outputs"]), job["result"], job["counters"])
        if found[0].tolist() != expected.tolist() or counted[0] != n + 1:
            wrong.append([n, name, found[0].tolist(), expected.tolist(), counted[0]])
    line.damage_request = line.damage_answer = None
    flags = (await line.sure(Command.HELLO))[1]
    report(counts=counts, wrong=wrong, retries=line.retries, flags=flags)


@cocotb.test()
async def damaged_flash(_):
    """Power-ups, each with another damage to the image: none goes unflagged, the host can load."""
    job, arrays = loaded_job()
    dut, line = await begun(job)
    source = random.Random(job["seed"])
    image, address = arrays["image"].tobytes(), job["address"]
    kinds = image_damages(source)
    counts = dict.fromkeys((each.__name__ for each in kinds), 0)
    unflagged, answered, recovered = 0, 0, 0
    frame, expected = arrays["frames"][0], arrays["outputs"][0].tolist()
    for n in range(job["count"]):
        damage = kinds[n % len(kinds)]
        damaged = damage(image)
        while damaged == image:
            damaged = damage(image)
        counts[damage.__name__] += 1
        await powered_up(dut, damaged, address)
        flags = await line.booted()
        unflagged += not flags >> Flag.BOOT_FAILED & 1
        status, _ = await line.ask(Command.FRAMES, frame.tobytes())
        answered += status != Status.UNLOADED
        if n % 4 == 0:  # and the host can help
            await line.load(arrays["weights"].tobytes(), 50)
            payload = await line.sure(Command.FRAMES, frame.tobytes())
            found, _ = results(payload, (1, job["outputs"]), job["result"], job["counters"])
            recovered += found[0].tolist() == expected
    report(counts=counts, unflagged=unflagged, answered=answered, recovered=recovered)
