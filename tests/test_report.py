"""`deltarnn report`: what it writes, and what it refuses."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from boards.board import find_board
from boards.family.ice40 import UP5K
from deltarnn.evidence.verify import SHARES
from deltarnn.report.area import area_record, files_of
from deltarnn.report.evidence import evidence_rows
from deltarnn.report.page import write_page
from golden.model_file import load_model, save_model
from golden.parameters import CoreParameters
from golden.readings import with_meaning
from tests.networks import random_frames, random_model
from tests.test_command import FRAMES, MODEL, assert_refused, deltarnn, folder

__all__ = ["folder"]  # a fixture

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "models/japanese_vowels"
PAGE = "page.html"
REPORT = ["report", MODEL, FRAMES, "-o", PAGE, "--timeline", "0"]


def data_of(page: Path) -> dict:
    """What stands in the page as data."""
    text = page.read_text(encoding="utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(data)


def reported(folder: Path, *words: str) -> dict:
    done = deltarnn(folder, *words, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_it_says_what_it_has_written(folder):
    said = reported(folder, *REPORT)
    page = folder / PAGE
    assert said == {
        "output": PAGE,
        "bytes": page.stat().st_size,
        "model": "random",
        "recordings": 1,
        "recordings_given": 1,
        "frames": 20,
        "sections": ["evidence"],
    }
    text = page.read_text(encoding="utf-8")
    assert "{{" not in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    data = data_of(page)
    assert (data["of"], data["first"], data["lanes"], data["mostLanes"]) == (1, 0, 8, 64)


def test_it_writes_the_same_bytes_twice(folder):
    words = [*REPORT[:-1], "2"]
    written = []
    for _ in range(2):
        reported(folder, *words)
        written.append((folder / PAGE).read_bytes())
    assert written[0] == written[1]
    timeline = data_of(folder / PAGE)["timeline"]
    assert len(timeline["finishes"]) == len(timeline["ideal"]) == 2
    assert set(timeline["rows"]) >= {"slots", "lanes multiply", "new h", "results go out"}


def test_recordings_beside_the_model_are_taken_without_others(tmp_path):
    for suffix in (".safetensors", ".frames.npz"):
        shutil.copyfile(f"{SHIPPED}{suffix}", tmp_path / f"mine{suffix}")
    said = reported(tmp_path, "report", "mine.safetensors", "-o", PAGE, "--timeline", "0")
    assert (said["recordings"], said["frames"]) == (74, 1153)
    data = data_of(tmp_path / PAGE)
    assert data["expected"]["error"] == pytest.approx(3 / 74)
    assert data["model"]["labels"][0] == "speaker 1"


def test_several_files_of_recordings_are_one_list(folder):
    model = load_model(folder / MODEL)
    np.save(folder / "b.npy", random_frames(model, 7))
    said = reported(folder, *REPORT, "b.npy")
    assert (said["recordings"], said["frames"]) == (2, 27)
    names = [each["name"] for each in data_of(folder / PAGE)["recordings"]]
    assert names == [FRAMES, "b.npy"]


def test_of_too_many_recordings_some_are_taken(tmp_path):
    model = random_model((100, 2), 2, theta=(1, 1))
    save_model(model, tmp_path / MODEL)
    frames = np.tile(random_frames(model, 100), (400, 1))
    np.savez(tmp_path / "all.npz", frames=frames, start=np.arange(0, 40_001, 100))
    words = ["report", MODEL, "all.npz", "-o", PAGE, "--timeline", "0"]
    said = reported(tmp_path, *words)
    assert (said["recordings"], said["recordings_given"]) == (134, 400)
    assert 1_500_000 < said["bytes"] <= 3_000_000
    names = [each["name"] for each in data_of(tmp_path / PAGE)["recordings"]]
    assert names[:2] == ["all.npz, recording 0", "all.npz, recording 3"]


def test_a_threshold_that_no_javascript_holds_is_none_that_anything_exceeds(tmp_path):
    save_model(random_model((3, 4), theta=(10**30, 256)), tmp_path / MODEL)
    np.save(tmp_path / FRAMES, random_frames(load_model(tmp_path / MODEL), 5))
    reported(tmp_path, *REPORT)
    (layer,) = data_of(tmp_path / PAGE)["model"]["layers"]
    assert (layer["thetaX"], layer["thetaH"]) == (255, 255)


def test_a_name_cannot_end_the_data(folder):
    name = "</script><script>alert(1)</script>{{data}}"
    save_model(replace(load_model(folder / MODEL), name=name), folder / MODEL)
    reported(folder, *REPORT)
    assert data_of(folder / PAGE)["model"]["name"] == name
    title = (folder / PAGE).read_text(encoding="utf-8").partition("<title>")[2].partition("</ti")[0]
    assert title.startswith("&lt;/script&gt;&lt;script&gt;alert(1)")


def test_what_is_no_recording_is_refused(folder):
    (folder / "some.txt").write_text("no recording")
    np.save(folder / "wide.npy", np.zeros((4, 9), dtype=np.int8))
    np.savez(folder / "labelled.npz", features=np.zeros((2, 4, 3)), labels=np.array([0, 1]))
    to = ["-o", PAGE]
    for words, naming in (
        (["some.txt"], "some.txt: found suffix '.txt', expected a folder, or .npy"),
        (["wide.npy"], "wide.npy: found 9 features, expected 3"),
        ([FRAMES, "labelled.npz"], "found labels in some of its files alone, expected in all"),
        (["labelled.npz"], "random, key 'readout': found none, expected one, to judge answers by"),
        ([], "RECORDINGS: found none, and no model.frames.npz, expected some: any data that eval"),
    ):
        assert_refused(folder, ["report", MODEL, *words, *to], [naming])
    assert_refused(folder, ["report", "absent", *to], ["absent: model file: found No such file"])


def test_an_error_that_no_float_holds_is_refused(folder):
    """JSON has no word for it, and a page with one shows nothing."""
    save_model(with_meaning(random_model((3, 5), 2), "value", None), folder / MODEL)
    targets = np.full((2, 4, 2), 1e300)
    np.savez(folder / "far.npz", features=np.zeros((2, 4, 3)), targets=targets)
    naming = ["error: found inf, expected results and wanted numbers whose squares a float holds"]
    for command in (["report", "-o", PAGE, "--timeline", "0"], ["eval", "--json"]):
        assert_refused(folder, [command[0], MODEL, "far.npz", *command[1:]], naming)


def test_what_cannot_be_written_is_refused(folder):
    (folder / "taken").mkdir()
    (folder / "earlier.html").write_text("an earlier page")
    for words, naming in (
        ([FRAMES], "Missing option '-o' / '--output'"),
        ([FRAMES, "-o", "taken"], "taken: found a folder, expected a file that can be written"),
        ([FRAMES, "-o", FRAMES], "found the same file for -o and RECORDINGS 1, expected two files"),
        (["absent.npy", "-o", "earlier.html"], "absent.npy: found No such file"),
        ([FRAMES, "-o", PAGE, "--lanes", "0"], "lanes: found 0, expected an integer from 1"),
        ([FRAMES, "-o", PAGE, "--timeline", "0", "--lanes", "2000"], "lanes: found 2000, expected"),
        ([FRAMES, "-o", PAGE, "--board", "abacus"], "board: found 'abacus', expected"),
        ([FRAMES, "-o", PAGE, "--timeline", "-1"], "'--timeline': -1 is not in the range x>=0"),
    ):
        assert_refused(folder, ["report", MODEL, *words], [naming])


def test_a_model_too_large_for_a_page_is_refused(tmp_path):
    save_model(random_model((4, 900), scale=9, theta=(1, 1)), tmp_path / MODEL)
    np.save(tmp_path / FRAMES, np.zeros((2, 4), np.int8))
    naming = rf"page: found 3,\d+,\d+ bytes with {FRAMES} alone, expected at most 3,000,000"
    done = deltarnn(tmp_path, *REPORT)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(naming, done.stderr)
    assert not (tmp_path / PAGE).exists()


def test_a_page_that_sections_make_too_large_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="page: found 3,000,001 bytes, expected at most 3,000,000"):
        write_page("x" * 3_000_001, tmp_path / PAGE)
    assert write_page("x", tmp_path / PAGE) == 1
    assert [path.name for path in tmp_path.iterdir()] == [PAGE]


def test_evidence_is_a_line_a_kind(tmp_path):
    rows = evidence_rows()
    assert rows is not None
    assert [row["kind"].replace(" ", "_") for row in rows] == list(SHARES)
    for row in rows:
        assert re.search(r"\d", row["found"])
        assert 0 < row["share"] <= 1
        assert len(row["found"]) < 120
    assert evidence_rows(tmp_path) is None
    (tmp_path / "evidence.md").write_text("# Evidence\n")
    with pytest.raises(ValueError, match=r"evidence\.md: found no table of evidence, exp"):
        evidence_rows(tmp_path)


def test_a_cell_is_of_the_file_of_its_part():
    model = random_model((2, 3), theta=(1, 1))
    core = CoreParameters(model.parameters, 2)
    cells = {
        "engine.path_x.encoder.moved_SB_LUT4_O_2": "hw/events/encoder.py",
        "engine.path_x.take_SB_LUT4_O": "hw/events/path.py",
        "engine.lanes.lane_0.mac": "boards/family/ice40.py",
        "engine.monitors": "hw/engine.py",  # a part is a whole word
        "engine.sequencer.rows.row_SB_DFF_Q": "hw/walk/row_block.py",
        "status_SB_LUT4_I0": "hw/core.py",
    }
    assert files_of(list(cells), core, model, UP5K) == [*cells.values()]


def area_of(model, lanes=2):
    return area_record(CoreParameters(model.parameters, lanes), model, find_board("icebreaker"))


def test_files_add_up_to_the_core(monkeypatch):
    cells = [("engine.reader.a", "SB_LUT4"), ("b", "SB_DFFSR"), ("engine.lanes.c", "SB_LUT4")]
    netlist = SimpleNamespace(cells=[*cells, ("engine.reader.d", "SB_LUT4")])
    monkeypatch.setattr("deltarnn.report.area.synthesise", lambda *_: netlist)
    found = area_of(random_model((2, 3), theta=(1, 1)))
    assert found["files"] == {
        "hw/core.py": {"lut": 0, "ff": 1},
        "hw/events/reader.py": {"lut": 2, "ff": 0},
        "hw/lanes/lanes.py": {"lut": 1, "ff": 0},
    }
    assert found["resources"] == {"lut": "LUT4", "ff": "FF"}


@pytest.mark.slow
def test_a_core_is_measured_file_by_file(folder):
    said = reported(folder, *REPORT, "--board", "icebreaker", "--lanes", "2")
    assert said["sections"] == ["evidence", "area"]
    area = data_of(folder / PAGE)["area"]
    assert (area["chip"], area["lanes"]) == ("iCE40 UP5K", 2)
    assert {"hw/unit/activation.py", "hw/walk/sequencer.py", "hw/core.py"} <= area["files"].keys()
    assert all((ROOT / file).is_file() for file in area["files"])
    assert sum(counts["dsp"] for counts in area["files"].values()) >= 2
    assert sum(counts["lut"] for counts in area["files"].values()) > 500
