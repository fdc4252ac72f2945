"""The page of evidence is what its data say, and a run that is smaller does not replace them."""

import json
import sys
from types import SimpleNamespace

import pytest

from deltarnn.evidence import verify


def test_the_page_is_made_from_its_data():
    assert (verify.DOCS / "evidence.md").read_text() == verify.page(verify.DOCS)


def test_each_kind_has_data_of_a_run_without_a_failure():
    for kind in verify.SHARES:
        result = json.loads((verify.DOCS / "evidence" / f"{kind}.json").read_text())
        assert result["share"] > 0
        assert result["seconds"] >= 0
        assert not result.get("failure")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command on a kind whose measurement is made up; gives its exit status and data."""

    def measure(say, share):
        return {"cases": round(100 * share), "failure": "it broke" if share == 0.75 else None}

    kind = SimpleNamespace(measure=measure, section=lambda result: f"## {result['cases']} cases")
    monkeypatch.setattr(verify, "SHARES", {"made_up": 0.5})
    monkeypatch.setitem(sys.modules, "deltarnn.evidence.made_up", kind)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["verify", "--docs", str(tmp_path), *words])
        try:
            verify.main()
            status = 0
        except SystemExit as ended:
            status = ended.code
        file = tmp_path / "evidence" / "made_up.json"
        return status, json.loads(file.read_text()), (tmp_path / "evidence.md").read_text()

    return run


def test_a_larger_run_replaces_a_smaller_one_and_not_the_other_way_round(run):
    status, data, page = run()
    assert (status, data["cases"], data["share"]) == (0, 50, 0.5)
    assert "## 50 cases" in page
    assert run("made_up", "--share", "0.1")[1]["cases"] == 50
    assert run("--share", "1")[1]["cases"] == 100


def test_what_falls_short_is_said_and_kept(run):
    run("--share", "1")
    status, data, _ = run("--share", "0.75")
    assert status == "short: made_up"
    assert data["failure"] == "it broke"


def test_a_kind_that_is_not_there_is_refused(run, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["verify", "other"])
    with pytest.raises(SystemExit) as ended:
        verify.main()
    assert ended.value.code == 2
    assert "found other, expected made_up" in capsys.readouterr().err
