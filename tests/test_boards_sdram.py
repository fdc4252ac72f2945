"""Weights in an SDRAM: columns through LiteDRAM's own Verilog, and what it has to be told first."""

import binascii
import re
from dataclasses import replace
from functools import partial
from importlib.resources import files

import numpy as np
import pytest

from boards.board import find_board
from boards.family.targets import TARGETS
from boards.flow.build import netlist
from boards.flow.design import design
from boards.flow.stores import stores
from boards.host.session import Host, LinkError
from boards.host.stream import prepare
from boards.link.protocol import Flag
from boards.memory.control import ControlWrites
from boards.memory.fill import Fill
from boards.memory.litedram import Controller, controller
from boards.memory.march import MarchTest
from boards.memory.native import NativeColumns
from boards.memory.simulated import CHIPS, DEVICE, MHZ, awake, with_chips
from boards.memory.system import SAID, with_sdram
from deltarnn.evidence.netlist import ECP5, driven
from deltarnn.memories import Sdram
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.emit.verilog import emit
from hw.primitive.columns import CheckedColumns, LoadedColumns
from hw.target import GENERIC
from hw.walk.column_layout import ColumnLayout
from sim.build import build
from sim.compare import first_mismatch
from sim.fast.board import build_board, running
from sim.fast.harness import Harness
from sim.run import Job, play, trace_of
from sim.simulate import simulate
from sim.simulators import SIMULATORS
from tests.bench import run_bench
from tests.memory_board import at_board, frames_equal
from tests.networks import random_frames, random_model

QUICK = Harness(optimised=False)


def checksum(address, words):
    """By the standard library: of bytes, the higher one of a word first."""
    whole = [(address ^ address >> 16) & 0xFFFF, *words]
    return binascii.crc_hqx(b"".join(int(word).to_bytes(2, "big") for word in whole), 0xFFFF)


def columns_in_memory(rng, lengths):
    """The words of a memory, and of each column: its address and its words."""
    content, columns = [], []
    for length in lengths:
        address, words = len(content), rng.integers(1 << 16, size=length).tolist()
        content += [checksum(address, words), *words]
        columns.append((address, words))
    return content, columns


async def _asks(ctx, dut, columns, waits):
    request = dut.columns.request
    for address, words in columns:
        while waits():
            await ctx.tick()
        ctx.set(request.payload, {"address": address, "words": len(words)})
        ctx.set(request.valid, 1)
        await ctx.tick().until(request.ready)
        ctx.set(request.valid, 0)


async def _remembers(ctx, port, content, latency, waits):
    """A controller that answers late and does not wait; reads and writes, and what it was told."""
    coming, cycle, due_write = [], 0, None
    while True:
        due = bool(coming) and coming[0][0] <= cycle
        ctx.set(port.cmd.ready, int(not waits()))
        ctx.set(port.rvalid, due)
        ctx.set(port.wready, due_write is not None and due_write[0] <= cycle)
        if due:
            ctx.set(port.rdata, content[coming.pop(0)[1]])
        valid, ready, command, given, wready = (
            await ctx.tick().sample(
                port.cmd.valid, port.cmd.ready, port.cmd.payload, port.wdata, port.wready
            )
        )[2:]
        cycle += 1
        if wready:
            content[due_write[1]] = given
            due_write = None
        if valid and ready and command.write:
            assert due_write is None
            due_write = (cycle + latency - 1, command.address)
        elif valid and ready:
            coming.append((cycle + latency - 1, command.address))


def words_read(content, columns, *, latency, wait, room=16, most=20_000):
    """Words that NativeColumns gives, in how many cycles, and whether it has failed."""
    dut = NativeColumns(words=len(content), longest=40, room=room)
    rng = np.random.default_rng(1)
    wanted = sum(len(words) for _, words in columns)
    found, cycles, failed = [], [0], [0]

    def waits():
        return rng.random() < wait

    async def take(ctx):
        word = dut.columns.word
        while len(found) < wanted and cycles[0] < most:
            ctx.set(word.ready, int(not waits()))
            _, _, valid, ready, value = await ctx.tick().sample(
                word.valid, word.ready, word.payload.as_value()
            )
            cycles[0] += 1
            if valid and ready:
                found.append(value)
        failed[0] = ctx.get(dut.failed)

    run_bench(
        dut,
        take,
        background=(
            partial(_asks, dut=dut, columns=columns, waits=waits),
            partial(_remembers, port=dut.port, content=content, latency=latency, waits=waits),
        ),
    )
    return found, cycles[0], failed[0]


