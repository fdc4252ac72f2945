"""docs/tutorial.md: a reader who types what it says sees what it says."""

import math
import re

import pytest

pytest.importorskip("torch")

from tools.journeys import ROOT, TUTORIAL, replayed

NUMBER = re.compile(r"(\d+(?:,\d{3})*(?:\.\d+)?)")
PAGE = TUTORIAL.read_text()


def parts(page: str) -> tuple[list[str], list[float]]:
    """What stands between its numbers, without the frames of tables, and the numbers."""
    texts = NUMBER.split(re.sub(r"[\s─┌┬┐└┴┘│]+", " ", page))
    return texts[::2], [float(number.replace(",", "")) for number in texts[1::2]]


def test_every_block_does_what_the_page_says(tmp_path, monkeypatch):
    """Training in floats may end a little elsewhere on another machine, so figures have room."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    now = replayed(PAGE, tmp_path)
    (texts, numbers), (expected_texts, expected) = parts(now), parts(PAGE)
    assert texts == expected_texts
    for found, wanted in zip(numbers, expected, strict=True):
        assert math.isclose(found, wanted, rel_tol=0.1, abs_tol=4), (found, wanted)
    assert re.search(r"│ equal +│ True +│", now)
    (right, of) = re.findall(r"(\d+) of (\d+) right", now)[0]
    assert int(right) >= 0.9 * int(of) > 20
    (network,) = re.findall(r"recordings wrong, integers +│ ([\d.]+)%", now)
    assert float(network) <= 10
    assert (tmp_path / "core/deltarnn_core.v").stat().st_size > 100_000
    assert "</html>" in (tmp_path / "gestures.html").read_text()


def test_no_block_is_left_out():
    """Scripts are saved and then run; every other block is commands, and what they say."""
    kinds = re.findall(r"^```(\w*)\n(.*)$", PAGE, re.MULTILINE)
    kinds = [(kind, line) for kind, line in kinds if kind]
    saved = [line.removeprefix("# ") for kind, line in kinds if kind == "python"]
    assert saved
    assert all(f"\n$ python {name}\n" in PAGE for name in saved)
    rest = [line for kind, line in kinds if kind != "python"]
    assert len(rest) == PAGE.count("```console\n") == PAGE.count("\n$ ")
    commands = [line.split()[2] for line in rest if line.startswith("$ deltarnn ")]
    assert commands == ["import", "eval", "generate", "simulate", "report"]
