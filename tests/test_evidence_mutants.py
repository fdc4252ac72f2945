"""Mutants are put in where they are said to be; seen where they differ, and proven where not."""

import json
from pathlib import Path

import pytest

from deltarnn.evidence.mutants import counts, section, summary
from deltarnn.evidence.mutants.equivalence import equivalent
from deltarnn.evidence.mutants.judge import Judge, Sign, Verdict
from deltarnn.evidence.mutants.netlist import SELECTOR, Mutation, listed, mutated
from deltarnn.evidence.mutants.trials import SUBJECTS, trials
from hw.emit.verilog import emit

RESULT = Path(__file__).parents[1] / "docs" / "evidence" / "mutants.json"
NAME, SUBJECT = next(iter(SUBJECTS.items()))

# Counts 0 to 5 and knows it. It is never beyond, and what it says then is of no interest.
COUNTER = """
module deltarnn_core(input clk, input rst, output [2:0] n, output last, output beyond);
  reg [2:0] n = 0;
  assign last = n == 5;
  assign beyond = n > 5;
  always @(posedge clk) if (rst | last) n <= 0; else n <= n + 1;
endmodule
"""
PORTS = [
    {"name": name, "direction": "in" if name in ("clk", "rst") else "out", "width": width}
    for name, width in (("clk", 1), ("rst", 1), ("n", 3), ("last", 1), ("beyond", 1))
]


def test_faults_are_proven_to_be_none_where_no_state_shows_them():
    mutations = listed(COUNTER, 100, seed=1)
    assert mutations == listed(COUNTER, 100, seed=1)
    assert all(mutation.port != "CLK" for mutation in mutations)
    chosen = [m for m in mutations if str(m).endswith("Y[0] const0") and "beyond" in str(m)]
    chosen += [m for m in mutations if str(m).endswith("Y[0] const0") and "last" in str(m)]
    assert len(chosen) == 2
    text = mutated(COUNTER, chosen)
    assert f"input [1:0] {SELECTOR}" in text
    assert equivalent(SUBJECT.core, COUNTER, PORTS, chosen) == [True, False]


@pytest.mark.slow
def test_mutants_of_the_smallest_core():
    """Without a fault it is golden's equal in every bit and cycle; most of a dozen are seen."""
    emission = emit(SUBJECT.core, SUBJECT.model)
    mutations = listed(emission.verilog, 12, seed=1)
    chosen = trials(SUBJECT)
    judge = Judge(SUBJECT, emission, mutations, chosen)
    assert judge.cycles == json.loads(RESULT.read_text())["cores"][NAME]["cycles"]
    assert judge.verdict(0) is None
    verdicts = [judge.verdict(n) for n in range(1, len(mutations) + 1)]
    assert sum(verdict is not None for verdict in verdicts) >= 9


def test_what_is_counted_adds_up():
    mutations = [
        Mutation.of(f"mutate -mode inv -module m -cell c{n} -port Y -portbit {n}") for n in range(6)
    ]
    verdicts = [
        Verdict("full speed", Sign.OUTPUTS, ""),
        Verdict("full speed", Sign.CYCLES, "12 instead of 10"),
        Verdict("full speed", Sign.CYCLES, "state_cycles"),
        None,
        None,
        Verdict("full speed", Sign.HANG, ""),
    ]
    core = summary(mutations, verdicts, {3}, {"full speed": 10}, 1.0)
    assert [mutant["mutation"] for mutant in core["survivors"]] == ["c4 Y[4] inv"]
    assert counts(core) == {
        "mutants": 6,
        "equivalent": 1,
        "by bits": 2,
        "by cycles": 1,
        "alive": 2,
    }
    page = section({"seed": 1, "seconds": 60, "tools": ["Yosys"], "cores": {"core": core}})
    assert "| core | 6 | 1 | 2 | 1 | 2 | 60.0% |" in page
    assert "`c4 Y[4] inv`" in page


def test_the_page_says_what_lives():
    result = json.loads(RESULT.read_text())
    every = [counts(core) for core in result["cores"].values()]
    faults = sum(c["mutants"] - c["equivalent"] for c in every)
    assert sum(c["mutants"] for c in every) >= 1000
    assert sum(c["alive"] for c in every) <= 0.05 * faults
    page = section(result)
    assert all(m["mutation"] in page for c in result["cores"].values() for m in c["survivors"])
