"""Weights in an SPI flash of four lines: its model, what reads it, a core and a board on it."""

import re
from dataclasses import replace
from importlib.resources import files

import pytest

from boards.board import find_board
from boards.family.targets import TARGETS
from boards.flow.build import netlist
from boards.flow.design import design
from boards.flow.stores import InFlash, stores
from boards.host.session import Host, LinkError
from boards.host.stream import prepare
from boards.memory.quad_system import image, with_flash
from deltarnn.evidence.netlist import ICE40, driven
from deltarnn.memories import Flash
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.emit.verilog import emit
from hw.primitive.columns import CheckedColumns
from hw.target import GENERIC, Target
from hw.walk.column_layout import ColumnLayout, checked_bytes
from hw.walk.layout import CoreLayout
from sim.fast.board import build_board, running
from sim.fast.harness import Harness
from sim.memory import Memory
from sim.simulate import simulate
from sim.simulators import SIMULATORS
from tests.memory_board import at_board, frames_equal
from tests.networks import random_frames, random_model
from tests.test_boards_sdram import checksum

QUICK = Harness(optimised=False)
UP5K = TARGETS["up5k"]
BOARD = find_board("icebreaker")
assert BOARD.quad is not None
QUAD = BOARD.quad


def on_flash(target: Target) -> Target:
    return target.with_slow_columns(CheckedColumns)


def test_the_layout_of_bytes_has_their_checksums():
    model = random_model((4, 9, 6), 3, kinds=("gru", "lstm"), theta=(1, 3))
    core = CoreParameters(model.parameters, 1)
    layout = ColumnLayout(core, checked=True)
    content = layout.weight_words(model).astype("u1")[:, 0].tolist()
    bare = ColumnLayout(core).weight_words(model).astype("u1")[:, 0].tolist()
    assert len(content) == layout.words
    found = []
    for layer in layout.layers:
        for base, count in ((layer.base_x, layer.columns_x), (layer.base_h, layer.columns_h)):
            for address in range(base, base + count * layer.stride, layer.stride):
                column = content[address : address + layer.stride]
                assert column[0] << 8 | column[1] == bytewise(address, column[2:])
                found += column[2:]
    assert found == bare


def bytewise(address, values):
    """By the standard library's words, which are of two bytes each."""
    whole = checked_bytes(address, bytes(values))
    if len(values) % 2 == 0:
        words = [a << 8 | b for a, b in zip(values[::2], values[1::2], strict=True)]
        assert whole[0] << 8 | whole[1] == checksum(address, words)
    return whole[0] << 8 | whole[1]


CASES = {
    "a layer": random_model((3, 7), None, theta=(1, 2)),
    "both kinds and a read-out": random_model(
        (3, 9, 6), 3, kinds=("gru", "lstm"), theta=[(1, 3), (2, 5), (3, 0)]
    ),
    "row shifts": random_model((3, 2, 5), 2, kinds=("lstm", "gru"), theta=(1, 4), shifts=2),
}


@pytest.mark.parametrize(
    ("name", "lanes", "streams"),
    [("a layer", 1, 1), ("both kinds and a read-out", 2, 1), ("row shifts", 1, 3)],
)
def test_accumulators_of_one_port_hold_the_same_bits(name, lanes, streams):
    """Loaded through the core, beside a memory that waits now and then."""
    model = CASES[name]
    core = CoreParameters(model.parameters, lanes, 1, streams)
    target = replace(UP5K.target.with_columns(), accumulators=UP5K.target.slow_accumulators)
    frames = [random_frames(model, 40, seed=n, moving=0.5) for n in range(streams + 1)]
    emission = Memory(3, 0.4).beside(emit(core, model, target))
    assert emission.to_load == CoreLayout(core).begin_image(model)
    how = {"emission": emission, "models": UP5K.cells.models()}
    assert simulate(core, model, frames, QUICK, **how).mismatch is None


def test_such_accumulators_want_weights_outside():
    with pytest.raises(ValueError, match="accumulators of target up5k: found a memory that is"):
        replace(UP5K.target, accumulators=UP5K.target.slow_accumulators)


