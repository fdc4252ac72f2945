"""A network as a program on an emulated Cortex-M, beside the core."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from rich.progress import Progress

from deltarnn.bench import benches, peers
from deltarnn.bench.benches import measure
from deltarnn.bench.context import Context
from deltarnn.bench.cortex_m.machine import M0_PLUS, M4, Machine, parts
from deltarnn.bench.cortex_m.sources import DELTA_SIMD, DENSE, PROGRAMS, REFERENCE
from deltarnn.bench.peers import PEERS, Work, instructions, run, tables
from sim.simulators import SIMULATORS
from sim.sweep import Shape, moving_frames, with_thresholds

SMALL = Shape("4 -> 8 -> 4 -> 3", (4, 8, 4), 3, 2)
TINY = Shape("2 -> 4", (2, 4), None, 2)
ICARUS = Context(1, SIMULATORS["icarus"], Progress(disable=True))


def work(theta: int, length: int = 24) -> Work:
    model = with_thresholds(SMALL.model(3), theta)
    sequences = [moving_frames(np.random.default_rng(n), length, 4, 0.6) for n in (1, 2)]
    return Work("some", model, sequences, 1, 0.0)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.source)
def test_every_program_gives_goldens_bits(program):
    """Of two recordings, the second after a reset, at thresholds that let some columns pass."""
    busy, still = (instructions(program, M4, work(theta)) for theta in (0, 3))
    assert still < 0.95 * busy if program.delta else still == busy


@pytest.mark.parametrize("program", [DENSE, REFERENCE], ids=lambda program: program.source)
@pytest.mark.slow  # where the compiler's library is not yet built, that takes long
def test_a_processor_without_long_products_gives_goldens_bits(program):
    assert instructions(program, M0_PLUS, work(2)) > instructions(program, M4, work(2))


def test_a_program_that_differs_from_golden_is_refused(monkeypatch):
    def other(program, model, processor):
        first, *more = model.weights
        first = replace(first, bias=first.bias + (1 << 8))
        return compiled(program, replace(model, weights=(first, *more)), processor)

    compiled = peers.compiled
    monkeypatch.setattr(peers, "compiled", other)
    with pytest.raises(RuntimeError, match="Cortex-M4, delta, sums in registers: frame 0: program"):
        instructions(DELTA_SIMD, M4, work(1, 3))


def test_each_instruction_that_is_executed_counts():
    """Three turns of a loop: 1 + 3 x 2 + 1; the frame leaves its x as its result."""
    code = struct.pack(
        "<7I6H",
        *(28 | 1, 28 | 1, 0x2000_0000, 0x2000_0000, 0x2000_0000, 1, 1),
        *(0x2003, 0x3801, 0xD1FD, 0x4770, 0, 0),  # movs r0, #3; subs r0, #1; bne; bx lr
    )
    header = bytearray(52)
    struct.pack_into("<I", header, 28, 52)
    struct.pack_into("<2H", header, 42, 32, 2)
    note = struct.pack("<8I", 4, 0, 0, 0, 4, 4, 0, 0)  # no part that is loaded
    load = struct.pack("<8I", 1, 52 + 64, 0, 0, len(code), len(code), 0, 0)
    elf = bytes(header) + note + load + code
    assert parts(elf) == [(0, code)]
    model = Shape("1 -> 1", (1, 1), None, 1).model(1)
    machine = Machine(elf, M4, model)
    results, kept, taken = machine.frame(np.array([-5]))
    assert (results.tolist(), kept.tolist(), taken) == ([-5], [-5], 8)


def test_what_is_missing_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(benches, "find_spec", lambda name: None if name == "unicorn" else name)
    with pytest.raises(
        ValueError,
        match=r"^extra peers: found no package unicorn, "
        r"expected it installed: pip install 'deltarnn\[peers\]'$",
    ):
        measure({"peers": PEERS}, ICARUS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_core_and_programs_stand_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "CPUS", ((M4, DENSE), (M4, REFERENCE)))
    monkeypatch.setattr(peers, "THRESHOLDS", range(6))
    report = run(ICARUS, [TINY], (0.3,))
    works = report["networks"][TINY.name]["works"]
    assert [each["name"] for each in works] == ["all inputs move", "about 30 %"]
    assert works[0]["occupancy"] > 0.7
    assert works[1]["occupancy"] == pytest.approx(0.3, abs=0.1)
    dense = [each["instructions"]["Cortex-M4: dense, plain loop"] for each in works]
    assert dense[0] == dense[1] > works[0]["core_cycles"] > works[1]["core_cycles"]

    PEERS.draw(report, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    counts, times = tables(report)
    assert list(counts.columns[0].cells) == [
        "Cortex-M4: dense, plain loop",
        "Cortex-M4: delta, the reference",
        "core",
    ]
    assert [str(column.header) for column in counts.columns[1:]] == [
        f"{TINY.name}, {each['name']} ({100 * each['occupancy']:.1f} %)" for each in works
    ]
    rows = dict(zip(times.columns[0].cells, times.columns[1].cells, strict=True))
    assert rows["Cortex-M4 at 64 MHz: dense, plain loop"] == f"{dense[0] / 64:,.1f}"
    assert rows["core at 48 MHz"] == f"{works[0]['core_cycles'] / 48:,.1f}"
    assert list(rows)[:2] == [f"Cortex-M4 at {clock} MHz: dense, plain loop" for clock in (64, 120)]


def test_other_frames_than_the_cores_are_noticed(monkeypatch):
    monkeypatch.setattr(peers, "sweep", lambda *_: [{"occupancy": 0.5, "cycles": 1.0}])
    with pytest.raises(RuntimeError, match="core and processors had other frames"):
        run(ICARUS, [TINY], ())
