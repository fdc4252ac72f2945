"""The journeys of docs/journeys.md end as the page says."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from tools.journeys import JOURNEYS, ROOT, replayed


@pytest.mark.slow
def test_every_command_says_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    page = JOURNEYS.read_text()
    assert page.count("equal in every bit") == 4
    assert replayed(page, tmp_path) == page