@pytest.mark.parametrize(
    ("name", "family"),
    [*((name, "up5k") for name in CASES), ("both kinds and a read-out", "ecp5")],
)
def test_a_core_on_a_flash_equals_golden(name, family):
    """With accumulators that are loaded from there, and with those that a bitstream brings."""
    model, choice = CASES[name], TARGETS[family]
    core = CoreParameters(model.parameters, 1)
    whole = Flash().beside(emit(core, model, on_flash(choice.target)))
    frames = [random_frames(model, 60, seed=n, moving=0.5) for n in range(2)]
    how = {"emission": whole, "models": choice.cells.models()}
    assert simulate(core, model, frames, QUICK, **how).mismatch is None


def test_icarus_agrees():
    model = CASES["both kinds and a read-out"]
    core = CoreParameters(model.parameters, 1)
    whole = Flash().beside(emit(core, model, on_flash(UP5K.target)))
    frames = [random_frames(model, 30, moving=0.5)]
    how = {"emission": whole, "models": UP5K.cells.models()}
    assert simulate(core, model, frames, SIMULATORS["icarus"], **how).mismatch is None


def test_long_columns_take_hardly_more_than_their_bytes():
    """384 bytes: 2 cycles each, 4 for the checksum and 14 for the address, and the units."""
    model = random_model((40, 128), None, theta=(0, 0))
    core = CoreParameters(model.parameters, 1)
    whole = Flash().beside(emit(core, model, on_flash(GENERIC)))
    frames = [random_frames(model, 4, moving=1.0)]
    report = simulate(core, model, frames, QUICK, emission=whole).report()
    assert report["equal"]
    events = report["ideal_cycles_per_frame"] / 384
    assert report["cycles_per_frame"] < events * (2 * 384 + 4 + 15) + 4 * 128 + 60


