"""deltarnn run, flash and the host, against a simulated board behind a pseudo-terminal."""

import json
import os
import random
import subprocess
import sys
from enum import IntEnum

import numpy as np
import pytest

from boards.board import BOARDS
from boards.boot import image
from boards.design import TOP, design
from boards.host import Host, LinkError
from boards.protocol import Command, Flag, Link
from boards.stream import pieces, prepare, run
from boards.targets import TARGETS
from deltarnn.demo import held_out
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.bus.registers import register_map
from hw.emit.verilog import emit
from sim.board import build_board, running
from tests.damages import image_damages
from tests.networks import random_frames, random_model

COMMAND = [sys.executable, "-c", "from deltarnn.command import main; main()"]
MODEL = random_model((4, 6), 3, theta=(2, 2))
CORE = CoreParameters(MODEL.parameters, 4)
CHOICE = TARGETS["up5k"]
ADDRESS = {register.name: register.address for register in register_map(MODEL.parameters)}
FLASH = 0x20000


@pytest.fixture(scope="module")
def made():
    return design(CORE, MODEL, emit(CORE, MODEL, CHOICE.target), 12.0, 3_000_000, FLASH)


@pytest.fixture(scope="module")
def program(made):
    return build_board(made.verilog() | {"models.v": CHOICE.cells.models()}, TOP)


@pytest.fixture
def terminal(made, program):
    with running(program, made.shell.divisor, made.flash, FLASH) as name:
        yield name


def test_frames_in_any_pieces_equal_golden_in_every_bit(made, terminal):
    frames = random_frames(MODEL, 300, moving=0.3).astype(np.int64)
    with Host(terminal, made.link) as host:
        for size in (1, 7, made.link.frames):  # the first has more requests than there are numbers
            prepare(host, MODEL)
            found = list(run(host, made.link, MODEL, pieces(frames, size), check=True))
            assert [piece.wrong for piece in found if piece.wrong] == []
            outputs = np.concatenate([piece.outputs for piece in found])
            assert np.array_equal(outputs, DeltaNetwork(MODEL).run(frames).outputs)
            assert sum(piece.events for piece in found) > 0
            assert sum(piece.cycles for piece in found) > 0


def test_a_difference_is_seen(made, terminal):
    """A board that does something else than the model says."""
    frames = random_frames(MODEL, 40, moving=0.3).astype(np.int64)
    with Host(terminal, made.link) as host:
        prepare(host, MODEL)
        host.write(ADDRESS["THETA_X_0"], 200)
        found = run(host, made.link, MODEL, pieces(frames, made.link.frames), check=True)
        assert "golden has" in next(found).wrong


def test_weights_come_from_the_host_where_the_flash_has_none(made, program):
    damaged = bytearray(made.flash)
    damaged[30] ^= 4
    frames = random_frames(MODEL, 20).astype(np.int64)
    for content in (bytes(damaged), b"", image(b"another!", made.emission.weights)):
        with (
            running(program, made.shell.divisor, content, FLASH) as name,
            Host(name, made.link) as host,
        ):
            assert host.booted() == 1 << Flag.LOADS | 1 << Flag.BOOT_FAILED
            with pytest.raises(LinkError, match="it has no weights"):
                host.frames(frames)
            prepare(host, MODEL)
            found = run(host, made.link, MODEL, pieces(frames, 5), check=True)
            assert [piece.wrong for piece in found] == [""] * 4


@pytest.mark.slow
def test_damaged_flash_images_are_flagged_and_answer_no_frame(made, program):
    """As in tests/test_boards_bench.py, with a flash of our own, which is quicker."""
    damages = image_damages(random.Random(3))
    frame = random_frames(MODEL, 1).astype(np.int64)
    for n in range(260):
        damaged = damages[n % len(damages)](made.flash)
        with (
            running(program, made.shell.divisor, damaged, FLASH) as name,
            Host(name, made.link) as host,
        ):
            if damaged == made.flash:  # what was there came again
                assert not host.booted() >> Flag.BOOT_FAILED & 1
                continue
            assert host.booted() >> Flag.BOOT_FAILED & 1
            with pytest.raises(LinkError, match="it has no weights"):
                host.frames(frame)


def test_what_cannot_be_done_is_refused_and_nothing_happens(made, terminal):
    with Host(terminal, made.link) as host:
        prepare(host, MODEL)
        size = made.link.frame
        for command, payload, reason in (
            (IntEnum("Other", {"NINE": 9}).NINE, b"", "does not know the command"),
            (Command.HELLO, b"\0", "another length"),
            (Command.READ, b"\0", "another length"),
            (Command.WRITE, bytes(5), "another length"),
            (Command.FRAMES, b"", "another length"),
            (Command.FRAMES, bytes(size - 1), "another length"),
            (Command.FRAMES, bytes(size * made.link.frames + 1), "another length"),
            (Command.LOAD, b"\1", "another length"),
            (Command.READ, b"\x02\x00", "no such register"),
            (Command.READ, b"\x00\x10", "no such register"),
            (Command.READ, b"\x1c\x00", "no such register"),
            (Command.WRITE, bytes(6), "no such register"),
        ):
            with pytest.raises(LinkError, match=reason):
                host._request(command, payload)
        assert host.read(ADDRESS["FRAMES"]) == 0
        frames = random_frames(MODEL, 3).astype(np.int64)
        assert next(run(host, made.link, MODEL, [frames], check=True)).wrong == ""