@pytest.mark.parametrize("latency", [1, 9])
@pytest.mark.parametrize("wait", [0.0, 0.6])
def test_words_come_as_they_were_asked_for(latency, wait):
    """Nothing is lost, and no cycle either, but those of the checksums."""
    rng = np.random.default_rng(1)
    content, columns = columns_in_memory(rng, rng.integers(1, 41, size=60))
    asked = [columns[n] for n in rng.integers(len(columns), size=40)]
    found, cycles, failed = words_read(content, asked, latency=latency, wait=wait)
    assert found == [word for _, words in asked for word in words]
    assert not failed
    if not wait:
        assert cycles < len(found) + len(asked) + 20


@pytest.mark.parametrize("place", range(6))
def test_of_a_column_with_a_wrong_bit_the_last_word_never_comes(place):
    """Wherever it is: in its checksum, or in a word."""
    rng = np.random.default_rng(place)
    content, columns = columns_in_memory(rng, [5, 5, 5])
    content[columns[1][0] + place] ^= 1 << int(rng.integers(16))
    found, _, failed = words_read(content, columns, latency=4, wait=0.2, most=300)
    assert failed
    assert len(found) == 5 + 4  # the first column, and this one's but for its end


@pytest.mark.parametrize("places", [1, 2, 4, 8, 16, 32, 64, 128])
def test_a_column_that_lies_elsewhere_is_wrong(places):
    """As it does where a wire of the address is broken."""
    content, _ = columns_in_memory(np.random.default_rng(1), [7] * 64)
    moved = content[places:]
    *_, failed = words_read(moved, [(0, [0] * 7)], latency=4, wait=0.0, most=100)
    assert failed


def test_the_layout_has_the_checksums():
    """A model's columns, with each bit as a memory gives it."""
    model = random_model((4, 9, 6), 3, kinds=("gru", "lstm"), theta=(1, 3))
    core = CoreParameters(model.parameters, 2)
    plain, checked = ColumnLayout(core), ColumnLayout(core, checked=True)
    rows = checked.weight_words(model).astype("i1").view("<u2")[:, 0].tolist()
    bare = plain.weight_words(model).astype("i1").view("<u2")[:, 0].tolist()
    assert len(rows) == checked.words
    found = []
    for layer in checked.layers:
        for base, count in ((layer.base_x, layer.columns_x), (layer.base_h, layer.columns_h)):
            for address in range(base, base + count * layer.stride, layer.stride):
                words = rows[address + 1 : address + layer.stride]
                assert rows[address] == checksum(address, words)
                found += words
    assert found == bare


class Faulty:
    """A memory of ``size`` words with a fault."""

    def __init__(self, size, reads=lambda self, place: self.words[place], stores=None):
        self.words = [0] * size
        self._reads, self._stores = reads, stores

    def __getitem__(self, place):
        return self._reads(self, place)

    def __setitem__(self, place, value):
        old, self.words[place] = self.words[place], value
        if self._stores is not None:
            self._stores(self, place, old)


def _never_rises(memory, place, old):
    if place == 3:
        memory.words[3] &= ~4 | old


def _takes_the_neighbour(memory, place, old):
    if place == 2 and memory.words[2] & 8 and not old & 8:  # the aggressor rises
        memory.words[7] ^= 1


def _is_taken(memory, place, old):
    if place == 7 and not memory.words[7] & 8 and old & 8:
        memory.words[2] |= 2


BROKEN = {
    "a bit that is always 1": Faulty(9, lambda self, n: self.words[n] | 32 * (n == 5)),
    "a bit that is always 0": Faulty(9, lambda self, n: self.words[n] & ~(64 * (n == 8))),
    "a wire of the data": Faulty(9, lambda self, n: self.words[n] & 0x7FFF),
    "a wire of the address": Faulty(9, lambda self, n: self.words[n & ~2]),
    "a bit that does not rise": Faulty(9, stores=_never_rises),
    "a bit that flips with another": Faulty(9, stores=_takes_the_neighbour),
    "a bit that is set by another": Faulty(9, stores=_is_taken),
}


