"""deltarnn run, flash and the host, against a simulated board behind a pseudo-terminal."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import replace
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest

from boards.board import BOARDS
from boards.family.targets import TARGETS
from boards.flow.build import build
from boards.flow.design import TOP, design
from boards.host.session import Host, LinkError
from boards.host.stream import pieces, prepare, run
from boards.link.protocol import FIRST, Command, Flag, Link, Packet
from boards.memory.boot import image
from deltarnn.demo import held_out
from golden.model_file import save_model
from golden.network import DeltaNetwork, run_sequences
from golden.parameters import CoreParameters
from hw.bus.registers import STATUS, STATUS_LOAD_BROKEN, register_map
from hw.emit.verilog import emit
from sim.fast.board import build_board, running
from sim.verilator import verilator_environment
from tests.damages import image_damages
from tests.networks import random_frames, random_model

pytestmark = pytest.mark.slow  # minutes of simulations and syntheses


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
            found = list(run(host, MODEL, pieces([frames], size), check=True))
            assert [piece.wrong for piece in found if piece.wrong] == []
            outputs = np.concatenate([piece.outputs for piece in found])
            assert np.array_equal(outputs, DeltaNetwork(MODEL).run(frames).outputs)
            assert sum(piece.events for piece in found) > 0
            assert sum(piece.cycles for piece in found) > 0


def test_every_recording_begins_at_reset(made, terminal):
    several = [random_frames(MODEL, n, moving=0.3, seed=n).astype(np.int64) for n in (9, 1, 12)]
    with Host(terminal, made.link) as host:
        prepare(host, MODEL)
        found = list(run(host, MODEL, pieces(several, 5), check=True))
    assert [piece.wrong for piece in found if piece.wrong] == []
    expected = np.concatenate([trace.outputs for trace in run_sequences(MODEL, several)])
    assert np.array_equal(np.concatenate([piece.outputs for piece in found]), expected)


def test_a_difference_is_seen(made, terminal):
    """A board that does something else than the model says."""
    frames = random_frames(MODEL, 40, moving=0.3).astype(np.int64)
    with Host(terminal, made.link) as host:
        prepare(host, MODEL)
        host.write(ADDRESS["THETA_X_0"], 200)
        found = run(host, MODEL, pieces([frames], made.link.frames), check=True)
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
            found = run(host, MODEL, pieces([frames], 5), check=True)
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
                host._request(command, payload, None)
        assert host.read(ADDRESS["FRAMES"]) == 0
        frames = random_frames(MODEL, 3).astype(np.int64)
        assert next(run(host, MODEL, [frames], check=True)).wrong == ""


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
            assert next(run(host, MODEL, [frames], check=True)).wrong == ""


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


@pytest.mark.parametrize("left", [None, 1, 2])
def test_a_load_that_was_cut_does_not_spoil_the_next_one(left, made, program):
    """After a byte, after a half, with all but so many bytes; and in the midst of a request."""
    weights = made.emission.weights
    cuts = [1, len(weights) // 2] if left is None else [len(weights) - left]
    frames = random_frames(MODEL, 10).astype(np.int64)
    with running(program, made.shell.divisor, b"", FLASH) as name:
        for cut in cuts:
            with Host(name, made.link) as host:
                host.booted()
                for low in range(0, cut, 60):
                    host._request(
                        Command.LOAD, bytes([FIRST]) + weights[low : min(cut, low + 60)], 0
                    )
                line = Packet(host._sequence + 1 & 0xFF, Command.LOAD, bytes(40)).encoded()
                host._put(line[:20])
            with Host(name, made.link) as host:
                prepare(host, MODEL)
                assert next(run(host, MODEL, [frames], check=True)).wrong == ""
                assert host.read(STATUS) >> STATUS_LOAD_BROKEN & 1 == 0


def test_a_load_of_another_length_is_said(made, program):
    with (
        running(program, made.shell.divisor, b"", FLASH) as name,
        Host(name, made.link) as host,
    ):
        host.booted()
        for weights in (made.emission.weights[:-1], made.emission.weights + b"\0"):
            with pytest.raises(LinkError, match=f"takes no load of {len(weights)} bytes"):
                host.load(weights)


def test_a_register_takes_32_bits_and_a_greater_threshold_acts_as_the_greatest(made, terminal):
    frames = random_frames(MODEL, 20).astype(np.int64)
    first, *others = MODEL.parameters.layers
    with Host(terminal, made.link) as host:
        for value in (-1, 1 << 32, 1 << 70):
            with pytest.raises(ValueError, match=r"register 0x100: found .* from 0 to 4294967295"):
                host.write(ADDRESS["THETA_X_0"], value)
        for theta in ((1 << 32) - 1, 1 << 32, (1 << 40) + 5, 1 << 70):
            layer = replace(first, theta_x=theta)
            parameters = replace(MODEL.parameters, layers=(layer, *others))
            model = replace(MODEL, parameters=parameters)
            prepare(host, model)
            piece = next(run(host, model, [frames], check=True))
            assert piece.wrong == ""
        for wrong in (frames + 500, frames[:, :3], frames[0], np.repeat(frames, 1000, axis=0)):
            with pytest.raises(ValueError, match=r"frames: found .*, expected \[1 to .* of 8 bits"):
                host.frames(wrong)


@pytest.mark.parametrize(
    ("sizes", "outputs", "reason"),
    [
        ((65536, 1), 1, "inputs of .*: found 65536, expected at most 65528 over a host link"),
        ((1, 1), 40000, "outputs of .*: found 40000, expected at most"),
    ],
)
def test_what_does_not_go_into_packets_is_refused_by_name(sizes, outputs, reason):
    model = random_model(sizes, outputs)
    with pytest.raises(ValueError, match=reason):
        Link.of(CoreParameters(model.parameters, 1), model, True)


def test_run_and_build_refuse_them_before_anything_else(tmp_path):
    model = random_model((65536, 1), 1)
    save_model(model, tmp_path / "wide.safetensors")
    words = ("run", tmp_path / "wide.safetensors", "no-such.npy", "--simulated-board")
    done = deltarnn(*words, "--board", "ulx3s-85f", status=2)
    assert "inputs of random: found 65536, expected at most 65528 over a host link" in done.stderr
    with pytest.raises(ValueError, match="found 65536, expected at most 65528 over a host link"):
        build(model, BOARDS["ulx3s-85f"], tmp_path)


def test_the_largest_frames_and_results_go_into_packets():
    for sizes, outputs in (((65528, 1), 1), ((1, 1), 16370)):
        model = random_model(sizes, outputs)
        link = Link.of(CoreParameters(model.parameters, 1), model, True)
        assert link.frames == 1
        assert len(link.hello()) == 20


def test_a_silent_or_missing_port_is_said(made, tmp_path):
    (tmp_path / "file").write_bytes(b"text")
    for port, found in (
        ("/dev/no-such-port", "No such file or directory"),
        (tmp_path / "file", "Inappropriate ioctl for device"),
        (tmp_path, "Is a directory"),
        ("/dev/null", "Inappropriate ioctl for device"),
        ("no-such://x", "invalid URL, protocol 'no-such' not known"),
        ("hwgrep://(", "missing ), unterminated subpattern at position 0"),
    ):
        with pytest.raises(ValueError, match="a serial port that a board is at") as refused:
            Host(str(port), made.link)
        expected = "a serial port that a board is at"
        assert str(refused.value) == f"{port}: found {found}, expected {expected}"
    leader, follower = os.openpty()
    name = os.ttyname(follower)
    with pytest.raises(LinkError, match=r"no answer after 5 attempts in 0\.3 s .HELLO"):
        Host(name, made.link, patience=0.05)
    os.close(leader)
    with pytest.raises((LinkError, ValueError), match=name):
        Host(name, made.link)
    os.close(follower)


def test_a_port_that_goes_away_is_said(made):
    leader, follower = os.openpty()
    gone = threading.Timer(0.2, os.close, [leader])
    gone.start()
    with pytest.raises(LinkError, match=f"{os.ttyname(follower)}: .*error"):
        Host(os.ttyname(follower), made.link, patience=60)
    gone.join()
    os.close(follower)


@pytest.mark.parametrize("piece", [b"$GPGLL,4717.11,N,00833.91,E*2F\r\n", b"\x7e", b"U" * 900])
def test_a_port_that_talks_all_the_time_is_given_up(piece, made):
    """Real time, at a real terminal, which says something every 10 ms."""
    leader, follower = os.openpty()
    os.set_blocking(leader, False)
    ends = threading.Event()

    def talk():
        while not ends.wait(0.01):
            with suppress(BlockingIOError):
                os.write(leader, piece)

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        with pytest.raises(LinkError, match=r"in 0.\d s, among [\d,]+ bytes that came"):
            Host(os.ttyname(follower), made.link, patience=0.1)
    finally:
        ends.set()
        talker.join()
        os.close(leader)
        os.close(follower)


STUBBORN = """#!/bin/sh
trap '' TERM INT
echo $$ > "{}"
echo /dev/no-such-terminal
while :; do sleep 0.1; done
"""


def test_a_simulated_board_that_hangs_is_gone_afterwards_and_so_is_its_folder(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("sim.fast.board.ENDING", 0.1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stubborn, noted = tmp_path / "stubborn", tmp_path / "number"
    stubborn.write_text(STUBBORN.format(noted))
    stubborn.chmod(0o755)
    for error in (KeyboardInterrupt, ValueError):
        with suppress(error), running(stubborn, 4, b"flash"):
            assert list(tmp_path.glob("deltarnn-*"))
            raise error
        with pytest.raises(ProcessLookupError):
            os.kill(int(noted.read_text()), 0)
        assert not list(tmp_path.glob("deltarnn-*"))


# As a command does that turns signals into an exception.
INTERRUPTED = """
import signal, sys, time
from pathlib import Path
from sim.fast.board import running
def stop(*_):
    raise KeyboardInterrupt
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, stop)
try:
    with running(Path(sys.argv[1]), int(sys.argv[2])) as name:
        print(name, flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_simulated_board(number, made, program, tmp_path):
    done = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(program), str(made.shell.divisor)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    terminal = done.stdout.readline().decode().strip()
    assert Path(terminal).exists()
    done.send_signal(number)
    assert done.wait(60) == 130
    done.stdout.close()
    assert not list(tmp_path.iterdir())
    with pytest.raises(LinkError if Path(terminal).exists() else ValueError):
        Host(terminal, made.link, patience=0.05)  # nobody is there


def test_a_path_that_is_not_set_is_the_systems(monkeypatch):
    monkeypatch.delenv("PATH")
    assert verilator_environment()["PATH"].endswith(os.defpath)


def deltarnn(*words, status=0, given=None):
    done = subprocess.run(
        [*COMMAND, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        input=given,
        errors="surrogateescape",
    )
    assert done.returncode == status, done.stderr + done.stdout
    return done


def shipped(tmp_path, count):
    from tests.test_demo import model_path

    _, utterances, _ = held_out()
    np.save(tmp_path / "frames.npy", np.concatenate(utterances)[:count])
    return model_path(), tmp_path / "frames.npy"


def test_results_that_come_several_in_a_beat_at_a_simulated_board(tmp_path):
    """As on every ECP5 board: four units a cycle, the last beat of a frame not full."""
    model = random_model((3, 7, 9), theta=(1, 2))
    save_model(model, tmp_path / "m.safetensors")
    np.save(tmp_path / "frames.npy", random_frames(model, 20).astype(np.int8))
    words = ("run", tmp_path / "m.safetensors", tmp_path / "frames.npy", "--board", "ulx3s-25f")
    report = json.loads(deltarnn(*words, "--simulated-board", "--check", "--json").stdout)
    assert (report["frames"], report["equal"]) == (20, True)


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
    done = deltarnn("run", model, "-", "--simulated-board", "--check", given=lines)
    assert "deltarnn: 3 frames, board and golden model equal in every bit\n" in done.stderr
    assert [list(map(int, line.split())) for line in done.stdout.splitlines()] == expected[
        :3
    ].tolist()
    # And as features, with a line that begins anew.
    scale = np.array(loaded.extra["input_scale"])
    features = "\n".join(" ".join(map(str, row)) for row in np.load(frames)[:3] / 16 / scale)
    given = f"{features}\nreset\n{features}\n"
    words = ("run", model, "-", "--simulated-board", "--floats", "--check", "-o", out)
    done = deltarnn(*words, given=given)
    found = [list(map(float, line.split())) for line in done.stdout.splitlines()]
    real = expected[:3] / 2.0**loaded.parameters.output_frac
    assert np.array_equal(found, np.concatenate([real, real]))
    with np.load(out, allow_pickle=False) as arrays:
        assert np.array_equal(arrays["results"], found)
        assert arrays["lengths"].tolist() == [3, 3]
    for wrong, reason in (
        ("1 2 x\n", "line 1: found '1 2 x'"),
        ("\n\udcff\udc80\0\n", r"line 2: found '\xff\x80\x00'"),
        ("1" * 2_000_000, "line 1: found more than 1,408 bytes"),
    ):
        done = deltarnn("run", model, "-", "--simulated-board", given=wrong, status=2)
        assert f"standard input, {reason}, expected 12 integers from -128 to 127" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    done = deltarnn("run", model, "-", "--simulated-board", given="", status=2)
    assert "found no frame" in done.stderr


def test_eval_at_a_simulated_board(tmp_path):
    """Every recording from reset, and as right as golden is."""
    model, _ = shipped(tmp_path, 1)
    _, utterances, labels = held_out()
    start = np.cumsum([0, *map(len, utterances[:5])])
    frames = np.concatenate(utterances[:5])
    np.savez(tmp_path / "few.npz", frames=frames, start=start, label=labels[:5])
    words = ("eval", model, tmp_path / "few.npz", "--board", "icebreaker", "--simulated-board")
    report = json.loads(deltarnn(*words, "--json").stdout)
    found = report["board"]
    assert (found["board"], found["port"], found["lanes"]) == ("icebreaker", None, 8)
    assert (found["equal"], found["mismatch"]) == (True, None)
    assert report["error"]["board"] == report["error"]["integers"]
    assert report["cycles_bound"] < found["cycles_per_frame"] < report["cycles_dense"]


@pytest.mark.parametrize("words", [("-",), ("-", "--json")])
def test_run_ends_where_nobody_reads_its_results(words, tmp_path):
    model, frames = shipped(tmp_path, 3)
    lines = "\n".join(" ".join(map(str, row)) for row in np.load(frames)) + "\n"
    done = subprocess.Popen(
        [*COMMAND, "run", str(model), *words, "--simulated-board"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    done.stdout.close()
    done.stdout = None
    _, errors = done.communicate(lines)
    assert (done.returncode, errors) == (141, "")


def test_run_refuses_a_closed_input_and_a_speed_that_no_port_has(tmp_path):
    model, frames = shipped(tmp_path, 3)
    words = [*COMMAND, "run", str(model), "-", "--simulated-board"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "deltarnn: standard input: found it closed, expected lines of numbers\n"
    for baud in (0, -9600, 99999999999):
        done = deltarnn(
            "run", model, frames, "--port", "/dev/no-such-port", "--baud", baud, status=2
        )
        expected = f"found {baud}, expected an integer from 300 to 12000000"
        assert done.stderr == f"deltarnn: baud: {expected}\n"


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
    places = {f"{name}.{board.chip.bitstream}": 0}
    if board.flash:
        places[f"{name}.weights"] = board.flash
    manifest = {"core": {"model": {"sha256": held_out()[0].sha256}}, "flash": {}}
    for file, address in places.items():
        (tmp_path / file).write_text(file)
        sha256 = hashlib.sha256(file.encode()).hexdigest()
        manifest["flash"][file] = {"address": address, "sha256": sha256}
    (tmp_path / f"{name}.json").write_text(json.dumps(manifest))
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
    # What is not what was built is not written.
    for file in places:
        (tmp_path / file).write_text(file[1:])
        done = deltarnn("flash", model, "--board", name, "-o", tmp_path, "--dry-run", status=2)
        assert f"{file}: found something else than was built" in done.stderr
        (tmp_path / file).unlink()
        done = deltarnn("flash", model, "--board", name, "-o", tmp_path, "--dry-run", status=2)
        assert f"{file}: found No such file" in done.stderr
        (tmp_path / file).write_text(file)
    del manifest["flash"]
    (tmp_path / f"{name}.json").write_text(json.dumps(manifest))
    done = deltarnn("flash", model, "--board", name, "-o", tmp_path, "--dry-run", status=2)
    assert "found a build of another version" in done.stderr
