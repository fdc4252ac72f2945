"""The harness plays as cocotb's bench does, cycle for cycle, and fails as clearly."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from boards.family.targets import TARGETS
from golden.fixed import Q
from golden.formats import Formats
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.bus.registers import STATUS_FRAME_SHORT, register_map
from hw.emit.verilog import Emission, emit
from sim.build import build
from sim.compare import first_mismatch
from sim.fast.harness import Harness
from sim.run import Job, play, trace_of
from sim.simulators import FASTEST, SIMULATORS, find_simulator
from tests.networks import random_frames, random_model
from tests.slow import quick

PLAYERS = {"harness": Harness(), "icarus": SIMULATORS["icarus"]}


def busy_job(model) -> Job:
    """Every kind of step, some while frames are under way, and thresholds that change."""
    address = {register.name: register.address for register in register_map(model.parameters)}
    frames = random_frames(model, 20, moving=0.6)
    job = Job().read(address["STATUS"]).frames(frames[:4]).read(address["FRAMES"])
    job.reset().frames(frames[:6]).write(address["THETA_X_0"], 9).frames(frames[6:12])
    job.wait(37).write_at_once(address["THETA_H_0"], 3).wait(1)
    job.read(address["CYCLES_LO"]).settle().read(address["STATUS"]).write(address["ID"], 1)
    job.frames(frames[12:13, :1]).frames(frames[13:]).settle().settle()
    job.read(address["STATUS"]).write(address["STATUS"], 1 << STATUS_FRAME_SHORT)
    for name in ("STATUS", "EVENTS_X_0", "EVENTS_H_0", "FRAMES", "CYCLES_LO", "CYCLES_HI"):
        job.read(address[name])
    return job.read(0xFFC).write(address["THETA_H_0"], 0xFFFFFFFF).read(address["THETA_H_0"])


@pytest.mark.parametrize(
    ("sizes", "outputs", "lanes", "formats", "target"),
    [
        pytest.param((5, 9, 6), 3, (4, 1), Formats(), "generic", marks=pytest.mark.slow),
        ((1, 1), None, (1, 1), Formats(activation=Q(2, 5), state=Q(1, 14)), "generic"),
        pytest.param((5, 9, 6), None, (4, 4), Formats(), "up5k", marks=pytest.mark.slow),
    ],
    ids=["two layers and a read-out", "one unit, one input, one lane", "weights to load, tkeep"],
)
def test_the_record_is_that_of_the_bench(sizes, outputs, lanes, formats, target):
    model = random_model(sizes, outputs, formats=formats)
    core = CoreParameters(model.parameters, *lanes)
    emission = emit(core, model, TARGETS[target].target)
    models = TARGETS[target].cells.models()
    job = busy_job(model)
    if emission.weights is not None:
        job.load(emission.weights).frames(random_frames(model, 3)).settle()
    found, expected = (
        play(build(emission, player, models=models), core, job) for player in PLAYERS.values()
    )
    assert len(expected.replies) == 18
    assert len(expected.writes) == 6
    assert len(expected.outputs) == 24 + 3 * (emission.weights is not None)
    assert len(expected.events) > 20
    for table in fields(expected):
        here, there = getattr(found, table.name), getattr(expected, table.name)
        assert len(here) == len(there)
        assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True)), table.name
    assert np.array_equal(found.intervals, expected.intervals)


def test_gaps_and_pauses_slow_it_down_and_change_no_bit():
    model = random_model((4, 6), 5)
    core = CoreParameters(model.parameters, 8)
    simulation = build(emit(core, model), Harness())
    frames = random_frames(model, 100)
    expected = DeltaNetwork(model).run(frames)
    cycles = []
    for streams in ((0, 0), (0.95, 0), (0, 0.95), (0.5, 0.5)):
        record = play(simulation, core, Job(*streams).frames(frames))
        assert first_mismatch(expected, trace_of(record, core)) is None
        cycles.append(record.intervals[1:].mean())
    # Of 4 elements, or of 5 results, each has to wait for 20 cycles.
    assert cycles[0] < 60
    assert cycles[1] == pytest.approx(80, rel=0.2)
    assert cycles[2] == pytest.approx(100, rel=0.2)


def test_commands_use_the_harness():
    assert find_simulator("verilator") is FASTEST["verilator"]
    assert isinstance(FASTEST["verilator"], Harness)


def test_waveforms_change_nothing_and_show_every_cycle(tmp_path):
    model = random_model((2, 3), 1)
    core = CoreParameters(model.parameters, 2)
    job = Job().frames(random_frames(model, 5))
    plain, waved = (build(emit(core, model), Harness(), waves=suffix) for suffix in ("", ".vcd"))
    expected = play(plain, core, job)
    found = play(waved, core, job, tmp_path / "w.vcd")
    assert np.array_equal(found.finishes, expected.finishes)
    assert np.array_equal(found.states, expected.states)
    head, _, changes = (tmp_path / "w.vcd").read_text().partition("$enddefinitions $end")
    clock = next(line.split()[3] for line in head.splitlines() if " clk " in line)
    assert "$timescale 1ns $end" in head
    rises = changes.count(f"\n1{clock}")
    assert rises >= expected.finishes[-1] + 4  # the cycles of the reset come before


def stub(core: CoreParameters, model, body: str, **widths: int) -> Emission:
    """A core's ports with ``body`` in it, and 0 at each output that ``body`` does not assign.

    ``widths`` are those of ports that are to be wider than the core's, or that it has not.
    """
    manifest = emit(core, model).manifest
    ports = {p["name"]: p for p in manifest["ports"]}
    for name, width in widths.items():
        ports[name] = {"name": name, "direction": "out", "width": width}
    ports = list(ports.values())
    lines = [f"{p['direction']}put [{p['width'] - 1}:0] {p['name']}" for p in ports]
    zeros = [
        f"assign {p['name']} = 0;"
        for p in ports
        if p["direction"] == "out" and f"assign {p['name']} " not in body
    ]
    text = f"module deltarnn_core({', '.join(lines)});\n{body}\n" + "\n".join(zeros)
    return Emission(f"{text}\nendmodule\n", {**manifest, "ports": ports})


@pytest.mark.parametrize("player", quick(PLAYERS, ("icarus",)))
@pytest.mark.parametrize(
    ("body", "steps", "error"),
    [
        ("", lambda job: job, r"the core stands still: cycle \d+"),
        ("", lambda job: job.write(0, 0), r"the core stands still: cycle \d+"),
        ("", lambda job: job.read(0), r"the core stands still: cycle \d+"),
        (
            "assign s_axis_tready = 1; assign m_axis_tvalid = 1; assign m_axis_tlast = 1;",
            lambda job: job,
            "more frames came out than went in",
        ),
    ],
    ids=["takes nothing", "takes no write", "answers no read", "never stops"],
)
def test_a_core_that_misbehaves_gives_a_clear_error(player, body, steps, error):
    model = random_model((2, 1))
    core = CoreParameters(model.parameters, 1)
    simulation = build(stub(core, model, body), player)
    job = steps(Job()).frames(random_frames(model, 2))
    with pytest.raises(RuntimeError, match=f"failed: .*{error}"):
        play(simulation, core, job)


@pytest.mark.slow
def test_results_after_the_last_frame_are_seen():
    body = "assign s_axis_tready = 1; assign m_axis_tvalid = 1; assign m_axis_tlast = ended;"
    body += "reg ended = 1; always @(posedge clk) if (m_axis_tready) ended <= 0;"
    model = random_model((2, 1))
    core = CoreParameters(model.parameters, 1)
    simulation = build(stub(core, model, body), Harness())
    with pytest.raises(RuntimeError, match="results came out after the last frame"):
        play(simulation, core, Job().frames(random_frames(model, 1)))


def test_a_core_that_cannot_be_built_gives_a_clear_error():
    model = random_model((2, 1))
    core = CoreParameters(model.parameters, 1)
    said = r"found %Error: deltarnn_core.v:\d+:\d+: syntax error, unexpected "
    with pytest.raises(
        ValueError, match=rf"^build with verilator: {said}.*, expected a build \("
    ) as e:
        build(stub(core, model, "this is no Verilog"), Harness())
    log = Path(str(e.value).rpartition("(")[2].rstrip(")"))
    assert "this is no Verilog" in log.read_text()


@pytest.mark.parametrize("player", quick({"harness": Harness(), **SIMULATORS}, ("icarus",)))
@pytest.mark.parametrize(
    ("state", "slots"),
    [(Q(1, 14), 4), (Q(1, 10), 7), (Q(1, 14), 1)],
    ids=["64 bits", "84 bits, values across words", "one value"],
)
def test_states_that_come_several_at_once(player, state, slots):
    """Two states ports full of values for a layer that ends in mid-port."""
    units = 2 * slots - (slots > 1)
    model = random_model((1, units), formats=Formats(state=state))
    core = CoreParameters(model.parameters, 1)
    rng = np.random.default_rng(slots)
    values = rng.integers(state.min, state.max + 1, 2 * slots)
    values[0], values[units - 1] = state.min, -1
    low, high = (
        sum((int(v) & (1 << state.width) - 1) << n * state.width for n, v in enumerate(half))
        for half in (values[:slots], values[slots:])
    )
    width = slots * state.width
    body = f"""
        reg [1:0] left = 0;
        always @(posedge clk) left <= monitor_finish ? 2 : left - (left != 0);
        assign s_axis_tready = 1;
        assign monitor_finish = s_axis_tvalid & s_axis_tlast;
        assign m_axis_tvalid = left == 1;
        assign m_axis_tlast = 1;
        assign monitor_state_valid = left != 0;
        assign monitor_state_unit = left == 2 ? 0 : {slots};
        assign monitor_state_value = left == 2 ? {width}'h{low:x} : {width}'h{high:x};
    """
    simulation = build(stub(core, model, body, monitor_state_value=width), player)
    record = play(simulation, core, Job().frames(np.zeros((1, 1), dtype=np.int8)))
    expected = [(0, n, values[n]) for n in range(units)]
    assert record.states.tolist() == [list(row) for row in expected]


@pytest.mark.parametrize("player", quick({"harness": Harness(), **SIMULATORS}, ("icarus",)))
@pytest.mark.parametrize(("slots", "wide"), [(4, 32), (16, 128)], ids=["32 bits", "128 bits"])
def test_results_that_come_several_in_a_beat(player, slots, wide):
    """Two beats of bytes, of which the second has three that count."""
    model = random_model((1, slots + 3))
    core = CoreParameters(model.parameters, 1)
    results = np.random.default_rng(slots).integers(-128, 128, 2 * slots)
    first, second = (half.astype("i1").tobytes()[::-1].hex() for half in results.reshape(2, -1))
    body = f"""
        reg [1:0] left = 0;
        always @(posedge clk) left <= monitor_finish ? 2 : left - (left != 0);
        assign s_axis_tready = 1;
        assign monitor_finish = s_axis_tvalid & s_axis_tlast;
        assign m_axis_tvalid = left != 0;
        assign m_axis_tdata = left == 2 ? {wide}'h{first} : {wide}'h{second};
        assign m_axis_tkeep = left == 2 ? {slots}'d{2**slots - 1} : {slots}'d7;
        assign m_axis_tlast = left == 1;
    """
    simulation = build(stub(core, model, body, m_axis_tdata=wide, m_axis_tkeep=slots), player)
    record = play(simulation, core, Job().frames(np.zeros((1, 1), dtype=np.int8)))
    assert [frame.tolist() for frame in record.outputs] == [results[: slots + 3].tolist()]


@pytest.mark.parametrize("address", [-4, 2, 0x1000])
def test_addresses_that_no_access_can_have_are_refused(address):
    for access in (Job().read, lambda a: Job().write(a, 0)):
        with pytest.raises(ValueError, match=f"^address: found {address}, expected a multiple"):
            access(address)
