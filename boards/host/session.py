"""The host's end of the link (docs/link.md): a board that answers as golden/ would."""

import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import serial

from boards.link.protocol import (
    BAUD,
    FIRST,
    HELLO_FLAGS,
    LAST,
    VALUE,
    Command,
    Decoder,
    Flag,
    Link,
    Packet,
    Status,
    line_bytes,
)
from golden.errors import refusal, require_int
from golden.fixed import Integers
from hw.bus.registers import STATUS, STATUS_LOAD_BROKEN, STATUS_UNLOADED, WORD

TRIES = 5
PATIENCE = 0.5  # seconds of an attempt, beside those on the line and in the core
BOOTING, BOOTING_BYTE = 5.0, 4e-6  # seconds until weights are there, and for each byte of them
SLOWEST = 12e6  # Hz: no core on a board is slower
LEAST_BAUD, MOST_BAUD = 300, 12_000_000  # those that serial ports have
_MEANINGS: dict[int, str] = {
    Status.COMMAND: "it does not know the command",
    Status.LENGTH: "it wants another length",
    Status.ADDRESS: "there is no such register, or it cannot be written now",
    Status.UNLOADED: "it has no weights",
    Status.BUSY: "it is still copying weights from its flash",
    Status.SEQUENCE: "it has been reset since, and its state is lost",
    Status.STUCK: "its core stands still: reset the board",
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
        As pyserial takes it: a device's name, or a URL.
    link : Link
        The core that is expected there.
    baud
        The board's.
    patience
        Seconds that an attempt may take beside those on the line and in the core (``limit``).

    Attributes
    ----------
    link
        As above.
    flags
        Those of the last HELLO (boards.link.protocol.Flag), as bits.
    retries
        Requests that were sent once more.

    Raises
    ------
    ValueError
        Where the port cannot be opened, or another core or model answers.
    LinkError
        Where nothing answers, or not as a board does.
    """

    def __init__(self, port: str, link: Link, baud: int = BAUD, patience: float = PATIENCE) -> None:
        self.link, self._name = link, port
        self._baud, self._patience = require_baud(baud), patience
        most = self.limit(link.request, link.answer, link.frames)
        try:
            self._port: Any = serial.serial_for_url(
                port, baudrate=baud, timeout=0, write_timeout=most
            )
        except Exception as error:  # of the handler of the port's kind, and of what lies beneath
            raise refusal(str(port), _words(error), "a serial port that a board is at") from None
        self._decoder = Decoder(link.answer)
        self._sequence = time.time_ns() & 0xFF  # not that of a session before, if it can be helped
        self.retries = 0
        try:
            self.flags = self.hello()
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> "Host":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        with suppress(OSError):  # of a port that has gone away
            self._port.close()

    def limit(self, request: int, answer: int, frames: int = 0) -> float:
        """Seconds of an attempt whose payloads have so many bytes at most.

        A request that nothing answers takes TRIES of them and is given up.
        """
        line = 10 * (line_bytes(request) + line_bytes(answer)) / self._baud
        cycles = frames * self.link.cycles + (frames > 0) * self.link.learning
        return self._patience + line + cycles / SLOWEST

    def hello(self) -> int:
        """Begins a session; returns the flags (boards.link.protocol.Flag) as bits.

        Raises ValueError where the board has another core or other weights.
        """
        expected = self.link.hello()
        found = self._request(Command.HELLO, b"", None)

        def require_same(name: str, place: slice) -> None:
            if found[place] != expected[place]:
                wanted = f"{expected[place].hex(' ')}: the bitstream of this model"
                raise refusal(f"{name} at {self._name}", found[place].hex(" ") or "none", wanted)

        require_same("protocol", slice(0, 1))  # another one may say more or less
        self._require_size(Command.HELLO, found, len(expected))
        require_same("core", slice(2, 12))
        if found[12:] != expected[12:]:
            raise refusal(
                f"model at {self._name}",
                f"sha256 {found[12:].hex()}...",
                f"{expected[12:].hex()}...: the bitstream of this model",
            )
        return found[HELLO_FLAGS]

    def read(self, address: int) -> int:
        """A register's value."""
        return self.read_all(address, 1)[0]

    def read_all(self, address: int, count: int) -> list[int]:
        """So many values of one register, one after another: of one that goes on by itself."""
        require_int("address", address, 0, 0xFFFF)
        values: list[int] = []
        while len(values) < count:
            some = min(count - len(values), self.link.values_read)
            payload = struct.pack("<HH", address, some) if some > 1 else struct.pack("<H", address)
            answer = self._request(Command.READ, payload, VALUE * some)
            values += struct.unpack(f"<{some}I", answer)
        return values

    def write(self, address: int, *values: int) -> None:
        """Writes a register, with one value after another.

        Raises ValueError where a value is none of 32 bits.
        """
        require_int("address", address, 0, 0xFFFF)
        for value in values:
            require_int(f"value for register 0x{address:03x}", value, 0, WORD)
        most = self.link.values_written
        for low in range(0, len(values), most):
            some = values[low : low + most]
            self._request(Command.WRITE, struct.pack(f"<H{len(some)}I", address, *some), 0)

    def load(self, weights: bytes, report: Callable[[str], None] = lambda _: None) -> None:
        """Loads weights; they take the place of what was there, or of a load that was cut.

        ``report`` is told how many.
        """
        # A last byte ends a load that is open, and is one that is broken where none is.
        self._request(Command.LOAD, bytes([LAST, 0]), 0)
        self.write(STATUS, 1 << STATUS_LOAD_BROKEN)
        size = self.link.request - 1
        for low in range(0, len(weights), size):
            report(f"{low:,} of {len(weights):,} bytes of weights loaded")
            kind = LAST if low + size >= len(weights) else FIRST
            self._request(Command.LOAD, bytes([kind]) + weights[low : low + size], 0)
        if self.read(STATUS) >> STATUS_UNLOADED & 1:
            raise LinkError(f"{self._name}: its core takes no load of {len(weights)} bytes")

    def booted(self) -> int:
        """Waits until weights are no longer copied from flash; returns the flags.

        Raises LinkError where that takes too long, or the memory for them has failed its test.
        """
        patience = (BOOTING + self.link.weights * BOOTING_BYTE) * self._patience / PATIENCE
        end = time.monotonic() + patience
        while self.flags >> Flag.BOOTING & 1:
            if time.monotonic() > end:
                raise LinkError(f"{self._name}: still copying weights after {patience:g} s")
            time.sleep(0.01)
            self.flags = self.hello()
        if self.flags >> Flag.MEMORY_FAILED & 1:
            raise LinkError(
                f"{self._name}: the memory beside its chip has failed: reset the board, and write "
                "its flash again where weights stay in that"
            )
        return self.flags

    def frames(self, frames: Integers) -> Answer:
        """Runs frames [n, I], as many as one request takes (boards.link.protocol.Link.frames)."""
        link = self.link
        payload = frames.astype(f"<i{link.element}")
        fits = frames.ndim == 2 and frames.shape[1] == link.inputs and len(frames) <= link.frames
        if not fits or (payload != frames).any():
            expected = f"[1 to {link.frames}, {link.inputs}] of {8 * link.element} bits"
            raise refusal("frames", f"{list(frames.shape)} of {frames.dtype}", expected)
        size = len(frames) * link.results
        expected_size = size + 4 * len(link.counters)
        answer = self._request(Command.FRAMES, payload.tobytes(), expected_size, len(frames))
        values = struct.unpack(f"<{len(link.counters)}I", answer[size:])
        outputs = np.frombuffer(answer[:size], dtype=f"<i{link.result}").astype(np.int64)
        counters = dict(zip((name for name, _ in link.counters), values, strict=True))
        return Answer(outputs.reshape(len(frames), link.outputs), counters)

    def _request(
        self, command: Command, payload: bytes, size: int | None, frames: int = 0
    ) -> bytes:
        """The answer's payload, ``size`` bytes of it or, where that is None, as many as come.

        Asks again, with the same number, where none comes, and gives up after TRIES of ``limit``.
        """
        self._sequence = self._sequence + 1 & 0xFF
        line = Packet(self._sequence, command, payload).encoded()
        limit = self.limit(len(payload), self.link.answer if size is None else size, frames)
        heard = 0
        for attempt in range(TRIES):
            self.retries += attempt > 0
            end = time.monotonic() + limit
            self._put(line)
            for piece in self._pieces(end):
                heard += len(piece)
                for packet in self._decoder.take(piece):
                    if packet.sequence != self._sequence:
                        continue  # of an earlier attempt
                    if packet.kind == Status.OK:
                        if size is not None:
                            self._require_size(command, packet.payload, size)
                        return packet.payload
                    meaning = _MEANINGS.get(packet.kind, f"status {packet.kind}")
                    raise LinkError(f"{self._name}: {meaning} ({command.name})")
        among = f", among {heard:,} bytes that came" if heard else ""
        raise LinkError(
            f"{self._name}: no answer after {TRIES} attempts in {TRIES * limit:.1f} s"
            f"{among} ({command.name})"
        )

    def _require_size(self, command: Command, payload: bytes, size: int) -> None:
        if len(payload) != size:
            found = f"found {len(payload)} bytes, expected {size}"
            raise LinkError(f"{self._name}: answer to {command.name}: {found}")

    def _put(self, line: bytes) -> None:
        try:
            self._port.write(line)
        except serial.SerialTimeoutException:
            limit = self._port.write_timeout
            raise LinkError(f"{self._name}: it has taken nothing for {limit:.1f} s") from None
        except OSError as error:  # pyserial's own are OSErrors
            raise LinkError(f"{self._name}: {error}") from None

    def _pieces(self, end: float) -> Iterator[bytes]:
        """What comes until ``end``: one clock for all of it, whatever comes."""
        while True:
            late = time.monotonic() >= end  # looked at first: what is there by then is heard
            try:
                piece = self._port.read(max(1, self._port.in_waiting))
            except OSError as error:
                raise LinkError(f"{self._name}: {error}") from None
            if piece:
                yield piece
            elif not late:
                time.sleep(0.0002)
            if late:
                return


def _words(error: BaseException) -> str:
    """The system's own, which pyserial puts into brackets or into an error behind its own."""
    for each in (error.__context__, error):
        number = each.args[0] if each is not None and each.args else None
        if isinstance(number, int) and number > 0:
            return os.strerror(number)
    return str(error)


def require_baud(baud: int) -> int:
    """``baud``, or a refusal where no serial port has that."""
    return require_int("baud", baud, LEAST_BAUD, MOST_BAUD)