def test_a_number_out_of_turn_ends_the_session_until_it_begins_anew(made, terminal):
    with Host(terminal, made.link) as host:
        host._sequence += 5
        for _ in range(2):
            with pytest.raises(LinkError, match="its state is lost"):
                host.read(ADDRESS["ID"])
        host.hello()
        assert host.read(ADDRESS["ID"]) == 0x44524E4E


def test_rubbish_before_and_between_sessions_does_no_harm(made, terminal):
    frames = random_frames(MODEL, 10).astype(np.int64)
    for seed in range(3):
        rubbish = np.random.default_rng(seed).bytes(2000)
        descriptor = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
        os.write(descriptor, rubbish)
        os.close(descriptor)
        with Host(terminal, made.link) as host:
            prepare(host, MODEL)
            assert next(run(host, made.link, MODEL, [frames], check=True)).wrong == ""


def test_another_model_or_core_at_the_port_is_refused(made, terminal):
    other = random_model((4, 6), 3, seed=2)
    named = Link.of(
        CORE,
        type(MODEL).of("x", MODEL.parameters.formats, other.parameters.layers, other.weights),
        True,
    )
    assert named.tag == made.link.tag  # neither was read from a file
    for link, reason in (
        (Link(**{**vars(made.link), "tag": b"12345678"}), "model at"),
        (Link(**{**vars(made.link), "inputs": 5}), "core at"),
    ):
        with pytest.raises(ValueError, match=reason):
            Host(terminal, link)


def test_a_silent_or_missing_port_is_said(made, monkeypatch):
    monkeypatch.setattr("boards.host.PATIENCE", 0.05)
    with pytest.raises(ValueError, match="a serial port that a board is at"):
        Host("/dev/no-such-port", made.link)
    leader, follower = os.openpty()
    with pytest.raises(LinkError, match="no answer after 5 attempts"):
        Host(os.ttyname(follower), made.link)
    os.close(leader)
    os.close(follower)


def deltarnn(*words, status=0, given=None):
    done = subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, input=given
    )
    assert done.returncode == status, done.stderr + done.stdout
    return done


def shipped(tmp_path, count):
    from tests.test_demo import model_path

    _, utterances, _ = held_out()
    np.save(tmp_path / "frames.npy", np.concatenate(utterances)[:count])
    return model_path(), tmp_path / "frames.npy"


def test_run_at_a_simulated_board(tmp_path):
    model, frames = shipped(tmp_path, 60)
    out = tmp_path / "out.npz"
    words = ("run", model, frames, "--simulated-board", "--check", "--json", "-o", out)
    report = json.loads(deltarnn(*words).stdout)
    assert report["frames"] == 60
    assert report["equal"] is True
    assert 0.05 < report["occupancy"] < 0.5
    loaded, utterances, _ = held_out()
    with np.load(out, allow_pickle=False) as arrays:
        expected = DeltaNetwork(loaded).run(np.concatenate(utterances)[:60]).outputs
        assert np.array_equal(arrays["outputs"], expected)
    # And line by line from standard input.
    lines = "\n".join(" ".join(map(str, row)) for row in np.load(frames)[:3]) + "\n"
    done = deltarnn("run", model, "-", "--simulated-board", given=lines)
    assert [list(map(int, line.split())) for line in done.stdout.splitlines()] == expected[
        :3
    ].tolist()
    done = deltarnn("run", model, "-", "--simulated-board", given="1 2 x\n", status=2)
    assert "standard input, line 1" in done.stderr
    done = deltarnn("run", model, "-", "--simulated-board", given="", status=2)
    assert "found no frame" in done.stderr


def test_run_wants_one_port(tmp_path):
    model, frames = shipped(tmp_path, 3)
    for words in ((), ("--port", "/dev/null", "--simulated-board")):
        done = deltarnn("run", model, frames, *words, status=2)
        assert "expected --port TTY or --simulated-board" in done.stderr
    done = deltarnn("run", model, frames, "--port", "/dev/no-such-port", status=2)
    assert "/dev/no-such-port" in done.stderr
    done = deltarnn("run", model, frames, "--simulated-board", "--board", "no-such", status=2)
    assert "icebreaker" in done.stderr


def test_flash_wants_a_build_of_the_same_model(tmp_path):
    model, _ = shipped(tmp_path, 3)
    done = deltarnn("flash", model, "--board", "icebreaker", "-o", tmp_path, status=2)
    assert "icebreaker.json" in done.stderr
    (tmp_path / "icebreaker.json").write_text('{"core": {"model": {"sha256": "1234"}}}')
    done = deltarnn("flash", model, "--board", "icebreaker", "-o", tmp_path, status=2)
    assert "found model 1234" in done.stderr


@pytest.mark.parametrize("name", BOARDS)
def test_flash_prints_what_it_would_do(name, tmp_path):
    model, _ = shipped(tmp_path, 3)
    board = BOARDS[name]
    sha = held_out()[0].sha256
    (tmp_path / f"{name}.json").write_text(json.dumps({"core": {"model": {"sha256": sha}}}))
    for suffix in (board.chip.bitstream, "weights"):
        (tmp_path / f"{name}.{suffix}").write_bytes(b"")
    done = deltarnn("flash", model, "--board", name, "-o", tmp_path, "--dry-run")
    lines = done.stdout.splitlines()
    assert str(tmp_path / f"{name}.{board.chip.bitstream}") in lines[0]
    assert len(lines) == (2 if board.flash else 1)
    if board.flash:
        assert f"-o {board.flash} --file-type raw" in lines[1]
    # There is no board here, and that is what it says, in one line.
    if board.loader is not None:
        done = deltarnn("flash", model, "--board", name, "-o", tmp_path, status=2)
        assert len(done.stderr.strip().splitlines()) == 1
