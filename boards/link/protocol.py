"""The host link, byte by byte (docs/link.md): what hardware, host and benches agree on.

Packets are framed as RFC 1662 does: between flags, with flags and escapes inside escaped, and with
a checksum of 32 bits at the end. Integers are little-endian.
"""

import zlib
from dataclasses import dataclass, replace
from enum import IntEnum

from golden.errors import refusal
from golden.model import Model
from golden.parameters import CoreParameters
from hw.bus.registers import register_map
from hw.core import bus_width
from hw.walk.layout import CoreLayout

BAUD = 3_000_000  # where a board says nothing else
VERSIONS = (1, 2)  # 2: the core trains, and READ and WRITE take several values
FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
HEADER, CHECK = 4, 4  # bytes: sequence, kind, length of the payload; the checksum
FIRST, LAST = 0, 1  # what the first byte of a load says
HELLO_FLAGS = 1  # place of the flags in the answer to HELLO
ADDRESS, COUNT, VALUE = 2, 2, 4  # bytes of a register's address, of a count, of a value
TAG = 8  # bytes of the model's sha256
MOST = 0xFFFF  # that a length in a header, or a number in the answer to HELLO, can say


class Command(IntEnum):
    """What a request asks for."""

    HELLO = 1  # nothing -> Hello
    READ = 2  # address u16, in version 2 also a count u16 -> so many values u32
    WRITE = 3  # address u16, value u32, in version 2 also several -> nothing
    FRAMES = 4  # whole frames -> their results, then the counters
    LOAD = 5  # u8 (1: these are the last), bytes of the weights -> nothing


class Status(IntEnum):
    """What an answer says."""

    OK = 0
    COMMAND = 1  # there is no such command
    LENGTH = 2  # the payload is too short or too long
    ADDRESS = 3  # there is no such register, or it cannot be written, or not now
    UNLOADED = 4  # no frame without weights
    BUSY = 5  # weights are being copied from flash
    SEQUENCE = 6  # not the next request: nothing was done, and nothing will be until a HELLO
    STUCK = 7  # the core stands still, and takes no frame and no load until it is reset


class Flag(IntEnum):
    """Bits of Hello.flags."""

    LOADS = 0  # weights are loaded, not in the bitstream
    BOOTING = 1  # they are being copied from flash
    BOOT_FAILED = 2  # what is in flash is not this model's weights, or is damaged
    DROPPED = 3  # something that was no packet has come since the last HELLO
    TRAINS = 4  # the core does
    MEMORY_FAILED = 5  # the memory beside the chip has: nothing is computed until a reset


@dataclass(frozen=True)
class Packet:
    """A request or an answer: ``kind`` is a Command or a Status."""

    sequence: int
    kind: int
    payload: bytes = b""

    def encoded(self) -> bytes:
        """As it goes over the line, from flag to flag."""
        head = bytes([self.sequence, self.kind]) + len(self.payload).to_bytes(2, "little")
        body = head + self.payload
        body += zlib.crc32(body).to_bytes(CHECK, "little")
        return bytes([FLAG]) + escaped(body) + bytes([FLAG])


def line_bytes(payload: int) -> int:
    """Bytes of the line that a packet takes at most: each may be escaped, and there are flags."""
    return 2 * (HEADER + payload + CHECK) + 2


def escaped(body: bytes) -> bytes:
    """``body`` without a flag in it."""
    line = bytearray()
    for byte in body:
        line += bytes([ESCAPE, byte ^ FLIP]) if byte in (FLAG, ESCAPE) else bytes([byte])
    return bytes(line)


class Decoder:
    """Takes bytes as they come and finds the packets in them.

    Parameters
    ----------
    longest
        Bytes of a payload, at most: what goes on for longer is dropped as it comes.

    Attributes
    ----------
    dropped
        How many pieces between flags were no packet.
    """

    def __init__(self, longest: int = MOST) -> None:
        self.dropped = 0
        self._most = line_bytes(longest)
        self._piece = bytearray()

    def take(self, line: bytes) -> list[Packet]:
        """The packets that end in ``line``."""
        packets = []
        for byte in line:
            if byte != FLAG:
                if len(self._piece) < self._most:  # with one more it would be no packet
                    self._piece.append(byte)
                continue
            if self._piece:
                packet = _packet(bytes(self._piece)) if len(self._piece) < self._most else None
                if packet is None:
                    self.dropped += 1
                else:
                    packets.append(packet)
            self._piece.clear()
        return packets