FAULTS = {
    "one line": ("quad <= status[1];", "quad <= 1'b0;", "it has one line, or sleeps"),
    "a line driven twice": ("mine <= 4'h2;", "mine <= 4'h3;", "a line is driven twice"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_the_model_notices(what):
    model = CASES["a layer"]
    core = CoreParameters(model.parameters, 1)
    whole = Flash().beside(emit(core, model, on_flash(GENERIC)))
    right, wrong, said = FAULTS[what]
    assert whole.verilog.count(right) == 1
    whole = replace(whole, verilog=whole.verilog.replace(right, wrong))
    with pytest.raises(RuntimeError, match=said):
        simulate(core, model, [random_frames(model, 5)], QUICK, emission=whole)


def test_more_lanes_are_refused():
    model = CASES["a layer"]
    emission = emit(CoreParameters(model.parameters, 2), model, on_flash(GENERIC))
    with pytest.raises(ValueError, match="lanes of a core with its weights in a flash: found 2"):
        with_flash(emission, QUAD, 1.0)


@pytest.fixture(scope="module")
def board():
    """A small network on an iCEBreaker: its design, and a function that runs it with a fault."""
    model = random_model((3, 5, 4), 2, kinds=("gru", "lstm"), theta=(1, 2))
    (store,) = stores(BOARD, "flash")
    parameters = CoreParameters(model.parameters, 1)
    emission = store.simulated(parameters, model)
    made = design(parameters, model, emission, 1.0, 250_000, store.flash(emission))

    def at(content=None, right="", wrong=""):
        return at_board(made, BOARD, right, wrong, content)

    return model, store, made, at


def test_a_board_runs_from_its_flash(board):
    model, store, made, at = board
    assert made.flash == image(emit(CoreParameters(model.parameters, 1), model, store.target))
    with at() as host:
        assert host.booted() == 0
        assert frames_equal(host, model, store)


def test_a_flash_that_wants_no_commands_any_more_is_taken_back(board):
    """As a reset of the chip alone leaves it: its lines, its mode, awake."""
    model, store, _, at = board
    right = "ASLEEP = 1, CONTINUOUS = 0"
    with at(right=right, wrong="ASLEEP = 0, CONTINUOUS = 1") as host:
        assert frames_equal(host, model, store)


@pytest.mark.parametrize("where", ["first", "middle", "tag", "last"])
def test_a_wrong_bit_is_flagged_and_no_frame_is_taken(board, where):
    model, _, made, at = board
    columns = ColumnLayout(CoreParameters(model.parameters, 1), checked=True).words
    place = {"first": 0, "middle": columns // 2, "tag": columns + 2, "last": -1}[where]
    content = bytearray(made.flash)
    content[place] ^= 8
    with at(bytes(content)) as host:
        with pytest.raises(LinkError, match="the memory beside its chip has failed"):
            host.booted()
        with pytest.raises(LinkError):
            host.frames(random_frames(model, 1))


def test_another_models_weights_are_flagged(board):
    """All their checksums are right."""
    _, store, _, at = board
    other = random_model((3, 5, 4), 2, kinds=("gru", "lstm"), theta=(1, 2), seed=2)
    other = replace(other, sha256="12" * 32)
    content = image(emit(CoreParameters(other.parameters, 1), other, store.target))
    with at(content) as host, pytest.raises(LinkError, match="the memory beside its chip"):
        host.booted()


def test_another_flash_is_flagged(board):
    *_, at = board
    with (
        at(right="ID = 24'hef7018", wrong="ID = 24'hef7017") as host,
        pytest.raises(LinkError, match="the memory beside its chip"),
    ):
        host.booted()


def test_of_a_bit_that_flips_later_no_result_comes(board):
    model, store, _, at = board
    right = "place < SIZE ? memory[place] : 8'hff;"
    flipped = right.replace("memory[place]", "(now > 300000 ? ~memory[place] : memory[place])")
    with at(right=right, wrong=flipped) as host:
        prepare(host, model, target=store.target)
        frames = random_frames(model, 4, moving=1.0)
        golden, found = DeltaNetwork(model), []

        def until_it_has_flipped():
            for _ in range(400):
                found.append((host.frames(frames).outputs == golden.run(frames).outputs).all())

        with pytest.raises(LinkError, match="stands still"):
            until_it_has_flipped()
        assert all(found)


NETLIST_BENCH = """
module bench(input clk, input rst, input rx, output tx);
  wire [3:0] io;
  wire cs_n, sck, pin_clk, pin_rx;
  assign pin_clk = clk, pin_rx = rx;
  top top(.clk12_0__io(pin_clk), .uart_0__rx__io(pin_rx), .uart_0__tx__io(tx),
    .spi_flash_4x_0__cs__io(cs_n), .spi_flash_4x_0__clk__io(sck), .spi_flash_4x_0__dq__io(io));
  deltarnn_flash_chip #(.FILE("flash"), .BASE(131072), .SIZE(65536)) chip(
    .clk(clk), .cs_n(cs_n), .sck(sck), .io(io), .mine());
endmodule
"""


@pytest.mark.slow
def test_the_netlist_of_a_board_runs_from_its_flash():
    """As Yosys maps it to an iCE40's cells: pads with their registers, and M in SPRAM."""
    model = random_model((3, 5), 2, theta=(1, 2))
    (store,) = stores(BOARD, "flash")
    mapped = netlist(model, BOARD, 1, weights="flash")
    verilog = re.sub(r"^  input (.*__io;)$", r"  inout \1", mapped.verilog, flags=re.MULTILINE)
    verilog = re.sub(r"^  output (.*dq__io;)$", r"  inout \1", verilog, flags=re.MULTILINE)
    chip = (files("boards") / "models/quad_flash.v").read_text()
    texts = {"top.v": verilog, "cells.v": driven(ICE40.models()), "bench.v": NETLIST_BENCH + chip}
    program, made = build_board(texts, "bench", cells=True), mapped.design
    with (
        running(program, made.shell.divisor, made.flash, made.shell.address) as terminal,
        Host(terminal, made.link, patience=60.0) as host,
    ):
        assert host.booted() == 0
        assert frames_equal(host, model, store)


def test_models_that_no_flash_holds_are_refused():
    model = random_model((8, 1200, 1200), None, theta=(1, 2))
    InFlash(BOARD, QUAD).require_room(model)
    small = InFlash(BOARD, replace(QUAD, size=1 << 22))
    with pytest.raises(ValueError, match="weights of random in the flash of icebreaker: found"):
        small.require_room(model)