@pytest.mark.parametrize("fault", [None, *BROKEN])
@pytest.mark.parametrize("wait", [0.0, 0.5])
def test_a_march_finds_faults(fault, wait):
    memory = Faulty(9) if fault is None else BROKEN[fault]
    dut, rng = MarchTest(9), np.random.default_rng(1)

    async def bench(ctx):
        for _ in range(5):
            await ctx.tick()
        assert not ctx.get(dut.port.cmd.valid)
        ctx.set(dut.start, 1)
        for _ in range(4000):
            await ctx.tick()
            if ctx.get(dut.done) or ctx.get(dut.failed):
                break
        assert ctx.get(dut.done) == (fault is None)
        assert ctx.get(dut.failed) == (fault is not None)

    chips = {"content": memory, "latency": 3, "waits": lambda: rng.random() < wait}
    run_bench(dut, bench, background=(partial(_remembers, port=dut.port, **chips),))


def test_a_load_is_written_from_the_first_word_on():
    """The second one takes the place of the first, which was cut."""
    dut, rng, content = Fill(40), np.random.default_rng(1), [0] * 40
    loads = [rng.integers(1 << 16, size=n).tolist() for n in (13, 40)]

    async def bench(ctx):
        for words in loads:
            for n, word in enumerate(words):
                while rng.random() < 0.3:
                    await ctx.tick()
                ctx.set(dut.i.payload, {"word": word, "last": n == len(words) - 1})
                ctx.set(dut.i.valid, 1)
                await ctx.tick().until(dut.i.ready)
                ctx.set(dut.i.valid, 0)
            await ctx.tick()
            assert content[: len(words)] == words

    chips = {"content": content, "latency": 2, "waits": lambda: rng.random() < 0.4}
    run_bench(dut, bench, background=(partial(_remembers, port=dut.port, **chips),))


def test_all_is_written_once_in_order():
    writes = [(0x80C, 1, 0), (0x800, 14, 9), (0, 1, 2)]
    dut = ControlWrites(writes)
    rng, found, ends = np.random.default_rng(1), [], []

    async def watch(ctx):
        cycle = 0
        while len(found) < len(writes):
            ack = bool(ctx.get(dut.cycle)) and rng.random() < 0.4
            ctx.set(dut.ack, ack)
            if ack:
                found.append((ctx.get(dut.address) << 2, ctx.get(dut.value)))
                ends.append(cycle)
            await ctx.tick()
            cycle += 1
        for _ in range(20):
            assert not ctx.get(dut.cycle)
            await ctx.tick()

    run_bench(dut, watch)
    assert found == [(address, value) for address, value, _ in writes]
    assert ends[2] - ends[1] > 9


@pytest.fixture(scope="module")
def core():
    """Two layers and a read-out, for two lanes."""
    model = random_model((4, 9, 6), 3, kinds=("gru", "lstm"), theta=[(1, 3), (2, 5), (3, 0)])
    parameters = CoreParameters(model.parameters, 2)
    return model, parameters, emit(parameters, model, GENERIC.with_columns(CheckedColumns))


@pytest.mark.parametrize(
    "simulator", [QUICK, pytest.param(SIMULATORS["icarus"], marks=pytest.mark.slow)]
)
def test_a_core_on_an_sdram_equals_golden(core, simulator):
    model, parameters, emission = core
    frames = [random_frames(model, 120, seed=n, moving=0.5) for n in range(2)]
    whole = Sdram().beside(emission)
    result = simulate(parameters, model, frames, simulator, emission=whole)
    assert result.mismatch is None
    assert result.cycles.sum() > 3 * 782  # some refreshes came in between


@pytest.mark.slow
@pytest.mark.parametrize("simulator", [QUICK, SIMULATORS["icarus"]], ids=["quick", "icarus"])
def test_what_is_loaded_into_an_sdram_equals_golden(simulator):
    """From power-up on: the test of the memory, then the load, twice, then frames."""
    model = random_model((2, 3), 2, theta=(1, 2))
    parameters = CoreParameters(model.parameters, 2)
    emission = emit(parameters, model, GENERIC.with_columns(LoadedColumns))
    chips = awake(controller(DEVICE, CHIPS, MHZ))
    whole = with_chips(with_sdram(emission, chips), hidden=[str(said["name"]) for said in SAID])
    frames = random_frames(model, 40, moving=0.5)
    job = Job(unloaded=True).wait(5000)  # a word's test takes some 100 cycles
    job.load(emission.weights).load(emission.weights).frames(frames)
    record = play(build(whole, simulator), parameters, job)
    assert first_mismatch(DeltaNetwork(model).run(frames), trace_of(record, parameters)) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["up5k", "ecp5"])
