"""What docs/data.md tells a user to write runs, and its table of readings is that of the code."""

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

from golden.readings import READINGS

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text()


def test_its_code_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec("".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)), {})
    answers, error = capsys.readouterr().out.splitlines()
    assert set(re.findall(r"\w+", answers)) <= {"left", "right", "stop"}
    assert 0 <= float(error) <= 1
    assert Path("turns/deltarnn_core.v").exists()


def test_it_lists_every_reading():
    rows = re.findall(r"^\| `(\w+)` \| .*\| ([^|]*) \|$", PAGE, re.MULTILINE)
    units = {name: unit for name, unit in rows if name in READINGS}
    assert units.keys() == READINGS.keys()
    for name in ("sum", "last", "frame"):
        assert units[name] == READINGS[name].unit
