"""A board that learns: the host's lessons against a simulated one, whatever its line does."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import serial

from boards.family.targets import TARGETS
from boards.flow.design import TOP, design
from boards.host.lessons import layout_at, learned_masters, teach
from boards.host.session import Host, LinkError
from boards.host.stream import pieces, prepare, run
from boards.link.protocol import Command, Flag
from golden.learn.masters import learned, of_model, trainable, widened
from golden.learn.sequence import LearningNetwork, Settings
from golden.model_file import load_model, save_model
from golden.parameters import CoreParameters
from hw.bus.registers import CONTROL, CONTROL_CLEAR_COUNTERS, STATUS, register_map
from hw.emit.verilog import emit
from sim.fast.board import build_board, running
from tests.damages import line_damages
from tests.networks import random_frames, random_model

pytestmark = pytest.mark.slow  # minutes of simulations

COMMAND = [sys.executable, "-c", "from deltarnn.command import main; main()"]
FRAMES, OUTPUTS = 9, 3
MODEL, TRAINING = trainable(
    random_model((4, 6, 5), OUTPUTS, kinds=("gru", "lstm"), theta=(2, 1)), FRAMES
)
CORE = CoreParameters(MODEL.parameters, 4, 2, training=TRAINING)
ADDRESS = {r.name: r.address for r in register_map(MODEL.parameters, trains=True)}
SETTINGS = Settings(8, OUTPUTS)


@pytest.fixture(scope="module")
def made():
    return design(CORE, MODEL, emit(CORE, MODEL, TARGETS["generic"].target), 12.0, 3_000_000, None)


@pytest.fixture(scope="module")
def program(made):
    return build_board(made.verilog(), TOP)


@pytest.fixture
def terminal(made, program):
    with running(program, made.shell.divisor) as name:
        yield name


def lessons(count, seed=1, longest=FRAMES):
    rng = np.random.default_rng(seed)
    return [
        (
            random_frames(
                MODEL, int(rng.integers(1, longest + 1)), seed=seed + n, moving=0.2
            ).astype(int),
            int(rng.integers(OUTPUTS)),
        )
        for n in range(count)
    ]


def network():
    return LearningNetwork.of(MODEL, TRAINING.learning, TRAINING.tape)


def same(masters, golden):
    return all(
        np.array_equal(a.x, b.x) and np.array_equal(a.h, b.h)
        for a, b in zip(masters, golden.masters, strict=True)
    )


def masters_at(host):
    return learned_masters(host, layout_at(host, MODEL.parameters, TRAINING))


@pytest.mark.parametrize(
    "settings",
    [SETTINGS, Settings(6, 2, cost=300), Settings(8, OUTPUTS, readout_only=True), Settings(0, 1)],
    ids=["all classes", "two classes, a cost", "the read-out alone", "no rate"],
)
def test_what_it_learns_equals_golden(settings, made, terminal):
    golden = network()
    with Host(terminal, made.link) as host:
        assert host.flags == 1 << Flag.TRAINS
        for _ in range(2):  # a session begins anew, whatever was learned before
            golden = network()
            prepare(host, MODEL, TRAINING)
            found = list(teach(host, golden, settings, lessons(12, longest=FRAMES + 2), check=True))
            assert [each.wrong for each in found if each.wrong] == []
            assert same(masters_at(host), golden)
        reasons = {each.dropped for each in found}
        assert reasons >= ({"unknown label"} if settings.known < OUTPUTS else {""})
        assert all(each.cycles > 0 for each in found)
    moved = not same(of_model(MODEL, TRAINING.learning), golden)
    assert moved == bool(settings.rate)


def test_a_difference_is_seen(made, terminal):
    with Host(terminal, made.link) as host:
        prepare(host, MODEL, TRAINING)
        host.write(ADDRESS["MASTER_INDEX"], 0)
        host.write(ADDRESS["MASTER"], *[0x7FFF] * 40)
        found = list(teach(host, network(), SETTINGS, lessons(6), check=True))
        assert any("golden has" in each.wrong for each in found)


def test_what_was_learned_runs_as_a_model_of_its_own(made, terminal):
    """On the board that learned it, and as inference has it, constant columns and all."""
    with Host(terminal, made.link) as host:
        prepare(host, MODEL, TRAINING)
        list(teach(host, network(), SETTINGS, lessons(8), check=False))
        model = learned(MODEL, masters_at(host), TRAINING.learning)
        host.write(ADDRESS["TRAIN"], 0)
        host.write(CONTROL, 1 << CONTROL_CLEAR_COUNTERS)
        several = [frames for frames, _ in lessons(4, seed=50)]
        found = run(host, model, pieces(several, 4), check=True)
        assert [piece.wrong for piece in found if piece.wrong] == []
        prepare(host, widened(model), TRAINING)
        found = run(host, model, pieces(several, 4), check=True)
        assert [piece.wrong for piece in found if piece.wrong] == []


def test_a_session_that_was_cut_in_a_lesson_does_not_spoil_the_next_one(made, terminal):
    """Between frames and label, between two errors, and while something is learned."""
    frames, label = lessons(1)[0]
    for cut in ("LABEL", "ERROR", None):
        with Host(terminal, made.link) as host:
            prepare(host, MODEL, TRAINING)
            host.write(ADDRESS["TRAIN"], 1)
            host.frames(frames)
            if cut == "ERROR":
                host.write(ADDRESS["ERROR"], 5)
            if cut is None:
                host.write(ADDRESS["LABEL"], label)
        with Host(terminal, made.link) as host:
            golden = network()
            prepare(host, MODEL, TRAINING)
            found = list(teach(host, golden, SETTINGS, lessons(3), check=True))
            assert [each.wrong for each in found] == [""] * 3
            assert same(masters_at(host), golden)


def test_errors_of_the_host_may_come_in_one_request(made, terminal):
    golden, errors = network(), np.array([900, -700, 30])
    frames = lessons(1)[0][0]
    with Host(terminal, made.link) as host:
        prepare(host, MODEL, TRAINING)
        host.write(ADDRESS["TRAIN"], 1)
        host.write(ADDRESS["RATE"], SETTINGS.rate)
        host.frames(frames)
        host.write(ADDRESS["ERROR"], *(int(e) & 0xFFFFFFFF for e in errors))
        host.frames(frames)  # waits until it has been learned
        assert host.read(ADDRESS["SEQUENCES"]) == 1
        golden.learn(frames, SETTINGS, errors)
        host.write(ADDRESS["LABEL"], 0)
        while host.read(STATUS) >> 3 & 1:
            pass
        golden.learn(frames, SETTINGS, 0)
        assert same(masters_at(host), golden)


def test_what_cannot_be_done_is_refused_and_nothing_happens(made, terminal):
    with Host(terminal, made.link) as host:
        prepare(host, MODEL, TRAINING)
        for command, payload, reason in (
            (Command.READ, bytes(3), "another length"),
            (Command.READ, b"\x04\0\0\0", "another length"),
            (Command.READ, b"\x04\0\xff\xff", "another length"),
            (Command.WRITE, bytes(4), "another length"),
            (Command.WRITE, bytes(9), "another length"),
            (Command.READ, b"\x60\0\2\0", "no such register"),
            (Command.WRITE, b"\x04\0" + bytes(8), "no such register"),
            (Command.LOAD, bytes(2), "does not know the command"),
        ):
            with pytest.raises(LinkError, match=reason):
                host._request(command, payload, None)
        assert host.read(ADDRESS["SEQUENCES"]) == 0
        assert same(masters_at(host), network())


class Damaged:
    """A port whose line does something to what goes through it now and then, either way."""

    def __init__(self, port, source):
        self._port, self._source = port, source
        self._kinds = list(line_damages(source).values())
        self.write_timeout, self.count = port.write_timeout, 0

    @property
    def in_waiting(self):
        return self._port.in_waiting

    def _through(self, line, share):
        if not line or self._source.random() >= share:
            return line
        self.count += 1
        return b"" if self._source.random() < 0.3 else self._source.choice(self._kinds)(line)

    def write(self, line):
        self._port.write(self._through(line, 0.1))

    def read(self, count):  # one byte, or many
        line = self._port.read(count)
        return self._through(line, min(0.1, 0.001 * len(line)))

    def close(self):
        self._port.close()


def test_a_lesson_is_learned_once_whatever_the_line_does(made, terminal, monkeypatch):
    open_port, opened = serial.serial_for_url, []
    source = random.Random(7)

    def damaged(*args, **kwargs):
        opened.append(Damaged(open_port(*args, **kwargs), source))
        return opened[-1]

    monkeypatch.setattr(serial, "serial_for_url", damaged)
    monkeypatch.setattr("boards.host.session.TRIES", 400)  # the board may be slow on a busy machine
    golden, taught = network(), lessons(40)
    with Host(terminal, made.link, patience=0.4) as host:
        prepare(host, MODEL, TRAINING)
        found = list(teach(host, golden, SETTINGS, taught, check=True))
        assert [each.wrong for each in found if each.wrong] == []
        assert host.read(ADDRESS["SEQUENCES"]) == sum(not each.dropped for each in found)
        assert same(masters_at(host), golden)
        # How many is chance: a busy machine gives the line in other pieces.
        assert host.retries > 10
        assert opened[0].count > 15


SMALL = random_model((3, 5), 3, theta=(2, 2))


@pytest.fixture
def files(tmp_path):
    """A model and labelled recordings of it, as files."""
    model, recordings = tmp_path / "model.safetensors", tmp_path / "lessons.npz"
    extra = {"readout": "sum", "input_scale": 1.0, "scores": {"delta": 0.5}}
    save_model(replace(SMALL, labels=("a", "b", "c"), extra=extra), model)
    lengths = [4, 7, 5, 7, 2, 6]
    frames = random_frames(SMALL, sum(lengths), moving=0.3).astype(np.int8)
    np.savez(recordings, features=frames, lengths=lengths, labels=[0, 1, 2, 1, 0, 2])
    return model, recordings


def command(folder, *arguments):
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_learn_writes_what_was_learned_as_a_model_file(files, tmp_path):
    model, recordings = files
    new, before = tmp_path / "new.safetensors", model.read_bytes()
    how = ("--epochs", 2, "--rate", 8, "--cost", 30, "--seed", 3, "--check")
    arguments = ("learn", model, recordings, "--simulated-board", *how, "-o", new)
    process = command(tmp_path, *arguments, "--json")
    out, error = process.communicate()
    assert process.returncode == 0, error
    report = json.loads(out)
    assert report["equal"] is True
    assert report["sequences"] == 12
    assert model.read_bytes() == before
    old, made = load_model(model), load_model(new)
    assert made.labels == old.labels
    assert made.extra["readout"] == "sum"
    assert "scores" not in made.extra  # those were the weights' before
    assert made.extra["learned"]["model"] == old.sha256
    assert any(
        not np.array_equal(a.weight_x, b.weight_x)
        for a, b in zip(old.weights, made.weights, strict=True)
    )
    # What ends it leaves the old model whole, and writes no new one.
    new.unlink()
    process = command(tmp_path, *arguments[:-1], tmp_path / "cut.safetensors", "--epochs", 10**5)
    time.sleep(20)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 128 + signal.SIGINT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lessons.npz", model.name]
    assert model.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "arguments", "reason"),
    [
        ({"labels": None}, (), "lessons.npz: found no labels, expected a class for each recording"),
        ({"labels": [0, 1, 2, 1, 0, 3]}, (), "wanted: found class 3, expected 0..2"),
        ({}, ("--known", 2), "wanted: found class 2, expected one of the 2 known"),
        ({}, ("--known", 4), "--known: found 4, expected at most 3, the classes of the model"),
        ({"lengths": [31]}, (), "labels"),
        (
            {"features": np.zeros((257, 3), np.int8), "lengths": [257], "labels": [0]},
            (),
            "found 257 frames, expected at most 256, those of the tape",
        ),
        ({}, ("--port", "/dev/null"), "port: found both, expected --port TTY or --simulated-board"),
        ({}, ("--rate", 9), "9 is not in the range 0<=x<=8"),
        ({}, ("--board", "icebreaker"), "target"),
    ],
)
def test_learn_refuses_what_it_cannot_do(changes, arguments, reason, files, tmp_path):
    model, recordings = files
    with np.load(recordings) as arrays:
        kept = {**arrays, **changes}
    np.savez(recordings, **{key: value for key, value in kept.items() if value is not None})
    new = tmp_path / "new.safetensors"
    process = command(
        tmp_path, "learn", model, recordings, "--simulated-board", *arguments, "-o", new
    )
    _, error = process.communicate()
    assert process.returncode == 2
    assert reason in error
    assert error.count("\n") == 1
    assert not new.exists()


def test_a_board_that_was_not_built_to_learn_is_refused(files, tmp_path):
    model, recordings = files
    process = command(
        tmp_path, "learn", model, recordings, "--port", "/dev/null", "-o", tmp_path / "new"
    )
    _, error = process.communicate()
    assert process.returncode == 2
    assert "found no core that trains, expected one of deltarnn build" in error
