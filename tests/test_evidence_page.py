"""The page of evidence is what its data say, and a run that is smaller does not replace them."""

import json
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

from deltarnn.evidence import verify


def test_the_page_is_made_from_its_data():
    assert (verify.DOCS / "evidence.md").read_text() == verify.page(verify.DOCS)


def result_of(kind):
    return json.loads((verify.DOCS / "evidence" / f"{kind}.json").read_text())


@pytest.mark.parametrize("kind", verify.SHARES)
def test_nothing_on_the_page_falls_short(kind):
    result = result_of(kind)
    assert result["share"] > 0
    assert result["seconds"] > 0
    assert import_module(f"deltarnn.evidence.{kind}").short(result) is None


def let_live(result):
    for core in result["cores"].values():
        more = core["survivors"] * 6
        core["survivors"] += more
        core["mutants"] += len(more)


# What could be found of each kind that must not pass as clean.
WRONG = {
    "soak": lambda r: r.update(failure={"reason": "a bit"}),
    "coverage": lambda r: r["files"].update({"hw/new.py": [0, 7]}),
    "proofs": lambda r: next(iter(r["proofs"].values())).update(twins={"a fault": None}),
    "reference": lambda r: r["differences"].append("a bit"),
    "mutants": let_live,
    "golden_mutants": lambda r: next(iter(r["modules"].values())).update(survived=400),
    "netlist": lambda r: r["designs"].clear(),
    "long_run": lambda r: r["networks"].clear(),
    "rough": lambda r: r["kinds"][-1]["violations"].append("said 'x'"),
    "kills": lambda r: r["commands"][0]["violations"].append("lost"),
}


@pytest.mark.parametrize("kind", verify.SHARES)
def test_what_must_not_pass_falls_short(kind):
    result = result_of(kind)
    WRONG[kind](result)
    assert import_module(f"deltarnn.evidence.{kind}").short(result)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command on a kind whose measurement is made up; gives its exit status and data."""

    def measure(say, share):
        if share == 0.25:
            raise RuntimeError("frame 3 differs\nand more")
        return {"cases": round(100 * share)}

    kind = SimpleNamespace(
        measure=measure,
        short=lambda result: "it broke" if result["cases"] == 75 else None,
        found=lambda result: f"{result['cases']} were equal",
        section=lambda result: f"## {result['cases']} cases",
    )
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
    assert "| [made_up](evidence/made_up.json) | 50 were equal | 0.5 | 0 |" in page
    assert "## 50 cases" in page
    assert run("made_up", "--share", "0.1")[1]["cases"] == 50
    assert run("--share", "1")[1]["cases"] == 100


def test_what_falls_short_is_said_and_kept(run):
    run("--share", "1")
    status, data, _ = run("--share", "0.75")
    assert status == "made_up falls short: it broke"
    assert data["cases"] == 75


def test_a_difference_is_said_and_leaves_the_page(run):
    run("--share", "1")
    status, data, page = run("--share", "0.25")
    assert status == "made_up falls short: frame 3 differs"
    assert data["cases"] == 100
    assert "## 100 cases" in page


def test_a_kind_that_is_not_there_is_refused(run, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["verify", "other"])
    with pytest.raises(SystemExit) as ended:
        verify.main()
    assert ended.value.code == 2
    assert "found other, expected made_up" in capsys.readouterr().err
