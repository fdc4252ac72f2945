"""What may be at the other end of a port: a board in Python, and peers that are none.

Time is a number here, so that what takes seconds at a port takes none in a test.
"""

import struct
import zlib

import numpy as np
import serial

from boards.host.session import TRIES, Host
from boards.link.protocol import ESCAPE, FLAG, Command, Decoder, Flag, Packet, Status, escaped
from golden.network import DeltaNetwork
from hw.bus.registers import (
    LANES,
    STATUS,
    STATUS_LOAD_BROKEN,
    STATUS_UNLOADED,
    register_map,
)
from hw.walk.layout import CoreLayout
from tests.damages import line_damages

STEP = 0.002  # seconds that a look at the port takes at least, and the exactness of all times


class Clock:
    """Stands in for the module ``time``, for a thousand seconds."""

    def __init__(self):
        self.now = 1000.0

    def goes(self, seconds):
        self.now += seconds
        assert self.now < 2000, "the host never gives up"

    def monotonic(self):
        return self.now

    def time_ns(self):
        return round(self.now * 1e9)

    def sleep(self, seconds):
        self.goes(max(seconds, STEP))


class Board:
    """A right board: what docs/link.md says, with golden/ for its core."""

    def __init__(self, link, core, model):
        self._link, self._core, self._model = link, core, model
        layout = CoreLayout(core)
        self._weights = layout.weight_words(model).astype("i1").tobytes()
        self._registers = {register.address: register for register in register_map(core.network)}
        self.reset()

    def reset(self):
        self._greeted, self._last, self._answer = False, 0, None
        self._loaded = not self._link.loads
        self._load, self._broken, self.flags = b"", False, self._link.loads << Flag.LOADS
        self._network, self._thetas = DeltaNetwork(self._model), {}
        self._counters = dict.fromkeys((name for name, _ in self._link.counters), 0)

    def answer(self, request):
        """The packet that answers one."""
        number = request.sequence
        if request.kind == Command.HELLO:
            self._greeted = True
        elif self._greeted and number == self._last:
            return self._answer
        elif not (self._greeted and number == self._last + 1 & 0xFF):
            self._greeted = False
            return Packet(number, Status.SEQUENCE)
        self._last = number
        status, payload = self._done(request.kind, request.payload)
        self._answer = Packet(number, status, payload)
        return self._answer

    def _done(self, command, payload):
        if command == Command.HELLO:
            hello = bytearray(self._link.hello())
            hello[1] = self.flags
            return Status.OK, bytes(hello)
        if command == Command.READ:
            return self._read(*struct.unpack("<H", payload))
        if command == Command.WRITE:
            return self._write(*struct.unpack("<HI", payload)), b""
        if command == Command.LOAD:
            return self._take(payload[0], payload[1:]), b""
        if command == Command.FRAMES:
            return self._run(payload)
        return Status.COMMAND, b""

    def _read(self, address):
        if address == LANES:
            value = self._core.lanes
        elif address == STATUS:
            value = (not self._loaded) << STATUS_UNLOADED | self._broken << STATUS_LOAD_BROKEN
        else:
            return Status.ADDRESS, b""
        return Status.OK, struct.pack("<I", value)

    def _write(self, address, value):
        kind, _, layer = self._registers[address].name.rpartition("_")
        if address == STATUS:
            self._broken &= not value >> STATUS_LOAD_BROKEN & 1
        elif kind.startswith("THETA"):
            self._thetas[int(layer), kind.lower()] = value
        else:  # CONTROL, of which the host writes both bits
            self._network = DeltaNetwork(self._model)
            self._counters = dict.fromkeys(self._counters, 0)
        for (layer, kind), theta in self._thetas.items():
            setattr(self._network.layers[layer], kind, theta)
        return Status.OK

    def _take(self, last, weights):
        for n, byte in enumerate(weights):
            self._loaded = False
            self._load += bytes([byte])
            ends, is_last = len(self._load) == len(self._weights), last & (n == len(weights) - 1)
            if ends or is_last:
                self._broken |= not (ends and is_last)
                self._loaded = bool(ends and is_last and self._load == self._weights)
                self._load = b""
        return Status.OK

    def _run(self, payload):
        if not self._loaded:
            return Status.UNLOADED, b""
        frames = np.frombuffer(payload, dtype=f"<i{self._link.element}").astype(np.int64)
        frames = frames.reshape(-1, self._link.inputs)
        trace = self._network.run(frames)
        self._counters["FRAMES"] += len(frames)
        self._counters["CYCLES_LO"] += 100 * len(frames)
        for kind, events in (("X", trace.events_x), ("H", trace.events_h)):
            for layer, count in enumerate(events.sum(axis=0)):
                if f"EVENTS_{kind}_{layer}" in self._counters:
                    self._counters[f"EVENTS_{kind}_{layer}"] += int(count)
        results = trace.outputs.astype(f"<i{self._link.result}").tobytes()
        return Status.OK, results + struct.pack(
            f"<{len(self._counters)}I", *self._counters.values()
        )


