"""The host against whatever may be at the other end of its port."""

import random
import sys

import numpy as np
import pytest

from boards.host.session import LinkError
from boards.host.stream import pieces, prepare, run
from boards.link.protocol import Command, Link, Packet, Status
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from tests.board_peers import Board, Clock, Port, TimedHost, hostile
from tests.networks import random_frames, random_model

MODEL = random_model((4, 5), 3, theta=(2, 2))
CORE = CoreParameters(MODEL.parameters, 2)
LINKS = [Link.of(CORE, MODEL, loads) for loads in (False, True)]
FRAMES = random_frames(MODEL, 12, moving=0.4).astype(np.int64)
EXPECTED = DeltaNetwork(MODEL).run(FRAMES).outputs
PATIENCE = 0.05
PER_TEST = 13


def results(link, port, size, monkeypatch):
    """What a session through ``port`` gives for FRAMES, ``size`` in a request."""
    TimedHost.clock = port.clock
    monkeypatch.setattr("boards.host.session.time", port.clock)
    monkeypatch.setattr("serial.serial_for_url", port.opened)
    with TimedHost("/dev/peer", link, patience=PATIENCE) as host:
        prepare(host, MODEL)
        found = [piece.outputs for piece in run(host, MODEL, pieces([FRAMES], size), False)]
    return np.concatenate(found)


def session(seed, monkeypatch):
    """(name of the peer, what came of a session with it): outputs, or the error in one line."""
    source = random.Random(seed)
    link = source.choice(LINKS)
    name, peer, adjust = hostile(source, Board(link, CORE, MODEL), PATIENCE)
    port = Port(Clock(), peer)
    adjust(port)
    try:
        return name, results(link, port, source.choice((1, 5, 12)), monkeypatch)
    except (LinkError, ValueError) as error:
        text = str(error)
        assert "/dev/peer" in text or "the board counts" in text
        assert "\n" not in text
        return name, text


def outcomes(seeds, monkeypatch):
    """How many sessions ended right and how many with an error; no other end is allowed."""
    count = {"right": 0, "refused": 0}
    for seed in seeds:
        name, found = session(seed, monkeypatch)
        if isinstance(found, str):
            assert not name.endswith("!"), f"seed {seed}, {name}: {found}"
            count["refused"] += 1
        else:
            assert np.array_equal(found, EXPECTED), f"seed {seed}, {name}: a wrong answer"
            count["right"] += 1
    return count


@pytest.mark.parametrize("group", range(8))
def test_the_answer_is_right_or_refused_in_time_whoever_answers(group, monkeypatch):
    seeds = range(PER_TEST * group, PER_TEST * (group + 1))
    count = outcomes(seeds, monkeypatch)
    assert sum(count.values()) == PER_TEST
    assert count["refused"] > 0


@pytest.mark.parametrize(
    ("status", "size", "reason"),
    [
        (Status.STUCK, 0, "its core stands still: reset the board .FRAMES"),
        (Status.OK, 0, "answer to FRAMES: found 0 bytes, expected 32"),
        (Status.OK, 33, "answer to FRAMES: found 33 bytes, expected 32"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(status, size, reason, monkeypatch):
    link = LINKS[0]
    board = Board(link, CORE, MODEL)

    def peer(port, packet):
        answer = board.answer(packet)
        if packet.kind == Command.FRAMES:
            answer = Packet(answer.sequence, status, bytes(size))
        port.say(answer.encoded())

    with pytest.raises(LinkError, match=f"/dev/peer: {reason}"):
        results(link, Port(Clock(), peer), 1, monkeypatch)


if __name__ == "__main__":  # python -m tests.test_boards_peers COUNT
    with pytest.MonkeyPatch.context() as patch:
        print(outcomes(range(1000, 1000 + int(sys.argv[1])), patch))
