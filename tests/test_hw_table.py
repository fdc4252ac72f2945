from dataclasses import replace

import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from boards.family import chip
from boards.family.cells import Cells
from boards.family.ecp5 import ECP5
from boards.family.ice40 import UP5K
from boards.family.targets import TARGETS
from boards.tool import YOSYS
from golden.fixed import Q
from golden.formats import Formats
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from golden.tables import sigmoid_table, tanh_table
from hw.emit.verilog import TOP, emit
from hw.target import GENERIC, Target
from hw.unit.lstm import LSTMCell
from hw.unit.table import FOLDING, Table
from sim.build import build
from sim.compare import first_mismatch
from sim.run import Job, play, trace_of
from sim.simulators import SIMULATORS
from tests.bench import run_bench
from tests.networks import random_frames, random_model
from tests.test_boards_netlist import YOSYS_MODELS

FINE = Formats(activation=Q(3, 7), state=Q(1, 14), gate=Q(1, 10), preactivation=Q(3, 6))
TINY = replace(GENERIC, block_shapes=((4, 12), (8, 6)))


class Reader(wiring.Component):
    """A table with a port for its preactivation and one for the value."""

    def __init__(self, table: Table, pre: Q) -> None:
        self._table = table
        super().__init__({"index": In(signed(pre.width)), "value": Out(signed(40))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.value.eq(self._table.look_up(m, "rom", self.index))
        return m


def read_all(table: Table, pre: Q) -> list[int]:
    """What comes out for every preactivation, one a cycle."""
    dut, found = Reader(table, pre), []

    async def bench(ctx):
        for cycle in range((1 << pre.width) + table.latency):
            if cycle < 1 << pre.width:
                ctx.set(dut.index, pre.min + cycle)
            if cycle >= table.latency:
                found.append(ctx.get(dut.value))
            await ctx.tick()

    run_bench(dut, bench)
    return found


def named(value: object) -> str:
    """What a case is called: a target by its name, since its own text has addresses in it."""
    return value.name if isinstance(value, Target) else str(value)


@pytest.mark.parametrize("of", [sigmoid_table, tanh_table])
@pytest.mark.parametrize(
    ("pre", "gate", "target"),
    [
        (Q(3, 6), Q(1, 10), UP5K),  # what an import chooses
        (Q(1, 8), Q(1, 11), UP5K),  # the lowest value is far from its neighbour
        (Q(3, 9), Q(1, 12), ECP5),
        (Q(3, 1), Q(2, 4), TINY),
        (Q(0, 5), Q(1, 8), TINY),
        (Q(5, 0), Q(1, 1), TINY),  # the function has come to its end all but at once
    ],
    ids=named,
)
def test_a_folded_table_has_every_value_of_the_whole_one(of, pre, gate, target):
    values = of(pre, gate)
    table = Table(values, gate.scale, target)
    assert table.folded
    assert table.latency == target.read_latency + FOLDING
    assert read_all(table, pre) == values.tolist()


@pytest.mark.parametrize("of", [sigmoid_table, tanh_table])
@pytest.mark.parametrize(
    ("pre", "gate", "target", "blocks"),
    [
        (Q(3, 4), Q(1, 6), UP5K, 1),
        (Q(3, 6), Q(1, 10), ECP5, 1),
        (Q(3, 6), Q(1, 10), GENERIC, 0),
    ],
    ids=named,
)
def test_what_would_gain_nothing_stays_whole(of, pre, gate, target, blocks):
    table = Table(of(pre, gate), gate.scale, target)
    assert (table.folded, table.blocks, table.latency) == (False, blocks, target.read_latency)


def test_a_table_that_is_not_its_own_mirror_stays_whole():
    pre, gate = Q(3, 6), Q(1, 10)
    values = sigmoid_table(pre, gate).copy()
    values[100] += 1
    table = Table(values, gate.scale, UP5K)
    assert not table.folded
    assert read_all(table, pre) == values.tolist()


@pytest.mark.parametrize(
    ("bits", "gate", "whole", "folded"),
    [(9, 6, 1, 1), (9, 10, 2, 1), (10, 6, 2, 1), (10, 10, 3, 1), (11, 10, 6, 2), (12, 11, 12, 4)],
)
def test_what_tables_take_of_an_up5k(bits, gate, whole, folded):
    values = sigmoid_table(Q(3, bits - 4), Q(1, gate))
    assert UP5K.blocks(len(values), gate + 1) == whole
    assert Table(values, 1 << gate, UP5K).blocks == folded


@pytest.mark.parametrize(("name", "formats"), [("up5k", Formats()), ("ecp5", FINE)])
def test_the_verilog_of_tables_of_one_block_knows_nothing_of_it(name, formats):
    model = random_model((2, 3, 2), kinds=("gru", "lstm"), formats=formats)
    core, target = CoreParameters(model.parameters, 2), TARGETS[name].target
    whole = emit(core, model, replace(target, block_shapes=()))
    assert emit(core, model, target).verilog == whole.verilog


@pytest.mark.slow
def test_a_core_with_folded_tables_maps_to_cells_that_equal_golden(tmp_path):
    """Yosys' netlist for an UP5K, the contents of its block RAMs included."""
    assert LSTMCell(FINE, UP5K).sigmoid.folded
    assert LSTMCell(FINE, UP5K).tanh.folded
    model = random_model((2, 3), kinds=("lstm",), formats=FINE, theta=(0, 0))
    core = CoreParameters(model.parameters, 1)
    emission = emit(core, model, UP5K)
    (tmp_path / "core.v").write_text(emission.verilog)
    script = f"read_verilog core.v\n{chip.UP5K.synthesis} -top {TOP}\nwrite_verilog mapped.v\n"
    (tmp_path / "script.ys").write_text(script)
    YOSYS.run(["-s", "script.ys"], tmp_path, 600)
    mapped = replace(emission, verilog=(tmp_path / "mapped.v").read_text())
    models = Cells({"ice40/cells_sim.v": YOSYS_MODELS}).models()
    simulation = build(mapped, SIMULATORS["icarus"], models=models)
    frames = random_frames(model, 8, moving=1)
    record = play(simulation, core, Job().frames(frames))
    assert first_mismatch(DeltaNetwork(model).run(frames), trace_of(record, core)) is None
