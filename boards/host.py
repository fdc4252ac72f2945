"""The host's end of the link (docs/link.md): a board that answers as golden/ would."""

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import serial

from boards.protocol import BAUD, VERSION, Command, Decoder, Flag, Link, Packet, Status
from golden.errors import refusal
from golden.fixed import Integers

TRIES = 5
PATIENCE = 0.5  # seconds that a board may be silent before it is asked again
_MEANINGS: dict[int, str] = {
    Status.COMMAND: "it does not know the command",
    Status.LENGTH: "it wants another length",
    Status.ADDRESS: "there is no such register",
    Status.UNLOADED: "it has no weights",
    Status.BUSY: "it is still copying weights from its flash",
    Status.SEQUENCE: "it has been reset since, and its state is lost",
}


class LinkError(RuntimeError):
    """The board does not answer, or not as it should."""


@dataclass(frozen=True)
class Answer:
    """What a request of some frames came to.

    Attributes
    ----------
    outputs : int64 [n, O]
        Results, LSBs.
    counters
        Registers FRAMES, CYCLES_LO and EVENTS_* after it, modulo 2^32.
    """

    outputs: Integers
    counters: dict[str, int]


class Host:
    """A session with a board.

    Parameters
    ----------
    port
        Of pyserial: a device's name, or a URL.
    link : Link
        The core that is expected there.
    baud
        The board's.

    Raises
    ------
    ValueError
        Where the port cannot be opened, or another core or model answers.
    LinkError
        Where nothing answers.
    """

    def __init__(self, port: str, link: Link, baud: int = BAUD) -> None:
        self._link, self._name = link, port
        try:
            self._port: Any = serial.serial_for_url(port, baudrate=baud, timeout=0)
        except (serial.SerialException, ValueError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise refusal(str(port), reason, "a serial port that a board is at") from None
        self._decoder = Decoder()
        self._sequence = time.time_ns() & 0xFF  # not that of a session before, if it can be helped
        self.retries = 0
        self.flags = self.hello()

    def __enter__(self) -> "Host":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._port.close()

    def hello(self) -> int:
        """Begins a session; returns the flags (boards.protocol.Flag) as bits.

        Raises ValueError where the board has another core or other weights.
        """
        found = self._request(Command.HELLO)
        expected = self._link.hello()
        for name, place in (("protocol", slice(0, 1)), ("core", slice(2, 12))):
            if found[place] != expected[place]:
                wanted = f"{expected[place].hex(' ')}: the bitstream of this model"
                raise refusal(f"{name} at {self._name}", found[place].hex(" "), wanted)
        assert expected[0] == VERSION
        if found[12:] != expected[12:]:
            raise refusal(
                f"model at {self._name}",
                f"sha256 {found[12:].hex()}...",
                f"{expected[12:].hex()}...: the bitstream of this model",
            )
        return found[1]

    def read(self, address: int) -> int:
        """A register's value."""
        (value,) = struct.unpack("<I", self._request(Command.READ, struct.pack("<H", address)))
        return value

    def write(self, address: int, value: int) -> None:
        """Writes a register."""
        self._request(Command.WRITE, struct.pack("<HI", address, value))

    def load(self, weights: bytes) -> None:
        """Loads weights; they take the place of what was there."""
        size = self._link.request - 1
        for low in range(0, len(weights), size):
            last = low + size >= len(weights)
            self._request(Command.LOAD, bytes([last]) + weights[low : low + size])

    def booted(self, patience: float = 5.0) -> int:
        """Waits until weights are no longer copied from flash; returns the flags."""
        end = time.monotonic() + patience
        while self.flags >> Flag.BOOTING & 1:
            if time.monotonic() > end:
                raise LinkError(f"{self._name}: still copying weights after {patience:g} s")
            time.sleep(0.01)
            self.flags = self.hello()
        return self.flags

    def frames(self, frames: Integers) -> Answer:
        """Runs frames [n, I], as many as one request takes (boards.protocol.Link.frames)."""
        link = self._link
        payload = frames.astype(f"<i{link.element}").tobytes()
        answer = self._request(Command.FRAMES, payload)
        size = len(frames) * link.results
        values = struct.unpack(f"<{len(link.counters)}I", answer[size:])
        outputs = np.frombuffer(answer[:size], dtype=f"<i{link.result}").astype(np.int64)
        counters = dict(zip((name for name, _ in link.counters), values, strict=True))
        return Answer(outputs.reshape(len(frames), link.outputs), counters)

    def _request(self, command: Command, payload: bytes = b"") -> bytes:
        """The answer's payload. Asks again, with the same number, where none comes."""
        self._sequence = self._sequence + 1 & 0xFF
        line = Packet(self._sequence, command, payload).encoded()
        for attempt in range(TRIES):
            self.retries += attempt > 0
            self._put(line)
            for packet in self._answers():
                if packet.sequence != self._sequence:
                    continue  # of an earlier attempt
                if packet.kind == Status.OK:
                    return packet.payload
                meaning = _MEANINGS.get(packet.kind, f"status {packet.kind}")
                raise LinkError(f"{self._name}: {meaning} ({command.name})")
        raise LinkError(f"{self._name}: no answer after {TRIES} attempts ({command.name})")

    def _put(self, line: bytes) -> None:
        try:
            self._port.write(line)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self._name}: {error}") from None

    def _answers(self) -> Iterator[Packet]:
        """What comes, until nothing has come for so long."""
        silent_since = time.monotonic()
        while time.monotonic() < silent_since + PATIENCE:
            try:
                line = self._port.read(max(1, self._port.in_waiting))
            except (serial.SerialException, OSError) as error:
                raise LinkError(f"{self._name}: {error}") from None
            if line:
                silent_since = time.monotonic()
                yield from self._decoder.take(line)
            else:
                time.sleep(0.0002)