class Port:
    """A serial port in memory, as much of pyserial's as the host uses.

    ``peer(port, packet)`` is asked for each request that arrives whole and calls ``say``;
    ``chatter(now)`` gives what comes besides.
    """

    def __init__(self, clock, peer):
        self.clock, self.write_timeout = clock, None
        self._peer, self._due, self._decoder = peer, [], Decoder()
        self.chatter = lambda now: b""
        self.gone = None  # the error that the port has from the time ``gone_at`` on
        self.gone_at = float("inf")
        self.damage = lambda line: line  # of requests
        self._ready = b""

    def opened(self, _, *, write_timeout, **__):
        self.write_timeout = write_timeout
        return self

    def say(self, line, after=0.001):
        self._due.append((self.clock.now + after, len(self._due), bytes(line)))

    def _look(self):
        if self.clock.now >= self.gone_at:
            raise self.gone
        for entry in sorted(each for each in self._due if each[0] <= self.clock.now):
            self._ready += entry[2]
            self._due.remove(entry)
        self._ready += self.chatter(self.clock.now)

    @property
    def in_waiting(self):
        self._look()
        return len(self._ready)

    def read(self, size):
        self.clock.goes(STEP / 10)
        line, self._ready = self._ready[:size], self._ready[size:]
        return line

    def write(self, line):
        self._look()
        for packet in self._decoder.take(self.damage(line)):
            self._peer(self, packet)

    def close(self):
        pass


class TimedHost(Host):
    """A host that holds itself to its deadline and its bound, request by request."""

    clock: Clock

    def _request(self, command, payload, size, frames=0):
        begin = self.clock.now
        answer = self.link.answer if size is None else size
        limit = TRIES * self.limit(len(payload), answer, frames)
        try:
            return super()._request(command, payload, size, frames)
        finally:
            took = self.clock.now - begin
            assert took <= limit + 2 * TRIES * STEP, f"{command.name} took {took:.3f} s"
            most = 2 * (self.link.answer + 8) + 2
            assert len(self._decoder._piece) <= most, "the buffer grows"


def sentences(source):
    fields = ",".join(f"{source.random() * 90:.4f}" for _ in range(6))
    return f"$GPGGA,{fields},M*{source.randrange(256):02X}\r\n".encode()


def noise(source, most=40):
    """Bytes among which there is no packet; they end in a flag or not."""
    return source.randbytes(source.randrange(most)) + source.choice((b"", bytes([FLAG])))