def _packet(piece: bytes) -> Packet | None:
    body = bytearray()
    flip = 0
    for byte in piece:
        if byte == ESCAPE and not flip:
            flip = FLIP
            continue
        body.append(byte ^ flip)
        flip = 0
    if flip or len(body) < HEADER + CHECK:
        return None
    checked, check = bytes(body[:-CHECK]), body[-CHECK:]
    length = int.from_bytes(checked[2:HEADER], "little")
    if zlib.crc32(checked) != int.from_bytes(check, "little"):
        return None
    return Packet(checked[0], checked[1], checked[HEADER:]) if length == len(body) - 8 else None


@dataclass(frozen=True)
class Link:
    """How much goes into packets for a core.

    Attributes
    ----------
    element, result
        Bytes of an activation, of a result.
    per_beat
        Results of a beat.
    inputs, outputs
        Elements and results of a frame.
    counters
        Names and addresses of the registers whose values end an answer to FRAMES.
    tag
        The first bytes of the model's sha256: what tells whose weights these are.
    loads
        Weights are loaded.
    weights
        Bytes of them then, without what else an image has.
    trains
        The core does.
    request, answer
        Bytes of the largest payloads.
    cycles
        A frame's on a core of one lane, with its way in and a state reset before it: more than any
        core for the model takes.
    learning
        Those of a sequence that is learned, likewise; 0 where the core does not train.
    """

    element: int
    result: int
    per_beat: int
    inputs: int
    outputs: int
    counters: tuple[tuple[str, int], ...]
    tag: bytes
    loads: bool
    weights: int
    trains: bool
    request: int
    answer: int
    cycles: int
    learning: int

    @classmethod
    def of(cls, core: CoreParameters, model: Model, loads: bool) -> "Link":
        """For a core; ``loads`` as its target has it.

        Raises ValueError where a frame or its results do not go into packets.
        """
        network = core.network
        element = bus_width(network.formats.activation.width) // 8
        result = bus_width(network.output_width) // 8
        wanted = ("FRAMES", "CYCLES_LO", "EVENTS_")
        counters = tuple(
            (register.name, register.address)
            for register in register_map(network)
            if register.name.startswith(wanted)
        )
        # A block RAM of an iCE40 for requests, two for answers, more where a frame needs it.
        request = max(512, _power(network.inputs * element + HEADER + CHECK)) - HEADER - CHECK
        results = network.outputs * result + 4 * len(counters)
        answer = max(1024, _power(results + HEADER)) - HEADER
        for name, count, size, rest in (
            ("inputs", network.inputs, element, HEADER + CHECK),
            ("outputs", network.outputs, result, HEADER + 4 * len(counters)),
        ):
            most = (MOST + 1 - rest) // size
            if count > most:
                raise refusal(f"{name} of {model.name}", count, f"at most {most} over a host link")
        single = CoreParameters(network, 1)
        return cls(
            element=element,
            result=result,
            per_beat=core.results_per_beat,
            inputs=network.inputs,
            outputs=network.outputs,
            counters=counters,
            tag=bytes.fromhex(model.sha256 or "00" * TAG)[:TAG],
            loads=loads,
            weights=CoreLayout(single).words if loads else 0,
            trains=core.trains,
            request=request,
            answer=answer,
            # A bound in which every column fires, twice over for what stands between layers.
            cycles=2 * single.dense_cycles
            + CoreLayout(single).reset_cycles
            + 4 * network.inputs * element
            + 256,
            learning=_learning_cycles(replace(core, lanes=1, activations=1)),
        )

    @property
    def frame(self) -> int:
        """Bytes of a frame."""
        return self.inputs * self.element

    @property
    def results(self) -> int:
        """Bytes of a frame's results."""
        return self.outputs * self.result

    @property
    def values_read(self) -> int:
        """Values of an answer to READ, at most."""
        return self.answer // VALUE if self.trains else 1

    @property
    def values_written(self) -> int:
        """Values of a WRITE, at most."""
        return (self.request - ADDRESS) // VALUE if self.trains else 1

    @property
    def frames(self) -> int:
        """Frames of a request, at most."""
        counters = 4 * len(self.counters)
        return min(self.request // self.frame, (self.answer - counters) // self.results)

    def hello(self) -> bytes:
        """The answer to HELLO, its flags 0."""
        numbers = (self.request, self.answer, self.inputs, self.outputs)
        return bytes(
            [
                VERSIONS[self.trains],
                0,
                self.element,
                self.result,
                *b"".join(number.to_bytes(2, "little") for number in numbers),
                *self.tag,
            ]
        )


def _learning_cycles(core: CoreParameters) -> int:
    """Those of the longest sequence, if every column fired twice as often as it may."""
    if core.training is None:
        return 0
    layers = len(core.network.layers)
    return core.training.tape.frames * (2 * core.dense_cycles + 200 * layers) + 2000


def _power(n: int) -> int:
    """The least power of two that is at least ``n``."""
    return 1 << (n - 1).bit_length()
