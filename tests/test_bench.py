"""What `deltarnn bench` makes of its measurements; the tools behind it have tests of their own."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

from boards.family.chip import UP5K
from boards.flow.place import DoesNotFitError, Hop, Placement
from boards.flow.synthesis import COMPONENTS, Netlist
from deltarnn.bench import (
    area,
    clock,
    growth,
    kinds,
    learning,
    memory,
    precision,
    streams,
    timeline,
)
from deltarnn.bench.benches import BENCHES, chosen, measure
from deltarnn.bench.context import Bench, Context
from deltarnn.bench.speakers import SPEAKERS
from deltarnn.bench.workshop import SUBJECTS, on_up5k
from deltarnn.commands.bench import bench as command
from hw.emit.verilog import emit
from sim.memory import Memory
from sim.outside import emit_simulated
from sim.simulators import SIMULATORS
from sim.sweep import POINTS, WARM_UP, Shape, sweep
from train.importers.conversion import PRECISIONS
from train.tasks import japanese_vowels

BENCHED = Path(__file__).parents[1] / "docs/bench"
SMALL = Shape("3 -> 4, 2 lanes", (3, 4), None, 2)
NETLIST = Netlist(
    UP5K,
    "",
    tuple((f"engine.reader.{n}", "SB_LUT4") for n in range(40)) + (("cycles", "SB_DFFSR"),),
    (),
)


def context(**workshop):
    return Context(1, SIMULATORS["icarus"], Progress(disable=True), SimpleNamespace(**workshop))


def placed(seed, fmax):
    return Placement(UP5K, seed, fmax, 48, 3300, (Hop("a", 1000 / fmax - 1), Hop("b.D", 1.0)))


def refuse(*_):
    raise DoesNotFitError("core on iCE40 UP5K", {"ICESTORM_LC": (6000, 5280)})


def test_reports_and_pictures_are_written_with_seed_and_versions(tmp_path):
    bench = Bench(
        lambda context: {"found": context.seed},
        lambda report, path: path.write_text("picture") and None,
        lambda report: [],
    )
    reports, files = measure({"some": bench}, context(), tmp_path / "new")
    assert [file.name for file in files] == ["some.json", "some.png"]
    report = json.loads(files[0].read_text())
    assert report == reports["some"]
    assert report["found"] == report["seed"] == 1
    tools = report["tools"]
    assert tools["synthesis"].startswith("yosys 0.")
    assert [tool.split()[0] for tool in tools["place_and_route"]] == [
        "nextpnr-ice40",
        "nextpnr-ecp5",
    ]
    assert tools["simulator"].startswith("Icarus")
    assert tools["amaranth"]


@pytest.mark.slow
def test_a_core_that_learns_is_measured(tmp_path, monkeypatch):
    data = japanese_vowels.load()
    fewer = {
        name: getattr(data, name).pick(range(0, len(getattr(data, name)), 3))
        for name in ("train", "test")
    }
    part = replace(data, **fewer)
    monkeypatch.setattr(japanese_vowels, "load", lambda: part)
    shape = Shape("gru 5 -> 6 -> 3", (5, 6), 3, 2)
    report = learning.run(context(), [shape], (0.0, 0.6), 12, ["label alone"], epochs=1)
    first, second = report["cycles"]
    assert first["speedup"] == 1 < second["speedup"]
    assert second["still"] > first["still"]
    assert 0 < second["utilisation"] < 1
    (taught,) = report["japanese_vowels"]
    sequences = sum(len(each) for each in (part.train, part.validation, part.test))
    assert (taught["sequences"], taught["masters"]) == (sequences, 4713)
    assert taught["wrong"] < 0.7
    shown(report, learning.LEARNING, tmp_path, "label alone")


def test_a_bench_that_is_not_there_is_refused():
    assert list(chosen(["clock", "cycles"])) == ["cycles", "clock"]
    assert chosen([]) == BENCHES
    with pytest.raises(ValueError, match="bench: found 'speed', expected cycles or "):
        chosen(["speed"])


def test_the_command_says_which_benches_there_are():
    text = command.get_help(click.Context(command, terminal_width=1000))
    assert set(BENCHES) <= set(re.findall(r"[\w-]+", text))


def test_a_package_that_is_not_there_is_missed_before_the_work(tmp_path):
    done = []
    first = Bench(
        lambda context: done.append(1) or {}, lambda report, path: None, lambda report: []
    )
    second = Bench(first.run, first.draw, first.tables, needs=("json", "no_such_package"))
    with pytest.raises(ValueError, match=r"extra train: found no package no_such_package, .*train"):
        measure({"first": first, "second": second}, context(), tmp_path)
    assert not done


def test_clock_is_the_median_of_its_seeds(tmp_path):
    speeds = {1: 47.0, 2: 52.0, 3: 49.0}
    subject = on_up5k(SMALL)
    report = clock.run(
        context(placement=lambda subject, model, seed: placed(seed, speeds[seed])),
        [subject],
        (1, 2, 3),
    )
    row = report["cores"][subject.name]
    assert (row["min"], row["median"], row["max"]) == (47, 49, 52)
    assert row["reached"] == {"48.0": True}
    assert row["path_ns"] == pytest.approx(1000 / 49, abs=1e-3)
    assert row["path"][-1] == {"signal": "b.D", "nanoseconds": 1.0}
    shown(report, clock.CLOCK, tmp_path, "49.0")


def test_a_clock_that_is_not_reached_says_so():
    row = clock.summary([placed(1, 47.0), placed(2, 50.0)], [40.0, 48.0])
    assert row["reached"] == {"40.0": True, "48.0": False}


def test_a_core_that_does_not_fit_is_reported_not_raised(tmp_path):
    subject = on_up5k(SMALL)
    report = clock.run(context(placement=refuse), [subject], (1, 2))
    row = report["cores"][subject.name]
    assert "found 6,000 ICESTORM_LC, expected at most 5,280" in row["failed"]
    assert "median" not in row
    shown(report, clock.CLOCK, tmp_path, "6,000")


def test_area_is_held_against_its_limits(tmp_path):
    subject = on_up5k(SMALL)
    workshop = {"netlist": lambda *_: NETLIST, "placement": lambda *_: placed(1, 50.0)}
    report = area.run(context(**workshop), [subject])
    row = report["cores"][subject.name]
    assert row["whole"]["lut"] == row["components"]["reader"]["lut"] == 40
    assert row["components"]["buses"]["ff"] == 1
    assert set(row["components"]) == set(COMPONENTS)
    assert row["within"] == {"logic": False, "dsp": True, "spram": True, "bram": True}
    shown(report, area.AREA, tmp_path, "3,300")

    report = area.run(context(netlist=lambda *_: NETLIST, placement=refuse), [subject])
    row = report["cores"][subject.name]
    assert "6,000" in row["failed"]
    assert row["whole"]["lut"] == 40  # what is known is kept
    shown(report, area.AREA, tmp_path, "6,000")


def test_kinds_are_measured_side_by_side(tmp_path):
    workshop = {
        "netlist": lambda *_: NETLIST,
        "placement": lambda subject, _, seed: placed(seed, 50.0 if "GRU" in subject.name else 45.0),
    }
    report = kinds.run(context(**workshop), seeds=(1, 2, 3))
    clocks = {name: row["median"] for name, row in report["cores"].items()}
    assert list(clocks.values()) == [50.0, 45.0]
    assert all(row["whole"]["lut"] == 40 for row in report["cores"].values())
    shown(report, kinds.KINDS, tmp_path, "LSTM 16 -> 128, 8 lanes")


def test_streams_are_measured_beside_one(tmp_path):
    core = on_up5k(replace(SMALL, streams=2, name="small, streams: 2"))
    report = streams.run(context(netlist=lambda *_: NETLIST), [SMALL], [core])
    one, four = report["networks"][SMALL.name]["streams"].values()
    assert len(one) == len(four) == len(POINTS)
    busy = [sum(row["utilisation"] for row in rows if row["events"]) for rows in (one, four)]
    assert busy[1] > 1.2 * busy[0]  # a layer of four rows alone waits for itself
    assert report["cores"]["up5k: small, streams: 2"]["lut"] == 40
    read = json.loads(json.dumps(report))
    shown(read, streams.STREAMS, tmp_path, "up5k: small, streams: 2")


def test_weights_outside_are_measured_beside_memories(tmp_path):
    memories = {"near": Memory(), "far": Memory(latency=20), memory.FLASH: Memory(interval=2)}
    workshop = {"netlist": lambda *_: NETLIST, "placement": lambda *_: placed(1, 50.0)}
    report = memory.run(context(**workshop), [SMALL], memory.POINTS[:2], memories, [SMALL])
    assert (report["cores"][SMALL.name]["lut"], report["cores"][SMALL.name]["MHz"]) == (40, 50.0)
    near, far, bytewise = report["networks"][SMALL.name]["memories"].values()
    assert (near["lanes"], bytewise["lanes"]) == (2, 1)
    for a, b, c in zip(near["rows"], far["rows"], bytewise["rows"], strict=True):
        assert a["bytes"] == b["bytes"] == c["bytes"]  # of 4 units none is an empty lane's
        assert b["cycles"] > a["cycles"]
        assert c["cycles"] > c["bytes"] * 2
        assert 0 < c["utilisation"] < 1
    read = json.loads(json.dumps(report))
    shown(read, memory.MEMORY, tmp_path, SMALL.name)


@pytest.mark.parametrize("name", ["kinds", "streams", "memory"])
def test_committed_data_are_shown_again(name, tmp_path):
    report = json.loads((BENCHED / f"{name}.json").read_text())
    shown(report, BENCHES[name], tmp_path, "-> 128")


@pytest.mark.parametrize("subjects", [SUBJECTS, precision.SUBJECTS])
def test_all_subjects_are_what_their_chips_can_hold_in_name(subjects):
    assert len({subject.name for subject in subjects}) == len(subjects)
    for subject in subjects:
        assert list(subject.clocks) == sorted(subject.clocks)


def test_what_is_known_of_each_precision_is_of_cores_that_are_measured():
    names = [subject.name for subject in precision.SUBJECTS]
    assert len(names) == 2 * 2 * len(PRECISIONS)  # chips and kinds
    known = json.loads((BENCHED / "precision.json").read_text())["cores"]
    assert list(known) == [name for name in names if name in known]


def test_a_timeline_shows_all_that_a_frame_does(tmp_path):
    scene = timeline.Scene(SMALL, 1.0, 0, settle=4, frames=2)
    report = timeline.run(context(), (scene,))
    (seen,) = report["scenes"]
    span = seen["finishes"][2]
    assert sum(seen["cycles"]) == span
    assert all(a >= b for a, b in zip(seen["cycles"], seen["ideal_cycles"], strict=True))
    rows = seen["rows"]
    busy = {
        name: sum(n for start, n, _ in runs if 0 <= start < span) for name, runs in rows.items()
    }
    # Two frames' worth, whichever frames it belongs to.
    assert busy["elements come in"] == 2 * 3
    assert abs(busy["new h"] - 2 * 4) <= 4
    assert busy["slots"] >= sum(seen["ideal_cycles"])
    assert {(value - 1) % 8 for *_, value in rows["slots"]} >= {0, 1, 2, 3}
    shown(report, timeline.TIMELINE, tmp_path, "new h")


def test_runs_say_what_is_done_when():
    row = np.array([0, 3, 3, 0, 0, 1, 2])
    assert timeline.runs(row, 10) == [[11, 2, 3], [15, 1, 1], [16, 1, 2]]


def test_weights_outside_change_neither_bits_nor_cycles(tmp_path, monkeypatch):
    monkeypatch.setenv("DELTARNN_CACHE", str(tmp_path))
    inside, outside = (
        sweep(SMALL, SIMULATORS["icarus"], 1, WARM_UP + 2, [(1.0, 0), (0.5, 4)], text)
        for text in (emit, emit_simulated)
    )
    assert inside == outside


def growth_row(lanes, size, **more):
    cycles = {"occupancy": 0.5, "ideal_cycles": 90.0, "cycles": 100.0}
    return {"lanes": lanes, "size": size, "dense": cycles, "sparse": cycles, **more}


def test_growth_is_drawn_with_what_could_not_be_built(tmp_path):
    built = {"area": NETLIST.area, "components": NETLIST.components, "fmax": 100.0}
    row = growth_row(1, 8)
    report = {
        "inputs": 4,
        "lanes": [growth_row(1, 8, **built), growth_row(2, 8, **built)],
        "sizes": [growth_row(2, 8, **built), growth_row(2, 16, failed="too large by far")],
        "occupancy": {"name": "some", "points": [row["dense"]]},
    }
    shown(report, growth.GROWTH, tmp_path, "too large by far")


def test_growth_measures_every_axis(monkeypatch):
    monkeypatch.setattr(
        growth,
        "sweep",
        lambda shape, simulator, seed, length, points, emit: [
            {"occupancy": moving, "ideal_cycles": 1.0, "cycles": float(shape.lanes)}
            for moving, _ in points
        ],
    )
    axes = growth.Axes(4, (1, 64), 8, (8, 16), 2, 8)
    workshop = {"netlist": lambda *_: NETLIST, "placement": lambda *_: placed(1, 50.0)}
    monkeypatch.setattr(growth, "synthesise", lambda emission, chip: NETLIST)
    report = growth.run(context(**workshop), axes)
    assert [(row["lanes"], row["activations"]) for row in report["lanes"]] == [(1, 1), (64, 2)]
    assert [row["dense"]["cycles"] for row in report["lanes"]] == [1, 64]
    fits, large = report["sizes"]
    assert fits["fmax"] == 50
    assert "fmax" not in large
    assert large["failed"] == "weights need 1 block RAMs, there are 208"
    assert large["area"]["lut"] == 40
    assert len(report["occupancy"]["points"]) == len(POINTS)


def shown(report, bench, folder, word):
    """Draws and prints a report; ``word`` must be in what is printed."""
    bench.draw(report, folder / "picture.png")
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    console = Console(width=200, record=True, quiet=False, file=(folder / "text").open("w"))
    for table in bench.tables(report):
        console.print(table)
    assert word in console.export_text()


def test_what_speakers_learn_is_shown(tmp_path):
    report = json.loads((Path(__file__).parents[1] / "docs/bench/speakers.json").read_text())
    shown(report, SPEAKERS, tmp_path, "mean")