def hostile(source, board, patience):
    """A peer by name: (name, peer, adjust), where ``adjust(port)`` sets what is the port's.

    A name that ends in "!" is one with which the answers must be right.
    """

    def right(port, packet):
        port.say(board.answer(packet).encoded())

    def silent(port, packet):
        pass

    def every(seconds, piece):
        """Chatter: ``piece()`` each so many seconds."""
        then = [0.0]

        def chatter(now):
            if now < then[0] + seconds:
                return b""
            then[0] = now
            return piece()

        return chatter

    def talks(seconds, piece, peer=silent):
        return peer, lambda port: setattr(port, "chatter", every(seconds, piece))

    def changed(change):
        """Right, but for what ``change`` makes of an answer."""
        count = [source.randrange(12)]  # how many are right first

        def peer(port, packet):
            answer = board.answer(packet)
            count[0] -= 1
            port.say(answer.encoded() if count[0] >= 0 else change(answer))

        return peer, lambda port: None

    def other_length(answer):
        size = len(answer.payload)
        cut = source.choice((0, max(size - 1, 0), size + 1, size + 4, 2 * size, 1000))
        if cut == size:
            cut += 1
        payload = (answer.payload + source.randbytes(1000))[:cut]
        return Packet(answer.sequence, Status.OK, payload).encoded()

    def other_number(answer):
        number = answer.sequence + source.randrange(1, 256) & 0xFF
        return Packet(number, answer.kind, answer.payload).encoded()

    def other_status(answer):
        return Packet(answer.sequence, source.randrange(1, 256), answer.payload).encoded()

    def more(answer):
        extra = [Packet(source.randrange(256), 0, source.randbytes(9)).encoded() for _ in range(3)]
        own = answer.encoded()
        extra = [line for line in extra if line[1] != own[1]]
        return b"".join([*extra, own, own, *extra])

    def open_escape(answer):
        head = bytes([answer.sequence, 0, 4, 0]) + source.randbytes(4)
        return bytes([FLAG]) + escaped(head) + bytes([ESCAPE, FLAG])

    def claims(answer):
        """A header with another length than what follows, and a right checksum."""
        body = bytes([answer.sequence, 0, *source.randbytes(2)]) + answer.payload
        body += zlib.crc32(body).to_bytes(4, "little")
        line = bytes([FLAG]) + escaped(body) + bytes([FLAG])
        return b"" if Decoder().take(line) else line

    def numbered_flood():
        return b"".join(Packet(source.randrange(256), 9, b"").encoded() for _ in range(20))

    def late(low, high):
        share = source.uniform(low, high)
        return lambda port, packet: port.say(board.answer(packet).encoded(), patience * share)

    def dribbled(port, packet):
        line = board.answer(packet).encoded()
        gap = source.choice((0.1, 3.0)) * patience / len(line)
        for n, byte in enumerate(line):
            port.say(bytes([byte]), n * gap)

    def noisy(port, packet):
        answer = board.answer(packet).encoded()
        port.say(noise(source) + answer + noise(source))

    def damaging(port):
        kinds, chance = list(line_damages(source).values()), source.choice((0.05, 0.3, 0.9))

        def damage(line):
            return source.choice(kinds)(line) if source.random() < chance else line

        port.damage, say = damage, port.say
        port.say = lambda line, after=0.001: say(damage(line), after)

    def echo(port, packet):
        port.say(packet.encoded())

    def disappears(port):
        port.gone_at = port.clock.now + source.uniform(0, 0.1)
        port.gone = source.choice(
            (
                OSError(5, "Input/output error"),
                serial.SerialException("device reports readiness to read but returned no data"),
            )
        )

    def takes_nothing(port):
        def write(line):
            port.clock.goes(port.write_timeout)
            raise serial.SerialTimeoutException("Write timeout")

        port.write = write

    def resets():
        count = source.randrange(1, 20)

        def peer(port, packet):
            nonlocal count
            count -= 1
            if count == 0:
                board.reset()
            right(port, packet)

        return peer, lambda port: None

    def flagged():
        board.flags |= 1 << source.choice((Flag.BOOTING, Flag.BOOT_FAILED, Flag.DROPPED, 6))
        return right, lambda port: None

    def other_hello(answer):
        payload = bytearray(answer.payload)
        if len(payload) != 20:
            return answer.encoded()
        place = source.choice([0, *range(2, 20)])
        payload[place] ^= 1 << source.randrange(8)
        return Packet(answer.sequence, Status.OK, bytes(payload)).encoded()

    def other_hello_first():
        return (lambda port, packet: port.say(other_hello(board.answer(packet)))), lambda port: None

    def plain(peer, adjust=lambda port: None):
        return lambda: (peer, adjust)

    kinds = {
        "right!": plain(right),
        "silent": plain(silent),
        "random bytes": lambda: talks(0.001, lambda: source.randbytes(source.randrange(600))),
        "NMEA": lambda: talks(patience * 0.7, lambda: sentences(source)),
        "a byte at a time": lambda: talks(patience * 0.8, lambda: source.randbytes(1)),
        "no flag": lambda: talks(0.001, lambda: bytes([source.choice(b"aU}\0")]) * 900),
        "flags": lambda: talks(0.001, lambda: bytes([FLAG]) * 300),
        "packets of other numbers and status": lambda: talks(0.001, numbered_flood),
        "other length": lambda: changed(other_length),
        "other number": lambda: changed(other_number),
        "other status": lambda: changed(other_status),
        "other hello": other_hello_first,
        "more packets!": lambda: changed(more),
        "open escape": lambda: changed(open_escape),
        "wrong length in the header": lambda: changed(claims),
        "late, but in time!": lambda: (late(0.1, 3.5), lambda port: None),
        "too late": lambda: (late(5.5, 20), lambda port: None),
        "dribbled": plain(dribbled),
        "noise between answers!": plain(noisy),
        "damage both ways": lambda: (right, damaging),
        "echo": plain(echo),
        "disappears": lambda: (right, disappears),
        "takes nothing": lambda: (right, takes_nothing),
        "resets": resets,
        "flags of hello": flagged,
        "NMEA beside right answers": lambda: talks(patience / 3, lambda: sentences(source), right),
    }
    name = source.choice(list(kinds))
    return name, *kinds[name]()
