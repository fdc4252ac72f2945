"""What `deltarnn bench --only activity` counts, on a small core and as it lies in docs/bench."""

import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from deltarnn.bench import activity
from deltarnn.bench.context import Context
from sim.simulators import SIMULATORS
from tests.networks import random_model

COMMITTED = Path(__file__).parents[1] / "docs/bench/activity.json"
UNITS, INPUTS, LANES = 8, 5, 4
POINTS = (
    activity.DENSE,
    activity.Point("some", 0.8, 10, 4, 4),
    activity.Point("few", 0.5, 60, 8, 4),
    activity.Point("silence", 0.0, 255, 40, 4),
)


@pytest.fixture(scope="module")
def report():
    subject = activity.Subject("small", random_model((INPUTS, UNITS)), LANES, POINTS)
    context = Context(1, SIMULATORS["icarus"], Progress(disable=True))
    return activity.run(context, [subject])


def test_what_is_read_of_new_addresses_is_what_is_used(report):
    rows = report["cores"]["small"]["points"]
    # r, u and both halves of c of each block, opened once; each unit, once.
    expected = {"lanes.accumulators_0": 4 * UNITS // LANES, "activation.state": UNITS}
    for point in ("dense", "some", "few"):
        memories = rows[point]["memories"]
        for name, each in expected.items():
            # One or two reads of four frames may lie beyond the cycles that count.
            assert memories[name]["fresh"] == pytest.approx(each, abs=1 / 2), (point, name)
        for name in report["cores"]["small"]["read_in_every_cycle"]:
            assert memories[name]["reads"] == rows[point]["cycles"]
    assert rows["silence"]["memories"]["lanes.accumulators_0"]["fresh"] == 0


def test_a_core_without_a_frame_hardly_moves(report):
    idle = report["cores"]["small"]["points"][activity.IDLE]
    assert idle["cycles"] == idle["without_a_slot"] == activity.IDLE_CYCLES
    assert activity.toggled(idle) < 10 * activity.IDLE_CYCLES
    assert not any(memory["fresh"] for memory in idle["memories"].values())


def test_lanes_multiply_what_fires(report):
    row = report["cores"]["small"]["points"]["dense"]
    assert row["needed_products"] * 0.9 < row["products"]["lanes"] <= LANES * row["cycles"]


def test_the_less_fires_the_less_moves(report):
    less_and_less(report["cores"]["small"]["points"], ("dense", "some", "few", "silence"))


def test_less_moves_in_the_committed_figures_too():
    cores = json.loads(COMMITTED.read_text())["cores"]
    assert len(cores) == 3
    for core in cores.values():
        less_and_less(core["points"], ("dense", "10 %", "1 %", "silence"))


def less_and_less(rows, points):
    for figure in (activity.toggled, activity.bits_read):
        figures = [figure(rows[point]) for point in points]
        assert figures == sorted(set(figures), reverse=True)


def test_all_of_it_is_shown(report, tmp_path):
    activity.ACTIVITY.draw(report, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    (table,) = activity.ACTIVITY.tables(report)
    console = Console(width=200, record=True, file=(tmp_path / "text").open("w"))
    console.print(table)
    text = console.export_text()
    for label in ("columns that fire", "without a slot", "lanes.accumulators_0", "products in la"):
        assert label in text