def test_streams_of_finer_rows_on_an_sdram_equal_golden(name):
    """Of a family's cells, two units a cycle."""
    choice = TARGETS[name]
    model = random_model((3, 7, 5), None, kinds=("lstm", "gru"), theta=(1, 4), shifts=2)
    parameters = CoreParameters(model.parameters, 2, 2, 3)
    whole = Sdram().beside(emit(parameters, model, choice.target.with_columns(CheckedColumns)))
    frames = [random_frames(model, 40, seed=n, moving=0.5) for n in range(3)]
    models = choice.cells.models()
    result = simulate(parameters, model, frames, QUICK, emission=whole, models=models)
    assert result.mismatch is None


FAULTS = {
    "tRCD": ("RCD = 2", "RCD = 4"),
    "tRP": ("RP = 2", "RP = 6"),
    "tRAS": ("RAS = 5", "RAS = 900"),
    "tRC": ("RC = 7", "RC = 900"),
    "tRFC": ("RFC = 7", "RFC = 60"),
    "a refresh": ("9 * 782", "700"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", FAULTS)
def test_chips_that_want_more_time_say_so(core, what):
    """The controller keeps times that these chips would not be content with."""
    model, parameters, emission = core
    whole = Sdram().beside(emission)
    right, wrong = FAULTS[what]
    assert whole.verilog.count(right) == 1
    whole = replace(whole, verilog=whole.verilog.replace(right, wrong))
    frames = [random_frames(model, 120, moving=0.5)]
    with pytest.raises(RuntimeError, match="harness failed") as raised:
        simulate(parameters, model, frames, QUICK, emission=whole)
    assert f"{what} comes too early" in str(raised.value)


def test_other_lanes_are_refused(core):
    model, *_ = core
    emission = emit(CoreParameters(model.parameters, 4), model, GENERIC.with_columns())
    with pytest.raises(ValueError, match="lanes of a core with an SDRAM: found 4, no checksums"):
        with_sdram(emission, Controller("", ((0, 0, 0),)))


def test_what_litedram_refuses_is_said_in_a_line():
    for chips, mhz in (("no such chips", 100.0), ("MT48LC16M16", 10.0)):
        said = rf"LiteDRAM for {chips} at {mhz:g} MHz: found .*, expected chips that it knows"
        with pytest.raises(ValueError, match=said):
            controller("LFE5U-85F-6BG381C", chips, mhz)


def test_the_controller_is_told_what_its_own_software_would():
    """The mode: bursts of one word, CAS latency 2; then it is on its own."""
    found = controller("LFE5U-85F-6BG381C", "MT48LC16M16", 100.0)
    assert re.search(r"^module litedram_core", found.verilog, re.MULTILINE)
    values = [value for _, value, _ in found.writes]
    assert 0x20 in values
    assert found.writes[-2][1] == found.writes[-1][1] == 1
    assert max(wait for *_, wait in found.writes) >= 20_000  # 200 us at 100 MHz


BOARD = find_board("ulx3s-85f")
# A read of the chips, which a fault of theirs changes.
READ = "? memory[address] :"


@pytest.fixture(scope="module")
def board():
    """A small network at a ULX3S: its design, and a function that builds it with a fault."""
    model = random_model((3, 5), 2, kinds=("gru",), theta=(1, 2))
    (store,) = stores(BOARD, "sdram")
    parameters = CoreParameters(model.parameters, 2)
    emission = store.simulated(parameters, model)
    made = design(parameters, model, emission, 100.0, 25_000_000, store.flash(emission))

    def at(read=READ, flash=None):
        return at_board(made, BOARD, READ, read, flash)

    return model, store, made, at


def test_a_board_boots_its_weights_into_the_sdram(board):
    model, store, _, at = board
    with at() as host:
        assert host.booted() == 1 << Flag.LOADS
        assert frames_equal(host, model, store)


def test_without_a_flash_the_host_loads_them(board):
    model, store, _, at = board
    with at(flash=b"") as host:
        assert host.booted() == 1 << Flag.LOADS | 1 << Flag.BOOT_FAILED
        assert frames_equal(host, model, store)


def test_a_memory_that_fails_its_test_is_flagged_and_used_for_nothing(board):
    model, *_, at = board
    with at(read="? memory[address] & ~16'h0400 :") as host:
        with pytest.raises(LinkError, match="the memory beside its chip has failed"):
            host.booted()
        with pytest.raises(LinkError, match="has no weights"):
            host.frames(random_frames(model, 1))
        with pytest.raises(LinkError, match="stands still"):
            host.load(bytes(8))


@pytest.mark.parametrize("place", [0, 1, 5])
def test_of_a_bit_that_flips_later_no_result_comes(board, place):
    """A checksum's, and two weights'. Nothing of the frame goes out, nor of any other."""
    model, store, made, at = board
    address = made.emission.manifest["memories"]["weights"]["words"] // 2 + place
    flipped = f"(now > 400000 && address >= {address} ? ~memory[address] : memory[address])"
    with at(read=f"? {flipped} :") as host:
        prepare(host, model, target=store.target)
        frames = random_frames(model, 4, moving=1.0)
        golden, found = DeltaNetwork(model), []

        def until_it_has_flipped():
            for _ in range(400):
                found.append((host.frames(frames).outputs == golden.run(frames).outputs).all())

        with pytest.raises(LinkError, match="stands still"):
            until_it_has_flipped()
        assert all(found)
        host.flags = host.hello()
        with pytest.raises(LinkError, match="the memory beside its chip has failed"):
            host.booted()


NETLIST_BENCH = """
module bench(input clk, input rst, input rx, output tx);
  wire [15:0] dq;
  wire [12:0] a;
  wire [1:0] ba, dm;
  wire cas_n, cke, cs_n, ras_n, we_n, pin_clk, pin_rx, pin_cipo;
  assign pin_clk = clk, pin_rx = rx, pin_cipo = 1'b0;
  top top(.clk25_0__io(pin_clk), .uart_0__rx__io(pin_rx), .uart_0__tx__io(tx),
    .sdram_0__a__io(a), .sdram_0__ba__io(ba), .sdram_0__dqm__io(dm), .sdram_0__dq__io(dq),
    .sdram_0__cas__io(cas_n), .sdram_0__clk__io(), .sdram_0__clk_en__io(cke),
    .sdram_0__cs__io(cs_n), .sdram_0__ras__io(ras_n), .sdram_0__we__io(we_n),
    .spi_flash_0__cipo__io(pin_cipo), .spi_flash_0__copi__io(), .spi_flash_0__cs__io(),
    .spi_flash_0__hold__io(), .spi_flash_0__wp__io());
  deltarnn_sdram #(.WORDS(65536)) chips(.clk(clk), .a(a), .ba(ba), .cas_n(cas_n), .cke(cke),
    .cs_n(cs_n), .dm(dm), .dq(dq), .ras_n(ras_n), .we_n(we_n));
endmodule
"""


@pytest.mark.slow
def test_the_netlist_of_a_board_tests_loads_and_runs(board):
    """As Yosys maps it to an ECP5's cells: LiteDRAM, pads, clocks, M in block RAM of 36 bits. The
    host loads the weights.
    """
    model, store, *_ = board
    mapped = netlist(model, BOARD, 2, weights="sdram")
    verilog = re.sub(r"^  input (\w+__io;)$", r"  inout \1", mapped.verilog, flags=re.MULTILINE)
    chips = (files("boards") / "models/sdram.v").read_text()
    texts = {"top.v": verilog, "cells.v": driven(ECP5.models()), "bench.v": NETLIST_BENCH + chips}
    program, shell = build_board(texts, "bench", cells=True), mapped.design.shell
    with (
        running(program, shell.divisor) as terminal,
        Host(terminal, mapped.design.link, patience=60.0) as host,
    ):
        assert host.booted() == 1 << Flag.LOADS | 1 << Flag.BOOT_FAILED
        assert frames_equal(host, model, store)
